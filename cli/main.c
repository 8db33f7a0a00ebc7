/*
 * lops: the command line. One table of verbs prints the help and finds what to run; each verb is a
 * file of its own. It speaks to the set over the API door only.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/lops.h"
#include "lib/config/folders.h"
#include "lib/policy/name_rule.h"

static const struct verb *const verbs[] = {
	&verb_start,  &verb_stop,   &verb_restart, &verb_reload,   &verb_signal,
	&verb_list,   &verb_status, &verb_logs,    &verb_set,      &verb_delete,
	&verb_events, &verb_config, &verb_doctor,  &verb_await_up, &verb_down,
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const char *const not_yet[] = {"health",
				      "monitor",
				      "history",
				      "enable-auto-restart",
				      "disable-auto-restart",
				      "pause",
				      "resume",
				      "edit",
				      "why",
				      "plan",
				      "apply"};

static int usage(FILE *out, int status)
{
	fputs("usage: lops COMMAND [ARGUMENTS]\n\n", out);
	for (int i = 0; i < VERBS; i++)
		if (!verbs[i]->hidden)
			fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->help);
	fputs("\nlops COMMAND --help tells more. An ID may be a prefix, a glob or @group.\n"
	      "--system addresses the set of root.\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 not running, 4 no such deployment,\n"
	      "5 the set is not reachable, 6 conflict, 7 timed out, 8 health unknown,\n"
	      "9 not permitted, 130 interrupted.\n",
	      out);
	return finish_output(status);
}

static int usage_of(const struct verb *v)
{
	printf("usage: lops %s %s\n%s.\n\n", v->name, v->arguments[0] ? v->arguments : "[OPTIONS]",
	       v->help);
	for (const struct option_row *o = v->options; o && o->name; o++) {
		char left[60];

		if (o->not_yet)
			continue;
		snprintf(left, sizeof left, "%c%c%s--%s%s%s%s", o->letter ? '-' : ' ',
			 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
			 o->kind == OPTION_FLAG    ? ""
			 : o->kind == OPTION_MAYBE ? "[="
						   : " ",
			 o->kind == OPTION_FLAG ? "" : o->value,
			 o->kind == OPTION_MAYBE ? "]" : "");
		printf("  %-30s %s\n", left, o->help);
	}
	printf("  %-30s %s\n", "    --system", "the set of root, whatever the environment says");
	printf("  %-30s %s\n", "-h, --help", "this text");
	return finish_output(EXIT_DONE);
}

static int unknown_verb(const char *word)
{
	const char *names[VERBS], *near;

	for (size_t i = 0; i < sizeof not_yet / sizeof *not_yet; i++)
		if (strcmp(not_yet[i], word) == 0)
			return fail(EXIT_USAGE, "%s is not there yet", word);
	for (int i = 0; i < VERBS; i++)
		names[i] = verbs[i]->name;
	near = name_nearest(word, names, VERBS);
	return fail(EXIT_USAGE, "unknown command %.60s%s%s%s", word, near ? "; did you mean " : "",
		    near ? near : "", near ? "?" : "");
}

static bool wants(char **argv, const char *word)
{
	for (; *argv && strcmp(*argv, "--") != 0; argv++)
		if (strcmp(*argv, word) == 0)
			return true;
	return false;
}

static int run(const struct verb *v, int argc, char **argv)
{
	struct options o;
	char why[200];
	int status = EXIT_DONE;

	if (wants(argv, "--help") || wants(argv, "-h"))
		return usage_of(v);
	fail_as_json = wants(argv, "--json");
	if (options_parse(&o, v->options, argc, argv, why, sizeof why) < 0)
		status = fail(EXIT_USAGE, "%s: %s", v->name, why);
	else if (o.system)
		folder_use_system();
	if (!v->takes_rest)
		options_join_rest(&o);
	if (status == EXIT_DONE)
		status = v->run(&o);
	free(o.words);
	return status;
}

static void on_interrupt(int signo)
{
	(void)signo;
	_exit(EXIT_INTERRUPTED);
}

/* A socket must not become what standard output was: what is closed refuses what is written. */
static void keep_standard_streams(void)
{
	for (int fd = open("/dev/null", O_RDONLY); fd >= 0; fd = dup(fd))
		if (fd > STDERR_FILENO) {
			close(fd);
			return;
		}
}

int main(int argc, char **argv)
{
	keep_standard_streams();
	signal(SIGINT, on_interrupt);
	signal(SIGPIPE, SIG_DFL);
	if (argc > 1 && strcmp(argv[1], "--system") == 0) {
		folder_use_system();
		argv++;
		argc--;
	}
	if (argc < 2)
		return usage(stderr, EXIT_USAGE);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return usage(stdout, EXIT_DONE);
	if (strcmp(argv[1], "--version") == 0) {
		puts("lops " LOPS_VERSION);
		return finish_output(EXIT_DONE);
	}
	for (int i = 0; i < VERBS; i++)
		if (strcmp(verbs[i]->name, argv[1]) == 0)
			return run(verbs[i], argc - 2, argv + 2);
	return unknown_verb(argv[1]);
}
