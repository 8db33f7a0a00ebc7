/*
 * The restart machine to closure: every state that can be reached with small settings, under every
 * input, held to what must always be so. Two states are the same when nothing but the passing of
 * time before both tells them apart; the history, which decides nothing, is left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/policy/restart_rule.h"
#include "lib/policy/standing_order.h"
#include "lib/policy/times.h"

/* A second is the unit: every setting and every step is some of them. */
enum {
	SECOND = 1000,
	WINDOW = 2,
	RESET = 1,
	STABLE = 2,
	LONGEST = 2,
	OLD = 2,
	ATTEMPTS = 3,
	STATES_MAX = 1 << 18
};

#define KEPT offsetof(struct restart_state, history)

struct signature {
	uint8_t phase, flags, instance, attempts, exponent, next, breaker;
	int8_t started, good, due, pause, until;
	uint8_t failures[WINDOW + 1]; /* by their age */
};

struct closure {
	const struct restart_settings *set;
	struct signature *seen; /* hash */
	bool *used;
	uint8_t **states;
	uint32_t n, transitions, starts, orders;
};

static int8_t seconds(int64_t at_ms, int64_t now_ms)
{
	int64_t s;

	if (at_ms == TIMES_NEVER)
		return INT8_MAX;
	s = (at_ms - now_ms) / SECOND;
	return (int8_t)(s < -OLD ? -OLD : s > OLD ? OLD : s);
}

/* now_ms is 0 in a state that is kept. */
static struct signature signature_of(const struct restart_state *s, int64_t now)
{
	struct signature q;

	memset(&q, 0, sizeof q);
	q.phase = (uint8_t)s->phase;
	q.flags = (uint8_t)(s->enabled | s->paused << 1 | s->dependency_sick << 2 | s->wanted << 3 |
			    s->is_stable << 4 | s->has_ended << 5);
	q.instance = s->instance > 0;
	q.attempts = (uint8_t)(s->attempts > ATTEMPTS ? ATTEMPTS : s->attempts);
	q.exponent = s->exponent > 0; /* the longest pause from there on */
	q.next = (uint8_t)(s->next.counts | s->next.is_silent << 1 | s->next.is_wanted << 2);
	q.breaker = (uint8_t)s->breaker.state;
	q.started = s->phase < RESTART_STARTING ? 0 : seconds(s->started_ms, now);
	q.good = seconds(s->good_since_ms, now);
	q.due = s->phase == RESTART_WAITING ? seconds(s->due_ms, now) : 0;
	q.pause = s->next.pause_ms > 0;
	q.until = s->breaker.state == BREAKER_OPEN ? seconds(s->breaker.until_ms, now) : 0;
	for (uint32_t i = 0; i < s->breaker.n; i++) {
		const struct breaker_mark *m =
			&s->breaker.marks[(s->breaker.first + i) % BREAKER_MARKS];
		int64_t age = times_since(m->at_ms, now) / SECOND;

		if (age <= WINDOW)
			q.failures[age] = (uint8_t)(q.failures[age] + m->count > 2
							    ? 2
							    : q.failures[age] + m->count);
	}
	return q;
}

/* Everything that lies at a time is moved, so that now is 0. */
static void rebase(struct restart_state *s, int64_t now)
{
	int64_t *times[] = {&s->started_ms, &s->good_since_ms, &s->due_ms, &s->breaker.until_ms};

	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		if (*times[i] != TIMES_NEVER)
			*times[i] -= now;
	for (uint32_t i = 0; i < s->breaker.n; i++)
		s->breaker.marks[(s->breaker.first + i) % BREAKER_MARKS].at_ms -= now;
	if (s->started_ms < -OLD * SECOND)
		s->started_ms = -OLD * SECOND;
	if (s->good_since_ms < -OLD * SECOND)
		s->good_since_ms = -OLD * SECOND;
	s->instance = s->instance > 0;
}

static void keep(struct closure *c, const struct restart_state *state, int64_t now)
{
	struct restart_state s = *state;
	struct signature q;
	uint64_t hash = UINT64_C(14695981039346656037);

	rebase(&s, now);
	q = signature_of(&s, 0);
	for (size_t i = 0; i < sizeof q; i++)
		hash = (hash ^ ((const uint8_t *)&q)[i]) * UINT64_C(1099511628211);
	hash ^= hash >> 29;
	while (c->used[hash % (2 * STATES_MAX)]) {
		if (memcmp(&c->seen[hash % (2 * STATES_MAX)], &q, sizeof q) == 0)
			return;
		hash++;
	}
	assert_true(c->n < STATES_MAX);
	c->used[hash % (2 * STATES_MAX)] = true;
	c->seen[hash % (2 * STATES_MAX)] = q;
	c->states[c->n] = malloc(KEPT);
	assert_non_null(c->states[c->n]);
	memcpy(c->states[c->n++], &s, KEPT);
}

/* --- what must be so --- */

static bool is_dead(const struct restart_state *s)
{
	return s->phase < RESTART_STARTING;
}

static void check_state(const struct closure *c, const struct restart_state *s, int64_t now)
{
	bool may_start = s->enabled && !s->paused && !s->dependency_sick;

	if (c->set->max_attempts)
		assert_true(s->attempts <= c->set->max_attempts);
	/* Nothing is silently dead: what should run and may waits for a time that comes. */
	if (s->phase == RESTART_CRASHED)
		assert_false(s->enabled && s->wanted);
	if ((s->phase == RESTART_WAITING || s->phase == RESTART_TRIPPED) && may_start)
		assert_true(restart_timer_at(s, c->set) <= now + OLD * SECOND);
	if (s->phase == RESTART_GIVEN_UP)
		assert_true(restart_timer_at(s, c->set) == TIMES_NEVER);
}

static void check_step(const struct closure *c, const struct restart_state *before,
		       const struct restart_event *e, const struct restart_state *after,
		       struct restart_verdict v)
{
	bool ends_now = e->in == RESTART_IN_EXIT || e->in == RESTART_IN_BOOT;

	assert_non_null(v.reason);
	if (v.what == RESTART_DO_START) {
		/* Never a second one beside one that lives. */
		assert_true(is_dead(before) || ends_now);
		assert_int_equal(after->phase, RESTART_STARTING);
		assert_true(after->wanted);
		assert_false(after->paused || after->dependency_sick);
		if (!after->enabled)
			assert_true(before->next.is_wanted || e->in == RESTART_IN_BOOT);
		if (before->phase == RESTART_TRIPPED)
			assert_true(before->breaker.until_ms <= e->now_ms || ends_now ||
				    e->in == RESTART_IN_SETTINGS || e->in == RESTART_IN_BOOT);
	}
	if (v.what == RESTART_DO_STOP_FIRST) {
		assert_true(before->enabled && !before->paused && !before->dependency_sick);
		assert_int_equal(after->phase, RESTART_ENDING);
	}
	if (before->phase == RESTART_GIVEN_UP && after->phase != RESTART_GIVEN_UP)
		assert_true(e->in == RESTART_IN_USER_START || e->in == RESTART_IN_USER_RESTART ||
			    e->in == RESTART_IN_USER_STOP || e->in == RESTART_IN_BOOT ||
			    e->in == RESTART_IN_STARTED);
	if (e->in == RESTART_IN_USER_STOP)
		assert_true(after->phase == RESTART_STOPPED || after->phase == RESTART_STOPPING);
	if (before->phase == RESTART_STOPPING && e->in == RESTART_IN_EXIT)
		assert_true(after->phase == RESTART_STOPPED || after->phase == RESTART_STOPPING);
	if (e->in == RESTART_IN_TIMER && before->phase == RESTART_WAITING &&
	    restart_timer_at(before, c->set) <= e->now_ms)
		assert_int_equal(v.what, RESTART_DO_START);
}

/* What lops-init would do by itself is what the rule says once it hears of the end. */
static void check_order(struct closure *c, const struct restart_state *s)
{
	struct standing_order o = standing_order(s, c->set, 0, 0);

	assert_non_null(o.reason);
	if (!o.is_armed)
		return;
	c->orders++;
	assert_true(s->phase == RESTART_STARTING || s->phase == RESTART_RUNNING);
	for (int64_t at = 0; at <= OLD * SECOND && at <= o.valid_until_ms; at += SECOND) {
		struct restart_state after = *s;
		int64_t ran = times_since(s->started_ms, at);
		int64_t delay = ran >= o.stable_after_ms ? o.stable_delay_ms : o.delay_ms;
		struct restart_verdict v = restart_rule(
			&after, c->set,
			&(struct restart_event){
				.in = RESTART_IN_EXIT, .now_ms = at, .instance = s->instance});

		assert_int_equal(v.what, delay ? RESTART_DO_START_AT : RESTART_DO_START);
		assert_true(v.at_ms == at + delay);
	}
}

static void step(struct closure *c, const struct restart_state *s, struct restart_event e)
{
	struct restart_state after = *s;
	struct restart_verdict v = restart_rule(&after, c->set, &e);

	check_step(c, s, &e, &after, v);
	check_state(c, &after, e.now_ms);
	c->transitions++;
	c->starts += v.what == RESTART_DO_START;
	keep(c, &after, e.now_ms);
}

static void step_all(struct closure *c, const struct restart_state *s)
{
	for (int in = 0; in < RESTART_INPUTS; in++)
		for (int64_t wait = 0; wait <= SECOND; wait += SECOND) {
			struct restart_event e = {.in = (enum restart_in)in, .now_ms = wait};

			e.instance = s->instance + (in == RESTART_IN_STARTED);
			step(c, s, e);
			if (in != RESTART_IN_EXIT)
				continue;
			e.is_success = true;
			step(c, s, e);
			e.is_success = false;
			e.never_started = true;
			step(c, s, e);
			e.never_started = false;
			e.asked = true;
			step(c, s, e);
		}
}

static void close_over(const char *name, const struct restart_settings *set)
{
	static struct restart_state s;
	struct closure c = {.set = set};

	c.seen = calloc(2 * STATES_MAX, sizeof *c.seen);
	c.used = calloc(2 * STATES_MAX, sizeof *c.used);
	c.states = calloc(STATES_MAX, sizeof *c.states);
	assert_true(c.seen && c.used && c.states);
	for (int enabled = 0; enabled <= 1; enabled++) {
		restart_init(&s, enabled, 0);
		keep(&c, &s, 0);
	}
	for (uint32_t i = 0; i < c.n; i++) {
		memset(&s, 0, sizeof s);
		memcpy(&s, c.states[i], KEPT);
		check_order(&c, &s);
		step_all(&c, &s);
	}
	printf("%s: %u states, %u transitions, %u starts, %u states with an order\n", name, c.n,
	       c.transitions, c.starts, c.orders);
	assert_true(c.n > 1000 && c.starts > 0);
	for (uint32_t i = 0; i < c.n; i++)
		free(c.states[i]);
	free(c.states);
	free(c.used);
	free(c.seen);
}

static struct restart_settings small(void)
{
	return (struct restart_settings){.immediate_after_stable = true,
					 .preemptive = true,
					 .plain_exec = true,
					 .max_attempts = 2,
					 .stable_after_ms = STABLE * SECOND,
					 .kind = backoff_kind_of("exponential"),
					 .backoff = {SECOND, LONGEST * SECOND, 2.0, 0},
					 .breaker = {.threshold = 2,
						     .window_ms = WINDOW * SECOND,
						     .reset_ms = RESET * SECOND},
					 .success_codes = {1}};
}

static void as_it_comes(void **state)
{
	struct restart_settings set = small();

	(void)state;
	close_over("small", &set);
}

static void restarted_after_every_end(void **state)
{
	struct restart_settings set = small();

	(void)state;
	set.always = true;
	set.immediate_after_stable = false;
	close_over("always", &set);
}

static void without_limits(void **state)
{
	struct restart_settings set = small();

	(void)state;
	set.max_attempts = 0;
	set.breaker.threshold = 0;
	set.stable_after_ms = 0;
	set.backoff.initial_ms = 0;
	set.preemptive = false;
	close_over("without limits", &set);
}

static void a_breaker_that_lets_through_at_once(void **state)
{
	struct restart_settings set = small();

	(void)state;
	set.breaker.reset_ms = 0;
	set.breaker.threshold = 1;
	close_over("no reset", &set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_it_comes),
		cmocka_unit_test(restarted_after_every_end),
		cmocka_unit_test(without_limits),
		cmocka_unit_test(a_breaker_that_lets_through_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
