/*
 * The health of a deployment from the results of its checks, round by round. Pure.
 *
 * A failed check counts only once it has succeeded in this run, or when the grace after the start
 * is over: until then it is unknown. The process itself has no grace.
 */
#ifndef LOPS_POLICY_HEALTH_RULE_H
#define LOPS_POLICY_HEALTH_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum health { HEALTH_UNKNOWN, HEALTH_HEALTHY, HEALTH_DEGRADED, HEALTH_UNHEALTHY, HEALTHS };

enum { HEALTH_CHECKS_MAX = 32 };

struct health_check {
	enum health result;
	bool is_process; /* whether the main process lives: unhealthy is UNHEALTHY at once */
};

/* Of one run of the program; all zero at its start. */
struct health_state {
	enum health overall;
	uint32_t bad_rounds; /* in a row, with an unhealthy check that counted */
	uint32_t succeeded;  /* bit i: check i was healthy or degraded once */
};

struct health_round {
	const struct health_check *checks;
	uint32_t n; /* at most HEALTH_CHECKS_MAX are looked at */
	int64_t now_ms, started_ms, grace_ms;
	uint32_t unhealthy_after; /* rounds in a row; 0 counts as 1 */
	bool held; /* traced, stopped by a person or paused: the round is not counted */
};

/* Takes one round in. True: the overall health is another one now. */
bool health_rule(struct health_state *s, const struct health_round *r);

/* "healthy", …; static text. */
const char *health_name(enum health h);
/* HEALTHS: no such name. */
enum health health_of(const char *name);

#endif
