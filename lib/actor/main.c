/*
 * The one main of all actors. What it runs is the actor's own `actor_spec_main`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/actor/core.h"
#include "lib/actor/loop.h"

extern const struct actor_spec actor_spec_main;

static int usage(FILE *out, int status)
{
	fprintf(out,
		"lops-%s: %s\n\n"
		"Part of a lops set; lops-init starts it. LOPS_RUN_DIR and LOPS_STATE_DIR name the "
		"set.\n"
		"  --describe[=json]  what it subscribes to, publishes and can be set to\n"
		"  --version\n"
		"SIGUSR1 reopens $LOPS_LOG; SIGUSR2 traces every message to the log, or stops "
		"it.\n",
		actor_spec_main.name, actor_spec_main.purpose);
	return status;
}

int main(int argc, char **argv)
{
	const char *run_dir = getenv("LOPS_RUN_DIR"), *state_dir = getenv("LOPS_STATE_DIR");

	if (argc == 2 && strcmp(argv[1], "--describe") == 0) {
		actor_describe(&actor_spec_main, false, stdout);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--describe=json") == 0) {
		actor_describe(&actor_spec_main, true, stdout);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("lops-%s %s\n", actor_spec_main.name, LOPS_VERSION);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, 0);
	if (argc != 1)
		return usage(stderr, 2);
	if (!run_dir || !state_dir) {
		fprintf(stderr,
			"lops-%s: LOPS_RUN_DIR and LOPS_STATE_DIR are not set; start the set with "
			"lops-launch up\n",
			actor_spec_main.name);
		return 2;
	}
	return loop_run(&actor_spec_main, run_dir, state_dir);
}
