/*
 * stop, restart, reload, signal, delete and the set's own down: commands over deployments that
 * exist.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/lops.h"
#include "lib/policy/exit_rule.h"

static int call_it(struct api_call *call)
{
	int status = link_call(call, NULL, NULL);

	if (status == 0 && fail_as_json)
		puts("{\"schema_version\":1,\"status\":0}");
	return status ? status : finish_output(EXIT_DONE);
}

/* A stop takes as long as it is given, and its request as much longer. */
static void take_timeout(struct api_call *call, const struct options *o)
{
	call->timeout_seconds = option_number(o, "timeout", (double)NAN, 0, 1e6);
	if (!isnan(call->timeout_seconds))
		link_patience_seconds += call->timeout_seconds;
	else
		link_patience_seconds += 10;
}

static int run_stop(const struct options *o)
{
	struct api_call call;

	link_new_call(&call, "stop");
	call_targets(&call, o);
	take_timeout(&call, o);
	call.force = option_given(o, "force");
	return call_it(&call);
}

static int run_restart(const struct options *o)
{
	struct api_call call;

	link_new_call(&call, "restart");
	call_targets(&call, o);
	take_timeout(&call, o);
	link_patience_seconds += 90;
	call.parallel = option_given(o, "parallel");
	return call_it(&call);
}

static int run_reload(const struct options *o)
{
	struct api_call call;

	link_new_call(&call, "reload");
	call_targets(&call, o);
	return call_it(&call);
}

static int run_signal(const struct options *o)
{
	struct options ids = *o;
	struct api_call call;
	int signo;

	if (o->n_words == 0 || (o->n_words == 1 && !option_given(o, "all")))
		return fail(EXIT_USAGE, "signal takes ID... SIGNAL, the signal last");
	signo = exit_signal_number(o->words[--ids.n_words]);
	if (!signo)
		return fail(EXIT_USAGE, "there is no signal %.40s", o->words[ids.n_words]);
	link_new_call(&call, "signal");
	call_targets(&call, &ids);
	call.signal = signo;
	call.tree = option_given(o, "tree");
	return call_it(&call);
}

static bool is_confirmed(const struct options *o)
{
	char line[16] = "";

	if (option_given(o, "yes") || option_given(o, "force") || !isatty(STDIN_FILENO))
		return option_given(o, "yes") || option_given(o, "force");
	fputs("Forget it and its history? [y/N] ", stderr);
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int run_delete(const struct options *o)
{
	struct api_call call;

	link_new_call(&call, "delete");
	call_targets(&call, o);
	if (!is_confirmed(o))
		return fail(EXIT_USAGE, "not deleted: confirm it, or say --yes");
	call.force = option_given(o, "force");
	link_patience_seconds += 10;
	return call_it(&call);
}

static int run_down(const struct options *o)
{
	struct api_call call;

	(void)o;
	link_new_call(&call, "stop");
	call.all = call.keep_intent = true;
	link_patience_seconds = 600;
	return call_it(&call);
}

static int run_await_up(const struct options *o)
{
	struct api_call call;
	char id[API_REQUEST_MAX + 1];
	const char *up = getenv("LOPS_UP_ID");

	(void)o;
	if (!up || !*up)
		return fail(EXIT_USAGE, "LOPS_UP_ID is not set");
	link_new_call(&call, "settle");
	snprintf(id, sizeof id, "up-%.60s", up);
	call.request = id;
	link_patience_seconds = 600;
	return call_it(&call);
}

#define OPTION_TIMEOUT                                                                             \
	{                                                                                          \
		"timeout", 't', OPTION_VALUE, "SECONDS",                                           \
			"before KILL (10, or what its spec says)", NULL                            \
	}
static const struct option_row stop_options[] = {
	OPTION_TIMEOUT, {"force", 'f', OPTION_FLAG, NULL, "KILL at once", NULL},
	OPTION_ALL,     OPTION_JSON,
	OPTION_END,
};
static const struct option_row restart_options[] = {
	OPTION_TIMEOUT,
	{"parallel", 0, OPTION_FLAG, NULL, "all at once, not one after the other", NULL},
	OPTION_ALL,
	OPTION_JSON,
	OPTION_END,
};
static const struct option_row reload_options[] = {OPTION_ALL, OPTION_JSON, OPTION_END};
static const struct option_row signal_options[] = {
	{"tree", 0, OPTION_FLAG, NULL, "to the whole tree, not the main process only", NULL},
	OPTION_ALL,
	OPTION_JSON,
	OPTION_END,
};
static const struct option_row delete_options[] = {
	{"yes", 'y', OPTION_FLAG, NULL, "do not ask", NULL},
	{"force", 'f', OPTION_FLAG, NULL, "stop a running one first", NULL},
	OPTION_ALL,
	OPTION_JSON,
	OPTION_END,
};
static const struct option_row no_options[] = {OPTION_END};

const struct verb verb_stop = {
	.name = "stop",
	.arguments = "ID...",
	.help = "Stop deployments, the whole tree of each",
	.options = stop_options,
	.run = run_stop,
};
const struct verb verb_restart = {
	.name = "restart",
	.arguments = "ID...",
	.help = "Stop and start again, with the newest spec",
	.options = restart_options,
	.run = run_restart,
};
const struct verb verb_reload = {
	.name = "reload",
	.arguments = "ID...",
	.help = "Send the reload signal, or run the reload command",
	.options = reload_options,
	.run = run_reload,
};
const struct verb verb_signal = {
	.name = "signal",
	.arguments = "ID... SIGNAL",
	.help = "Send any signal",
	.options = signal_options,
	.run = run_signal,
};
const struct verb verb_delete = {
	.name = "delete",
	.arguments = "ID...",
	.help = "Forget stopped deployments and their history",
	.options = delete_options,
	.run = run_delete,
};
const struct verb verb_down = {
	.name = "down",
	.arguments = "",
	.help = "Stop everything, keeping what should run",
	.options = no_options,
	.run = run_down,
	.hidden = true,
};
const struct verb verb_await_up = {
	.name = "await-up",
	.arguments = "",
	.help = "Wait until the set of $LOPS_UP_ID is up",
	.options = no_options,
	.run = run_await_up,
	.hidden = true,
};
