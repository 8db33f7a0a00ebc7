/*
 * The statuses of a deployment: every one with every input.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/policy/process_rule.h"

static void every_status_answers_every_input(void **state)
{
	(void)state;
	for (int s = 0; s < PROCESS_STATUSES; s++) {
		for (int i = 0; i < PROCESS_INPUTS; i++) {
			struct process_step step =
				process_rule((enum process_status)s, (enum process_input)i);
			bool was_alive = process_is_alive((enum process_status)s),
			     is_alive = process_is_alive(step.next);

			assert_in_range(step.next, 0, PROCESS_STATUSES - 1);
			/* What runs begins with a spawn and ends with an exit or a finished stop,
			 * by no other way. */
			if (!was_alive && is_alive)
				assert_int_equal(step.action, PROCESS_DO_SPAWN);
			if (was_alive && !is_alive)
				assert_true(i == PROCESS_IN_EXIT_WELL ||
					    i == PROCESS_IN_EXIT_BADLY || i == PROCESS_IN_GONE);
			if (step.action == PROCESS_DO_SPAWN)
				assert_false(was_alive);
			if (step.action == PROCESS_DO_FORGET)
				assert_false(was_alive);
			if (i == PROCESS_IN_DELETE && was_alive)
				assert_int_equal(step.action, PROCESS_DO_REFUSE);
		}
		assert_int_equal(process_status_of(process_status_name((enum process_status)s)), s);
	}
	assert_int_equal(process_status_of("nonsense"), PROCESS_STATUSES);
}

/* Every status with every input, and why it is so. */
static const struct {
	enum process_status now;
	enum process_input input;
	enum process_status next;
	enum process_action action;
	const char *why;
} rows[] = {
	{PROCESS_STARTING, PROCESS_IN_START, PROCESS_STARTING, PROCESS_DO_NOTHING,
	 "it is being started already"},
	{PROCESS_STARTING, PROCESS_IN_READY, PROCESS_RUNNING, PROCESS_DO_SETTLE,
	 "its ready rule is met, and who waits is told"},
	{PROCESS_STARTING, PROCESS_IN_STOP, PROCESS_STOPPING, PROCESS_DO_SIGNAL,
	 "a start under way can be stopped"},
	{PROCESS_STARTING, PROCESS_IN_EXIT_WELL, PROCESS_EXITED, PROCESS_DO_SETTLE,
	 "it ended before it was ready, well"},
	{PROCESS_STARTING, PROCESS_IN_EXIT_BADLY, PROCESS_CRASHED, PROCESS_DO_SETTLE,
	 "it ended before it was ready, or was never executed"},
	{PROCESS_STARTING, PROCESS_IN_GONE, PROCESS_STARTING, PROCESS_DO_NOTHING,
	 "only a stop asks whether the tree is gone"},
	{PROCESS_STARTING, PROCESS_IN_DELETE, PROCESS_STARTING, PROCESS_DO_REFUSE,
	 "what may live is not forgotten"},
	{PROCESS_RUNNING, PROCESS_IN_START, PROCESS_RUNNING, PROCESS_DO_NOTHING, "it runs: done"},
	{PROCESS_RUNNING, PROCESS_IN_READY, PROCESS_RUNNING, PROCESS_DO_NOTHING,
	 "READY=1 said twice"},
	{PROCESS_RUNNING, PROCESS_IN_STOP, PROCESS_STOPPING, PROCESS_DO_SIGNAL,
	 "a stop begins with the stop signal"},
	{PROCESS_RUNNING, PROCESS_IN_EXIT_WELL, PROCESS_EXITED, PROCESS_DO_SETTLE,
	 "ended by itself with a success code"},
	{PROCESS_RUNNING, PROCESS_IN_EXIT_BADLY, PROCESS_CRASHED, PROCESS_DO_SETTLE,
	 "ended by itself otherwise"},
	{PROCESS_RUNNING, PROCESS_IN_GONE, PROCESS_RUNNING, PROCESS_DO_NOTHING,
	 "only a stop asks whether the tree is gone"},
	{PROCESS_RUNNING, PROCESS_IN_DELETE, PROCESS_RUNNING, PROCESS_DO_REFUSE,
	 "stop it first, or force"},
	{PROCESS_STOPPING, PROCESS_IN_START, PROCESS_STOPPING, PROCESS_DO_START_AFTER,
	 "two of it never live at once"},
	{PROCESS_STOPPING, PROCESS_IN_READY, PROCESS_STOPPING, PROCESS_DO_NOTHING,
	 "ready too late: it is being stopped"},
	{PROCESS_STOPPING, PROCESS_IN_STOP, PROCESS_STOPPING, PROCESS_DO_NOTHING,
	 "it is being stopped already"},
	{PROCESS_STOPPING, PROCESS_IN_EXIT_WELL, PROCESS_STOPPING, PROCESS_DO_NOTHING,
	 "the main process ended as asked; its tree may live"},
	{PROCESS_STOPPING, PROCESS_IN_EXIT_BADLY, PROCESS_STOPPING, PROCESS_DO_NOTHING,
	 "a stop that was asked for is never a crash"},
	{PROCESS_STOPPING, PROCESS_IN_GONE, PROCESS_STOPPED, PROCESS_DO_SETTLE,
	 "nothing of the tree is left"},
	{PROCESS_STOPPING, PROCESS_IN_DELETE, PROCESS_STOPPING, PROCESS_DO_REFUSE,
	 "what may live is not forgotten"},
	{PROCESS_STOPPED, PROCESS_IN_START, PROCESS_STARTING, PROCESS_DO_SPAWN,
	 "a person may always start it"},
	{PROCESS_STOPPED, PROCESS_IN_READY, PROCESS_STOPPED, PROCESS_DO_NOTHING,
	 "a word of a process that is gone"},
	{PROCESS_STOPPED, PROCESS_IN_STOP, PROCESS_STOPPED, PROCESS_DO_SETTLE,
	 "it is stopped: done"},
	{PROCESS_STOPPED, PROCESS_IN_EXIT_WELL, PROCESS_STOPPED, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_STOPPED, PROCESS_IN_EXIT_BADLY, PROCESS_STOPPED, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_STOPPED, PROCESS_IN_GONE, PROCESS_STOPPED, PROCESS_DO_NOTHING,
	 "a look at the tree that came late"},
	{PROCESS_STOPPED, PROCESS_IN_DELETE, PROCESS_STOPPED, PROCESS_DO_FORGET,
	 "a person stopped it: nothing lives"},
	{PROCESS_EXITED, PROCESS_IN_START, PROCESS_STARTING, PROCESS_DO_SPAWN,
	 "a person may always start it"},
	{PROCESS_EXITED, PROCESS_IN_READY, PROCESS_EXITED, PROCESS_DO_NOTHING,
	 "a word of a process that is gone"},
	{PROCESS_EXITED, PROCESS_IN_STOP, PROCESS_STOPPED, PROCESS_DO_SETTLE,
	 "nothing runs: done, and the intent is to stop"},
	{PROCESS_EXITED, PROCESS_IN_EXIT_WELL, PROCESS_EXITED, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_EXITED, PROCESS_IN_EXIT_BADLY, PROCESS_EXITED, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_EXITED, PROCESS_IN_GONE, PROCESS_EXITED, PROCESS_DO_NOTHING,
	 "a look at the tree that came late"},
	{PROCESS_EXITED, PROCESS_IN_DELETE, PROCESS_EXITED, PROCESS_DO_FORGET,
	 "it ended well: nothing lives"},
	{PROCESS_CRASHED, PROCESS_IN_START, PROCESS_STARTING, PROCESS_DO_SPAWN,
	 "a person may always start it"},
	{PROCESS_CRASHED, PROCESS_IN_READY, PROCESS_CRASHED, PROCESS_DO_NOTHING,
	 "a word of a process that is gone"},
	{PROCESS_CRASHED, PROCESS_IN_STOP, PROCESS_STOPPED, PROCESS_DO_SETTLE,
	 "nothing runs: done, and the intent is to stop"},
	{PROCESS_CRASHED, PROCESS_IN_EXIT_WELL, PROCESS_CRASHED, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_CRASHED, PROCESS_IN_EXIT_BADLY, PROCESS_CRASHED, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_CRASHED, PROCESS_IN_GONE, PROCESS_CRASHED, PROCESS_DO_NOTHING,
	 "a look at the tree that came late"},
	{PROCESS_CRASHED, PROCESS_IN_DELETE, PROCESS_CRASHED, PROCESS_DO_FORGET,
	 "it ended badly: nothing lives"},
	{PROCESS_BACKOFF, PROCESS_IN_START, PROCESS_STARTING, PROCESS_DO_SPAWN,
	 "a person may always start it"},
	{PROCESS_BACKOFF, PROCESS_IN_READY, PROCESS_BACKOFF, PROCESS_DO_NOTHING,
	 "a word of a process that is gone"},
	{PROCESS_BACKOFF, PROCESS_IN_STOP, PROCESS_STOPPED, PROCESS_DO_SETTLE,
	 "the restart that was due is called off"},
	{PROCESS_BACKOFF, PROCESS_IN_EXIT_WELL, PROCESS_BACKOFF, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_BACKOFF, PROCESS_IN_EXIT_BADLY, PROCESS_BACKOFF, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_BACKOFF, PROCESS_IN_GONE, PROCESS_BACKOFF, PROCESS_DO_NOTHING,
	 "a look at the tree that came late"},
	{PROCESS_BACKOFF, PROCESS_IN_DELETE, PROCESS_BACKOFF, PROCESS_DO_FORGET,
	 "it waits to be started again: nothing lives"},
	{PROCESS_FAILED, PROCESS_IN_START, PROCESS_STARTING, PROCESS_DO_SPAWN,
	 "a person may always start it"},
	{PROCESS_FAILED, PROCESS_IN_READY, PROCESS_FAILED, PROCESS_DO_NOTHING,
	 "a word of a process that is gone"},
	{PROCESS_FAILED, PROCESS_IN_STOP, PROCESS_STOPPED, PROCESS_DO_SETTLE,
	 "nothing runs: done, and the intent is to stop"},
	{PROCESS_FAILED, PROCESS_IN_EXIT_WELL, PROCESS_FAILED, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_FAILED, PROCESS_IN_EXIT_BADLY, PROCESS_FAILED, PROCESS_DO_NOTHING,
	 "an exit that was told before"},
	{PROCESS_FAILED, PROCESS_IN_GONE, PROCESS_FAILED, PROCESS_DO_NOTHING,
	 "a look at the tree that came late"},
	{PROCESS_FAILED, PROCESS_IN_DELETE, PROCESS_FAILED, PROCESS_DO_FORGET,
	 "it is not started again by itself: nothing lives"},
};

static void every_row_says_why(void **state)
{
	bool seen[PROCESS_STATUSES][PROCESS_INPUTS] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct process_step step = process_rule(rows[i].now, rows[i].input);

		if (step.next != rows[i].next || step.action != rows[i].action)
			fail_msg("%s with input %d: %s, action %d; expected %s, action %d: %s",
				 process_status_name(rows[i].now), (int)rows[i].input,
				 process_status_name(step.next), (int)step.action,
				 process_status_name(rows[i].next), (int)rows[i].action,
				 rows[i].why);
		assert_false(seen[rows[i].now][rows[i].input]);
		seen[rows[i].now][rows[i].input] = true;
	}
	assert_int_equal(sizeof rows / sizeof *rows, PROCESS_STATUSES * PROCESS_INPUTS);
}

static void a_stop_that_was_asked_for_is_never_a_crash(void **state)
{
	(void)state;
	assert_int_equal(process_rule(PROCESS_RUNNING, PROCESS_IN_STOP).next, PROCESS_STOPPING);
	assert_int_equal(process_rule(PROCESS_STOPPING, PROCESS_IN_EXIT_BADLY).next,
			 PROCESS_STOPPING);
	assert_int_equal(process_rule(PROCESS_STOPPING, PROCESS_IN_GONE).next, PROCESS_STOPPED);
	assert_int_equal(process_rule(PROCESS_STOPPING, PROCESS_IN_START).action,
			 PROCESS_DO_START_AFTER);
}

/* Reachable from STOPPED: all that this set of inputs can bring about. */
static void the_machine_is_closed(void **state)
{
	bool seen[PROCESS_STATUSES] = {[PROCESS_STOPPED] = true}, grew = true;

	(void)state;
	while (grew) {
		grew = false;
		for (int s = 0; s < PROCESS_STATUSES; s++)
			for (int i = 0; seen[s] && i < PROCESS_INPUTS; i++) {
				enum process_status next =
					process_rule((enum process_status)s, (enum process_input)i)
						.next;

				grew |= !seen[next];
				seen[next] = true;
			}
	}
	assert_true(seen[PROCESS_RUNNING] && seen[PROCESS_STOPPING] && seen[PROCESS_EXITED] &&
		    seen[PROCESS_CRASHED]);
	assert_false(seen[PROCESS_BACKOFF] || seen[PROCESS_FAILED]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_answers_every_input),
		cmocka_unit_test(every_row_says_why),
		cmocka_unit_test(a_stop_that_was_asked_for_is_never_a_crash),
		cmocka_unit_test(the_machine_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
