/*
 * The breaker: its graph, its sliding window against a naive one, and its bounds at any threshold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/policy/breaker.h"
#include "lib/policy/times.h"

static const struct breaker_settings defaults = {3, 300000, 600000};

static void three_failures_open_it_one_trial_decides(void **state)
{
	struct breaker b = {0};

	(void)state;
	assert_false(breaker_fail(&b, &defaults, 0));
	assert_false(breaker_fail(&b, &defaults, 1000));
	assert_true(breaker_would_open(&b, &defaults, 1000));
	assert_int_equal(b.state, BREAKER_CLOSED);
	assert_true(breaker_fail(&b, &defaults, 300000)); /* the first is 300 s old: still within */
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_int_equal(b.until_ms, 900000);
	assert_false(breaker_try(&b, 899999));
	assert_true(breaker_try(&b, 900000));
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	assert_false(breaker_try(&b, INT64_MAX)); /* one trial */
	assert_true(breaker_fail(&b, &defaults, 5000000));
	assert_int_equal(b.until_ms, 5600000);
	assert_true(breaker_try(&b, 5600000));
	breaker_close(&b);
	assert_int_equal(b.state, BREAKER_CLOSED);
	assert_false(breaker_would_open(&b, &defaults, 5600000)); /* all is forgotten */
}

static void the_window_slides(void **state)
{
	struct breaker b = {0};

	(void)state;
	breaker_fail(&b, &defaults, 0);
	breaker_fail(&b, &defaults, 1000);
	assert_true(breaker_would_open(&b, &defaults, 300000));
	assert_int_equal(breaker_calm_at(&b, &defaults, 2000), 300001);
	assert_false(breaker_would_open(&b, &defaults, 300001));
	assert_false(breaker_fail(&b, &defaults, 300001));
	assert_int_equal(b.state, BREAKER_CLOSED);
}

static void the_ends_of_the_ranges(void **state)
{
	struct breaker b = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) /* threshold 0: never */
		assert_false(breaker_fail(&b, &(struct breaker_settings){0, INT64_MAX, 0}, 5));
	breaker_close(&b);
	assert_true(breaker_fail(&b, &(struct breaker_settings){1, 0, 0}, 5)); /* 1: at once */
	assert_true(breaker_try(&b, 5)); /* reset 0: no wait */
	breaker_close(&b);
	/* A window of 0: only what happens in the same millisecond counts. */
	assert_false(breaker_fail(&b, &(struct breaker_settings){2, 0, 0}, 5));
	assert_false(breaker_fail(&b, &(struct breaker_settings){2, 0, 0}, 6));
	assert_true(breaker_fail(&b, &(struct breaker_settings){2, 0, 0}, 6));
	breaker_close(&b);
	assert_true(breaker_fail(&b, &(struct breaker_settings){1, INT64_MAX, INT64_MAX},
				 INT64_MAX - 1));
	assert_int_equal(b.until_ms, TIMES_NEVER);
	for (int s = 0; s < BREAKER_STATES; s++)
		assert_true(strlen(breaker_state_name((enum breaker_state)s)) > 1);
}

static uint64_t seed;

static uint32_t dice(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* The second model: every failure is kept, and each question counts them all. */
enum { MOST = 120000 };
static int64_t all[MOST];
static size_t oldest, n_all;

static uint64_t within(int64_t now, int64_t window)
{
	while (oldest < n_all && now - all[oldest] > window)
		oldest++;
	return n_all - oldest;
}

/* Up to BREAKER_MARKS the window is exact; above it lies between the window and a 62nd more. */
static void walk(uint32_t threshold, int64_t window, int step, size_t steps)
{
	struct breaker_settings s = {threshold, window, 1};
	int64_t longer = threshold <= BREAKER_MARKS ? window : window + window / 62 + 1;
	struct breaker b = {0};
	int64_t now = 0;

	oldest = n_all = 0;
	for (size_t i = 0; i < steps; i++) {
		bool opens;

		now += dice((uint32_t)step);
		opens = breaker_would_open(&b, &s, now);
		if (within(now, window) + 1 >= threshold)
			assert_true(opens);
		if (opens) {
			size_t was = oldest;
			int64_t calm = breaker_calm_at(&b, &s, now);

			while (was > 0 && now - all[was - 1] <= longer)
				was--;
			assert_true(n_all - was + 1 >= threshold);
			if (calm != TIMES_NEVER) {
				assert_true(breaker_would_open(&b, &s, calm - 1));
				assert_false(breaker_would_open(&b, &s, calm));
			}
		} else {
			assert_int_equal(breaker_calm_at(&b, &s, now), now);
		}
		assert_int_equal(breaker_fail(&b, &s, now), opens);
		all[n_all++] = now;
		assert_in_range(b.n, 1, BREAKER_MARKS);
		if (opens) {
			assert_int_equal(b.state, BREAKER_OPEN);
			breaker_close(&b);
			oldest = n_all = 0;
		}
	}
}

static void it_agrees_with_a_naive_window(void **state)
{
	static const uint32_t thresholds[] = {1, 2, 3, 5, 63, 64, 65, 100, 1000, 20000};
	static const int64_t windows[] = {0, 1, 50, 1000, 300000, 100000000};

	(void)state;
	seed = 1;
	for (int t = 0; t < 10; t++)
		for (int w = 0; w < 6; w++)
			for (int step = 1; step < 20000; step = step * 12 + 1)
				walk(thresholds[t], windows[w], step, 700);
	walk(100000, 100000000, 500, MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_failures_open_it_one_trial_decides),
		cmocka_unit_test(the_window_slides),
		cmocka_unit_test(the_ends_of_the_ranges),
		cmocka_unit_test(it_agrees_with_a_naive_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
