/*
 * The record of a deployment's restarts: the last ones in a ring, and the sums over all. Pure; the
 * caller owns the struct, which may be stored as it is.
 */
#ifndef LOPS_POLICY_RESTART_ATTEMPTS_H
#define LOPS_POLICY_RESTART_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

#define RESTART_ATTEMPTS_KEPT 20
#define RESTART_REASON_BYTES  96

enum restart_trigger { RESTART_AUTO, RESTART_MANUAL, RESTART_PREEMPTIVE, RESTART_TRIGGERS };
enum restart_success { RESTART_OPEN, RESTART_SUCCEEDED, RESTART_FAILED }; /* null, true, false */

struct restart_attempt {
	uint32_t number; /* its place in the row, from 1; of one that does not count: the next place
			  */
	enum restart_trigger trigger;
	enum restart_success success;
	bool is_trial;   /* of the breaker: not counted */
	int64_t at_ms;   /* on the clock of the rule */
	int64_t wall_ms; /* since the epoch, for people */
	int64_t pause_ms;
	char reason[RESTART_REASON_BYTES];
};

struct restart_attempts {
	uint64_t total, succeeded, failed; /* the rest is open */
	uint32_t first, n;                 /* ring, oldest first */
	struct restart_attempt kept[RESTART_ATTEMPTS_KEPT];
};

void restart_attempts_add(struct restart_attempts *all, const struct restart_attempt *one);
/* The latest becomes a success or a failure, if it is still open: whether it did. */
bool restart_attempts_settle(struct restart_attempts *all, enum restart_success how);
/* 0 is the latest; NULL: not kept. */
const struct restart_attempt *restart_attempts_back(const struct restart_attempts *all, uint32_t i);

const char *restart_trigger_name(enum restart_trigger t);

#endif
