/*
 * What an exit means: its status for people, and the reason in words. Pure.
 */
#ifndef LOPS_POLICY_EXIT_RULE_H
#define LOPS_POLICY_EXIT_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum exit_verdict { EXIT_STOPPED, EXIT_EXITED, EXIT_CRASHED };

struct exit_facts {
	bool known;         /* the wait status is */
	int status;         /* as of waitpid */
	bool asked;         /* we were asked to end it */
	uint64_t oom_kills; /* processes of it that the kernel killed for want of memory */
	bool killed;        /* we sent KILL after the timeout */
	const int64_t *success_codes;
	uint32_t n_success_codes; /* 0: only 0 is success */
};

struct exit_decision {
	enum exit_verdict verdict;
	int64_t exit_code, signal; /* INT64_MIN: none */
	bool core_dumped;
	char reason[128];
};

struct exit_decision exit_rule(const struct exit_facts *f);

/* "SIGKILL", or "SIG 40". */
const char *exit_signal_name(int signo);
/* 0: no such signal. Takes TERM, SIGTERM and 15. */
int exit_signal_number(const char *name);

#endif
