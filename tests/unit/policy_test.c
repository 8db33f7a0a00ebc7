/*
 * The decisions of lib/policy about exits, names, ports and logs, each exhaustively.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/policy/exit_rule.h"
#include "lib/policy/name_rule.h"
#include "lib/policy/port_rule.h"
#include "lib/policy/rotate_rule.h"
#include "lib/policy/sweep_rule.h"

/* --- exits --- */

/* What was asked of the program, and the end that its reason gets from that. */
static const struct {
	bool asked, killed;
	const char *end;
} askings[] = {{false, false, ""},
	       {false, true, ""}, /* killed for another cause than a stop: its own words follow */
	       {true, false, " on request"},
	       {true, true, " after the stop timeout"}};
enum { ASKINGS = sizeof askings / sizeof *askings };

static void every_exit_code_is_told_apart(void **state)
{
	(void)state;
	for (int code = 0; code < 256; code++)
		for (int k = 0; k < ASKINGS; k++) {
			struct exit_decision d =
				exit_rule(&(struct exit_facts){.known = true,
							       .status = code << 8,
							       .asked = askings[k].asked,
							       .killed = askings[k].killed});
			char reason[96];

			snprintf(reason, sizeof reason, "exited with code %d%s", code,
				 askings[k].end);
			assert_string_equal(d.reason, reason);
			assert_int_equal(d.exit_code, code);
			assert_int_equal(d.signal, INT64_MIN);
			assert_false(d.core_dumped);
			assert_int_equal(d.verdict, askings[k].asked ? EXIT_STOPPED
						    : code == 0      ? EXIT_EXITED
								     : EXIT_CRASHED);
		}
}

static void every_signal_is_told_apart(void **state)
{
	(void)state;
	for (int signo = 1; signo <= 64; signo++)
		for (int k = 0; k < 2 * ASKINGS; k++) {
			bool core = k >= ASKINGS, asked = askings[k % ASKINGS].asked;
			struct exit_decision d = exit_rule(
				&(struct exit_facts){.known = true,
						     .status = signo | core << 7,
						     .asked = asked,
						     .killed = askings[k % ASKINGS].killed});
			char reason[96];

			snprintf(reason, sizeof reason, "killed by signal %d (%s)%s%s", signo,
				 exit_signal_name(signo), core ? ", core dumped" : "",
				 askings[k % ASKINGS].end);
			assert_string_equal(d.reason, reason);
			assert_int_equal(d.signal, signo);
			assert_int_equal(d.exit_code, INT64_MIN);
			assert_int_equal(d.core_dumped, core);
			assert_int_equal(d.verdict, asked ? EXIT_STOPPED : EXIT_CRASHED);
		}
}

static void every_code_can_be_a_success(void **state)
{
	(void)state;
	for (int64_t good = 0; good < 256; good++)
		for (int code = 0; code < 256; code++) {
			const int64_t codes[] = {good, 300}; /* one that no exit has */
			struct exit_facts f = {.known = true,
					       .status = code << 8,
					       .success_codes = codes,
					       .n_success_codes = 2};

			assert_int_equal(exit_rule(&f).verdict,
					 code == good ? EXIT_EXITED : EXIT_CRASHED);
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
	f.oom_kills = 1; /* long ago: it is we who ended it */
	assert_string_equal(exit_rule(&f).reason,
			    "killed by signal 9 (SIGKILL) after the stop timeout");
	f.asked = false;
	assert_string_equal(exit_rule(&f).reason, "killed by signal 9 (SIGKILL), out of memory");
	f.status = 1 << 8;
	assert_string_equal(
		exit_rule(&f).reason,
		"exited with code 1, after a process of it was killed for want of memory");
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

static bool is_allowed(int c, bool first)
{
	bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

	return plain || (!first && (c == '_' || c == '.' || c == '-'));
}

static void every_byte_of_a_name_is_judged(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char first[] = {(char)c, 0}, later[] = {'a', (char)c, 'a', 0};

		assert_int_equal(name_rule(first) == NULL, is_allowed(c, true));
		assert_int_equal(name_rule(later) == NULL, is_allowed(c, false));
	}
}

static void names_have_1_to_64_bytes(void **state)
{
	char name[130];

	(void)state;
	for (size_t len = 0; len < sizeof name; len++) {
		memset(name, 'a', len);
		name[len] = 0;
		assert_int_equal(name_rule(name) == NULL, len >= 1 && len <= 64);
	}
	assert_string_equal(name_rule(""), "is empty");
	assert_string_equal(name_rule(name), "is longer than 64 characters");
	assert_string_equal(name_rule("-rf"), "does not begin with a letter or digit");
	assert_non_null(strstr(name_rule("a/b"), "has a character other than"));
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

struct asked {
	int ports[64], n, free; /* free: the only port that is */
};

static bool only_one_is_free(void *arg, int port)
{
	struct asked *q = arg;

	assert_in_range(port, 1, 65535);
	q->ports[q->n++] = port;
	return port != q->free;
}

static void ten_ports_are_tried(void **state)
{
	struct port_wish w = {.port = 8000, .auto_find = true};

	(void)state;
	for (int at = 0; at < 12; at++) {
		struct asked q = {.free = 8000 + at};

		assert_int_equal(port_rule(&w, only_one_is_free, &q), at < 10 ? 8000 + at : 0);
		assert_int_equal(q.n, at < 10 ? at + 1 : 10);
		for (int i = 0; i < q.n; i++)
			assert_int_equal(q.ports[i], 8000 + i);
	}
	w.auto_find = false;
	for (int at = 0; at < 3; at++) {
		struct asked q = {.free = 8000 + at};

		assert_int_equal(port_rule(&w, only_one_is_free, &q), at == 0 ? 8000 : 0);
		assert_int_equal(q.n, 1);
	}
}

static void protected_ports_are_skipped_and_not_counted(void **state)
{
	const int64_t protect[] = {8001, 8003, 8004, 8012};
	struct port_wish w = {
		.port = 8000, .auto_find = true, .protected_ports = protect, .n_protected = 4};
	struct asked q = {0};

	(void)state;
	assert_int_equal(port_rule(&w, only_one_is_free, &q), 0);
	assert_int_equal(q.n, 10);
	assert_int_equal(q.ports[1], 8002);
	assert_int_equal(q.ports[2], 8005);
	assert_int_equal(q.ports[9], 8013);
	q = (struct asked){.free = 8013};
	assert_int_equal(port_rule(&w, only_one_is_free, &q), 8013);
	/* One that is asked for by name is not kept from who asks. */
	w.port = 8001;
	q = (struct asked){.free = 8001};
	assert_int_equal(port_rule(&w, only_one_is_free, &q), 8001);
}

static void the_last_port_is_the_end(void **state)
{
	const int64_t protect[] = {65535};
	struct port_wish w = {.port = 65530, .auto_find = true};
	struct asked q = {.free = 65535};

	(void)state;
	assert_int_equal(port_rule(&w, only_one_is_free, &q), 65535);
	assert_int_equal(q.n, 6);
	q = (struct asked){0};
	assert_int_equal(port_rule(&w, only_one_is_free, &q), 0);
	assert_int_equal(q.n, 6);
	w = (struct port_wish){.port = 65535, .auto_find = true};
	q = (struct asked){.free = 65535};
	assert_int_equal(port_rule(&w, only_one_is_free, &q), 65535);
	w = (struct port_wish){
		.port = 65534, .auto_find = true, .protected_ports = protect, .n_protected = 1};
	q = (struct asked){.free = 65535};
	assert_int_equal(port_rule(&w, only_one_is_free, &q), 0);
}

/* --- logs --- */

static void logs_rotate_by_size(void **state)
{
	const uint64_t sizes[] = {1, 100, UINT64_C(50) << 20, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct rotate_limits l = {.size_bytes = sizes[i], .keep = 3};

		assert_false(rotate_rule(l, 0));
		assert_false(rotate_rule(l, sizes[i] - 1));
		assert_true(rotate_rule(l, sizes[i]));
		assert_true(rotate_rule(l, UINT64_MAX));
		l.keep = 0; /* how many are kept does not say when */
		assert_true(rotate_rule(l, sizes[i]));
	}
	assert_false(rotate_rule((struct rotate_limits){0}, UINT64_MAX));
	assert_false(rotate_rule((struct rotate_limits){.keep = 5}, 0));
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
		cmocka_unit_test(every_exit_code_is_told_apart),
		cmocka_unit_test(every_signal_is_told_apart),
		cmocka_unit_test(every_code_can_be_a_success),
		cmocka_unit_test(reasons_are_words),
		cmocka_unit_test(signals_have_names_and_numbers),
		cmocka_unit_test(names_follow_the_rule),
		cmocka_unit_test(every_byte_of_a_name_is_judged),
		cmocka_unit_test(names_have_1_to_64_bytes),
		cmocka_unit_test(globs_match),
		cmocka_unit_test(the_nearest_word_is_found),
		cmocka_unit_test(ports_are_chosen),
		cmocka_unit_test(ten_ports_are_tried),
		cmocka_unit_test(protected_ports_are_skipped_and_not_counted),
		cmocka_unit_test(the_last_port_is_the_end),
		cmocka_unit_test(logs_rotate_by_size),
		cmocka_unit_test(only_what_belongs_is_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
