/*
 * Health from checks: each sentence of the rule, then every small round against the rule said in
 * another way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/policy/health_rule.h"

enum { GRACE_MS = 30000, MANY = 3 };

static const enum health U = HEALTH_UNKNOWN, H = HEALTH_HEALTHY, D = HEALTH_DEGRADED,
			 B = HEALTH_UNHEALTHY;

static enum health one_round(struct health_state *s, const struct health_check *c, uint32_t n,
			     int64_t age_ms)
{
	health_rule(s, &(struct health_round){.checks = c,
					      .n = n,
					      .now_ms = 1000000 + age_ms,
					      .started_ms = 1000000,
					      .grace_ms = GRACE_MS,
					      .unhealthy_after = MANY});
	return s->overall;
}

static void the_process_decides_at_once(void **state)
{
	struct health_check c[] = {{B, true}, {H, false}};
	struct health_state s = {0};

	(void)state;
	assert_int_equal(one_round(&s, c, 2, 0), B);
}

static void a_check_that_fails_degrades_and_after_some_rounds_is_unhealthy(void **state)
{
	struct health_check good[] = {{H, true}, {H, false}}, bad[] = {{H, true}, {B, false}};
	struct health_state s = {0};

	(void)state;
	assert_int_equal(one_round(&s, good, 2, 0), H);
	assert_int_equal(one_round(&s, bad, 2, 1), D);
	assert_int_equal(one_round(&s, bad, 2, 2), D);
	assert_int_equal(one_round(&s, bad, 2, 3), B);
	assert_int_equal(one_round(&s, bad, 2, 4), B);
	assert_int_equal(one_round(&s, good, 2, 5), H);
	assert_int_equal(one_round(&s, bad, 2, 6), D); /* counted from the beginning again */
}

static void any_that_is_degraded_degrades(void **state)
{
	struct health_check c[] = {{H, true}, {D, false}, {H, false}};
	struct health_state s = {0};

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(one_round(&s, c, 3, i), D);
}

static void one_that_is_not_known_leaves_it_unknown(void **state)
{
	struct health_check c[] = {{H, true}, {U, false}};
	struct health_state s = {0};

	(void)state;
	assert_int_equal(one_round(&s, c, 2, 0), U);
	assert_int_equal(one_round(&s, c, 0, 0), U);
}

static void before_its_first_success_a_check_does_not_fail_within_the_grace(void **state)
{
	struct health_check bad[] = {{H, true}, {B, false}}, good[] = {{H, true}, {H, false}};
	struct health_state s = {0};

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(one_round(&s, bad, 2, i), U);
	assert_int_equal(one_round(&s, bad, 2, GRACE_MS - 1), U);
	assert_int_equal(one_round(&s, bad, 2, GRACE_MS), D);
	s = (struct health_state){0};
	one_round(&s, good, 2, 0);
	assert_int_equal(one_round(&s, bad, 2, 1), D);
}

static void a_clock_before_the_start_is_within_the_grace(void **state)
{
	struct health_check bad[] = {{B, false}};
	struct health_state s = {0};

	(void)state;
	assert_int_equal(one_round(&s, bad, 1, -86400000), U);
}

static void a_round_while_it_is_held_is_none(void **state)
{
	struct health_check c[] = {{B, true}};
	struct health_state s = {.overall = HEALTH_HEALTHY, .bad_rounds = 2};

	(void)state;
	assert_false(health_rule(&s, &(struct health_round){.checks = c, .n = 1, .held = true}));
	assert_int_equal(s.overall, H);
	assert_int_equal(s.bad_rounds, 2);
}

static void names_go_there_and_back(void **state)
{
	(void)state;
	for (int h = 0; h < HEALTHS; h++)
		assert_int_equal(health_of(health_name((enum health)h)), h);
	assert_int_equal(health_of("well"), HEALTHS);
	assert_string_equal(health_name((enum health)99), "unknown");
}

/* --- every round of up to three checks --- */

struct small {
	struct health_check c[3];
	uint32_t n, succeeded, bad, after;
	bool graced;
};

/* The rule by its sentences, from the last to the first. */
static enum health by_sentences(const struct small *q, uint32_t *ret_bad)
{
	enum health said = q->n ? H : U;
	bool bad = false;

	for (uint32_t i = 0; i < q->n; i++)
		if (q->c[i].result == U || (q->c[i].result == B && q->graced &&
					    !(q->succeeded >> i & 1) && !q->c[i].is_process))
			said = U;
	for (uint32_t i = 0; i < q->n; i++)
		if (q->c[i].result == D)
			said = D;
	for (uint32_t i = 0; i < q->n; i++)
		bad |= q->c[i].result == B &&
		       (!q->graced || (q->succeeded >> i & 1) || q->c[i].is_process);
	*ret_bad = bad ? q->bad + 1 : 0;
	if (bad)
		said = *ret_bad >= (q->after ? q->after : 1) ? B : D;
	for (uint32_t i = 0; i < q->n; i++)
		if (q->c[i].result == B && q->c[i].is_process)
			said = B;
	return said;
}

static void try_small(const struct small *q)
{
	struct health_state s = {.bad_rounds = q->bad, .succeeded = q->succeeded, .overall = H};
	uint32_t bad;
	enum health expected = by_sentences(q, &bad);
	bool changed = health_rule(&s, &(struct health_round){.checks = q->c,
							      .n = q->n,
							      .now_ms = q->graced ? 5 : 10,
							      .started_ms = 0,
							      .grace_ms = 10,
							      .unhealthy_after = q->after});

	assert_int_equal(s.overall, expected);
	assert_int_equal(s.bad_rounds, bad);
	assert_int_equal(changed, expected != H);
	for (uint32_t i = 0; i < q->n; i++)
		if (q->c[i].result == H || q->c[i].result == D)
			assert_true(s.succeeded >> i & 1);
}

static void every_small_round_is_as_the_sentences_say(void **state)
{

	(void)state;
	for (unsigned code = 0; code < 4 * 64 * 4 * 8 * 3 * 3 * 2; code++) {
		unsigned left = code;
		struct small q = {.n = left % 4};

		left /= 4;
		for (int i = 0; i < 3; i++, left /= 4)
			q.c[i].result = (enum health)(left % 4);
		if (left % 4)
			q.c[left % 4 - 1].is_process = true;
		left /= 4;
		q.succeeded = left % 8;
		left /= 8;
		q.bad = left % 3;
		left /= 3;
		q.after = left % 3;
		q.graced = left / 3;
		try_small(&q);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_process_decides_at_once),
		cmocka_unit_test(a_check_that_fails_degrades_and_after_some_rounds_is_unhealthy),
		cmocka_unit_test(any_that_is_degraded_degrades),
		cmocka_unit_test(one_that_is_not_known_leaves_it_unknown),
		cmocka_unit_test(before_its_first_success_a_check_does_not_fail_within_the_grace),
		cmocka_unit_test(a_clock_before_the_start_is_within_the_grace),
		cmocka_unit_test(a_round_while_it_is_held_is_none),
		cmocka_unit_test(names_go_there_and_back),
		cmocka_unit_test(every_small_round_is_as_the_sentences_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
