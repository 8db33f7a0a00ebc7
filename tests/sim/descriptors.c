/*
 * Descriptors and the calls that take or give them, by --wrap: what is not one of ours goes to the
 * real call.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tests/sim/kernel.h"
#include "tests/sim/wrap.h"

enum { WALK_MAX = 65536, TEXTS = 16 };

static struct fd *fds;
static uint32_t n_fds, cap_fds;
static int *opened; /* their numbers */
static uint32_t n_opened, cap_opened;
static struct { /* what a read of a file gives; few are open at a time */
	char at[160];
	int len, done;
} texts[TEXTS];
static uint32_t n_texts;
static struct { /* the one directory stream that is open at a time */
	int32_t pids[WALK_MAX];
	uint32_t n, at;
} walk;

void fds_begin(void)
{
	n_fds = n_opened = 0;
}

void fds_end(void)
{
	free(fds);
	free(opened);
	fds = NULL;
	opened = NULL;
	n_fds = cap_fds = n_opened = cap_opened = 0;
}

/* A number is never given out again: one that is closed twice shows. */
int fd_new(enum fd_kind kind, bool of_pair)
{
	if (n_fds == cap_fds) {
		cap_fds = cap_fds ? 2 * cap_fds : 1024;
		fds = realloc(fds, cap_fds * sizeof *fds);
		if (!fds)
			abort();
	}
	if (n_opened == cap_opened) {
		cap_opened = cap_opened ? 2 * cap_opened : 256;
		opened = realloc(opened, cap_opened * sizeof *opened);
		if (!opened)
			abort();
	}
	fds[n_fds] = (struct fd){.kind = kind, .of_pair = of_pair, .place = n_opened};
	opened[n_opened++] = SIM_FD + (int)n_fds;
	return SIM_FD + (int)n_fds++;
}

struct fd *fd_of(int fd)
{
	if (fd < SIM_FD || (uint32_t)(fd - SIM_FD) >= n_fds || !fds[fd - SIM_FD].kind)
		return NULL;
	return &fds[fd - SIM_FD];
}

void fds_each(void (*fn)(int fd, struct fd *f))
{
	for (uint32_t i = n_opened; i-- > 0;)
		if (i < n_opened)
			fn(opened[i], fd_of(opened[i]));
}

void fd_close(int fd)
{
	struct fd *f = fd_of(fd);

	if (!f)
		return;
	if (f->kind == FD_CONNECTION)
		wire_closed(fd);
	f->kind = FD_FREE;
	f->watched = false;
	opened[f->place] = opened[--n_opened];
	if (f->place < n_opened)
		fd_of(opened[f->place])->place = f->place;
}

bool fd_is_ready(int fd)
{
	struct fd *f = fd_of(fd);
	struct proc *p;

	if (!f || !f->watched)
		return false;
	switch (f->kind) {
	case FD_CONNECTION:
		return wire_is_ready(fd);
	case FD_PIDFD:
		p = kernel_proc(f->pid);
		return !p || p->state != PROC_LIVES;
	case FD_NOTIFY:
		return false;
	case FD_SIGNALS:
		return pair_signals_wait();
	case FD_BELL:
		return pair_bell_rings();
	case FD_LISTEN:
		return wire_has_pending();
	default:
		return false;
	}
}

/* --- files of /proc --- */

static void set_text(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void set_text(int fd, const char *fmt, ...)
{
	va_list args;

	fd_of(fd)->text = n_texts++ % TEXTS;
	va_start(args, fmt);
	texts[fd_of(fd)->text].len =
		vsnprintf(texts[fd_of(fd)->text].at, sizeof texts->at, fmt, args);
	va_end(args);
	texts[fd_of(fd)->text].done = 0;
}

/* Whether the path is ours; then *ret_fd is what open gives. */
static bool open_proc(const char *path, int *ret_fd)
{
	bool is_boot = strcmp(path, "/proc/sys/kernel/random/boot_id") == 0;
	char what[16] = "";
	int pid = 0, fd;
	struct proc *p;

	if (strncmp(path, "/proc/self/fd/", 14) == 0 && pair_acts()) {
		errno = ENOENT;
		*ret_fd = -1;
		return true;
	}
	if (!is_boot && (sscanf(path, "/proc/%d/%15s", &pid, what) != 2 || pid < SIM_PID))
		return false;
	p = kernel_proc(pid);
	if (!is_boot && !p) {
		errno = ENOENT;
		*ret_fd = -1;
		return true;
	}
	pair_step();
	fd = fd_new(strncmp(what, "fd/", 3) == 0 ? FD_PIPE : FD_TEXT, pair_acts());
	if (is_boot)
		set_text(fd, "%s\n", kernel_boot_id());
	else if (strcmp(what, "stat") == 0)
		set_text(fd, "%d (x) %c %d %d %d 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %llu 0 0",
			 (int)p->pid, p->state == PROC_ZOMBIE ? 'Z' : 'S', (int)p->parent,
			 (int)p->session, (int)p->session, (unsigned long long)p->start_ticks);
	else if (strcmp(what, "environ") == 0)
		set_text(fd, "LOPS_INSTANCE=%llu", (unsigned long long)p->instance);
	*ret_fd = fd;
	return true;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;
	int fd;

	if (open_proc(path, &fd))
		return fd;
	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return __real_open(path, flags, mode);
}

/* /proc/PID, and a descriptor in it: a pipe. */
int __wrap_stat(const char *path, struct stat *ret_st)
{
	char what[16] = "";
	int pid = 0;

	if (sscanf(path, "/proc/%d/%15s", &pid, what) < 1 || pid < SIM_PID)
		return __real_stat(path, ret_st);
	pair_step();
	if (!kernel_proc(pid)) {
		errno = ENOENT;
		return -1;
	}
	memset(ret_st, 0, sizeof *ret_st);
	ret_st->st_mode = what[0] ? S_IFIFO : S_IFDIR;
	ret_st->st_ctim.tv_sec = (time_t)(world_wall_ns() / 1000000000u);
	return 0;
}

static ssize_t read_signals(void *to, size_t size)
{
	struct signalfd_siginfo s = {.ssi_signo = 17};

	if (!pair_signals_wait() || size < sizeof s) {
		errno = EAGAIN;
		return -1;
	}
	pair_signals_taken();
	memcpy(to, &s, sizeof s);
	return sizeof s;
}

ssize_t __wrap_read(int fd, void *to, size_t size)
{
	struct fd *f = fd_of(fd);
	size_t n;

	if (!f)
		return __real_read(fd, to, size);
	pair_step();
	if (f->kind == FD_SIGNALS)
		return read_signals(to, size);
	if (f->kind == FD_BELL) {
		memset(to, 0, size);
		pair_bell_taken();
		return (ssize_t)size;
	}
	n = (size_t)(texts[f->text].len - texts[f->text].done);
	n = n < size ? n : size;
	memcpy(to, texts[f->text].at + texts[f->text].done, n);
	texts[f->text].done += (int)n;
	return (ssize_t)n;
}

int __wrap_close(int fd)
{
	if (fd < SIM_FD)
		return __real_close(fd);
	pair_step();
	if (!fd_of(fd))
		violated("I14 descriptors", "%s closes %d, which is not open",
			 pair_acts() ? "lops-init" : "somebody", fd - SIM_FD);
	fd_close(fd);
	return 0;
}

static void note_pid(void *arg, struct proc *p)
{
	(void)arg;
	if (walk.n < WALK_MAX)
		walk.pids[walk.n++] = p->pid;
}

DIR *__wrap_opendir(const char *path)
{
	if (strcmp(path, "/proc") != 0)
		return __real_opendir(path);
	walk.n = walk.at = 0;
	kernel_each(note_pid, NULL);
	return (DIR *)(void *)&walk;
}

struct dirent *__wrap_readdir(DIR *d)
{
	static struct dirent e;

	if ((void *)d != &walk)
		return __real_readdir(d);
	if (walk.at == walk.n)
		return NULL;
	snprintf(e.d_name, sizeof e.d_name, "%d", (int)walk.pids[walk.at++]);
	return &e;
}

int __wrap_closedir(DIR *d)
{
	return (void *)d == &walk ? 0 : __real_closedir(d);
}

/* --- the worker's --- */

int __wrap_epoll_create1(int flags)
{
	(void)flags;
	pair_step();
	return fd_new(FD_OTHER, true);
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
	struct fd *f = fd_of(fd);

	(void)epoll;
	pair_step();
	if (!f) {
		errno = EBADF;
		return -1;
	}
	f->watched = op != EPOLL_CTL_DEL;
	if (f->watched)
		f->tag = e->data.u64;
	return 0;
}

int __wrap_signalfd(int fd, const sigset_t *mask, int flags)
{
	(void)fd;
	(void)mask;
	(void)flags;
	return fd_new(FD_SIGNALS, true);
}

int __wrap_accept4(int fd, struct sockaddr *at, socklen_t *len, int flags)
{
	(void)fd;
	(void)at;
	(void)len;
	(void)flags;
	pair_step();
	fd = wire_accept();
	if (fd < 0)
		errno = EAGAIN;
	return fd;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct ucred peer = {.pid = wire_peer_pid(fd)};

	if (!fd_of(fd))
		return __real_getsockopt(fd, level, name, value, len);
	memcpy(value, &peer, sizeof peer);
	return 0;
}

int __wrap_pipe2(int ends[2], int flags)
{
	(void)flags;
	pair_step();
	ends[0] = fd_new(FD_PIPE, true);
	ends[1] = fd_new(FD_PIPE, true);
	return 0;
}

int __wrap_fcntl(int fd, int what, ...)
{
	va_list args;
	long arg;

	if (fd_of(fd))
		return 65536;
	va_start(args, what);
	arg = va_arg(args, long);
	va_end(args);
	return __real_fcntl(fd, what, arg);
}

int __wrap_dup2(int from, int to)
{
	(void)from;
	pair_step();
	return to;
}
