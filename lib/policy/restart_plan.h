/*
 * For restart_rule.c: what becomes of a failure and of a planned restart. Each changes the state
 * and says what is to be done. Pure.
 */
#ifndef LOPS_POLICY_RESTART_PLAN_H
#define LOPS_POLICY_RESTART_PLAN_H

#include "lib/policy/restart_rule.h"

/* A good run so far ends the row, proves the latest restart, and closes the breaker after a trial.
 * To be called before every input, so that it does not matter whether the timer came first. */
void restart_settle(struct restart_state *s, const struct restart_settings *set, int64_t now_ms);

/* Puts down what restart will be made; `reason` may be NULL and is cut where it is too long. */
void restart_plan(struct restart_state *s, enum restart_trigger trigger, bool counts,
		  const char *reason);
/* The planned restart is made, by whomever: it is counted, and the next instance begins. */
void restart_make(struct restart_state *s, const struct restart_event *e);
/* It is down; the plan says by what, and whether that counts. */
struct restart_verdict restart_after_failure(struct restart_state *s,
					     const struct restart_settings *set,
					     const struct restart_event *e);
/* What waits is started when its time has come and nothing holds it. `otherwise`: nothing waits. */
struct restart_verdict restart_advance(struct restart_state *s, const struct restart_event *e,
				       const char *otherwise);
/* Waits for the pause that is due from now on; at 0 it is started. */
struct restart_verdict restart_wait(struct restart_state *s, const struct restart_settings *set,
				    const struct restart_event *e);
/* Attempts and breaker as if nothing had ever failed. */
void restart_forgive(struct restart_state *s);
/* What keeps an automatic restart from being made; NULL: nothing. */
const char *restart_held_by(const struct restart_state *s);

#endif
