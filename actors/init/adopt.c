/*
 * Processes that this pair did not start: those of a table whose pair died, and those that outlived
 * table and all. Each is known by more than its number before it is believed; its pipes are opened
 * again through its own descriptors. Nothing is started here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "actors/init/pair.h"
#include "actors/init/slots.h"
#include "lib/tree/proc_stat.h"

/* When /proc/PID appeared, 0: it is not there. */
static uint64_t appeared_wall_ns(int32_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d", pid);
	if (stat(path, &st) < 0)
		return 0;
	return (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec;
}

void adopt_slot(struct tree_slot *s)
{
	enum tree_state state = tree_state_of(atomic_load(&s->word));
	int32_t pid = atomic_load(&s->pid);

	s->pidfd = -1;
	if ((state != TREE_RUNNING && state != TREE_STARTING) || pid == 0)
		return;
	if (appeared_wall_ns(pid) + 2000000000u >= s->started_wall_ns)
		s->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (s->pidfd < 0)
		s->pidfd = -1;
}

/* One end of a pipe that the process has at 1 or 2; it may have put something else there. */
static int open_end(int32_t pid, int at, int flags)
{
	char path[64];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, at);
	if (stat(path, &st) < 0 || !S_ISFIFO(st.st_mode))
		return -1;
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && flags == O_RDWR)
		fcntl(fd, F_SETFL, 0);
	return fd < 0 ? -1 : fd;
}

static void open_streams(struct tree_stream *s, int32_t pid, bool out, bool err)
{
	int fds[4] = {-1, -1, -1, -1};

	for (int k = 0; k < 4; k++)
		if (k < 2 ? out : err)
			fds[k] = open_end(pid, k < 2 ? 1 : 2, k % 2 ? O_RDWR : O_RDONLY);
	memcpy(s->fds, fds, sizeof fds);
}

/* Whose descriptors lead to the pipes of the key: the pid, 0: nobody's. */
static int32_t writer_of(uint64_t key)
{
	for (int i = 0; i < atomic_load(&pair.table->high); i++) {
		struct tree_slot *s = &pair.table->slots[i];
		enum tree_state state = tree_state_of(atomic_load(&s->word));

		if (s->streams == key && (state == TREE_RUNNING || state == TREE_STARTING) &&
		    atomic_load(&s->pid) > 0)
			return atomic_load(&s->pid);
	}
	return 0;
}

void adopt_streams(void)
{
	for (int i = 0; i < atomic_load(&pair.table->streams_high); i++) {
		struct tree_stream *s = &pair.table->streams[i];
		int32_t pid = s->key ? writer_of(s->key) : 0;

		if (pid)
			open_streams(s, pid, s->fds[0] >= 0, s->fds[2] >= 0);
		else
			s->key = 0;
	}
}

static void take_streams(const struct tree_item *item)
{
	const struct tree_spec *spec = spawn_spec_at(item->spec);
	struct tree_stream *s = slots_stream(pair.table, item->streams);

	if (!spec || !item->streams || s)
		return;
	s = slots_stream_new(pair.table, item->streams);
	if (!s)
		return;
	memcpy(s->deployment, spec->deployment, sizeof s->deployment);
	open_streams(s, item->pid, spec->out == TREE_CAPTURE, spec->err == TREE_CAPTURE);
}

int adopt_living(const struct tree_item *item)
{
	int pidfd = (int)syscall(SYS_pidfd_open, item->pid, 0), i;
	struct proc_stat p;
	struct tree_slot *s;

	/* The number is the process's own as long as the pidfd is held. */
	if (pidfd < 0 || proc_stat(item->pid, &p) != 1 || p.start_ticks != item->start_ticks)
		i = -ESRCH;
	else
		i = slots_new(pair.table, item->instance, item->spec, item->streams);
	if (i < 0) {
		if (pidfd >= 0)
			close(pidfd);
		return i;
	}
	s = &pair.table->slots[i];
	take_streams(item);
	s->pidfd = pidfd;
	s->started_ns = pair_now_ns();
	s->started_wall_ns = appeared_wall_ns(item->pid);
	atomic_store(&s->pid, item->pid);
	atomic_store(&s->word, TREE_WORD(TREE_RUNNING, 0, 0));
	return i;
}
