/*
 * The two members watching each other: heartbeats in the table, verdicts on silence, the chain of
 * parents, and the fork that makes a new member. Misses are counted in own ticks and forgotten when
 * the own tick came late; a stopped member gets SIGCONT before anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "actors/init/pair.h"
#include "lib/tree/proc_stat.h"

enum { PATIENCE_RUNNING = 20, PATIENCE_VERDICT = 4 };

struct watch {
	int32_t pid;
	uint64_t beat;
	uint32_t misses;
};

static struct watch lower_watch, upper_watch;
static uint64_t last_tick_ns;

static struct tree_member *member(int k)
{
	return &pair.table->members[k];
}

static bool is_used(int k)
{
	return atomic_load(&member(k)->state) != TREE_MEMBER_FREE;
}

int watch_member_of(int32_t pid)
{
	for (int k = 0; k < TREE_MEMBERS; k++)
		if (is_used(k) && atomic_load(&member(k)->pid) == pid)
			return k;
	return -1;
}

static int lower(void)
{
	for (int k = 0; k < TREE_MEMBERS; k++)
		if (k != pair.me && is_used(k) && atomic_load(&member(k)->upper) == pair.me)
			return k;
	return -1;
}

int watch_lower_pid(void)
{
	int k = lower();

	return k < 0 ? 0 : atomic_load(&member(k)->pid);
}

int watch_members(void)
{
	int n = 0;

	for (int k = 0; k < TREE_MEMBERS; k++)
		n += is_used(k);
	return n;
}

char watch_state_of(int32_t pid, int32_t *ret_parent)
{
	struct proc_stat p;
	int got = proc_stat(pid, &p);

	if (got <= 0)
		return got < 0 ? '?' : 0;
	*ret_parent = (int32_t)p.ppid;
	return p.state;
}

static void clear_verdict(void)
{
	atomic_store(&pair.table->verdict, 0);
}

/* Only one member may judge the other at a time; a silent judge is overruled. */
static bool may_judge(const struct watch *w)
{
	uint64_t mine = (uint64_t)(pair.me + 1) << 32 | (uint32_t)w->pid, other = 0;

	if (atomic_compare_exchange_strong(&pair.table->verdict, &other, mine) || other == mine)
		return true;
	if (w->misses < pair.table->miss_max * PATIENCE_VERDICT)
		return false;
	return atomic_compare_exchange_strong(&pair.table->verdict, &other, mine);
}

static void judge(struct watch *w, int k)
{
	int32_t pid = k < 0 ? 0 : atomic_load(&member(k)->pid), parent;
	uint64_t beat = k < 0 ? 0 : atomic_load(&member(k)->beat);
	char letter;

	if (pid != w->pid || beat != w->beat) {
		*w = (struct watch){.pid = pid, .beat = beat};
		return;
	}
	if (pid == 0 || ++w->misses < pair.table->miss_max)
		return;
	letter = watch_state_of(pid, &parent);
	if (letter == 'T') {
		kill(pid, SIGCONT);
		w->misses = 0;
		return;
	}
	/* Running or in the kernel: starved, or being killed can't help yet. */
	if (letter != 'S' && w->misses < pair.table->miss_max * PATIENCE_RUNNING)
		return;
	if (!may_judge(w))
		return;
	if (atomic_load(&member(k)->pid) == pid && atomic_load(&member(k)->beat) == w->beat) {
		kill(pid, SIGKILL);
		atomic_fetch_add(&pair.table->n_hang_kills, 1);
	}
	w->misses = 0;
}

void watch_tick(void)
{
	uint64_t now = pair_now_ns(), tick_ns = (uint64_t)pair.table->tick_ms * 1000000;
	bool late = last_tick_ns && now - last_tick_ns > 3 * tick_ns;
	int up = atomic_load(&member(pair.me)->upper);

	if (now - last_tick_ns < tick_ns * 9 / 10)
		return;
	last_tick_ns = now;
	atomic_fetch_add(&member(pair.me)->beat, 1);
	if (late) {
		lower_watch.misses = upper_watch.misses = 0;
		return;
	}
	judge(&lower_watch, lower());
	judge(&upper_watch, up);
}

void watch_upper(void)
{
	int up = atomic_load(&member(pair.me)->upper), now;
	int32_t parent = getppid();

	if (up < 0 || atomic_load(&member(up)->pid) == parent)
		return;
	now = watch_member_of(parent);
	atomic_store(&member(pair.me)->upper, now);
	atomic_fetch_add(&pair.table->n_takeovers, 1);
	MARK(21);
	if (now < 0) {
		atomic_store(&member(up)->state, TREE_MEMBER_FREE);
		atomic_store(&member(up)->pid, 0);
	}
	clear_verdict();
	pair_ring(-1);
}

static void become_member(int k)
{
	pair.me = k;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0);
	last_tick_ns = 0;
	lower_watch = upper_watch = (struct watch){0};
	watch_upper(); /* the parent may have died before the signal was asked for */
	MARK(17);
	atomic_store(&member(k)->state, TREE_MEMBER_ACTIVE);
}

int watch_fork_worker(void)
{
	struct tree_member *m = NULL;
	long pid;
	int k = 0;

	while (k < TREE_MEMBERS && is_used(k))
		k++;
	if (k == TREE_MEMBERS)
		return -EAGAIN;
	m = member(k);
	atomic_store(&m->pid, 0);
	atomic_store(&m->upper, pair.me);
	atomic_store(&m->beat, 0);
	atomic_store(&m->state, TREE_MEMBER_JOINING);
	clear_verdict();
	MARK(14);
	/* A fork that shares the descriptors; the kernel writes the pid before the child runs. */
	pid = syscall(SYS_clone, CLONE_FILES | CLONE_PARENT_SETTID | SIGCHLD, NULL, &m->pid, NULL,
		      0);
	if (pid < 0) {
		atomic_store(&m->state, TREE_MEMBER_FREE);
		return -errno;
	}
	if (pid > 0) {
		MARK(15);
		return 0;
	}
	MARK(16);
	become_member(k);
	return 1;
}

/* --- descriptors that nobody owns: a dead worker's connections, epoll, half-made pipes --- */

static uint8_t owned[PAIR_FDS_MAX / 8];

static void own(int fd)
{
	if (fd >= 0 && fd < PAIR_FDS_MAX)
		owned[fd / 8] |= (uint8_t)(1u << (fd % 8));
}

static void own_all(void)
{
	struct tree_table *t = pair.table;
	int kept[] = {0,
		      1,
		      2,
		      3,
		      4,
		      5,
		      pair.table_fd,
		      pair.arena_fd,
		      pair.lock_fd,
		      pair.listen_fd,
		      pair.notify_fd,
		      pair.bell_fd,
		      pair.null_fd};

	memset(owned, 0, sizeof owned);
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		own(kept[i]);
	for (int i = 0; i < atomic_load(&t->high); i++)
		if (tree_state_of(atomic_load(&t->slots[i].word)) != TREE_FREE)
			own(t->slots[i].pidfd);
	for (int i = 0; i < atomic_load(&t->n_actors); i++)
		own(t->actors[i].slot.pidfd);
	for (int i = 0; i < atomic_load(&t->streams_high); i++)
		for (int k = 0; k < 4 && t->streams[i].key; k++)
			own(t->streams[i].fds[k]);
}

void sweep_descriptors(void)
{
	int from = -1;

	own_all();
	for (int fd = 0; fd <= PAIR_FDS_MAX; fd++) {
		bool is_owned = fd < PAIR_FDS_MAX && (owned[fd / 8] >> (fd % 8) & 1);

		if (fd < PAIR_FDS_MAX && !is_owned && from < 0)
			from = fd;
		if ((is_owned || fd == PAIR_FDS_MAX) && from >= 0) {
			syscall(SYS_close_range, (unsigned)from, (unsigned)fd - 1, 0);
			from = -1;
		}
	}
	MARK(20);
}
