/*
 * The decisions behind the API door: who may do what, and when an answer may be given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/policy/role_rule.h"
#include "lib/policy/wait_rule.h"

static enum role role_of(uint32_t uid, bool operates, bool observes)
{
	return role_rule(&(struct role_facts){
		.uid = uid, .owner_uid = 1000, .operates = operates, .observes = observes});
}

static void roles_follow_from_owner_and_groups(void **state)
{
	(void)state;
	for (int groups = 0; groups < 4; groups++) {
		assert_int_equal(role_of(0, groups & 1, groups & 2), ROLE_ADMIN);
		assert_int_equal(role_of(1000, groups & 1, groups & 2), ROLE_ADMIN);
	}
	assert_int_equal(role_of(1001, false, false), ROLE_NOBODY);
	assert_int_equal(role_of(1001, false, true), ROLE_OBSERVE);
	assert_int_equal(role_of(1001, true, false), ROLE_OPERATE);
	assert_int_equal(role_of(1001, true, true), ROLE_OPERATE);
	assert_true(ROLE_NOBODY < ROLE_OBSERVE && ROLE_OBSERVE < ROLE_OPERATE &&
		    ROLE_OPERATE < ROLE_ADMIN);
}

static void every_wait_answers_every_status(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * PROCESS_STATUSES; i++) {
		struct wait_facts f = {.exists = true,
				       .has_process = i % 2,
				       .status = (enum process_status)(i / 2)};
		bool moves = f.status == PROCESS_STARTING || f.status == PROCESS_STOPPING;

		assert_true(wait_rule(WAIT_NOTHING, &f));
		assert_int_equal(wait_rule(WAIT_REST, &f), !moves);
		assert_false(wait_rule(WAIT_GONE, &f));
		assert_int_equal(wait_rule(WAIT_ENDED, &f), !moves && f.status != PROCESS_RUNNING);
		assert_int_equal(wait_rule(WAIT_SPAWNED, &f),
				 !moves || (f.status == PROCESS_STARTING && f.has_process));
	}
}

static void what_is_gone_rests(void **state)
{
	struct wait_facts gone = {.exists = false};

	(void)state;
	for (int what = WAIT_NOTHING; what <= WAIT_GONE; what++)
		assert_true(wait_rule((enum wait_for)what, &gone));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_follow_from_owner_and_groups),
		cmocka_unit_test(every_wait_answers_every_status),
		cmocka_unit_test(what_is_gone_rests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
