/*
 * The pauses before restarts: each kind, growth without overflow, and jitter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>
#include "lib/policy/backoff.h"
#include "lib/policy/times.h"

static const struct backoff_settings defaults = {2000, 300000, 2.0, 0};
#define HOUR (INT64_C(3600) * 1000)

static int64_t pause_of(const char *kind, const struct backoff_settings *s, uint32_t exponent)
{
	return backoff_pause(backoff_kind_of(kind), s, (struct backoff_facts){.exponent = exponent})
		.ms;
}

static void the_defaults_double_up_to_the_longest(void **state)
{
	static const int64_t expected[] = {2000,  4000,   8000,   16000,  32000,
					   64000, 128000, 256000, 300000, 300000};

	(void)state;
	for (uint32_t e = 0; e < sizeof expected / sizeof *expected; e++) {
		assert_int_equal(pause_of("exponential", &defaults, e), expected[e]);
		assert_int_equal(pause_of("fixed", &defaults, e), 2000);
	}
}

static void every_kind_is_found_by_its_name(void **state)
{
	const struct backoff_kind *k;
	unsigned n = 0;

	(void)state;
	for (; (k = backoff_kind_at(n)) != NULL; n++) {
		assert_ptr_equal(backoff_kind_of(k->name), k);
		assert_true(strlen(k->pause(&defaults, (struct backoff_facts){0}).reason) > 0);
	}
	assert_int_equal(n, 3);
	assert_null(backoff_kind_of("Exponential"));
	assert_null(backoff_kind_of(""));
}

static void nothing_overflows(void **state)
{
	static const int64_t lengths[] = {INT64_MIN, -1, 0, 1, 2000, 86400000, INT64_MAX - 1};
	static const double factors[] = {-INFINITY, -1, 0, 1, 1.001, 2, 1000, 1e300, INFINITY, NAN};
	static const uint32_t exponents[] = {0, 1, 2, 63, 64, 1000000, UINT32_MAX};
	static const char *const kinds[] = {"exponential", "fixed", "time_of_day"};

	(void)state;
	for (int i = 0; i < 7; i++)
		for (int m = 0; m < 7; m++)
			for (int f = 0; f < 10 * 10; f++)
				for (int e = 0; e < 7 * 3; e++) {
					struct backoff_settings s = {lengths[i], lengths[m],
								     factors[f / 10],
								     factors[f % 10]};
					int64_t ms = pause_of(kinds[e / 7], &s, exponents[e % 7]);
					double most = lengths[m] > 0 ? 2.0 * (double)lengths[m] : 0;

					assert_true(ms >= 0 && ms < TIMES_NEVER);
					assert_true((double)ms <= most);
					if (lengths[i] <= 0)
						assert_int_equal(ms, 0);
				}
}

static void a_pause_never_shrinks_as_the_row_grows(void **state)
{
	static const double factors[] = {1, 1.0001, 1.5, 2, 10, 1000};

	(void)state;
	for (int f = 0; f < 6; f++) {
		struct backoff_settings s = {1, 86400000, factors[f], 0};
		double naive = 1;

		for (uint32_t e = 0; e < 3000; e++, naive *= factors[f]) {
			int64_t ms = backoff_grown(&s, e);
			double exact = naive < 86400000 ? naive : 86400000;

			assert_true(e == 0 || ms >= backoff_grown(&s, e - 1));
			assert_true(fabs((double)ms - exact) <= 1 + exact * 1e-9);
		}
	}
}

static void jitter_stays_within_its_share_and_uses_it(void **state)
{
	struct backoff_settings s = {2000, 300000, 2, 0.1};
	const struct backoff_kind *k = backoff_kind_of("exponential");

	(void)state;
	assert_int_equal(backoff_pause(k, &s, (struct backoff_facts){.random = 0}).ms, 1800);
	assert_int_equal(backoff_pause(k, &s, (struct backoff_facts){.random = UINT32_MAX}).ms,
			 2200);
	for (uint32_t r = 0; r < 1000; r++) {
		int64_t ms = backoff_pause(k, &s, (struct backoff_facts){.random = r * 4294967}).ms;

		assert_in_range(ms, 1800, 2200);
	}
	s.initial_ms = 0;
	assert_int_equal(backoff_pause(k, &s, (struct backoff_facts){.random = UINT32_MAX}).ms, 0);
}

static void by_night_the_pause_is_longer_and_holds_until_morning(void **state)
{
	const struct backoff_kind *k = backoff_kind_of("time_of_day");

	(void)state;
	for (int64_t at = -24 * HOUR; at < 48 * HOUR; at += HOUR / 4 - 1) {
		struct backoff_facts f = {.exponent = 1, .day_ms = at};
		struct backoff_pause p = backoff_pause(k, &defaults, f);
		int64_t hour = ((at + 24 * HOUR) % (24 * HOUR)) / HOUR;
		bool is_day = hour >= 8 && hour < 20;

		assert_int_equal(p.ms, is_day ? 4000 : 16000);
		assert_true(p.holds_ms > 0 && p.holds_ms <= 12 * HOUR);
		f.day_ms = at + p.holds_ms - 1;
		assert_int_equal(backoff_pause(k, &defaults, f).ms, p.ms);
		f.day_ms++;
		assert_int_not_equal(backoff_pause(k, &defaults, f).ms, p.ms);
	}
	assert_int_equal(backoff_pause(k, &defaults, (struct backoff_facts){.exponent = 20}).ms,
			 300000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_double_up_to_the_longest),
		cmocka_unit_test(every_kind_is_found_by_its_name),
		cmocka_unit_test(nothing_overflows),
		cmocka_unit_test(a_pause_never_shrinks_as_the_row_grows),
		cmocka_unit_test(jitter_stays_within_its_share_and_uses_it),
		cmocka_unit_test(by_night_the_pause_is_longer_and_holds_until_morning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
