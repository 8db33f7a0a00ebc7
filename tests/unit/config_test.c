/*
 * The configuration: the table of keys against its own ranges, words and environment pairs, single
 * values, and 5,000 mutations of a good file.
 */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/config/config.h"
#include "lib/config/values.h"
#include "lib/policy/backoff.h"
#include "tests/unit/generated.h"

static struct codec_arena arena;

static bool is_number(const struct config_key *k)
{
	return k->type == KEY_INT || k->type == KEY_REAL;
}

static int check(const struct config_key *k, const char *text)
{
	struct yaml_node n = {.kind = YAML_TEXT, .text = strdup(text)};
	struct value_error e;
	char *out = NULL;
	int err = values_check(k, &n, &out, &e);

	free(out);
	free(n.text);
	return err;
}

static void every_default_is_in_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_keys_count; i++)
		if (config_keys[i].fallback[0] && config_keys[i].type < KEY_PORTS)
			assert_int_equal(check(&config_keys[i], config_keys[i].fallback), 0);
}

static void below_and_above_the_range_is_refused(void **state)
{
	char text[64];

	(void)state;
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];

		if (!is_number(k))
			continue;
		assert_true(k->least < k->most);
		snprintf(text, sizeof text, "%.12g", k->least - 1);
		assert_int_not_equal(check(k, text), 0);
		snprintf(text, sizeof text, "%.12g", k->most + 1);
		assert_int_not_equal(check(k, text), 0);
		snprintf(text, sizeof text, "%.12g", k->most);
		assert_int_equal(check(k, text), 0);
	}
}

static void no_key_is_there_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_keys_count; i++)
		assert_int_equal(values_find(config_keys[i].section, config_keys[i].key), (int)i);
}

/* The name is looked up there by whoever restarts: one that only the file knows would be refused
 * too late. */
static void the_kinds_of_restart_policy_are_those_there_are(void **state)
{
	char there[200] = "", known[200] = "|";

	(void)state;
	for (unsigned i = 0; backoff_kind_at(i); i++) {
		strcat(there, "|");
		strcat(there, backoff_kind_at(i)->name);
	}
	for (size_t i = 0; i < config_keys_count; i++)
		if (strcmp(config_keys[i].section, "restart_policy") == 0 &&
		    strcmp(config_keys[i].key, "kind") == 0)
			strcat(known, config_keys[i].choices);
	assert_string_equal(known, there);
}

static void words_split_as_a_shell_splits_them(void **state)
{
	struct msg_strs w;
	char why[200];

	(void)state;
	codec_arena_reset(&arena);
	assert_int_equal(
		config_split(&arena, "  a 'b c'\t\"d \\\" $e\" f\\ g ''", &w, why, sizeof why), 0);
	assert_int_equal(w.count, 5);
	assert_string_equal(w.items[1], "b c");
	assert_string_equal(w.items[2], "d \" $e");
	assert_string_equal(w.items[3], "f g");
	assert_string_equal(w.items[4], "");
	assert_int_not_equal(config_split(&arena, "echo 'x", &w, why, sizeof why), 0);
	assert_non_null(strstr(why, "column 6"));
	assert_int_not_equal(config_split(&arena, " ", &w, why, sizeof why), 0);
	assert_int_equal(config_split(&arena, "a;b|c", &w, why, sizeof why), 0);
	assert_int_equal(w.count, 1); /* no shell */
}

static void environment_pairs_have_a_rule(void **state)
{
	(void)state;
	assert_null(config_env_rule("A=b"));
	assert_null(config_env_rule("_x1="));
	assert_non_null(config_env_rule("A"));
	assert_non_null(config_env_rule("=b"));
	assert_non_null(config_env_rule("1A=b"));
	assert_non_null(config_env_rule("A B=c"));
}

static int set(struct deployment_spec *s, const char *key, const char *value)
{
	char why[400];

	return config_spec_set(&arena, s, key, value, why, sizeof why);
}

static void single_keys_are_set_like_in_the_file(void **state)
{
	struct config *c = config_defaults();
	struct deployment_spec s;

	(void)state;
	codec_arena_reset(&arena);
	config_spec_defaults(c, &s);
	assert_int_equal(set(&s, "command", "sleep 1"), 0);
	assert_int_equal(s.command.count, 2);
	assert_int_equal(set(&s, "port", "8080"), 0);
	assert_int_equal(s.port, 8080);
	assert_int_not_equal(set(&s, "port", "70000"), 0);
	assert_int_equal(s.port, 8080);
	assert_int_equal(set(&s, "environment.FOO", "a=b"), 0);
	assert_int_equal(set(&s, "environment.FOO", "c"), 0);
	assert_int_equal(s.environment.count, 1);
	assert_string_equal(s.environment.items[0], "FOO=c");
	assert_int_equal(set(&s, "limits.nofile", "100"), 0);
	assert_int_equal(s.limits.nofile, 100);
	assert_int_equal(set(&s, "restart_policy.max_attempts", "3"), 0);
	assert_int_equal(set(&s, "restart_policy.max_attempts", "4"), 0);
	assert_int_equal(s.settings.count, 1);
	assert_string_equal(s.settings.items[0], "restart_policy.max_attempts=4");
	assert_int_equal(set(&s, "groups", "web,db"), 0);
	assert_int_equal(s.groups.count, 2);
	assert_int_equal(set(&s, "depends_on", "db:healthy,x"), 0);
	assert_string_equal(s.depends_on.items[0], "db:healthy");
	assert_string_equal(s.depends_on.items[1], "x:ready");
	assert_int_equal(set(&s, "defaults.stop_timeout_seconds", "3"), 0);
	assert_true(fabs(s.stop_timeout_seconds - 3) < 1e-9);
	assert_int_not_equal(set(&s, "prot", "1"), 0);
	assert_int_not_equal(set(&s, "journal.max_mb", "1"), 0);
	assert_null(config_spec_rule(&s));
	assert_true(config_needs_restart("command"));
	assert_false(config_needs_restart("groups"));
	config_free(c);
}

static const char good[] =
	"version: \"1.0\"\ndefaults:\n  protected_ports: [80, 443]\nrestart_policy: {jitter: 0.5}\n"
	"deployments:\n  web:\n    command: sh -c 'echo \"$PORT\"'\n    port: 8080\n    "
	"environment: {FOO: bar}\n"
	"    depends_on: {db: ready}\n    limits: {nofile: 99}\n  db:\n    command: [sleep, "
	"\"1\"]\n";

static void mutations_of_a_good_file_do_no_harm(void **state)
{
	char path[] = "/tmp/lops-config-XXXXXX", text[sizeof good];
	int fd = mkstemp(path), good_ones = 0;
	uint64_t seed = 8;

	(void)state;
	assert_true(fd >= 0);
	for (int n = 0; n < 5000; n++) {
		size_t len = sizeof good - 1;
		struct config *c;

		memcpy(text, good, sizeof good);
		for (uint64_t k = generated_random(&seed) % 5; k > 0; k--)
			text[generated_random(&seed) % len] =
				(char)(generated_random(&seed) % 3
					       ? " :{}[]'\"\n-&*!#0a,"[generated_random(&seed) % 17]
					       : (char)generated_random(&seed));
		if (generated_random(&seed) % 10 == 0)
			len = generated_random(&seed) % len;
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, text, len, 0), len);
		c = config_load(path, NULL);
		assert_non_null(c);
		good_ones += c->n_errors == 0;
		assert_true(c->n_errors <= CONFIG_ERRORS_MAX);
		config_free(c);
	}
	close(fd);
	unlink(path);
	assert_in_range(good_ones, 500, 4500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_default_is_in_range),
		cmocka_unit_test(below_and_above_the_range_is_refused),
		cmocka_unit_test(no_key_is_there_twice),
		cmocka_unit_test(the_kinds_of_restart_policy_are_those_there_are),
		cmocka_unit_test(words_split_as_a_shell_splits_them),
		cmocka_unit_test(environment_pairs_have_a_rule),
		cmocka_unit_test(single_keys_are_set_like_in_the_file),
		cmocka_unit_test(mutations_of_a_good_file_do_no_harm),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	codec_arena_done(&arena);
	return failed;
}
