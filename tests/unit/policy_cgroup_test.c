/*
 * Control groups: where they are by the kernel's texts, and what a limit is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/policy/cgroup_rule.h"

static struct cgroup_places p;

static void both_versions_side_by_side(void **state)
{
	(void)state;
	cgroup_places("31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
		      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
		      "35 31 0:32 / /sys/fs/cgroup/memory rw shared:3 master:4 - cgroup cgroup "
		      "rw,memory\n"
		      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
		      "5:memory:/a b/c\n2:cpu,cpuacct:/\n0::/u\n", &p);
	assert_int_equal(p.v1[CGROUP_MEMORY].version, 1);
	assert_string_equal(p.v1[CGROUP_MEMORY].own, "/sys/fs/cgroup/memory/a b/c");
	assert_string_equal(p.v1[CGROUP_MEMORY].top, "/sys/fs/cgroup/memory");
	assert_string_equal(p.v1[CGROUP_CPU].own, "/sys/fs/cgroup/cpu,cpuacct");
	assert_int_equal(p.v1[CGROUP_PIDS].version, 0);
	assert_int_equal(p.v2.version, 2);
	assert_string_equal(p.v2.own, "/sys/fs/cgroup/unified/u");
}

static void version_2_alone(void **state)
{
	(void)state;
	cgroup_places("25 30 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
		      "0::/system.slice/lops.service\n", &p);
	assert_string_equal(p.v2.own, "/sys/fs/cgroup/system.slice/lops.service");
	assert_string_equal(p.v2.top, "/sys/fs/cgroup");
	for (int l = 0; l < CGROUP_LIMITS; l++)
		assert_int_equal(p.v1[l].version, 0);
}

/* A container without a namespace of its own sees its part of the hierarchy mounted. */
static void a_part_that_is_mounted(void **state)
{
	(void)state;
	cgroup_places("9 8 0:1 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
		      "4:memory:/docker/x/inner\n", &p);
	assert_string_equal(p.v1[CGROUP_MEMORY].own, "/sys/fs/cgroup/memory/inner");
	cgroup_places("9 8 0:1 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
		      "4:memory:/docker/xy\n", &p);
	assert_string_equal(p.v1[CGROUP_MEMORY].own, "/sys/fs/cgroup/memory");
	cgroup_places("9 8 0:1 / /sys/fs/cgroup rw - cgroup2 none rw\n", "0::/../outside\n", &p);
	assert_string_equal(p.v2.own, "/sys/fs/cgroup");
}

static void an_escaped_space_in_a_mount(void **state)
{
	(void)state;
	cgroup_places("9 8 0:1 / /mnt/a\\040b rw - cgroup2 none rw\n", "0::/\n", &p);
	assert_string_equal(p.v2.own, "/mnt/a b");
}

static void texts_that_say_nothing(void **state)
{
	static char longest[3 * CGROUP_PATH + 64];
	static const char *const mounts[] = {
		"",
		"\n\n",
		"a b c\n",
		"9 8 0:1 / /m rw -\n",
		"9 8 0:1 / /m rw - cgroup2\n",
		"9 8 0:1 / /m rw",
		"9 8 0:1 / /m rw t t t t t t t t t t t t - cgroup2 x y\n"};
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
		cgroup_places(mounts[i], "0::/\n", &p);
		assert_int_equal(p.v2.version, 0);
	}
	cgroup_places("9 8 0:1 / /m rw - cgroup2 none rw\n", "nonsense\n0:\n::\n", &p);
	assert_int_equal(p.v2.version, 0);
	/* A path that is too long is no place, rather than another one. */
	n = strlen("0::/");
	memcpy(longest, "0::/", n);
	memset(longest + n, 'x', CGROUP_PATH);
	cgroup_places("9 8 0:1 / /m rw - cgroup2 none rw\n", longest, &p);
	assert_int_equal(p.v2.version, 0);
	memset(longest + n, 'x', sizeof longest - n - 1);
	cgroup_places("9 8 0:1 / /m rw - cgroup2 none rw\n", longest, &p);
	assert_int_equal(p.v2.version, 0);
}

static void what_a_limit_is_worth(void **state)
{
	static const struct {
		enum cgroup_limit l;
		int version;
		int64_t value;
		const char *file, *text;
	} rows[] = {
		{CGROUP_MEMORY, 1, 64, "memory.limit_in_bytes", "67108864"},
		{CGROUP_MEMORY, 2, 1, "memory.max", "1048576"},
		{CGROUP_MEMORY, 2, INT64_MAX, "memory.max", "9223372036854775807"},
		{CGROUP_CPU, 1, 50, "cpu.cfs_quota_us", "50000"},
		{CGROUP_CPU, 2, 250, "cpu.max", "250000 100000"},
		{CGROUP_CPU, 2, 1, "cpu.max", "1000 100000"},
		{CGROUP_PIDS, 1, 7, "pids.max", "7"},
		{CGROUP_PIDS, 2, 100000, "pids.max", "100000"},
	};
	char text[CGROUP_VALUE];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_string_equal(cgroup_limit_file(rows[i].l, rows[i].version), rows[i].file);
		cgroup_limit_value(rows[i].l, rows[i].version, rows[i].value, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void a_folder_names_its_instance(void **state)
{
	static const char *const none[] = {
		"", "web", "web@", "@5", "web@5x", "web@-1", "web@99999999999999999999"};
	char name[CGROUP_NAME], id[65];

	(void)state;
	cgroup_name("web", 42, name);
	assert_string_equal(name, "web@42");
	memset(id, 'a', 64);
	id[64] = 0;
	cgroup_name(id, UINT64_C(17446744073709551615), name);
	assert_true(cgroup_name_instance(name) == UINT64_C(17446744073709551615));
	assert_int_equal(strlen(name), 85);
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_true(cgroup_name_instance(none[i]) == 0);
}

static void kills_are_counted(void **state)
{
	(void)state;
	assert_int_equal(cgroup_oom_kills("low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\n"
					  "oom_group_kill 0\n"),
			 2);
	assert_int_equal(cgroup_oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 17\n"), 17);
	assert_int_equal(cgroup_oom_kills(""), 0);
	assert_int_equal(cgroup_oom_kills("oom_kill x\n"), 0);
	assert_true(cgroup_list_has("cpuset cpu io memory\n", "cpu"));
	assert_false(cgroup_list_has("cpuset io", "cpu"));
	assert_false(cgroup_list_has("", "cpu"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_versions_side_by_side),
		cmocka_unit_test(version_2_alone),
		cmocka_unit_test(a_part_that_is_mounted),
		cmocka_unit_test(an_escaped_space_in_a_mount),
		cmocka_unit_test(texts_that_say_nothing),
		cmocka_unit_test(what_a_limit_is_worth),
		cmocka_unit_test(a_folder_names_its_instance),
		cmocka_unit_test(kills_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
