/*
 * The restart rule, a test a rule of what users are promised.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/policy/restart_rule.h"
#include "lib/policy/standing_order.h"
#include "lib/policy/times.h"

static struct restart_settings set;
static struct restart_state now_is;
static int64_t now;
static uint64_t instance;

static int begin(void **state)
{
	(void)state;
	set = (struct restart_settings){.immediate_after_stable = true,
					.preemptive = true,
					.plain_exec = true,
					.max_attempts = 5,
					.stable_after_ms = 60000,
					.kind = backoff_kind_of("exponential"),
					.backoff = {2000, 300000, 2, 0},
					.breaker = {3, 300000, 600000},
					.success_codes = {1}};
	restart_init(&now_is, true, 0);
	now = 1000;
	instance = 0;
	return 0;
}

static struct restart_verdict feed(enum restart_in in)
{
	struct restart_event e = {
		.in = in, .now_ms = now, .instance = instance, .reason = "exited with code 1"};

	return restart_rule(&now_is, &set, &e);
}

static void runs(void)
{
	instance++;
	feed(RESTART_IN_STARTED);
	feed(RESTART_IN_READY);
	assert_int_equal(now_is.phase, RESTART_RUNNING);
}

static struct restart_verdict ends(bool well)
{
	struct restart_event e = {.in = RESTART_IN_EXIT,
				  .now_ms = now,
				  .instance = instance,
				  .is_success = well,
				  .reason = well ? "exited with code 0" : "exited with code 1"};

	return restart_rule(&now_is, &set, &e);
}

static void expect(struct restart_verdict v, enum restart_do what, int64_t at_ms)
{
	assert_int_equal(v.what, what);
	assert_int_equal(v.at_ms, at_ms);
	assert_true(v.reason && v.reason[0]);
}

static void waits_and_runs(void)
{
	now = restart_timer_at(&now_is, &set);
	expect(feed(RESTART_IN_TIMER), RESTART_DO_START, now);
	runs();
}

static void started(void)
{
	feed(RESTART_IN_USER_START);
	runs();
}

static void crashes_and_runs(void)
{
	ends(false);
	waits_and_runs();
}

static void crashes_wait_2_4_8_and_then_attempts_are_used_up(void **state)
{
	static const int64_t pauses[] = {2000, 4000, 8000, 16000, 32000};

	(void)state;
	set.breaker.threshold = 0;
	started();
	for (uint32_t i = 0; i < 5; i++) {
		expect(ends(false), RESTART_DO_START_AT, now + pauses[i]);
		assert_int_equal(now_is.attempts, i); /* planned is not made */
		waits_and_runs();
		assert_int_equal(restart_attempts_back(&now_is.history, 0)->number, i + 1);
		assert_int_equal(restart_attempts_back(&now_is.history, 0)->pause_ms, pauses[i]);
		assert_int_equal(restart_attempts_back(&now_is.history, 0)->success, RESTART_OPEN);
	}
	expect(ends(false), RESTART_DO_GIVE_UP, TIMES_NEVER);
	assert_int_equal(restart_timer_at(&now_is, &set), TIMES_NEVER);
	assert_int_equal(now_is.history.failed, 5);
	feed(RESTART_IN_USER_START); /* only a person */
	runs();
	assert_int_equal(now_is.attempts, 0);
	assert_int_equal(now_is.history.total, 5); /* a start is no restart */
}

static void a_limit_of_0_is_none(void **state)
{
	(void)state;
	set.max_attempts = 0;
	set.breaker.threshold = 0;
	started();
	for (int i = 0; i < 1000; i++) {
		ends(false);
		waits_and_runs();
	}
	assert_int_equal(now_is.attempts, 1000);
	assert_int_equal(now_is.history.n, RESTART_ATTEMPTS_KEPT);
	assert_int_equal(restart_attempts_back(&now_is.history, 19)->number, 981);
	assert_null(restart_attempts_back(&now_is.history, 20));
}

static void after_a_stable_run_the_restart_is_at_once_and_counts(void **state)
{
	(void)state;
	started();
	now += 60000;
	expect(ends(false), RESTART_DO_START, now);
	assert_int_equal(now_is.attempts, 1);
	assert_int_equal(now_is.exponent, 0); /* it is not in the exponent */
	runs();
	expect(ends(false), RESTART_DO_START_AT, now + 2000);
	waits_and_runs();
	now += 59999;
	assert_int_equal(now_is.attempts, 2);
	now++;
	feed(RESTART_IN_TIMER);
	assert_int_equal(now_is.attempts, 0);
	assert_int_equal(now_is.history.succeeded, 1);
	set.immediate_after_stable = false;
	expect(ends(false), RESTART_DO_GIVE_UP, now + 600000); /* the third within 300 s */
}

static void without_the_immediate_one_a_stable_run_starts_at_2_again(void **state)
{
	(void)state;
	set.immediate_after_stable = false;
	set.breaker.threshold = 0;
	started();
	crashes_and_runs();
	crashes_and_runs();
	now += 60000;
	expect(ends(false), RESTART_DO_START_AT, now + 2000);
}

static void success_is_null_then_true_by_health_or_false_by_an_end(void **state)
{
	(void)state;
	started();
	crashes_and_runs();
	assert_int_equal(restart_attempts_back(&now_is.history, 0)->success, RESTART_OPEN);
	feed(RESTART_IN_HEALTHY);
	assert_int_equal(restart_attempts_back(&now_is.history, 0)->success, RESTART_SUCCEEDED);
	ends(false); /* once proven it stays so */
	assert_int_equal(restart_attempts_back(&now_is.history, 0)->success, RESTART_SUCCEEDED);
	assert_int_equal(restart_attempts_back(&now_is.history, 0)->trigger, RESTART_AUTO);
	assert_string_equal(restart_attempts_back(&now_is.history, 0)->reason,
			    "exited with code 1");
	waits_and_runs();
	ends(false);
	assert_int_equal(restart_attempts_back(&now_is.history, 0)->success, RESTART_FAILED);
	assert_int_equal(now_is.history.succeeded + now_is.history.failed, now_is.history.total);
}

static void three_failures_trip_one_trial_is_made_and_is_no_attempt(void **state)
{
	uint32_t attempts;

	(void)state;
	started();
	crashes_and_runs();
	crashes_and_runs();
	attempts = now_is.attempts;
	expect(ends(false), RESTART_DO_GIVE_UP, now + 600000);
	now = restart_timer_at(&now_is, &set) - 1;
	expect(feed(RESTART_IN_TIMER), RESTART_DO_GIVE_UP, now + 1);
	waits_and_runs();
	assert_int_equal(now_is.breaker.state, BREAKER_HALF_OPEN);
	assert_int_equal(now_is.attempts, attempts);
	assert_true(restart_attempts_back(&now_is.history, 0)->is_trial);
	now += 59999;
	expect(ends(false), RESTART_DO_GIVE_UP, now + 600000); /* not stable: open again */
	waits_and_runs();
	now = restart_timer_at(&now_is, &set);
	feed(RESTART_IN_TIMER);
	assert_int_equal(now_is.breaker.state, BREAKER_CLOSED);
	expect(ends(false), RESTART_DO_START, now);
}

static void a_success_code_ends_it_unless_always(void **state)
{
	(void)state;
	started();
	expect(ends(true), RESTART_DO_NOTHING, TIMES_NEVER);
	assert_int_equal(now_is.phase, RESTART_EXITED);
	set.always = true;
	started();
	for (int i = 0; i < 50; i++) { /* no attempt, and nothing for the breaker, but a pause */
		int64_t pause = i > 7 ? 300000 : INT64_C(2000) << i;

		expect(ends(true), RESTART_DO_START_AT, now + pause);
		waits_and_runs();
		assert_int_equal(now_is.attempts, 0);
		assert_int_equal(now_is.breaker.n, 0);
	}
}

static void a_stop_is_never_a_crash(void **state)
{
	(void)state;
	started();
	feed(RESTART_IN_USER_STOP);
	expect(ends(false), RESTART_DO_NOTHING, TIMES_NEVER);
	assert_int_equal(now_is.phase, RESTART_STOPPED);
	started();
	ends(false);
	feed(RESTART_IN_USER_STOP); /* also while it waits */
	now += 1000000;
	expect(feed(RESTART_IN_TIMER), RESTART_DO_NOTHING, TIMES_NEVER);
}

static void unhealthy_stops_it_first_and_only_with_auto_restart(void **state)
{
	(void)state;
	now_is.enabled = false;
	started();
	expect(feed(RESTART_IN_UNHEALTHY), RESTART_DO_NOTHING, TIMES_NEVER);
	assert_int_equal(now_is.phase, RESTART_RUNNING);
	assert_int_equal(restart_stable_at(&now_is, &set), TIMES_NEVER);
	feed(RESTART_IN_ENABLE);
	expect(feed(RESTART_IN_UNHEALTHY), RESTART_DO_STOP_FIRST, now);
	expect(ends(true), RESTART_DO_START_AT, now + 2000); /* whatever its code then is */
	now += 2000;
	feed(RESTART_IN_TIMER);
	instance++;
	feed(RESTART_IN_STARTED);
	expect(feed(RESTART_IN_UNHEALTHY), RESTART_DO_NOTHING, TIMES_NEVER); /* not ready yet */
	expect(feed(RESTART_IN_HUNG), RESTART_DO_STOP_FIRST, now);
}

static void a_preemptive_one_feeds_the_breaker_but_never_ends_in_failed(void **state)
{
	(void)state;
	started();
	for (int i = 0; i < 2; i++) {
		expect(feed(RESTART_IN_PREEMPT), RESTART_DO_STOP_FIRST, now);
		ends(true);
		waits_and_runs();
		assert_int_equal(restart_attempts_back(&now_is.history, 0)->trigger,
				 RESTART_PREEMPTIVE);
		assert_int_equal(now_is.attempts, i + 1);
	}
	assert_true(breaker_would_open(&now_is.breaker, &set.breaker, now));
	expect(feed(RESTART_IN_PREEMPT), RESTART_DO_NOTHING, TIMES_NEVER);
	assert_int_equal(now_is.phase, RESTART_RUNNING);
	set.preemptive = false;
	now += 10000000;
	expect(feed(RESTART_IN_PREEMPT), RESTART_DO_NOTHING, TIMES_NEVER);
}

static void a_manual_restart_is_always_allowed_and_resets(void **state)
{
	(void)state;
	started();
	crashes_and_runs();
	crashes_and_runs();
	ends(false);
	assert_int_equal(now_is.phase, RESTART_TRIPPED);
	feed(RESTART_IN_PAUSE);
	feed(RESTART_IN_USER_RESTART);
	runs();
	assert_int_equal(now_is.attempts, 0);
	assert_int_equal(now_is.breaker.state, BREAKER_CLOSED);
	assert_int_equal(restart_attempts_back(&now_is.history, 0)->trigger, RESTART_MANUAL);
	feed(RESTART_IN_USER_RESTART); /* of one that runs */
	expect(ends(false), RESTART_DO_NOTHING, TIMES_NEVER);
	assert_int_equal(now_is.phase, RESTART_STARTING);
	assert_int_equal(now_is.history.total, 4);
}

static void a_sick_dependency_holds_and_burns_nothing(void **state)
{
	(void)state;
	started();
	feed(RESTART_IN_DEPENDENCY_SICK);
	expect(ends(false), RESTART_DO_HOLD, TIMES_NEVER);
	assert_int_equal(now_is.breaker.n, 0);
	assert_int_equal(now_is.attempts, 0);
	assert_int_equal(restart_timer_at(&now_is, &set), TIMES_NEVER);
	expect(feed(RESTART_IN_TIMER), RESTART_DO_HOLD, TIMES_NEVER);
	now += 3;
	expect(feed(RESTART_IN_PAUSE), RESTART_DO_HOLD, TIMES_NEVER);
	expect(feed(RESTART_IN_RESUME), RESTART_DO_HOLD, TIMES_NEVER);
	now += 5000;
	expect(feed(RESTART_IN_DEPENDENCY_WELL), RESTART_DO_START, now);
	assert_int_equal(now_is.attempts, 0);
}

static void pause_and_disable_leave_it_alone(void **state)
{
	(void)state;
	started();
	feed(RESTART_IN_PAUSE);
	expect(feed(RESTART_IN_UNHEALTHY), RESTART_DO_NOTHING, TIMES_NEVER);
	expect(feed(RESTART_IN_PREEMPT), RESTART_DO_NOTHING, TIMES_NEVER);
	expect(ends(false), RESTART_DO_HOLD, TIMES_NEVER);
	assert_int_equal(now_is.breaker.n, 0);
	expect(feed(RESTART_IN_RESUME), RESTART_DO_START_AT, now + 2000);
	expect(feed(RESTART_IN_DISABLE), RESTART_DO_NOTHING, TIMES_NEVER);
	assert_int_equal(now_is.phase, RESTART_CRASHED);
	now += 100000;
	expect(feed(RESTART_IN_TIMER), RESTART_DO_NOTHING, TIMES_NEVER);
	expect(feed(RESTART_IN_ENABLE), RESTART_DO_START_AT, now + 2000);
}

static void a_reboot_starts_what_should_run_with_counters_at_0(void **state)
{
	(void)state;
	set.breaker.threshold = 0;
	started();
	for (int i = 0; i < 5; i++) {
		ends(false);
		waits_and_runs();
	}
	ends(false);
	assert_int_equal(now_is.phase, RESTART_GIVEN_UP);
	now = 5; /* another clock */
	now_is.enabled = false;
	expect(feed(RESTART_IN_BOOT), RESTART_DO_START, now);
	assert_int_equal(now_is.attempts, 0);
	assert_int_equal(now_is.history.total, 5);
	runs();
	feed(RESTART_IN_USER_STOP);
	ends(true);
	expect(feed(RESTART_IN_BOOT), RESTART_DO_NOTHING, TIMES_NEVER);
}

static void shorter_settings_shorten_a_pause(void **state)
{
	(void)state;
	set.backoff.initial_ms = 300000;
	started();
	ends(false);
	set.backoff.max_ms = 1000;
	expect(feed(RESTART_IN_SETTINGS), RESTART_DO_START_AT, now + 1000);
}

static void what_is_told_twice_counts_once(void **state)
{
	(void)state;
	started();
	ends(false);
	expect(ends(false), RESTART_DO_NOTHING, TIMES_NEVER);
	now += 2000;
	feed(RESTART_IN_TIMER);
	expect(ends(false), RESTART_DO_NOTHING, TIMES_NEVER); /* before the next is known */
	assert_int_equal(now_is.phase, RESTART_STARTING);
	assert_int_equal(now_is.breaker.n, 1);
}

static void orders_say_why_there_is_none(void **state)
{
	struct standing_order o;

	(void)state;
	assert_false(standing_order(&now_is, &set, now, 0).is_armed);
	feed(RESTART_IN_USER_START);
	assert_false(standing_order(&now_is, &set, now, 0).is_armed); /* no instance yet */
	runs();
	o = standing_order(&now_is, &set, now, 0);
	assert_true(o.is_armed);
	assert_int_equal(o.delay_ms, 2000);
	assert_int_equal(o.stable_delay_ms, 0);
	assert_int_equal(o.stable_after_ms, 60000);
	assert_int_equal(o.success_codes[0], 1);
	crashes_and_runs();
	crashes_and_runs();
	o = standing_order(&now_is, &set, now, 0);
	assert_false(o.is_armed);
	assert_string_equal(o.reason, "none, because the next failure opens the breaker");
	/* The window slides by itself: then there is one. */
	for (int i = 0; i < 2 && !o.is_armed; i++) {
		now = o.review_ms;
		assert_false(standing_order(&now_is, &set, now - 1, 0).is_armed);
		o = standing_order(&now_is, &set, now, 0);
	}
	assert_true(o.is_armed);
	assert_int_equal(o.delay_ms, 0);
	set.plain_exec = false;
	assert_false(standing_order(&now_is, &set, now, 0).is_armed);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(crashes_wait_2_4_8_and_then_attempts_are_used_up),
		TEST(a_limit_of_0_is_none),
		TEST(after_a_stable_run_the_restart_is_at_once_and_counts),
		TEST(without_the_immediate_one_a_stable_run_starts_at_2_again),
		TEST(success_is_null_then_true_by_health_or_false_by_an_end),
		TEST(three_failures_trip_one_trial_is_made_and_is_no_attempt),
		TEST(a_success_code_ends_it_unless_always),
		TEST(a_stop_is_never_a_crash),
		TEST(unhealthy_stops_it_first_and_only_with_auto_restart),
		TEST(a_preemptive_one_feeds_the_breaker_but_never_ends_in_failed),
		TEST(a_manual_restart_is_always_allowed_and_resets),
		TEST(a_sick_dependency_holds_and_burns_nothing),
		TEST(pause_and_disable_leave_it_alone),
		TEST(a_reboot_starts_what_should_run_with_counters_at_0),
		TEST(shorter_settings_shorten_a_pause),
		TEST(what_is_told_twice_counts_once),
		TEST(orders_say_why_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
