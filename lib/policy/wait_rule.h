/*
 * When the answer to a command may be given: once what is known of its deployments shows what the
 * command did. Pure.
 */
#ifndef LOPS_POLICY_WAIT_RULE_H
#define LOPS_POLICY_WAIT_RULE_H

#include <stdbool.h>
#include "lib/policy/process_rule.h"

enum wait_for {
	WAIT_NOTHING,
	WAIT_SPAWNED, /* started, ready or not */
	WAIT_REST,    /* neither starting nor stopping */
	WAIT_ENDED,   /* no process of it any more */
	WAIT_GONE,    /* no such deployment any more */
};

struct wait_facts {
	bool exists, has_process;
	enum process_status status;
};

/* Whether it is shown. */
bool wait_rule(enum wait_for what, const struct wait_facts *f);

#endif
