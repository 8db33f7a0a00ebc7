/*
 * See the header.
 */
#include "lib/policy/standing_order.h"

#include <string.h>
#include "lib/policy/restart_plan.h"
#include "lib/policy/times.h"

static struct standing_order none(const char *reason, int64_t review_ms)
{
	return (struct standing_order){
		.reason = reason, .valid_until_ms = TIMES_NEVER, .review_ms = review_ms};
}

static const char *why_not(const struct restart_state *s, const struct restart_settings *set,
			   int64_t now_ms)
{
	if ((s->phase != RESTART_STARTING && s->phase != RESTART_RUNNING) || s->has_ended ||
	    !s->instance)
		return "none, because no instance runs that may end by itself";
	if (!s->enabled)
		return "none, because auto-restart is off";
	if (s->paused)
		return "none, because it is paused";
	if (s->dependency_sick)
		return "none, because a dependency is sick";
	if (!set->plain_exec)
		return "none, because a start needs more than an exec";
	if (s->breaker.state == BREAKER_HALF_OPEN)
		return "none, because this is the breaker's trial";
	if (restart_is_used_up(s, set))
		return "none, because the attempts are used up";
	if (breaker_would_open(&s->breaker, &set->breaker, now_ms))
		return "none, because the next failure opens the breaker";
	return NULL;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When what speaks against an order may have passed by itself. */
static int64_t review_at(const struct restart_state *s, const struct restart_settings *set,
			 int64_t now_ms)
{
	int64_t stable = restart_stable_at(s, set);
	int64_t calm = breaker_calm_at(&s->breaker, &set->breaker, now_ms);

	return earlier(stable > now_ms ? stable : TIMES_NEVER, calm > now_ms ? calm : TIMES_NEVER);
}

static uint32_t fit(int64_t ms)
{
	return ms < 0 ? 0 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* From the start of the run on; UINT32_MAX: not within what an order can say. */
static uint32_t stable_after(const struct restart_state *s, const struct restart_settings *set)
{
	int64_t at = restart_stable_at(s, set);

	return at == TIMES_NEVER ? UINT32_MAX : fit(times_since(s->started_ms, at));
}

struct standing_order standing_order(const struct restart_state *before,
				     const struct restart_settings *set, int64_t now_ms,
				     int64_t day_ms)
{
	struct restart_state s = *before;
	struct backoff_pause pause, stable;
	struct standing_order o = {.is_armed = true, .reason = "carried out when it ends"};
	const char *why;

	restart_settle(&s, set, now_ms);
	why = why_not(&s, set, now_ms);
	if (why)
		return none(why, review_at(&s, set, now_ms));
	stable = restart_pause(&s, set, true, day_ms);
	pause = s.is_stable ? stable : restart_pause(&s, set, false, day_ms);
	o.delay_ms = fit(pause.ms);
	o.stable_delay_ms = fit(stable.ms);
	o.stable_after_ms = stable_after(&s, set);
	if (!set->always)
		memcpy(o.success_codes, set->success_codes, sizeof o.success_codes);
	/* The last instant at which both pauses are what they are now. */
	o.valid_until_ms = times_add(now_ms, earlier(pause.holds_ms, stable.holds_ms));
	if (o.valid_until_ms != TIMES_NEVER)
		o.valid_until_ms--;
	if (o.stable_after_ms == UINT32_MAX && o.delay_ms != o.stable_delay_ms)
		o.valid_until_ms =
			earlier(o.valid_until_ms, times_add(s.started_ms, (int64_t)UINT32_MAX - 1));
	o.review_ms =
		o.valid_until_ms == TIMES_NEVER ? TIMES_NEVER : times_add(o.valid_until_ms, 1);
	return o;
}
