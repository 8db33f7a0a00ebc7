/*
 * Making a child. The kernel writes its pid into the table before it runs (CLONE_PARENT_SETTID), so
 * that a start cut off anywhere leaves either a pid or the proof that there is no child. Between
 * clone and exec the child shares our memory: it makes system calls and writes into its own slot
 * only.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "actors/init/pair.h"
#include "actors/init/slots.h"

enum { STACK_BYTES = 64 * 1024, ENVIRONMENT_MAX = TREE_STRINGS_MAX + 8, CLONE_TRIES = 50 };

struct child {
	struct tree_slot *slot;
	const struct tree_spec *spec; /* NULL: an actor */
	const char *file;             /* of an actor */
	char *argv[TREE_STRINGS_MAX + 1];
	char *envp[ENVIRONMENT_MAX + 1];
	const char *paths[64];
	uint32_t n_paths;
};

static struct child child;
static char stack[STACK_BYTES] __attribute__((aligned(16)));
static char instance_text[40];

/* --- in the child --- */

static const char *string_of(const struct tree_spec *s, uint32_t offset)
{
	return (const char *)s + offset;
}

static _Noreturn void fail(enum tree_stage stage, int error)
{
	atomic_store(&child.slot->stage_error, (uint32_t)stage << 16 | (uint32_t)error);
	syscall(SYS_exit_group, 127);
	__builtin_unreachable();
}

static void set_limit(int which, int64_t value)
{
	struct rlimit limit = {.rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value};

	if (value == TREE_UNSET)
		return;
	if (value < 0)
		limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
	if (syscall(SYS_prlimit64, 0, which, &limit, NULL) < 0)
		fail(TREE_STAGE_LIMITS, errno);
}

static void write_oom_score(int64_t value)
{
	char text[16];
	int fd, len = snprintf(text, sizeof text, "%d", (int)value);

	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, text, (size_t)len) < 0)
		len = 0; /* lowering it needs a right that an ordinary user has not */
	close(fd);
}

static void set_limits(const struct tree_spec *s)
{
	struct rlimit files;

	if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &files) == 0) {
		files.rlim_cur = pair.table->base_nofile < files.rlim_max ? pair.table->base_nofile
									  : files.rlim_max;
		syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &files, NULL);
	}
	set_limit(RLIMIT_NOFILE, s->nofile);
	set_limit(RLIMIT_NPROC, s->nproc);
	set_limit(RLIMIT_CORE, s->core_bytes);
	set_limit(RLIMIT_AS, s->address_space_bytes);
	if (s->nice != TREE_UNSET && setpriority(PRIO_PROCESS, 0, (int)s->nice) < 0)
		fail(TREE_STAGE_LIMITS, errno);
	write_oom_score(s->oom_score_adj == TREE_UNSET ? 0 : s->oom_score_adj);
	if (s->umask >= 0)
		umask((mode_t)s->umask);
	if (s->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail(TREE_STAGE_LIMITS, errno);
}

/* Limits of the whole tree hold from before the program's first instruction. */
static void enter_cgroups(const struct tree_spec *s)
{
	const uint32_t *items = (const void *)((const uint8_t *)s + s->cgroups);

	for (uint32_t i = 0; i < s->n_cgroups; i++) {
		int fd = open(string_of(s, items[i]), O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) < 0)
			fail(TREE_STAGE_CGROUP, errno);
		close(fd);
	}
}

/* Raw calls: glibc's would signal the threads of a process whose memory we share. */
static void set_user(const struct tree_spec *s)
{
	if (s->gid != UINT32_MAX) {
		const void *groups = (const uint8_t *)s + s->groups;

		if (syscall(SYS_setgroups, (size_t)s->n_groups, groups) < 0 &&
		    !(errno == EPERM && s->n_groups == 0))
			fail(TREE_STAGE_USER, errno);
		if (syscall(SYS_setresgid, s->gid, s->gid, s->gid) < 0)
			fail(TREE_STAGE_USER, errno);
	}
	if (s->uid != UINT32_MAX && syscall(SYS_setresuid, s->uid, s->uid, s->uid) < 0)
		fail(TREE_STAGE_USER, errno);
}

/* The log file of the deployment's own, opened with its rights. */
static void open_log(const struct tree_spec *s, uint32_t file, int target)
{
	int fd = open(string_of(s, file), O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK,
		      0644);
	struct stat st;

	if (fd < 0)
		fail(TREE_STAGE_LOG, errno);
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISCHR(st.st_mode)))
		fail(TREE_STAGE_LOG, EINVAL);
	fcntl(fd, F_SETFL, O_APPEND);
	if (fd != target && (dup2(fd, target) < 0 || close(fd) < 0))
		fail(TREE_STAGE_LOG, errno);
}

/* Leaves the shared descriptor table with nothing but 0 to 5, then moves the stdio into place. */
static void set_files(void)
{
	if (syscall(SYS_close_range, PAIR_SPAWN_FD + 3u, ~0u, CLOSE_RANGE_UNSHARE) < 0) {
		if (unshare(CLONE_FILES) < 0)
			fail(TREE_STAGE_FILES, errno);
		for (int fd = PAIR_SPAWN_FD + 3; fd < PAIR_FDS_MAX; fd++)
			close(fd);
	}
	for (int i = 0; i < 3; i++)
		if (dup2(PAIR_SPAWN_FD + i, i) < 0)
			fail(TREE_STAGE_FILES, errno);
	for (int i = 0; i < 3; i++)
		close(PAIR_SPAWN_FD + i);
}

static void exec_deployment(void)
{
	int error = ENOENT;

	for (uint32_t i = 0; i < child.n_paths; i++) {
		execve(child.paths[i], child.argv, child.envp);
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
	}
	fail(TREE_STAGE_EXEC, error);
}

static int child_main(void *arg)
{
	const struct tree_spec *s = child.spec;
	sigset_t none;

	(void)arg;
	setsid();
	set_files();
	sigemptyset(&none);
	if (!s) {
		write_oom_score(-900);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execve(child.file, child.argv, child.envp);
		fail(TREE_STAGE_EXEC, errno);
	}
	prctl(PR_SET_DUMPABLE, 1); /* the pair's own setting is not the program's */
	enter_cgroups(s);
	set_limits(s);
	set_user(s);
	if (s->folder && chdir(string_of(s, s->folder)) < 0)
		fail(TREE_STAGE_FOLDER, errno);
	if (s->out == TREE_FILE)
		open_log(s, s->out_file, 1);
	if (s->err == TREE_FILE)
		open_log(s, s->err_file, 2);
	if (s->err == TREE_JOIN && dup2(1, 2) < 0)
		fail(TREE_STAGE_FILES, errno);
	sigprocmask(SIG_SETMASK, &none, NULL);
	exec_deployment();
	return 127;
}

/* --- in the worker --- */

static bool string_is_within(const struct tree_spec *s, uint32_t offset)
{
	return offset >= sizeof *s && offset < s->length &&
	       memchr((const char *)s + offset, 0, s->length - offset);
}

static bool numbers_are_within(const struct tree_spec *s, uint32_t offset, uint32_t n)
{
	return offset % 4 == 0 && offset >= sizeof *s && offset <= s->length &&
	       (s->length - offset) / 4 >= n;
}

static bool array_is_within(const struct tree_spec *s, uint32_t offset, uint32_t n)
{
	const uint32_t *items = (const void *)((const uint8_t *)s + offset);

	if (n > TREE_STRINGS_MAX || !numbers_are_within(s, offset, n))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!string_is_within(s, items[i]))
			return false;
	return true;
}

const struct tree_spec *spawn_spec_at(uint64_t offset)
{
	const struct tree_spec *s = (const void *)(pair.arena + offset);

	if (offset % 8 || offset > TREE_ARENA_BYTES - sizeof *s || s->magic != TREE_SPEC_MAGIC ||
	    s->length < sizeof *s || s->length > TREE_ARENA_BYTES - offset ||
	    s->n_groups > TREE_GROUPS_MAX ||
	    (s->n_groups && !numbers_are_within(s, s->groups, s->n_groups)) ||
	    !memchr(s->deployment, 0, sizeof s->deployment) ||
	    (s->folder && !string_is_within(s, s->folder)) ||
	    (s->out == TREE_FILE && !string_is_within(s, s->out_file)) ||
	    (s->err == TREE_FILE && !string_is_within(s, s->err_file)) ||
	    !array_is_within(s, s->paths, s->n_paths) ||
	    s->n_paths > sizeof child.paths / sizeof *child.paths ||
	    !array_is_within(s, s->argv, s->n_argv) || s->n_argv == 0 ||
	    !array_is_within(s, s->envp, s->n_envp) || s->n_cgroups > TREE_CGROUPS_MAX ||
	    (s->n_cgroups && !array_is_within(s, s->cgroups, s->n_cgroups)))
		return NULL;
	return s;
}

/* exec takes pointers to char although it writes nothing. */
static char *unconst(const char *text)
{
	union {
		const char *in;
		char *out;
	} u = {.in = text};

	return u.out;
}

static void point_at(const struct tree_spec *s, uint32_t offset, uint32_t n, char **ret)
{
	const uint32_t *items = (const void *)((const uint8_t *)s + offset);

	for (uint32_t i = 0; i < n; i++)
		ret[i] = unconst(string_of(s, items[i]));
	ret[n] = NULL;
}

/* A program whose output is itself an end to read from never meets a broken pipe, whoever of ours
 * is dead: it waits, at worst, until the pipe is opened again through it. */
static void open_both_ways(int *fd)
{
	char path[40];
	int both;

	snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
	both = open(path, O_RDWR | O_CLOEXEC);
	if (both < 0)
		return;
	close(*fd);
	*fd = both;
}

static int make_pipe(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC) < 0) {
		fds[0] = fds[1] = -1;
		return -errno;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	open_both_ways(&fds[1]);
	/* Past the user's quota the kernel gives 8 KiB; 16 still works for most. */
	if (fcntl(fds[1], F_GETPIPE_SZ) < 16384)
		fcntl(fds[1], F_SETPIPE_SZ, 16384);
	return 0;
}

static int open_streams(const struct tree_spec *s, uint64_t key)
{
	struct tree_stream *st = slots_stream(pair.table, key);
	int err = 0, fds[4] = {-1, -1, -1, -1};

	if (st)
		return 0;
	if (s->out == TREE_CAPTURE)
		err = make_pipe(fds);
	if (!err && s->err == TREE_CAPTURE)
		err = make_pipe(fds + 2);
	MARK(8);
	if (!err)
		st = slots_stream_new(pair.table, key);
	if (!st) {
		for (int i = 0; i < 4; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		return err ? err : -ENOSPC;
	}
	memcpy(st->fds, fds, sizeof fds);
	memcpy(st->deployment, s->deployment, sizeof st->deployment);
	return 0;
}

static int place_stdio(int out, int err)
{
	if (dup2(pair.null_fd, PAIR_SPAWN_FD) < 0 ||
	    dup2(out >= 0 ? out : pair.null_fd, PAIR_SPAWN_FD + 1) < 0 ||
	    dup2(err >= 0 ? err : pair.null_fd, PAIR_SPAWN_FD + 2) < 0)
		return -errno;
	return 0;
}

static int clone_child(struct tree_slot *slot)
{
	int pid;

	slot->started_ns = pair_now_ns();
	slot->started_wall_ns = pair_wall_ns();
	MARK(5);
	pid = clone(child_main, stack + sizeof stack,
		    CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PARENT_SETTID | SIGCHLD, NULL,
		    &slot->pid);
	MARK(6);
	if (pid < 0)
		return -errno;
	slot->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	slots_running(slot);
	MARK(7);
	return 0;
}

/* A start that can't be: recorded like an exit, so that it is reported and confirmed the same way.
 */
static int never(struct tree_slot *slot, enum tree_stage stage, int err)
{
	atomic_store(&slot->stage_error, (uint32_t)stage << 16 | (uint32_t)-err);
	slots_record(slot, TREE_HOW_NEVER, 0, pair_now_ns(), pair_wall_ns());
	return -ECANCELED; /* whatever it was: it is not tried again */
}

int spawn_slot(int i)
{
	struct tree_slot *slot = &pair.table->slots[i];
	const struct tree_spec *s = spawn_spec_at(slot->spec);
	struct tree_stream *st;
	int err;

	if (!s)
		return never(slot, TREE_STAGE_SPEC, -EINVAL);
	err = slot->streams ? open_streams(s, slot->streams) : 0;
	if (err)
		return never(slot, TREE_STAGE_PIPES, err);
	st = slots_stream(pair.table, slot->streams);
	err = place_stdio(st && s->out == TREE_CAPTURE ? st->fds[1] : -1,
			  st && s->err == TREE_CAPTURE ? st->fds[3] : -1);
	if (err)
		return never(slot, TREE_STAGE_PIPES, err);
	child.slot = slot;
	child.spec = s;
	child.n_paths = s->n_paths;
	for (uint32_t k = 0; k < s->n_paths; k++)
		child.paths[k] = string_of(
			s, ((const uint32_t *)(const void *)((const uint8_t *)s + s->paths))[k]);
	point_at(s, s->argv, s->n_argv, child.argv);
	snprintf(instance_text, sizeof instance_text, "LOPS_INSTANCE=%llu",
		 (unsigned long long)slot->instance);
	child.envp[0] = instance_text;
	point_at(s, s->envp, s->n_envp, child.envp + 1);
	err = clone_child(slot);
	if ((err == -EAGAIN || err == -ENOMEM) && slot->tries++ < CLONE_TRIES)
		return -EAGAIN;
	return err ? never(slot, TREE_STAGE_CLONE, err) : 0;
}

int spawn_actor(struct tree_actor *a)
{
	static char path[4096], name[TREE_ROLE_BYTES + 8];
	int n = 0, err = place_stdio(STDERR_FILENO, STDERR_FILENO);

	if (err)
		return err;
	snprintf(name, sizeof name, "lops-%s", a->name);
	snprintf(path, sizeof path, "%s/%s", pair.libexec, name);
	atomic_store(&a->ready, 0);
	a->silent_ticks = 0;
	a->slot.pidfd = -1;
	atomic_store(&a->slot.pid, 0);
	atomic_store(&a->slot.stage_error, 0);
	child.slot = &a->slot;
	child.spec = NULL;
	child.file = path;
	child.argv[0] = name;
	child.argv[1] = NULL;
	while (pair.environment[n] && n < ENVIRONMENT_MAX) {
		child.envp[n] = pair.environment[n];
		n++;
	}
	child.envp[n] = NULL;
	slots_commit_start(&a->slot);
	return clone_child(&a->slot);
}
