/*
 * Every decision of lib/policy, row by row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/policy/exit_rule.h"
#include "lib/policy/name_rule.h"
#include "lib/policy/port_rule.h"
#include "lib/policy/process_rule.h"
#include "lib/policy/rotate_rule.h"
#include "lib/policy/sweep_rule.h"

/* --- exits --- */

static void all_exit_codes_and_signals_are_told_apart(void **state)
{
	(void)state;
	for (int code = 0; code < 256; code++) {
		struct exit_decision d =
			exit_rule(&(struct exit_facts){.known = true, .status = code << 8});

		assert_int_equal(d.exit_code, code);
		assert_int_equal(d.signal, INT64_MIN);
		assert_int_equal(d.verdict, code == 0 ? EXIT_EXITED : EXIT_CRASHED);
	}
	for (int signo = 1; signo <= 64; signo++)
		for (int core = 0; core < 2; core++) {
			struct exit_decision d = exit_rule(
				&(struct exit_facts){.known = true, .status = signo | core << 7});

			assert_int_equal(d.signal, signo);
			assert_int_equal(d.exit_code, INT64_MIN);
			assert_int_equal(d.core_dumped, core);
			assert_int_equal(d.verdict, EXIT_CRASHED);
		}
}

static void reasons_are_words(void **state)
{
	const int64_t good[] = {0, 3};
	struct exit_facts f = {.known = true, .status = 1 << 8};

	(void)state;
	assert_string_equal(exit_rule(&f).reason, "exited with code 1");
	f.status = 9;
	assert_string_equal(exit_rule(&f).reason, "killed by signal 9 (SIGKILL)");
	f.status = 11 | 0x80;
	assert_string_equal(exit_rule(&f).reason, "killed by signal 11 (SIGSEGV), core dumped");
	f.status = 3 << 8;
	f.success_codes = good;
	f.n_success_codes = 2;
	assert_int_equal(exit_rule(&f).verdict, EXIT_EXITED);
	f.asked = true;
	f.status = 15;
	assert_int_equal(exit_rule(&f).verdict, EXIT_STOPPED);
	assert_string_equal(exit_rule(&f).reason, "killed by signal 15 (SIGTERM) on request");
	f.killed = true;
	f.status = 9;
	assert_string_equal(exit_rule(&f).reason,
			    "killed by signal 9 (SIGKILL) after the stop timeout");
	f = (struct exit_facts){.known = false};
	assert_int_equal(exit_rule(&f).verdict, EXIT_CRASHED);
	assert_string_equal(exit_rule(&f).reason, "ended with an unknown status");
}

static void signals_have_names_and_numbers(void **state)
{
	(void)state;
	assert_int_equal(exit_signal_number("TERM"), 15);
	assert_int_equal(exit_signal_number("SIGTERM"), 15);
	assert_int_equal(exit_signal_number("15"), 15);
	assert_int_equal(exit_signal_number("64"), 64);
	assert_int_equal(exit_signal_number("65"), 0);
	assert_int_equal(exit_signal_number("0"), 0);
	assert_int_equal(exit_signal_number(""), 0);
	assert_int_equal(exit_signal_number("99999999999999999999"), 0);
	assert_int_equal(exit_signal_number("TERMX"), 0);
	assert_int_equal(exit_signal_number("15x"), 0);
	for (int s = 1; s < 32; s++)
		assert_int_equal(exit_signal_number(exit_signal_name(s)), s);
}

/* --- names --- */

static void names_follow_the_rule(void **state)
{
	static const char *const good[] = {"a", "Web-1", "0", "a.b_c-d",
					   "deployment-20240101-0123abcd"};
	static const char *const bad[] = {"",    "-rf", ".x",   "_x",          "a/b",   "../x",
					  "a b", "a\n", "%s%n", "caf\xc3\xa9", "web@2", "a\x7f"};
	char longest[66];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_null(name_rule(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_non_null(name_rule(bad[i]));
	memset(longest, 'a', 65);
	longest[65] = 0;
	assert_non_null(name_rule(longest));
	longest[64] = 0;
	assert_null(name_rule(longest));
}

static void globs_match(void **state)
{
	(void)state;
	assert_true(name_glob("*", ""));
	assert_true(name_glob("web-*", "web-1"));
	assert_true(name_glob("*a*b*", "xxaxxbxx"));
	assert_true(name_glob("w?b", "web"));
	assert_false(name_glob("w?b", "wb"));
	assert_false(name_glob("web-*", "we"));
	assert_false(name_glob("", "a"));
	assert_true(name_is_glob("a*"));
	assert_false(name_is_glob("a"));
	/* No exponential time. */
	assert_false(
		name_glob("*a*a*a*a*a*a*a*a*a*a*a*b",
			  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void the_nearest_word_is_found(void **state)
{
	static const char *const words[] = {"start", "stop", "status", "restart"};

	(void)state;
	assert_string_equal(name_nearest("strat", words, 4), "start");
	assert_string_equal(name_nearest("sttop", words, 4), "stop");
	assert_null(name_nearest("xyzzy", words, 4));
	assert_null(name_nearest("", words, 4));
	assert_int_equal(name_distance("ab", "ba", 5), 1);
	assert_int_equal(name_distance("kitten", "sitting", 5), 3);
	assert_int_equal(name_distance("a", "abcdef", 2), 3);
}

/* --- ports --- */

static bool below(void *arg, int port)
{
	return port < *(int *)arg;
}

static void ports_are_chosen(void **state)
{
	const int64_t protect[] = {8001, 8002};
	struct port_wish w = {.port = 8000, .auto_find = true};
	int free_from = 8000;

	(void)state;
	assert_int_equal(port_rule(&w, below, &free_from), 8000);
	free_from = 8001;
	assert_int_equal(port_rule(&w, below, &free_from), 8001);
	w.protected_ports = protect;
	w.n_protected = 2;
	assert_int_equal(port_rule(&w, below, &free_from), 8003);
	w.n_protected = 0;
	free_from = 8009; /* the tenth is free */
	assert_int_equal(port_rule(&w, below, &free_from), 8009);
	free_from = 8010; /* all ten are taken */
	assert_int_equal(port_rule(&w, below, &free_from), 0);
	w.auto_find = false;
	free_from = 8001;
	assert_int_equal(port_rule(&w, below, &free_from), 0);
	w = (struct port_wish){.port = 65535, .auto_find = true};
	free_from = 70000;
	assert_int_equal(port_rule(&w, below, &free_from), 0);
}

/* --- statuses: every one with every input --- */

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

static void logs_rotate_by_size(void **state)
{
	struct rotate_limits l = {.size_bytes = 100, .keep = 3};

	(void)state;
	assert_false(rotate_rule(l, 99));
	assert_true(rotate_rule(l, 100));
	l.size_bytes = 0;
	assert_false(rotate_rule(l, UINT64_MAX));
}

static void only_what_belongs_is_swept(void **state)
{
	static const struct {
		struct sweep_facts f;
		bool belongs;
		const char *why;
	} rows[] = {
		{{.pid = 9, .session = 5, .main_pid = 5, .main_is_it = true, .main_instance = 7},
		 true,
		 "its session"},
		{{.pid = 9, .session = 5, .main_pid = 5, .main_instance = 7},
		 false,
		 "the pid was given away, and the session is another one"},
		{{.pid = 9, .session = 8, .instance = 7, .main_pid = 5, .main_instance = 7},
		 true,
		 "its mark, in a session of its own"},
		{{.pid = 9, .session = 8, .instance = 7, .main_pid = INT64_MIN, .main_instance = 7},
		 true,
		 "its mark, after the main process"},
		{{.pid = 9, .session = 8, .instance = 6, .main_pid = INT64_MIN, .main_instance = 7},
		 false,
		 "another's mark"},
		{{.pid = 9, .session = 8, .main_pid = INT64_MIN},
		 false,
		 "no mark, of one that never was started"},
		{{.pid = 5,
		  .session = 5,
		  .instance = 7,
		  .main_pid = 5,
		  .main_is_it = true,
		  .main_instance = 7},
		 false,
		 "the main process itself"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (sweep_rule(&rows[i].f) != rows[i].belongs)
			fail_msg("%s", rows[i].why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_exit_codes_and_signals_are_told_apart),
		cmocka_unit_test(reasons_are_words),
		cmocka_unit_test(signals_have_names_and_numbers),
		cmocka_unit_test(names_follow_the_rule),
		cmocka_unit_test(globs_match),
		cmocka_unit_test(the_nearest_word_is_found),
		cmocka_unit_test(ports_are_chosen),
		cmocka_unit_test(every_status_answers_every_input),
		cmocka_unit_test(a_stop_that_was_asked_for_is_never_a_crash),
		cmocka_unit_test(the_machine_is_closed),
		cmocka_unit_test(logs_rotate_by_size),
		cmocka_unit_test(only_what_belongs_is_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
