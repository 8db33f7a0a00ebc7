/*
 * lops start: a new deployment from what is given, or existing ones by id.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cli/lops.h"
#include "lib/config/config.h"
#include "lib/policy/name_rule.h"

extern char **environ;
static struct codec_arena arena;
static struct msg_strs kept; /* strings made on the way */

static void add(struct msg_strs *list, const char *text)
{
	const char **items = codec_arena_alloc(&arena, (list->count + 1) * sizeof *items);

	if (!items)
		exit(fail(EXIT_USAGE, "command and environment are too large"));
	if (list->count)
		memcpy(items, list->items, list->count * sizeof *items);
	items[list->count] = text;
	list->items = items;
	list->count++;
}

static bool is_inherited(const char *pair, const char *patterns)
{
	char name[256], all[1024], *rest = all, *pattern;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(pair, "="), pair);
	snprintf(all, sizeof all, "%s", patterns);
	while ((pattern = strsep(&rest, ",")))
		if (name_glob(pattern, name))
			return true;
	return false;
}

static void take_environment(const struct options *o, struct deployment_spec *s)
{
	const char *patterns = option_value(o, "inherit-env");
	bool all = option_given(o, "inherit-env") && !patterns;
	char why[300];

	for (char **e = environ; *e; e++)
		if (strchr(*e, '=') && (config_environment_is_usual(*e) || all ||
					(patterns && is_inherited(*e, patterns))))
			add(&s->base_environment, *e);
	for (int i = 0; i < o->n_given; i++) {
		const char *rule;

		if (strcmp(o->given[i].row->name, "env") != 0)
			continue;
		rule = config_env_rule(o->given[i].value);
		if (rule)
			exit(fail(EXIT_USAGE, "--env %.80s: %s", o->given[i].value, rule));
		add(&s->environment, o->given[i].value);
	}
	s->env_file = option_value(o, "env-file");
	if (s->env_file &&
	    config_env_file(&arena, s->env_file, &s->file_environment, why, sizeof why))
		exit(fail(EXIT_USAGE, "%s", why));
}

static const char *generated_id(void)
{
	static char id[80];
	time_t now = time(NULL);
	struct tm day;
	struct api_call call;

	link_new_call(&call, "");
	localtime_r(&now, &day);
	snprintf(id, sizeof id, "deployment-%04d%02d%02d-%.8s", day.tm_year + 1900, day.tm_mon + 1,
		 day.tm_mday, call.request);
	return id;
}

static const char *absolute(const char *path)
{
	static char cwd[4096];
	char *whole;

	if (path && path[0] == '/')
		return path;
	if (!getcwd(cwd, sizeof cwd))
		exit(fail(EXIT_FAILED, "the current folder is gone"));
	if (!path)
		return cwd;
	if (asprintf(&whole, "%s/%s", cwd, path) < 0)
		abort();
	add(&kept, whole);
	return whole;
}

static void take_command(const struct options *o, struct deployment_spec *s)
{
	const char *text = option_value(o, "command");
	char why[300];

	s->command = (struct msg_strs){0};
	if (text && o->rest)
		exit(fail(EXIT_USAGE, "--command or -- ARGV, not both"));
	if (text && config_split(&arena, text, &s->command, why, sizeof why) < 0)
		exit(fail(EXIT_USAGE, "--command: %s", why));
	for (int i = 0; !text && i < o->n_rest; i++)
		add(&s->command, o->rest[i]);
	if (s->command.count == 0 || !s->command.items[0][0])
		exit(fail(EXIT_USAGE, "the command is empty"));
}

static int take_port(const struct options *o, struct deployment_spec *s)
{
	double port = option_number(o, "port", 0, 1, 65535);

	if (port != (double)(int)port)
		return fail(EXIT_USAGE, "--port: a whole number is expected");
	if (option_given(o, "port"))
		s->port = (int64_t)port;
	if (option_given(o, "auto-find-port"))
		s->auto_find_port = true;
	if (option_given(o, "no-auto-find-port"))
		s->auto_find_port = false;
	return 0;
}

static void take_wait(const struct options *o, struct api_call *call)
{
	call->records = true;
	call->wait = option_given(o, "wait");
}

/* 3: it ended meanwhile; the deployment stays, and is named or shown all the same. */
static int start(const struct options *o, struct api_call *call)
{
	struct records r = {0};
	int status = link_call(call, records_note, &r);

	if (status && r.count == 0)
		return status;
	if (option_given(o, "json"))
		records_json(&r);
	for (uint32_t i = 0; i < r.count && !option_given(o, "json"); i++)
		puts(r.items[i]->deployment_id);
	if (status) {
		fputs("lops: ", stderr);
		out_text(stderr, r.message);
		fputc('\n', stderr);
	}
	records_done(&r);
	return finish_output(status);
}

static int start_new(const struct options *o)
{
	struct config *defaults = config_defaults();
	struct deployment_spec s;
	struct api_call call;
	const char *why;

	if (!defaults)
		abort();
	msg_body_init(&REC_deployment_spec, &s);
	config_spec_defaults(defaults, &s);
	s.deployment_id = option_value(o, "name") ? option_value(o, "name") : generated_id();
	why = name_rule(s.deployment_id);
	if (why)
		return fail(EXIT_USAGE, "--name: %s", why);
	take_command(o, &s);
	take_environment(o, &s);
	s.working_directory = absolute(option_value(o, "working-directory"));
	if (take_port(o, &s))
		return EXIT_USAGE;
	if (option_given(o, "auto-restart"))
		s.restart = "always";
	if (option_given(o, "log-file"))
		s.log_file = absolute(option_value(o, "log-file"));
	s.user = option_value(o, "user");
	s.source = "cli";
	s.autostart = true;
	why = config_spec_rule(&s);
	if (why)
		return fail(EXIT_USAGE, "%s", why);
	link_new_call(&call, "create");
	call.specs = (struct deployment_spec_list){.items = &s, .count = 1};
	take_wait(o, &call);
	return start(o, &call);
}

/* What describes a program says nothing to one that is described already. */
static int start_existing(const struct options *o)
{
	static const char *const of_both[] = {"wait", "timeout", "all", "json"};
	struct api_call call;

	for (int i = 0; i < o->n_given; i++) {
		const char *name = o->given[i].row->name;
		bool known = false;

		for (size_t k = 0; k < sizeof of_both / sizeof *of_both; k++)
			known |= strcmp(name, of_both[k]) == 0;
		if (!known)
			return fail(
				EXIT_USAGE,
				o->n_words || option_given(o, "all")
					? "--%s describes a new deployment, which takes -c STRING "
					  "or -- ARGV; change an existing one with lops set"
					: "--%s is given, but no command: -c STRING or -- ARGV",
				name);
	}
	link_new_call(&call, "start");
	call_targets(&call, o);
	take_wait(o, &call);
	return start(o, &call);
}

static int run(const struct options *o)
{
	const char *wait = option_value(o, "wait");

	if (wait && strcmp(wait, "running") != 0)
		return fail(EXIT_USAGE,
			    strncmp(wait, "stable", 6) == 0 || strcmp(wait, "healthy") == 0
				    ? "--wait=healthy and --wait=stable are not there yet"
				    : "--wait: expected running");
	link_patience_seconds = option_number(o, "timeout", 30, 0.001, 1e6);
	if (option_given(o, "command") || o->rest) {
		if (o->n_words)
			return fail(EXIT_USAGE,
				    "a new deployment is named by --name, not by '%.64s'",
				    o->words[0]);
		return start_new(o);
	}
	return start_existing(o);
}

static const struct option_row options[] = {
	{"command", 'c', OPTION_VALUE, "STRING", "split as a shell splits words; no shell runs",
	 NULL},
	{"name", 'n', OPTION_VALUE, "NAME", "its id", NULL},
	{"working-directory", 'd', OPTION_VALUE, "DIR", "else the current one", NULL},
	{"port", 'p', OPTION_VALUE, "N", "1 to 65535", NULL},
	{"auto-find-port", 0, OPTION_FLAG, NULL, "occupied: take the next free one (default)",
	 NULL},
	{"no-auto-find-port", 0, OPTION_FLAG, NULL, "occupied: fail", NULL},
	{"auto-restart", 0, OPTION_FLAG, NULL, "start it again when it ends", NULL},
	{"log-file", 0, OPTION_VALUE, "FILE", "a further file to watch", NULL},
	{"env", 'e', OPTION_VALUE, "KEY=VALUE", "into its environment", NULL},
	{"env-file", 0, OPTION_VALUE, "FILE", "lines of KEY=VALUE", NULL},
	{"inherit-env", 0, OPTION_MAYBE, "PATTERNS", "all of the environment, or what matches",
	 NULL},
	{"user", 0, OPTION_VALUE, "USER", "run it as", NULL},
	{"health-check", 0, OPTION_VALUE, "URL", "", "is not there yet"},
	{"wait", 0, OPTION_MAYBE, "running",
	 "until it is ready and still runs 0.25 s later; 3: it ended", NULL},
	{"timeout", 0, OPTION_VALUE, "SECONDS", "for the answer (30)", NULL},
	OPTION_ALL,
	OPTION_JSON,
	OPTION_END,
};
const struct verb verb_start = {
	.name = "start",
	.arguments = "ID... | [OPTIONS] -c STRING | [OPTIONS] -- ARGV...",
	.help = "Start a new deployment, or existing ones",
	.options = options,
	.run = run,
	.takes_rest = true,
};
