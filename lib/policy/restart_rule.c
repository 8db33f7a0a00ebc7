/*
 * The machine: one function an input, chosen from a table; see the header.
 */
#include "lib/policy/restart_rule.h"

#include <stddef.h>
#include "lib/policy/restart_plan.h"
#include "lib/policy/times.h"

static struct restart_verdict nothing(const char *reason)
{
	return (struct restart_verdict){RESTART_DO_NOTHING, TIMES_NEVER, reason};
}

const char *restart_phase_name(enum restart_phase p)
{
	static const char *const names[] = {"stopped", "exited",   "crashed",  "waiting",
					    "tripped", "given up", "starting", "running",
					    "ending",  "stopping"};

	return p < RESTART_PHASES ? names[p] : "?";
}

void restart_init(struct restart_state *s, bool enabled, uint32_t random)
{
	*s = (struct restart_state){
		.enabled = enabled, .random = random, .good_since_ms = TIMES_NEVER};
}

static bool is_alive(const struct restart_state *s)
{
	return s->phase >= RESTART_STARTING;
}

/* --- what the process does --- */

static struct restart_verdict on_started(struct restart_state *s,
					 const struct restart_settings *set,
					 const struct restart_event *e)
{
	(void)set;
	if (e->instance <= s->instance)
		return nothing("that start is known");
	if (s->phase == RESTART_WAITING) {
		restart_make(s, e); /* a standing order was quicker than the verdict */
	} else if (!is_alive(s) || s->phase == RESTART_RUNNING) {
		if (!is_alive(s)) /* nobody but a person starts it in such a state */
			restart_forgive(s);
		s->next = (struct restart_next){.is_silent = true};
		restart_make(s, e);
	}
	s->instance = e->instance;
	s->has_ended = false;
	s->started_ms = e->now_ms;
	return nothing("it was started");
}

static struct restart_verdict on_ready(struct restart_state *s, const struct restart_settings *set,
				       const struct restart_event *e)
{
	if (s->phase != RESTART_STARTING)
		return nothing("it is not being started");
	s->phase = RESTART_RUNNING;
	s->good_since_ms = e->now_ms;
	restart_settle(s, set, e->now_ms); /* stable_after may be 0 */
	return nothing("it is ready");
}

static struct restart_verdict on_healthy(struct restart_state *s,
					 const struct restart_settings *set,
					 const struct restart_event *e)
{
	(void)set;
	if (s->phase != RESTART_RUNNING && s->phase != RESTART_STARTING)
		return nothing("it does not run");
	restart_attempts_settle(&s->history, RESTART_SUCCEEDED);
	if (s->phase == RESTART_RUNNING && s->good_since_ms == TIMES_NEVER)
		s->good_since_ms = e->now_ms;
	return nothing("it is healthy");
}

static struct restart_verdict on_end_by_itself(struct restart_state *s,
					       const struct restart_settings *set,
					       const struct restart_event *e)
{
	bool well = e->is_success && !e->never_started;

	if (well && !set->always) {
		restart_forgive(s);
		s->phase = RESTART_EXITED;
		return nothing("it ended with a success code");
	}
	restart_plan(s, RESTART_AUTO, !well, e->reason);
	return restart_after_failure(s, set, e);
}

static struct restart_verdict on_exit(struct restart_state *s, const struct restart_settings *set,
				      const struct restart_event *e)
{
	bool is_old = e->instance < s->instance || (e->instance == s->instance && s->has_ended);

	if (!is_alive(s) || is_old)
		return nothing("that end is known");
	s->instance = e->instance;
	s->has_ended = true;
	s->good_since_ms = TIMES_NEVER;
	restart_attempts_settle(&s->history, RESTART_FAILED);
	if (s->phase == RESTART_ENDING && s->next.is_wanted) {
		restart_make(s, e);
		return nothing("restarted on request");
	}
	if (s->phase == RESTART_ENDING)
		return restart_after_failure(s, set, e);
	if (s->phase == RESTART_STOPPING || e->asked) {
		s->phase = RESTART_STOPPED;
		s->wanted = false;
		return nothing("stopped on request");
	}
	return on_end_by_itself(s, set, e);
}

/* --- what is wrong with a process that lives --- */

static const char *left_alone(const struct restart_state *s)
{
	if (s->phase != RESTART_RUNNING && s->phase != RESTART_STARTING)
		return "it does not run, or is being stopped";
	if (!s->enabled)
		return "auto-restart is off: nothing is stopped";
	return restart_held_by(s);
}

static struct restart_verdict stop_first(struct restart_state *s, const struct restart_event *e,
					 enum restart_trigger trigger, const char *reason)
{
	restart_plan(s, trigger, true, e->reason);
	s->phase = RESTART_ENDING;
	return (struct restart_verdict){RESTART_DO_STOP_FIRST, e->now_ms, reason};
}

static struct restart_verdict on_sick(struct restart_state *s, const struct restart_settings *set,
				      const struct restart_event *e)
{
	static const char *const whys[RESTART_INPUTS] = {
		[RESTART_IN_UNHEALTHY] = "it is unhealthy",
		[RESTART_IN_ZOMBIE] = "it is a zombie that stays",
		[RESTART_IN_HUNG] = "it hangs",
	};
	const char *why = left_alone(s);

	(void)set;
	if (e->in == RESTART_IN_UNHEALTHY && s->phase == RESTART_STARTING)
		return nothing("it is not ready yet");
	if (s->phase == RESTART_RUNNING)
		s->good_since_ms = TIMES_NEVER;
	return why ? nothing(why) : stop_first(s, e, RESTART_AUTO, whys[e->in]);
}

static struct restart_verdict on_preempt(struct restart_state *s,
					 const struct restart_settings *set,
					 const struct restart_event *e)
{
	const char *why = left_alone(s);

	if (why)
		return nothing(why);
	if (!set->preemptive)
		return nothing("preemptive restarts are off");
	if (s->phase != RESTART_RUNNING)
		return nothing("it is not ready yet");
	if (s->breaker.state == BREAKER_HALF_OPEN)
		return nothing("left running: this is the breaker's trial");
	if (restart_is_used_up(s, set))
		return nothing("left running: the attempts are used up");
	if (breaker_would_open(&s->breaker, &set->breaker, e->now_ms))
		return nothing("left running: the breaker would open");
	return stop_first(s, e, RESTART_PREEMPTIVE, "restarted before it fails");
}

/* --- what people ask for --- */

static struct restart_verdict on_user_start(struct restart_state *s,
					    const struct restart_settings *set,
					    const struct restart_event *e)
{
	(void)set;
	if (s->phase == RESTART_STARTING || s->phase == RESTART_RUNNING)
		return nothing("it runs already");
	restart_forgive(s);
	s->wanted = true;
	restart_plan(s, RESTART_MANUAL, false, e->reason);
	s->next.is_wanted = s->next.is_silent = true;
	if (is_alive(s)) {
		s->phase = RESTART_ENDING;
		return nothing("started on request once it is down");
	}
	restart_make(s, e);
	return nothing("started on request");
}

static struct restart_verdict on_user_restart(struct restart_state *s,
					      const struct restart_settings *set,
					      const struct restart_event *e)
{
	(void)set;
	restart_forgive(s);
	s->wanted = true;
	restart_plan(s, RESTART_MANUAL, false, e->reason);
	s->next.is_wanted = true;
	if (is_alive(s))
		s->phase = RESTART_ENDING;
	else
		restart_make(s, e);
	return nothing("restarted on request");
}

static struct restart_verdict on_user_stop(struct restart_state *s,
					   const struct restart_settings *set,
					   const struct restart_event *e)
{
	(void)set;
	(void)e;
	s->wanted = false;
	s->next = (struct restart_next){0};
	s->phase = is_alive(s) ? RESTART_STOPPING : RESTART_STOPPED;
	return nothing("stopped on request");
}

/* --- what else changes --- */

static struct restart_verdict on_enable(struct restart_state *s, const struct restart_settings *set,
					const struct restart_event *e)
{
	bool was = s->enabled;

	s->enabled = true;
	if (s->phase != RESTART_CRASHED || was || !s->wanted)
		return restart_advance(s, e, "auto-restart is on");
	if (s->next.counts && restart_is_used_up(s, set)) {
		s->phase = RESTART_GIVEN_UP;
		return (struct restart_verdict){RESTART_DO_GIVE_UP, TIMES_NEVER,
						"the attempts are used up"};
	}
	return restart_wait(s, set, e);
}

static struct restart_verdict on_flag(struct restart_state *s, const struct restart_settings *set,
				      const struct restart_event *e)
{
	static const char *const done[RESTART_INPUTS] = {
		[RESTART_IN_DISABLE] = "auto-restart is off",
		[RESTART_IN_PAUSE] = "it is paused",
		[RESTART_IN_RESUME] = "it is not paused any more",
		[RESTART_IN_DEPENDENCY_SICK] = "a dependency is sick",
		[RESTART_IN_DEPENDENCY_WELL] = "its dependencies are well",
		[RESTART_IN_TIMER] = "nothing is due",
	};

	(void)set;
	if (e->in == RESTART_IN_DISABLE)
		s->enabled = false;
	if (e->in == RESTART_IN_PAUSE || e->in == RESTART_IN_RESUME)
		s->paused = e->in == RESTART_IN_PAUSE;
	if (e->in == RESTART_IN_DEPENDENCY_SICK || e->in == RESTART_IN_DEPENDENCY_WELL)
		s->dependency_sick = e->in == RESTART_IN_DEPENDENCY_SICK;
	return restart_advance(s, e, done[e->in]);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* A pause that was measured by other settings is never longer than the longest of the new ones. */
static struct restart_verdict on_settings(struct restart_state *s,
					  const struct restart_settings *set,
					  const struct restart_event *e)
{
	if (s->phase == RESTART_WAITING)
		s->due_ms = sooner(s->due_ms, times_add(e->now_ms, set->backoff.max_ms));
	if (s->breaker.state == BREAKER_OPEN)
		s->breaker.until_ms =
			sooner(s->breaker.until_ms, times_add(e->now_ms, set->breaker.reset_ms));
	return restart_advance(s, e, "the settings hold from now on");
}

static struct restart_verdict on_boot(struct restart_state *s, const struct restart_settings *set,
				      const struct restart_event *e)
{
	(void)set;
	restart_attempts_settle(&s->history, RESTART_FAILED);
	restart_forgive(s);
	s->has_ended = true;
	s->is_stable = false;
	s->good_since_ms = TIMES_NEVER;
	s->phase = RESTART_STOPPED;
	if (!s->wanted)
		return nothing("stopped on request");
	restart_plan(s, RESTART_AUTO, false, "the machine was started anew");
	s->next.is_wanted = s->next.is_silent = true;
	s->phase = RESTART_WAITING;
	s->due_ms = e->now_ms;
	return restart_advance(s, e, "");
}

/* --- the table --- */

typedef struct restart_verdict in_fn(struct restart_state *s, const struct restart_settings *set,
				     const struct restart_event *e);

static in_fn *const table[RESTART_INPUTS] = {
	[RESTART_IN_STARTED] = on_started,
	[RESTART_IN_READY] = on_ready,
	[RESTART_IN_HEALTHY] = on_healthy,
	[RESTART_IN_EXIT] = on_exit,
	[RESTART_IN_UNHEALTHY] = on_sick,
	[RESTART_IN_ZOMBIE] = on_sick,
	[RESTART_IN_HUNG] = on_sick,
	[RESTART_IN_PREEMPT] = on_preempt,
	[RESTART_IN_USER_START] = on_user_start,
	[RESTART_IN_USER_RESTART] = on_user_restart,
	[RESTART_IN_USER_STOP] = on_user_stop,
	[RESTART_IN_ENABLE] = on_enable,
	[RESTART_IN_DISABLE] = on_flag,
	[RESTART_IN_PAUSE] = on_flag,
	[RESTART_IN_RESUME] = on_flag,
	[RESTART_IN_DEPENDENCY_SICK] = on_flag,
	[RESTART_IN_DEPENDENCY_WELL] = on_flag,
	[RESTART_IN_SETTINGS] = on_settings,
	[RESTART_IN_BOOT] = on_boot,
	[RESTART_IN_TIMER] = on_flag,
};

struct restart_verdict restart_rule(struct restart_state *s, const struct restart_settings *set,
				    const struct restart_event *e)
{
	if (e->in >= RESTART_INPUTS)
		return nothing("no such input");
	if (e->in != RESTART_IN_BOOT)
		restart_settle(s, set, e->now_ms);
	return table[e->in](s, set, e);
}

int64_t restart_timer_at(const struct restart_state *s, const struct restart_settings *set)
{
	bool may_start = (s->enabled || s->next.is_wanted) && !restart_held_by(s);
	bool is_settled = s->is_stable && s->attempts == 0 && s->breaker.state != BREAKER_HALF_OPEN;

	if (s->phase == RESTART_WAITING)
		return may_start ? s->due_ms : TIMES_NEVER;
	if (s->phase == RESTART_TRIPPED)
		return may_start ? s->breaker.until_ms : TIMES_NEVER;
	return is_settled ? TIMES_NEVER : restart_stable_at(s, set);
}
