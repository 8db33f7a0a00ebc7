/*
 * The two members of lops-init. The worker runs whole (worker.c, door.c, spawn.c, reap.c, slots.c)
 * on a stack of its own, and waits where it calls epoll_wait; the guardian's reaping likewise.
 * Either can die at any call and at any marked instant: its stack is never returned to. What
 * watch.c does with forks and heartbeats is modelled here.
 */
#include "actors/init/pair.h"

#include <ucontext.h>
#include "tests/sim/kernel.h"
#include "tests/sim/oracle.h"
#include "tests/sim/wrap.h"

enum { STACK = 512 * 1024 };

struct member {
	bool lives;
	int32_t pid;
	int place; /* in the table */
	bool sigchld;
	uint64_t next_ns; /* waits until; NEVER: for an event */
};

struct pair pair;

static struct member worker, guardian;
static enum part acting = PARTS;
static ucontext_t scheduler, worker_context, guardian_context;
static uint8_t worker_stack[STACK], guardian_stack[STACK];
enum leaving { YIELDED, DIED, ENDED };
static enum leaving reason;
static enum pair_next ended_with;
static uint64_t fork_ns, rescue_ns, bell;
static bool booting;   /* what a new pair's main does */
static int32_t forked; /* the worker that the acting member has forked */
static char *no_environment[1];

struct tree_table *pair_table(void)
{
	return pair.table;
}

bool pair_acts(void)
{
	return acting != PARTS || booting;
}

int32_t pair_pid(void)
{
	return acting == PART_WORKER ? worker.pid : guardian.pid;
}

bool pair_lives(void)
{
	return worker.lives || guardian.lives;
}

bool pair_guardian_lives(void)
{
	return guardian.lives;
}

int32_t pair_worker_pid(void)
{
	return worker.lives ? worker.pid : 0;
}

int32_t pair_guardian_pid(void)
{
	return guardian.lives ? guardian.pid : 0;
}

/* --- steps --- */

static void leave(enum leaving why)
{
	ucontext_t *self = acting == PART_WORKER ? &worker_context : &guardian_context;

	reason = why;
	swapcontext(self, &scheduler);
}

void pair_step(void)
{
	if (acting == PARTS || !world.fuse[acting] || --world.fuse[acting])
		return;
	leave(DIED);
}

void pair_mark(uint32_t n); /* of lops-init built with its marks */

void pair_mark(uint32_t n)
{
	(void)n;
	pair_step();
}

uint64_t pair_now_ns(void)
{
	return world.now_ns;
}

uint64_t pair_wall_ns(void)
{
	return world_wall_ns();
}

void pair_say(const char *text, const char *more, long number)
{
	trace("lops-init: %s%s %ld", text, more, number);
}

void pair_ring(int slot)
{
	if (slot >= 0)
		atomic_fetch_or(&pair.table->dirty[slot / 64], UINT64_C(1) << (slot % 64));
	pair_step();
	bell++;
}

bool pair_bell_rings(void)
{
	return bell > 0;
}

void pair_bell_taken(void)
{
	bell = 0;
}

bool pair_signals_wait(void)
{
	return worker.sigchld;
}

void pair_signals_taken(void)
{
	worker.sigchld = false;
}

void pair_child_died(int32_t parent)
{
	if (worker.lives && parent == worker.pid)
		worker.sigchld = true;
	if (guardian.lives && parent == guardian.pid)
		guardian.sigchld = true;
}

/* --- watch.c --- */

static void enter(struct member *m, int32_t pid, int place, int upper)
{
	*m = (struct member){.lives = true, .pid = pid, .place = place};
	atomic_store(&pair.table->members[place].pid, pid);
	atomic_store(&pair.table->members[place].upper, upper);
	atomic_store(&pair.table->members[place].state, TREE_MEMBER_ACTIVE);
}

static int free_place(void)
{
	int k = 0;

	while (atomic_load(&pair.table->members[k].state) != TREE_MEMBER_FREE)
		k++;
	return k;
}

void watch_tick(void)
{
}

void watch_upper(void)
{
}

int watch_members(void)
{
	return worker.lives + guardian.lives;
}

int watch_lower_pid(void)
{
	return pair_worker_pid();
}

int watch_member_of(int32_t pid)
{
	if (pid && pid == pair_worker_pid())
		return worker.place;
	return pid && pid == pair_guardian_pid() ? guardian.place : -1;
}

char watch_state_of(int32_t pid, int32_t *ret_parent)
{
	struct proc *p = kernel_proc(pid);

	if (!p)
		return 0;
	*ret_parent = p->parent;
	if (p->state == PROC_ZOMBIE)
		return 'Z';
	return p->part != PARTS && part_hangs(p->part) ? 'T' : 'S';
}

int watch_fork_worker(void)
{
	pair_step();
	forked = kernel_new_pid();
	pair_step();
	return 0;
}

static bool is_owned(int fd)
{
	const struct tree_table *t = pair.table;
	int kept[] = {pair.lock_fd, pair.listen_fd, pair.notify_fd, pair.bell_fd, pair.null_fd};

	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (kept[i] == fd)
			return true;
	for (int i = 0; i < atomic_load(&t->high); i++)
		if (t->slots[i].pidfd == fd &&
		    tree_state_of(atomic_load(&t->slots[i].word)) != TREE_FREE)
			return true;
	for (int i = 0; i < atomic_load(&t->n_actors); i++)
		if (t->actors[i].slot.pidfd == fd)
			return true;
	for (int i = 0; i < atomic_load(&t->streams_high); i++)
		for (int k = 0; k < 4 && t->streams[i].key; k++)
			if (t->streams[i].fds[k] == fd)
				return true;
	return false;
}

static void close_unowned(int fd, struct fd *f)
{
	if (f->of_pair && !is_owned(fd))
		fd_close(fd);
}

void sweep_descriptors(void)
{
	fds_each(close_unowned);
	pair_step();
}

/* --- roles --- */

static void worker_main(void)
{
	ended_with = worker_run();
	leave(ENDED);
}

static void never_called(int slot)
{
	(void)slot;
}

static void guardian_main(void)
{
	reap_all(false, never_called);
	leave(ENDED);
}

static void prepare(ucontext_t *c, uint8_t *stack, void (*entry)(void))
{
	getcontext(c);
	c->uc_stack.ss_sp = stack;
	c->uc_stack.ss_size = STACK;
	c->uc_link = NULL;
	makecontext(c, entry, 0);
}

static void unwatch(int fd, struct fd *f)
{
	(void)fd;
	f->watched = false;
}

/* A new worker: its epoll is empty, whatever the one before it watched. */
static void worker_born(int32_t pid, int upper)
{
	enter(&worker, pid, free_place(), upper);
	worker.next_ns = world.now_ns + chance(3 * SIM_MS);
	worker.sigchld = true;
	fds_each(unwatch);
	prepare(&worker_context, worker_stack, worker_main);
	forked = 0;
	trace("lops-init has a new worker");
}

static void leave_table(struct member *m)
{
	atomic_store(&pair.table->members[m->place].state, TREE_MEMBER_FREE);
	atomic_store(&pair.table->members[m->place].pid, 0);
	m->lives = false;
	if (kernel_proc(m->pid))
		kernel_reap(kernel_proc(m->pid));
}

static void member_died(enum part p)
{
	struct member *m = p == PART_WORKER ? &worker : &guardian;
	int32_t heir = p == PART_WORKER && guardian.lives ? guardian.pid : 1;

	trace("the %s of lops-init dies", p == PART_WORKER ? "worker" : "guardian");
	world.crashes[p]++;
	world.fuse[p] = 0;
	leave_table(m);
	kernel_orphan(m->pid, heir);
	if (p == PART_WORKER && guardian.lives) {
		fork_ns = world.now_ns + chance(20 * SIM_MS);
		guardian.sigchld = true;
	}
	if (p == PART_WORKER && forked)
		worker_born(forked, -1);
	forked = 0;
	if (!pair_lives())
		pair_end();
}

static void unown_all(int fd, struct fd *f)
{
	if (f->of_pair)
		fd_close(fd);
}

/* Both are dead: their descriptors too, but for what the process-manager holds as well. */
void pair_end(void)
{
	oracle_nobody_watched(true);
	fds_each(unown_all);
	fork_ns = SIM_NEVER;
	rescue_ns = SIM_NEVER;
}

void pair_die(bool guardian_too, bool worker_too)
{
	if (worker_too && worker.lives)
		member_died(PART_WORKER);
	if (guardian_too && guardian.lives)
		member_died(PART_GUARDIAN);
}

static void run_member(enum part p)
{
	acting = p;
	pair.me = p == PART_WORKER ? worker.place : guardian.place;
	swapcontext(&scheduler, p == PART_WORKER ? &worker_context : &guardian_context);
	acting = PARTS;
	if (reason == DIED)
		member_died(p);
}

/* The parts' heartbeats, as their loops would send them. */
static void beat(void)
{
	for (int i = 0; i < PARTS_OF_INIT; i++) {
		struct tree_actor *a = &pair.table->actors[i];

		if (!part_lives((enum part)i) || part_hangs((enum part)i))
			continue;
		a->silent_ticks = 0;
		atomic_store(&a->ready, part_is_ready((enum part)i));
	}
}

static void run_worker(void)
{
	beat();
	run_member(PART_WORKER);
	if (!worker.lives || reason != ENDED)
		return;
	/* It found itself without a guardian, became one, and forked a worker below itself. */
	if (ended_with != PAIR_GUARD || !forked) {
		violated("pair", "the worker ended with %d", (int)ended_with);
		return;
	}
	guardian = worker;
	guardian.next_ns = world.now_ns;
	guardian.sigchld = true;
	worker.lives = false;
	worker_born(forked, guardian.place);
}

static void run_guardian(void)
{
	guardian.sigchld = false;
	guardian.next_ns = world.now_ns + PAIR_TICK_MS * SIM_MS;
	prepare(&guardian_context, guardian_stack, guardian_main);
	run_member(PART_GUARDIAN);
	if (!guardian.lives || worker.lives || world.now_ns < fork_ns)
		return;
	fork_ns = SIM_NEVER;
	acting = PARTS;
	fds_each(close_unowned);
	worker_born(kernel_new_pid(), guardian.place);
}

/* --- birth of the pair --- */

void pair_boot(bool fresh)
{
	pair.lock_fd = fd_new(FD_OTHER, true);
	pair.listen_fd = fd_new(FD_LISTEN, true);
	pair.notify_fd = fd_new(FD_NOTIFY, true);
	pair.bell_fd = fd_new(FD_BELL, true);
	pair.null_fd = fd_new(FD_OTHER, true);
	pair.environment = no_environment;
	pair.run_dir = pair.state_dir = pair.libexec = "";
	bell = 0;
	fork_ns = rescue_ns = SIM_NEVER;
	booting = true;
	pair_table_open(fresh);
	booting = false;
	enter(&guardian, kernel_new_pid(), 0, -1);
	guardian.next_ns = world.now_ns;
	worker_born(kernel_new_pid(), 0);
	wire_open(true);
}

void pair_close(void)
{
	worker.lives = guardian.lives = false;
	fork_ns = rescue_ns = SIM_NEVER;
}

void pair_rescue(void)
{
	if (rescue_ns == SIM_NEVER)
		rescue_ns = world.now_ns + 2 * SIM_MS + chance(50 * SIM_MS);
}

/* --- time --- */

static bool any_event;

static void note_ready(int fd, struct fd *f)
{
	any_event |= f->watched && fd_is_ready(fd);
}

uint64_t pair_next_ns(void)
{
	uint64_t next = pair_lives() ? SIM_NEVER : rescue_ns;

	if (worker.lives) {
		any_event = false;
		fds_each(note_ready);
		next = any_event ? world.now_ns : worker.next_ns;
		if (wire_next_for_pair_ns() < next)
			next = wire_next_for_pair_ns();
	}
	if (guardian.lives) {
		uint64_t g = guardian.sigchld ? world.now_ns : guardian.next_ns;

		g = !worker.lives && fork_ns < g ? fork_ns : g;
		next = g < next ? g : next;
	}
	return next;
}

void pair_run(void)
{
	bool guardian_first = one_in(2);

	if (!pair_lives()) {
		if (rescue_ns <= world.now_ns)
			pair_boot(false);
		return;
	}
	if (guardian.lives &&
	    (guardian.sigchld || guardian.next_ns <= world.now_ns ||
	     (!worker.lives && fork_ns <= world.now_ns)) &&
	    (guardian_first || !worker.lives)) {
		run_guardian();
		return;
	}
	if (worker.lives)
		run_worker();
}

/* --- where the worker waits --- */

struct gather {
	struct epoll_event *events;
	int n, max;
};
static struct gather gather;

static void gather_one(int fd, struct fd *f)
{
	if (gather.n < gather.max && f->watched && fd_is_ready(fd))
		gather.events[gather.n++] =
			(struct epoll_event){.events = EPOLLIN, .data.u64 = f->tag};
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
	(void)epoll;
	worker.next_ns = world.now_ns + (uint64_t)timeout_ms * SIM_MS;
	pair_step();
	leave(YIELDED);
	gather = (struct gather){events, 0, max};
	fds_each(gather_one);
	return gather.n;
}
