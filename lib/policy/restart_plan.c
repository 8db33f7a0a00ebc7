/*
 * See the header.
 */
#include "lib/policy/restart_plan.h"

#include <stddef.h>
#include <string.h>
#include "lib/policy/times.h"

static struct restart_verdict say(enum restart_do what, int64_t at_ms, const char *reason)
{
	return (struct restart_verdict){what, at_ms, reason};
}

/* --- what a run is worth --- */

int64_t restart_stable_at(const struct restart_state *s, const struct restart_settings *set)
{
	return s->phase == RESTART_RUNNING ? times_add(s->good_since_ms, set->stable_after_ms)
					   : TIMES_NEVER;
}

bool restart_is_used_up(const struct restart_state *s, const struct restart_settings *set)
{
	return set->max_attempts && s->attempts >= set->max_attempts;
}

struct backoff_pause restart_pause(const struct restart_state *s,
				   const struct restart_settings *set, bool is_stable,
				   int64_t day_ms)
{
	if (is_stable && set->immediate_after_stable)
		return (struct backoff_pause){
			0, TIMES_NEVER, "the first restart after a stable run is made at once"};
	return backoff_pause(set->kind, &set->backoff,
			     (struct backoff_facts){.exponent = is_stable ? 0 : s->exponent,
						    .random = s->random,
						    .day_ms = day_ms});
}

void restart_settle(struct restart_state *s, const struct restart_settings *set, int64_t now_ms)
{
	int64_t at = restart_stable_at(s, set);

	if (at == TIMES_NEVER || now_ms < at)
		return;
	s->is_stable = true;
	s->attempts = s->exponent = 0;
	restart_attempts_settle(&s->history, RESTART_SUCCEEDED);
	if (s->breaker.state == BREAKER_HALF_OPEN)
		breaker_close(&s->breaker);
}

void restart_forgive(struct restart_state *s)
{
	s->attempts = s->exponent = 0;
	breaker_close(&s->breaker);
}

/* --- starts --- */

static void record(struct restart_state *s, const struct restart_event *e)
{
	bool is_trial = s->breaker.state == BREAKER_HALF_OPEN;
	uint32_t next = s->attempts < UINT32_MAX ? s->attempts + 1 : UINT32_MAX;
	struct restart_attempt a = {.number = next,
				    .trigger = s->next.trigger,
				    .is_trial = is_trial,
				    .at_ms = e->now_ms,
				    .wall_ms = e->wall_ms,
				    .pause_ms = s->next.pause_ms};

	memcpy(a.reason, s->next.reason, sizeof a.reason);
	restart_attempts_add(&s->history, &a);
	if (s->next.counts)
		s->attempts = next;
	if (s->next.pause_ms > 0 && s->exponent < UINT32_MAX)
		s->exponent++;
	s->random = e->random;
}

void restart_make(struct restart_state *s, const struct restart_event *e)
{
	if (!s->next.is_silent)
		record(s, e);
	s->phase = RESTART_STARTING;
	s->wanted = true;
	s->is_stable = false;
	s->good_since_ms = TIMES_NEVER;
	s->due_ms = 0;
	s->next = (struct restart_next){0};
}

const char *restart_held_by(const struct restart_state *s)
{
	if (s->paused)
		return "it is paused";
	return s->dependency_sick ? "held: a dependency is sick" : NULL;
}

static struct restart_verdict start(struct restart_state *s, const struct restart_event *e,
				    const char *reason)
{
	restart_make(s, e);
	return say(RESTART_DO_START, e->now_ms, reason);
}

struct restart_verdict restart_advance(struct restart_state *s, const struct restart_event *e,
				       const char *otherwise)
{
	bool is_trial = s->phase == RESTART_TRIPPED;

	if (s->phase != RESTART_WAITING && !is_trial)
		return say(RESTART_DO_NOTHING, TIMES_NEVER, otherwise);
	if (!s->enabled && !s->next.is_wanted) {
		s->phase = is_trial ? RESTART_TRIPPED : RESTART_CRASHED;
		return say(RESTART_DO_NOTHING, TIMES_NEVER, "auto-restart is off");
	}
	if (restart_held_by(s))
		return say(RESTART_DO_HOLD, TIMES_NEVER, restart_held_by(s));
	if (!is_trial && e->now_ms < s->due_ms)
		return say(RESTART_DO_START_AT, s->due_ms, "the pause is not over");
	if (!is_trial)
		return start(s, e, "the pause is over");
	if (!breaker_try(&s->breaker, e->now_ms))
		return say(RESTART_DO_GIVE_UP, s->breaker.until_ms, "the breaker is open");
	return start(s, e, "one trial, for the breaker was open long enough");
}

/* --- failures --- */

void restart_plan(struct restart_state *s, enum restart_trigger trigger, bool counts,
		  const char *reason)
{
	size_t len = reason ? strlen(reason) : 0;

	s->next = (struct restart_next){.trigger = trigger, .counts = counts};
	if (len >= sizeof s->next.reason)
		len = sizeof s->next.reason - 1;
	if (len)
		memcpy(s->next.reason, reason, len);
}

/* OPEN, and a trial is what comes next. With a reset of 0 it comes now. */
static struct restart_verdict trip(struct restart_state *s, const struct restart_event *e,
				   const char *reason)
{
	struct restart_verdict v;

	s->phase = RESTART_TRIPPED;
	s->next.counts = false;
	s->next.pause_ms = 0;
	v = restart_advance(s, e, "");
	if (v.what == RESTART_DO_GIVE_UP)
		v.reason = reason;
	return v;
}

struct restart_verdict restart_wait(struct restart_state *s, const struct restart_settings *set,
				    const struct restart_event *e)
{
	struct backoff_pause pause = restart_pause(s, set, s->is_stable, e->day_ms);
	struct restart_verdict v;

	s->phase = RESTART_WAITING;
	s->next.pause_ms = pause.ms;
	s->due_ms = times_add(e->now_ms, pause.ms);
	v = restart_advance(s, e, "");
	if (v.what == RESTART_DO_START || v.what == RESTART_DO_START_AT)
		v.reason = pause.reason;
	return v;
}

static struct restart_verdict trial_failed(struct restart_state *s,
					   const struct restart_settings *set,
					   const struct restart_event *e)
{
	breaker_fail(&s->breaker, &set->breaker, e->now_ms);
	if (restart_held_by(s))
		s->breaker.until_ms =
			e->now_ms; /* it was no fair trial: another as soon as may be */
	return trip(s, e, "the breaker's trial failed");
}

struct restart_verdict restart_after_failure(struct restart_state *s,
					     const struct restart_settings *set,
					     const struct restart_event *e)
{
	bool is_open;

	if (s->breaker.state == BREAKER_HALF_OPEN)
		return trial_failed(s, set, e);
	if (restart_held_by(s)) /* not its own failing: the start that follows is no attempt */
		s->next.counts = false;
	if (!s->enabled || !s->next.counts)
		return restart_wait(s, set, e);
	is_open = breaker_fail(&s->breaker, &set->breaker, e->now_ms);
	if (restart_is_used_up(s, set)) {
		s->phase = RESTART_GIVEN_UP;
		return say(RESTART_DO_GIVE_UP, TIMES_NEVER, "the attempts are used up");
	}
	if (is_open)
		return trip(s, e, "too many failures in a short time: the breaker opens");
	return restart_wait(s, set, e);
}
