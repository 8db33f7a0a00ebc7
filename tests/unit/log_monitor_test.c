/*
 * The captured streams' files, on real pipes and a real file system.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "actors/log-monitor/log_file.h"

struct place {
	char state[64];
	struct log_store store;
	struct log_file file;
	int pipe[2];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	snprintf(p->state, sizeof p->state, "/tmp/lops-log-test-XXXXXX");
	p->file = (struct log_file){.name = "out.log", .fd = -1};
	*state = p;
	return !mkdtemp(p->state) || log_store_open(&p->store, p->state) < 0 || pipe(p->pipe) < 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char logs[80];

	log_file_close(&p->file);
	log_store_forget(&p->store, "web");
	snprintf(logs, sizeof logs, "%s/logs", p->state);
	rmdir(logs);
	rmdir(p->state);
	log_store_done(&p->store);
	close(p->pipe[0]);
	close(p->pipe[1]);
	free(p);
	return 0;
}

static void say(struct place *p, const char *text)
{
	assert_int_equal(write(p->pipe[1], text, strlen(text)), strlen(text));
}

static ssize_t pump(struct place *p)
{
	return log_file_pump(&p->store, &p->file, "web", p->pipe[0], 65536);
}

static void path_of(struct place *p, const char *name, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/logs/web/%s", p->state, name);
}

static void holds(struct place *p, const char *name, const char *text)
{
	char path[128], got[256];
	int fd;
	ssize_t n;

	path_of(p, name, path, sizeof path);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, got, sizeof got - 1);
	close(fd);
	assert_true(n >= 0);
	got[n] = 0;
	assert_string_equal(got, text);
}

static bool is_there(struct place *p, const char *name)
{
	char path[128];

	path_of(p, name, path, sizeof path);
	return access(path, F_OK) == 0;
}

static void a_byte_makes_the_file(void **state)
{
	struct place *p = *state;
	struct stat st;
	char path[128];

	assert_int_equal(fcntl(p->pipe[0], F_SETFL, O_NONBLOCK), 0);
	say(p, "one\n");
	assert_int_equal(pump(p), 4);
	assert_int_equal(pump(p), -EAGAIN);
	holds(p, "out.log", "one\n");
	path_of(p, "out.log", path, sizeof path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	path_of(p, "", path, sizeof path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_later_opening_goes_on_at_the_end(void **state)
{
	struct place *p = *state;

	say(p, "one\n");
	pump(p);
	log_file_close(&p->file);
	say(p, "two\n");
	pump(p);
	holds(p, "out.log", "one\ntwo\n");
}

static void the_same_without_splice(void **state)
{
	struct place *p = *state;

	p->file.no_splice = true;
	say(p, "one\n");
	assert_int_equal(pump(p), 4);
	say(p, "two\n");
	assert_int_equal(pump(p), 4);
	holds(p, "out.log", "one\ntwo\n");
	assert_int_equal(pump(p), -EAGAIN);
}

static void rotation_cuts_at_a_line(void **state)
{
	struct place *p = *state;

	p->store.limits = (struct rotate_limits){.size_bytes = 4, .keep = 2};
	say(p, "begin");
	pump(p);
	say(p, "ning\nnext\n");
	pump(p);
	pump(p);
	holds(p, "out.log.1", "beginning\n");
	holds(p, "out.log", "next\n");
	say(p, "third\n");
	pump(p);
	say(p, "fourth\n");
	pump(p);
	holds(p, "out.log.2", "next\n");
	holds(p, "out.log.1", "third\n");
	holds(p, "out.log", "fourth\n");
	assert_false(is_there(p, "out.log.3"));
}

static void a_rotation_cut_short_costs_no_file(void **state)
{
	struct place *p = *state;
	char from[128], to[128];

	p->store.limits = (struct rotate_limits){.size_bytes = 1, .keep = 3};
	for (const char *const *t = (const char *const[]){"1\n", "2\n", "3\n", NULL}; *t; t++) {
		say(p, *t);
		pump(p);
	}
	/* As after a kill between the first and the second renaming. */
	path_of(p, "out.log.2", from, sizeof from);
	path_of(p, "out.log.3", to, sizeof to);
	assert_int_equal(rename(from, to), 0);
	say(p, "4\n");
	pump(p);
	holds(p, "out.log.3", "1\n");
	holds(p, "out.log.2", "2\n");
	holds(p, "out.log.1", "3\n");
	holds(p, "out.log", "4\n");
}

static void keep_none_deletes(void **state)
{
	struct place *p = *state;

	p->store.limits = (struct rotate_limits){.size_bytes = 1, .keep = 0};
	say(p, "1\n");
	pump(p);
	say(p, "2\n");
	pump(p);
	holds(p, "out.log", "2\n");
	assert_false(is_there(p, "out.log.1"));
}

static void links_and_fifos_are_refused(void **state)
{
	struct place *p = *state;
	char path[128];

	say(p, "x");
	pump(p);
	log_file_close(&p->file);
	path_of(p, "out.log", path, sizeof path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	say(p, "y");
	assert_int_equal(pump(p), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pump(p), -EBADF);
	/* What was refused is still in the pipe, to be written later or dropped. */
	assert_int_equal(log_store_drop(&p->store, p->pipe[0], 100), 1);
}

static void the_end_is_told(void **state)
{
	struct place *p = *state;

	close(p->pipe[1]);
	p->pipe[1] = open("/dev/null", O_WRONLY);
	assert_int_equal(pump(p), 0);
}

static void a_full_disk_takes_nothing_from_the_pipe(void **state)
{
	struct place *p = *state;
	static char page[4096];
	ssize_t n = 0, total = 0;
	int left = 0;

	if (mount("lops-test", p->state, "tmpfs", 0, "size=64k") < 0)
		skip(); /* not root */
	for (int i = 0; i < 64 && n >= 0; i++) {
		assert_int_equal(write(p->pipe[1], page, sizeof page), sizeof page);
		n = pump(p);
		total += n > 0 ? n : 0;
	}
	assert_int_equal(n, -ENOSPC);
	assert_int_equal(p->file.size, total);
	assert_int_equal(ioctl(p->pipe[0], FIONREAD, &left), 0);
	assert_int_equal(left, sizeof page);
	log_file_close(&p->file);
	close(p->store.logs_fd);
	p->store.logs_fd = -1;
	assert_int_equal(umount2(p->state, MNT_DETACH), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_byte_makes_the_file),
		T(a_later_opening_goes_on_at_the_end),
		T(the_same_without_splice),
		T(rotation_cuts_at_a_line),
		T(a_rotation_cut_short_costs_no_file),
		T(keep_none_deletes),
		T(links_and_fifos_are_refused),
		T(the_end_is_told),
		T(a_full_disk_takes_nothing_from_the_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
