/*
 * What lops-init does by itself when a program ends: the verdict of restart_rule on that end,
 * worked out before it comes. Pure.
 *
 * An order is only given where one pause, or two of them told apart by the length of the run, say
 * all that the rule would. Where there is none, the rule decides once the end is known. Two ends
 * are never an order's: a success code of the mask, and an instance that never was a process.
 */
#ifndef LOPS_POLICY_STANDING_ORDER_H
#define LOPS_POLICY_STANDING_ORDER_H

#include "lib/policy/restart_rule.h"

struct standing_order {
	bool is_armed;
	const char *reason;       /* static text: why, or why not */
	uint32_t delay_ms;        /* after the end */
	uint32_t stable_delay_ms; /* after a run of stable_after_ms or longer, from its start on */
	uint32_t stable_after_ms;
	uint64_t success_codes[4]; /* mask of the exit codes after which it is not carried out */
	int64_t valid_until_ms;    /* an end later than that is not its; TIMES_NEVER: all are */
	int64_t review_ms;         /* when to ask again although nothing happened; TIMES_NEVER */
};

/* `day_ms`: since local midnight. */
struct standing_order standing_order(const struct restart_state *s,
				     const struct restart_settings *set, int64_t now_ms,
				     int64_t day_ms);

#endif
