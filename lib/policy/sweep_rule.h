/*
 * Whether a process belongs to a deployment that is being swept. Pure.
 */
#ifndef LOPS_POLICY_SWEEP_RULE_H
#define LOPS_POLICY_SWEEP_RULE_H

#include <stdbool.h>
#include <stdint.h>

struct sweep_facts {
	/* Of the process. */
	int64_t pid, session;
	uint64_t instance; /* that its environment names, 0: none, or not to be seen */
	/* Of the deployment. */
	int64_t main_pid;       /* INT64_MIN: none any more */
	bool main_is_it;        /* who has that pid now is the process that was started */
	uint64_t main_instance; /* 0: never started */
};

/* The main process itself is not: lops-init reports it. */
bool sweep_rule(const struct sweep_facts *f);

#endif
