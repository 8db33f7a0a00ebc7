/*
 * lib/config: the table of keys and its ranges, specs by key, words, environment files, bounds.
 * What each wrong file is told stands in config_cases.
 */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/config/config.h"

static struct codec_arena arena;

static int done(void **state)
{
	(void)state;
	codec_arena_done(&arena);
	return 0;
}

static struct config *parsed(const char *text)
{
	return config_parse("/srv/app/lops.yaml", text, strlen(text), NULL);
}

static struct config *accepted(const char *text)
{
	struct config *c = parsed(text);

	if (c->n_errors)
		config_print_errors(c, stderr);
	assert_int_equal(c->n_errors, 0);
	return c;
}

static void assert_refused(const char *text, const char *part)
{
	struct config *c = parsed(text);

	assert_int_not_equal(c->n_errors, 0);
	if (!strstr(c->errors[0].text, part))
		fail_msg("'%s' does not say '%s'", c->errors[0].text, part);
	config_free(c);
}

/* --- the table --- */

/* The file that sets one key. */
static void file_of(const struct config_key *k, const char *value, char *ret, size_t size)
{
	const char *dot = strchr(k->key, '.');

	if (!*k->section)
		snprintf(ret, size, "%s: %s\n", k->key, value);
	else if (dot)
		snprintf(ret, size, "%s:\n  %.*s:\n    %s: %s\n", k->section, (int)(dot - k->key),
			 k->key, dot + 1, value);
	else
		snprintf(ret, size, "%s:\n  %s: %s\n", k->section, k->key, value);
}

static bool is_number(const struct config_key *k)
{
	return k->type == KEY_INT || k->type == KEY_REAL;
}

static size_t errors_of(const struct config_key *k, double v)
{
	char value[64], text[256];
	struct config *c;
	size_t n;

	snprintf(value, sizeof value, k->type == KEY_INT ? "%.0f" : "%.6f", v);
	file_of(k, value, text, sizeof text);
	c = parsed(text);
	n = c->n_errors;
	if (n) {
		assert_int_equal(n, 1);
		assert_non_null(strstr(c->errors[0].text, "expected a "));
	} else {
		assert_string_equal(config_value(c, k->section, k->key), value);
	}
	config_free(c);
	return n;
}

static void test_every_default_is_in_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];
		char text[600];

		if (*k->fallback && k->type < KEY_PORTS) {
			file_of(k, k->fallback, text, sizeof text);
			config_free(accepted(text));
		}
		assert_true(!is_number(k) || k->least < k->most);
		assert_true(k->help[0]);
	}
}

static void test_every_number_has_its_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];
		double step = k->type == KEY_INT ? 1 : 0.001;

		if (!is_number(k))
			continue;
		assert_int_equal(errors_of(k, k->least), 0);
		assert_int_equal(errors_of(k, k->most), 0);
		assert_int_equal(errors_of(k, k->least - step), 1);
		assert_int_equal(errors_of(k, k->most + step), 1);
	}
}

/* A key of the sections, of a file's deployment, and of `set`: one table, one answer. */
static void test_every_key_may_be_overridden_unless_it_is_of_the_set(void **state)
{
	struct deployment_spec s;
	char key[128], why[400];

	(void)state;
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];

		if (!*k->section || !*k->fallback || k->type >= KEY_PORTS)
			continue;
		msg_body_init(&REC_deployment_spec, &s);
		snprintf(key, sizeof key, "%s.%s", k->section, k->key);
		assert_int_equal(config_spec_set(&arena, &s, key, k->fallback, why, sizeof why),
				 k->of_set ? -22 : 0);
		assert_int_equal(s.settings.count, k->of_set ? 0 : 1);
	}
}

static void test_counts_up_to_a_million_are_in_range(void **state)
{
	(void)state;
	config_free(accepted("restart_policy: {max_attempts: 1000000, initial_backoff_seconds: 0}\n"
			     "health_checks: {http: {retries: 0}}\n"));
}

static void test_where_a_value_came_from(void **state)
{
	struct config *c = accepted("# first\ndefaults:\n  stop_timeout_seconds: 3\n");
	int from_file = 0;

	(void)state;
	for (size_t i = 0; i < config_keys_count; i++)
		from_file += c->lines[i] != 0;
	assert_int_equal(from_file, 1);
	assert_string_equal(config_value(c, "defaults", "stop_timeout_seconds"), "3");
	assert_string_equal(config_value(c, "defaults", "start_timeout_seconds"), "90");
	config_free(c);
}

/* --- lists and maps keep what they hold --- */

static void test_patterns_keep_commas_severity_and_action(void **state)
{
	struct config *c = accepted("log_monitoring:\n  error_patterns:\n    - 'a{1,2}\\d, b'\n"
				    "    - {pattern: oom, severity: critical, action: restart}\n");

	(void)state;
	assert_string_equal(config_value(c, "log_monitoring", "error_patterns"),
			    "error none a{1,2}\\d, b\ncritical restart oom");
	config_free(c);
}

static const char *no_parenthesis(const char *pattern)
{
	return strchr(pattern, '(') ? "missing )" : NULL;
}

static void test_a_pattern_that_does_not_compile_is_an_error_of_its_line(void **state)
{
	static const char text[] = "log_monitoring:\n  error_patterns:\n    - ok\n    - 'a('\n";
	struct config *c;

	(void)state;
	config_free(accepted(text));
	config_use_pattern_check(no_parenthesis);
	c = parsed(text);
	config_use_pattern_check(NULL);
	assert_int_equal(c->n_errors, 1);
	assert_int_equal(c->errors[0].line, 4);
	assert_int_equal(c->errors[0].column, 7);
	assert_non_null(strstr(c->errors[0].text, "missing )"));
	config_free(c);
}

static void test_maps_and_commands_keep_what_they_hold(void **state)
{
	struct config *c = accepted("health_checks:\n  http: {headers: {Host: a, X: 'b c'}}\n"
				    "  external: {db: {stale_after_seconds: 5}, cache: }\n"
				    "  command: {run: \"sh -c 'a\\\\b; exit 1'\"}\n");

	(void)state;
	assert_string_equal(config_value(c, "health_checks", "http.headers"), "Host=a\nX=b c");
	assert_string_equal(config_value(c, "health_checks", "external"), "db=5\ncache=90");
	assert_string_equal(config_value(c, "health_checks", "command.run"),
			    "sh\n-c\na\\\\b; exit 1");
	config_free(c);
}

/* --- deployments of a file --- */

static void test_a_deployment_starts_from_the_files_defaults(void **state)
{
	struct config *c =
		accepted("deployments:\n  a: {command: x}\n  b:\n    command: x\n"
			 "    restart: never\n    defaults: {stop_timeout_seconds: 1, "
			 "protected_ports: [7], auto_restart_enabled: true}\n"
			 "defaults: {stop_timeout_seconds: 4, auto_restart_enabled: true, "
			 "protected_ports: [80, 443]}\n");
	const struct deployment_spec *a = &c->deployments[0], *b = &c->deployments[1];

	(void)state;
	assert_true(fabs(a->stop_timeout_seconds - 4) < 1e-9);
	assert_string_equal(a->restart, "always");
	assert_int_equal(a->protected_ports.count, 2);
	assert_int_equal(a->protected_ports.items[1], 443);
	assert_true(fabs(b->stop_timeout_seconds - 1) < 1e-9);
	assert_string_equal(b->restart, "never"); /* its own key has the last word */
	assert_int_equal(b->protected_ports.count, 1);
	assert_string_equal(a->source, "/srv/app/lops.yaml:2");
	config_free(c);
}

/* Two configurations at once, as in a reload: neither changes the other. */
static void test_two_configurations_do_not_share(void **state)
{
	struct config *one = accepted("defaults: {protected_ports: [1]}\n"),
		      *two = accepted("defaults: {protected_ports: [2]}\n");
	struct deployment_spec a, b;

	(void)state;
	config_spec_defaults(one, &a);
	config_spec_defaults(two, &b);
	assert_int_equal(a.protected_ports.items[0], 1);
	assert_int_equal(b.protected_ports.items[0], 2);
	config_free(one);
	config_free(two);
}

static void test_folders_are_relative_to_the_file(void **state)
{
	static const char text[] =
		"deployments: {a: {command: x, working_directory: www, log_file: /l, "
		"stdout_log: o, stderr_log: stdout}, b: {command: x}}\n";
	struct config *c = config_parse("/tmp/lops.yaml", text, strlen(text), NULL);

	(void)state;
	assert_int_equal(c->n_errors, 0);
	assert_string_equal(c->deployments[0].working_directory, "/tmp/www");
	assert_string_equal(c->deployments[0].log_file, "/l");
	assert_string_equal(c->deployments[0].stdout_log, "/tmp/o");
	assert_string_equal(c->deployments[0].stderr_log, "stdout");
	assert_string_equal(c->deployments[1].working_directory, "/tmp");
	config_free(c);
}

static uint32_t inherited(const char *what)
{
	static const char *items[] = {"PATH=/bin", "LC_ALL=C", "SSH_KEY=k", "SECRET=s", "SSHX=1"};
	struct msg_strs base = {.items = items, .count = 5};
	char text[200];
	struct config *c;
	uint32_t n;

	snprintf(text, sizeof text, "deployments:\n  a:\n    command: x\n%s", what);
	c = config_parse("/tmp/lops.yaml", text, strlen(text), &base);
	assert_int_equal(c->n_errors, 0);
	n = c->deployments[0].base_environment.count;
	config_free(c);
	return n;
}

static void test_what_is_inherited(void **state)
{
	(void)state;
	assert_int_equal(inherited(""), 2);
	assert_int_equal(inherited("    inherit_environment: false\n"), 2);
	assert_int_equal(inherited("    inherit_environment: true\n"), 5);
	assert_int_equal(inherited("    inherit_environment: SSH_*\n"), 3);
	assert_int_equal(inherited("    inherit_environment: ['SSH_*', SECRET]\n"), 4);
}

static char *repeated(const char *head, const char *one, size_t times, const char *tail)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	fputs(head, out);
	for (size_t i = 0; i < times; i++)
		fputs(one, out);
	fputs(tail, out);
	fclose(out);
	return text;
}

static void test_the_longest_word(void **state)
{
	char *fits = repeated("deployments: {a: {command: [x, ", "b", 131071, "]}}\n"),
	     *too_long = repeated("deployments: {a: {command: [x, ", "b", 131072, "]}}\n");

	(void)state;
	config_free(accepted(fits));
	assert_refused(too_long, "is longer than 131071 bytes");
	free(fits);
	free(too_long);
}

static void test_the_largest_file(void **state)
{
	char *fits = repeated("", "#", 256 * 1024 - 1, "\n"),
	     *too_large = repeated("", "#", 256 * 1024, "\n");

	(void)state;
	config_free(accepted(fits));
	assert_refused(too_large, "larger than 256 KiB");
	free(fits);
	free(too_large);
}

/* Files that cost a careless reader minutes. */
static void test_large_files_of_one_kind_end(void **state)
{
	static const char *const kinds[] = {"[",   "{a: ",   "- ",  "? ", "[\n",
					    "{\n", "a: b\n", "&a ", "'",  "[a: "};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char *text = repeated("", kinds[i], 250 * 1024 / strlen(kinds[i]), "\n");
		struct config *c = parsed(text);

		assert_int_not_equal(c->n_errors, 0);
		config_free(c);
		free(text);
	}
}

static void test_a_thousand_deployments(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct config *c;

	(void)state;
	fputs("deployments:\n", out);
	for (int i = 0; i < 1000; i++)
		fprintf(out,
			"  s%d: {command: sleep infinity, environment: {A: b}, depends_on: "
			"[s%d]}\n",
			i, (i + 1) % 1000 ? i + 1 : 0);
	fclose(out);
	c = parsed(text); /* s999 closes the circle */
	assert_int_equal(c->n_deployments, 1000);
	assert_int_equal(c->n_errors, 1);
	assert_non_null(strstr(c->errors[0].text, "a cycle of dependencies: s0 -> s1"));
	assert_non_null(strstr(c->errors[0].text, "-> s0"));
	config_free(c);
	free(text);
}

/* More strings than one arena of messages holds. */
static void test_many_environment_files(void **state)
{
	char path[] = "/tmp/lops-config-XXXXXX", *text = NULL, *line;
	int fd = mkstemp(path);
	size_t len;
	FILE *out;
	struct config *c;

	(void)state;
	line = repeated("A=", "x", 100000, "\n");
	assert_int_equal(write(fd, line, strlen(line)), (ssize_t)strlen(line));
	close(fd);
	out = open_memstream(&text, &len);
	fputs("deployments:\n", out);
	for (int i = 0; i < 100; i++)
		fprintf(out, "  s%d: {command: x, env_file: %s}\n", i, path);
	fclose(out);
	c = accepted(text);
	for (int i = 0; i < 100; i++)
		assert_int_equal(strlen(c->deployments[i].file_environment.items[0]), 100002);
	config_free(c);
	unlink(path);
	free(text);
	free(line);
}

/* --- specs by key --- */

static struct deployment_spec spec(void)
{
	struct config *c = config_defaults();
	struct deployment_spec s;

	config_spec_defaults(c, &s);
	config_free(c);
	return s;
}

static void set(struct deployment_spec *s, const char *key, const char *value)
{
	char why[400];

	if (config_spec_set(&arena, s, key, value, why, sizeof why) < 0)
		fail_msg("%s=%s: %s", key, value, why);
}

static void assert_unset(const char *key, const char *value, const char *part)
{
	struct deployment_spec s = spec(), before = s;
	char why[400] = "";

	assert_int_equal(config_spec_set(&arena, &s, key, value, why, sizeof why), -22);
	if (!strstr(why, part))
		fail_msg("%s=%s: '%s' does not say '%s'", key, value, why, part);
	assert_memory_equal(&s, &before, sizeof s); /* untouched */
}

static void test_set_of_each_kind(void **state)
{
	struct deployment_spec s = spec();

	(void)state;
	set(&s, "command", "sh -c 'a b'");
	assert_int_equal(s.command.count, 3);
	set(&s, "command", "[\"x\", \"y z\"]");
	assert_int_equal(s.command.count, 2);
	set(&s, "command", "[ -f x ]");
	assert_int_equal(s.command.count, 4);
	set(&s, "port", "80");
	set(&s, "limits.nofile", "100");
	assert_int_equal(s.limits.nofile, 100);
	set(&s, "limits.nice", "");
	set(&s, "limits.pids_max", "5");
	set(&s, "limits.pids_max", "");
	assert_true(s.limits.pids_max == MSG_NONE);
	set(&s, "limits", "core=0,nice=-5");
	assert_int_equal(s.limits.nice, -5);
	assert_int_equal(s.limits.nofile, 100);
	set(&s, "environment.A", "{\"not\": [yaml");
	set(&s, "environment.B", "");
	assert_string_equal(s.environment.items[0], "A={\"not\": [yaml");
	assert_string_equal(s.environment.items[1], "B=");
	set(&s, "depends_on", "db:healthy,cache");
	assert_string_equal(s.depends_on.items[0], "db:healthy");
	assert_string_equal(s.depends_on.items[1], "cache:ready");
	set(&s, "depends_on", "{db: started}");
	assert_string_equal(s.depends_on.items[0], "db:started");
	set(&s, "depends_on", "");
	assert_int_equal(s.depends_on.count, 0);
	set(&s, "stop_signal", "SIGQUIT");
	assert_int_equal(s.stop_signal, 3);
	set(&s, "umask", "027");
	assert_int_equal(s.umask, 027);
	set(&s, "auto_restart", "true");
	assert_string_equal(s.restart, "always");
	set(&s, "defaults.stop_timeout_seconds", "3");
	assert_true(fabs(s.stop_timeout_seconds - 3) < 1e-9);
	set(&s, "log_monitoring.error_patterns", "[\"a{1,2}\"]");
	assert_string_equal(s.settings.items[1], "log_monitoring.error_patterns=error none a{1,2}");
}

static void test_set_takes_a_hundred_items(void **state)
{
	struct deployment_spec s = spec();
	char *codes = repeated("0", ",1", 99, "");

	(void)state;
	set(&s, "success_exit_codes", codes);
	assert_int_equal(s.success_exit_codes.count, 100);
	free(codes);
}

static void test_set_replaces_and_leaves_borrowed_lists_alone(void **state)
{
	const char *borrowed[] = {"A=1", "B=2"};
	struct deployment_spec s = spec();

	(void)state;
	s.environment = (struct msg_strs){.items = borrowed, .count = 2};
	set(&s, "environment.A", "3");
	set(&s, "environment.C", "4");
	assert_string_equal(borrowed[0], "A=1");
	assert_int_equal(s.environment.count, 3);
	assert_string_equal(s.environment.items[0], "A=3");
	set(&s, "restart_policy.jitter", "0.5");
	set(&s, "restart_policy.max_attempts", "2");
	set(&s, "restart_policy.jitter", "0.2");
	assert_int_equal(s.settings.count, 2);
	assert_string_equal(s.settings.items[0], "restart_policy.max_attempts=2");
	assert_string_equal(s.settings.items[1], "restart_policy.jitter=0.2");
}

static void test_set_refuses(void **state)
{
	(void)state;
	assert_unset("prot", "80", "did you mean 'port'?");
	assert_unset("port", "0", "port: expected a whole number, 1 to 65535, found '0'");
	assert_unset("port", "70000", "1 to 65535");
	assert_unset("limits.nofiles", "1", "did you mean 'nofile'?");
	assert_unset("limits.", "1", "unknown key");
	assert_unset("restart_policy.max_atempts", "1", "did you mean 'max_attempts'?");
	assert_unset("restart_policy", "1", "unknown key");
	assert_unset("restart_policy.max_starts_per_second", "1", "whole set");
	assert_unset("journal.max_mb", "5", "whole set");
	assert_unset("working_directory", "here", "an absolute path");
	assert_unset("environment.1A", "x", "begins with a digit");
	assert_unset("environment.", "x", "unknown key");
	assert_unset("depends_on", "[a, *b]", "aliases");
	assert_unset("depends_on", "a/b", "the name 'a/b'");
	assert_unset("command", "", "expected a command");
	assert_unset("command", "a 'b", "a quote that is not closed at column 3");
	assert_unset("inherit_environment", "true", "--inherit-env");
	assert_unset("", "x", "unknown key");
}

static void test_what_needs_a_restart(void **state)
{
	(void)state;
	assert_true(config_needs_restart("command"));
	assert_true(config_needs_restart("environment.FOO"));
	assert_true(config_needs_restart("limits.nofile"));
	assert_false(config_needs_restart("restart"));
	assert_false(config_needs_restart("restart_policy.jitter"));
}

static void test_rules_for_a_whole_spec(void **state)
{
	struct deployment_spec s = spec();
	char *large = repeated("A=", "x", 131069, ""), *other = repeated("B=", "x", 70000, "");
	const char *items[] = {large, other};

	(void)state;
	assert_string_equal(config_spec_rule(&s), "the command is missing");
	set(&s, "command", "run --port={{port}}");
	assert_non_null(strstr(config_spec_rule(&s), "there is no port"));
	set(&s, "port", "80");
	assert_null(config_spec_rule(&s));
	s.environment = (struct msg_strs){.items = items, .count = 1};
	assert_null(config_spec_rule(&s)); /* 131,071 bytes */
	s.environment.count = 2;
	assert_non_null(strstr(config_spec_rule(&s), "larger than 192 KiB"));
	free(large);
	large = repeated("LONG=", "x", 131067, "");
	items[0] = large;
	s.environment.count = 1;
	assert_string_equal(config_spec_rule(&s), "the variable LONG is longer than 131071 bytes");
	free(large);
	free(other);
}

/* --- words --- */

static void assert_words(const char *text, const char *joined)
{
	struct msg_strs words;
	char why[200], got[300] = "";

	if (config_split(&arena, text, &words, why, sizeof why) < 0)
		fail_msg("%s: %s", text, why);
	for (uint32_t i = 0; i < words.count; i++) {
		strcat(got, i ? "|" : "");
		strcat(got, words.items[i]);
	}
	assert_string_equal(got, joined);
}

static void test_words_as_a_shell_splits_them(void **state)
{
	(void)state;
	assert_words("a b", "a|b");
	assert_words("  a\t\n b  ", "a|b");
	assert_words("a 'b c' \"d e\"", "a|b c|d e");
	assert_words("a''b\"\"c", "abc");
	assert_words("a '' \"\"", "a||");
	assert_words("a\\ b", "a b");
	assert_words("'a\\b'", "a\\b");
	assert_words("\"a\\b \\\" \\\\ \\$\"", "a\\b \" \\ $");
	assert_words("a \\\n b", "a|b");
	assert_words("a\\\nb", "ab");
	assert_words("echo $HOME *.c | wc # no", "echo|$HOME|*.c|||wc|#|no");
	assert_words("\"it's\"", "it's");
}

static void test_wrong_words(void **state)
{
	struct msg_strs words = {0};
	char why[200];

	(void)state;
	assert_int_equal(config_split(&arena, "a \"b", &words, why, sizeof why), -22);
	assert_non_null(strstr(why, "column 3"));
	assert_int_equal(config_split(&arena, "a b\\", &words, why, sizeof why), -22);
	assert_non_null(strstr(why, "column 4"));
	assert_int_equal(config_split(&arena, " \n", &words, why, sizeof why), -22);
	assert_int_equal(words.count, 0);
}

static void test_a_command_of_many_words(void **state)
{
	char *text = repeated("", "a ", 50000, "");
	struct msg_strs words;
	char why[200];

	(void)state;
	assert_int_equal(config_split(&arena, text, &words, why, sizeof why), 0);
	assert_int_equal(words.count, 50000);
	free(text);
	text = repeated("", "a", 192 * 1024 + 1, "");
	assert_int_equal(config_split(&arena, text, &words, why, sizeof why), -22);
	free(text);
}

/* --- environment files --- */

static int env_file(const char *text, size_t len, struct msg_strs *ret, char *why, size_t size)
{
	char path[] = "/tmp/lops-config-XXXXXX";
	int fd = mkstemp(path), err;

	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
	err = config_env_file(&arena, path, ret, why, size);
	unlink(path);
	return err;
}

static void test_environment_files(void **state)
{
	static const char text[] = "\xef\xbb\xbf# c\n\nA=1\r\nexport B=\"x \\\"y\\\" $z\" # c\n"
				   "  C='a # b'\nexport\tD=\nA=2\nE=a b # kept";
	static const char *const expected[] = {"A=2", "B=x \"y\" $z", "C=a # b",
					       "D=", "E=a b # kept"};
	struct msg_strs pairs;
	char why[300] = "";

	(void)state;
	if (env_file(text, strlen(text), &pairs, why, sizeof why) < 0)
		fail_msg("%s", why);
	assert_int_equal(pairs.count, 5);
	for (uint32_t i = 0; i < 5; i++)
		assert_string_equal(pairs.items[i], expected[i]);
}

static void assert_no_env_file(const char *text, size_t len, const char *part)
{
	struct msg_strs pairs = {0};
	char why[300] = "";

	assert_int_equal(env_file(text, len, &pairs, why, sizeof why), -22);
	if (!strstr(why, part))
		fail_msg("'%s' does not say '%s'", why, part);
	assert_int_equal(pairs.count, 0);
}

static void test_wrong_environment_files(void **state)
{
	char *large = repeated("A=", "x", 192 * 1024, "\n"),
	     *line = repeated("A=", "x", 131070, "\n"), why[300];
	struct msg_strs pairs;

	(void)state;
	assert_no_env_file("A=1\nB\n", 6, ":2:1: 'B' has no '='");
	assert_no_env_file("=1\n", 3, ":1:1:");
	assert_no_env_file("A B=1\n", 6, "a character other than");
	assert_no_env_file("A=1\nB=\"x\n", 9, ":2:1: 'B' has a quote that is not closed");
	assert_no_env_file("B='x'y\n", 7, "text behind the closing quote");
	assert_no_env_file("A=\0\n", 4, "is not text");
	assert_no_env_file("A=\xff\n", 4, "is not text");
	assert_no_env_file(large, strlen(large), "larger than 192 KiB");
	assert_no_env_file(line, strlen(line), "longer than 131071 bytes");
	assert_int_equal(config_env_file(&arena, "/dev/zero", &pairs, why, sizeof why), -22);
	assert_int_equal(config_env_file(&arena, "/nowhere", &pairs, why, sizeof why), -22);
	free(large);
	free(line);
}

/* --- which file --- */

static void test_which_file(void **state)
{
	char folder[] = "/tmp/lops-config-XXXXXX", xdg[64], *found, *back = getcwd(NULL, 0);

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	snprintf(xdg, sizeof xdg, "%s/xdg", folder);
	assert_int_equal(mkdir("xdg", 0700) | mkdir("xdg/lops", 0700) | mkdir(".claude-mpm", 0700),
			 0);
	setenv("XDG_CONFIG_HOME", xdg, 1);
	unsetenv("LOPS_CONFIG");
	close(creat("xdg/lops/lops.yaml", 0600));
	found = config_find(NULL);
	assert_non_null(strstr(found, "/xdg/lops/lops.yaml"));
	free(found);
	close(creat(".claude-mpm/local-ops-config.yaml", 0600));
	found = config_find(NULL);
	assert_string_equal(found, ".claude-mpm/local-ops-config.yaml");
	free(found);
	close(creat("lops.yaml", 0600));
	found = config_find(NULL);
	assert_string_equal(found, "lops.yaml");
	free(found);
	setenv("LOPS_CONFIG", "/named", 1);
	found = config_find(NULL);
	assert_string_equal(found, "/named");
	free(found);
	found = config_find("/given");
	assert_string_equal(found, "/given");
	free(found);
	unlink("lops.yaml");
	unlink(".claude-mpm/local-ops-config.yaml");
	unlink("xdg/lops/lops.yaml");
	rmdir(".claude-mpm");
	rmdir("xdg/lops");
	rmdir("xdg");
	assert_int_equal(chdir(back), 0);
	rmdir(folder);
	free(back);
}

/* --- the reference --- */

static void test_the_reference_names_every_key(void **state)
{
	char *reference = NULL, *schema = NULL, key[160];
	size_t len;
	FILE *out = open_memstream(&reference, &len);

	(void)state;
	config_print_reference(out);
	fclose(out);
	out = open_memstream(&schema, &len);
	config_print_schema(out);
	fclose(out);
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];
		const char *dot = strchr(k->key, '.');

		snprintf(key, sizeof key, "| `%s%s%s` |", k->section, *k->section ? "." : "",
			 k->key);
		assert_non_null(strstr(reference, key));
		snprintf(key, sizeof key, "\"%s\":{", dot ? dot + 1 : k->key);
		assert_non_null(strstr(schema, key));
	}
	assert_non_null(strstr(reference, "| `depends_on` |"));
	free(reference);
	free(schema);
}

#define TEST(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_default_is_in_range),
		TEST(test_every_number_has_its_range),
		TEST(test_every_key_may_be_overridden_unless_it_is_of_the_set),
		TEST(test_counts_up_to_a_million_are_in_range),
		TEST(test_where_a_value_came_from),
		TEST(test_patterns_keep_commas_severity_and_action),
		TEST(test_a_pattern_that_does_not_compile_is_an_error_of_its_line),
		TEST(test_maps_and_commands_keep_what_they_hold),
		TEST(test_a_deployment_starts_from_the_files_defaults),
		TEST(test_two_configurations_do_not_share),
		TEST(test_folders_are_relative_to_the_file),
		TEST(test_what_is_inherited),
		TEST(test_the_longest_word),
		TEST(test_the_largest_file),
		TEST(test_large_files_of_one_kind_end),
		TEST(test_a_thousand_deployments),
		TEST(test_many_environment_files),
		TEST(test_set_of_each_kind),
		TEST(test_set_takes_a_hundred_items),
		TEST(test_set_replaces_and_leaves_borrowed_lists_alone),
		TEST(test_set_refuses),
		TEST(test_what_needs_a_restart),
		TEST(test_rules_for_a_whole_spec),
		TEST(test_words_as_a_shell_splits_them),
		TEST(test_wrong_words),
		TEST(test_a_command_of_many_words),
		TEST(test_environment_files),
		TEST(test_wrong_environment_files),
		TEST(test_which_file),
		TEST(test_the_reference_names_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
