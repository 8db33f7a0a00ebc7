/*
 * Recording exits: peek (WNOWAIT), record in the table, act, reap. Whoever dies in between leaves
 * either an unrecorded zombie, which the next one peeks at, or a recorded one, which is just
 * reaped.
 */
#include <errno.h>
#include <linux/ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "actors/init/pair.h"
#include "actors/init/slots.h"

/* Of linux/pidfd.h (6.13 and later); older headers lack it. */
struct exit_info {
	uint64_t mask, cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define EXIT_INFO_MASK 8
#define EXIT_INFO_GET  _IOWR(0xFF, 11, struct exit_info)

static int wait_status(const siginfo_t *si)
{
	if (si->si_code == CLD_EXITED)
		return (si->si_status & 0xff) << 8;
	return (si->si_status & 0x7f) | (si->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* What a member that died below us had is ours: its lower one too. */
static void inherit(int k)
{
	struct tree_table *t = pair.table;

	for (int i = 0; i < TREE_MEMBERS; i++) {
		struct tree_member *m = &t->members[i];

		if (atomic_load(&m->state) == TREE_MEMBER_FREE || atomic_load(&m->upper) != k)
			continue;
		if (atomic_load(&m->pid) == 0)
			atomic_store(&m->state, TREE_MEMBER_FREE);
		else
			atomic_store(&m->upper, pair.me);
	}
	MARK(22);
	atomic_store(&t->members[k].state, TREE_MEMBER_FREE);
	atomic_store(&t->members[k].pid, 0);
}

static struct tree_actor *actor_of_pid(int32_t pid)
{
	struct tree_table *t = pair.table;

	for (int i = 0; i < atomic_load(&t->n_actors); i++)
		if (atomic_load(&t->actors[i].slot.pid) == pid)
			return &t->actors[i];
	return NULL;
}

static bool is_recorded(int32_t pid)
{
	struct tree_table *t = pair.table;

	for (int i = 0; i < atomic_load(&t->high); i++)
		if (atomic_load(&t->slots[i].pid) == pid &&
		    tree_state_of(atomic_load(&t->slots[i].word)) == TREE_EXITED)
			return true;
	return false;
}

static bool record_one(const siginfo_t *si, bool as_worker, void (*on_exit)(int slot))
{
	int k = watch_member_of(si->si_pid), i;
	struct tree_actor *a;

	if (k >= 0 && k != pair.me) {
		inherit(k);
		return true;
	}
	a = actor_of_pid(si->si_pid);
	if (a) {
		slots_record(&a->slot, TREE_HOW_WAIT, wait_status(si), pair_now_ns(),
			     pair_wall_ns());
		return false;
	}
	i = slots_of_pid(pair.table, si->si_pid);
	if (i < 0) {
		if (!is_recorded(si->si_pid))
			atomic_fetch_add(&pair.table->n_strays, 1);
		return false;
	}
	slots_record(&pair.table->slots[i], TREE_HOW_WAIT, wait_status(si), pair_now_ns(),
		     pair_wall_ns());
	MARK(2);
	if (as_worker)
		on_exit(i);
	else
		pair_ring(i);
	return false;
}

bool reap_all(bool as_worker, void (*on_exit)(int slot))
{
	bool member_died = false;

	for (;;) {
		siginfo_t si = {0}, gone;

		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 ||
		    si.si_pid == 0)
			return member_died;
		MARK(1);
		member_died |= record_one(&si, as_worker, on_exit);
		MARK(3);
		waitid(P_PID, (id_t)si.si_pid, &gone, WEXITED | WNOHANG | __WALL);
		MARK(4);
	}
}

/* 1: ended with *ret_status; 0: it lives; negative: the kernel can't tell. */
static int exit_info(int pidfd, int *ret_status)
{
	struct exit_info info = {.mask = EXIT_INFO_MASK};

	if (pidfd < 0 || (atomic_load(&pair.table->flags) & TREE_FLAG_NO_INFO))
		return -ENOTTY;
	if (ioctl(pidfd, EXIT_INFO_GET, &info) < 0)
		return -errno;
	if (!(info.mask & EXIT_INFO_MASK))
		return 0;
	*ret_status = info.exit_code;
	return 1;
}

bool reap_orphan(struct tree_slot *s)
{
	int32_t pid = atomic_load(&s->pid), parent = 0;
	int status = 0, told;
	char letter;

	if (pid == 0)
		return false;
	told = exit_info(s->pidfd, &status);
	if (told == 1) {
		atomic_fetch_add(&pair.table->n_infos, 1);
		return slots_record(s, TREE_HOW_INFO, status, pair_now_ns(), pair_wall_ns());
	}
	letter = watch_state_of(pid, &parent);
	if (letter && (watch_member_of(parent) >= 0 || (letter != 'Z' && letter != 'X')))
		return false;
	if (letter) /* a zombie of somebody else: its status shows once it is reaped, where the
		       kernel tells */
		return false;
	/* Gone. Where the kernel keeps the status it is there by now: asked once more. */
	told = exit_info(s->pidfd, &status);
	if (told != 1)
		atomic_fetch_add(&pair.table->n_unknowns, 1);
	else
		atomic_fetch_add(&pair.table->n_infos, 1);
	return slots_record(s, told == 1 ? TREE_HOW_INFO : TREE_HOW_UNKNOWN, status, pair_now_ns(),
			    pair_wall_ns());
}
