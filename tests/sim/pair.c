/*
 * The two members of lops-init. The worker runs whole (worker.c, door.c, spawn.c, reap.c, slots.c)
 * on a stack of its own, and waits where it calls epoll_wait; the guardian's reaping likewise.
 * Either can die at any call and at any marked instant: its stack is never returned to. What
 * watch.c does with forks and heartbeats is modelled here.
 */
#include "actors/init/pair.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "actors/init/slots.h"
#include "tests/sim/kernel.h"
#include "tests/sim/oracle.h"
#include "tests/sim/wrap.h"

enum { STACK = 512 * 1024, TICK_MS = 1000 };

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
static enum { YIELDED, DIED, ENDED } reason;
static enum pair_next ended_with;
static uint64_t fork_ns, rescue_ns, bell;
static int32_t forked; /* the worker that the acting member has forked */
static char *no_environment[1];

struct tree_table *pair_table(void)
{
	return pair.table;
}

bool pair_acts(void)
{
	return acting != PARTS;
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

static void leave(int why)
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
	guardian.next_ns = world.now_ns + TICK_MS * SIM_MS;
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

static int make_memory(size_t size)
{
	int fd = memfd_create("lops-sim", 0);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		abort();
	return fd;
}

static void map_memory(void)
{
	static int table_fd = -1, arena_fd = -1;

	if (table_fd < 0) {
		table_fd = make_memory(sizeof *pair.table);
		arena_fd = make_memory(TREE_ARENA_BYTES);
		pair.table = mmap(NULL, sizeof *pair.table, PROT_READ | PROT_WRITE, MAP_SHARED,
				  table_fd, 0);
		pair.arena = mmap(NULL, TREE_ARENA_BYTES, PROT_READ, MAP_SHARED, arena_fd, 0);
		if (pair.table == MAP_FAILED || pair.arena == MAP_FAILED)
			abort();
	}
	pair.table_fd = table_fd;
	pair.arena_fd = arena_fd;
}

static void fill_table(void)
{
	static const char *const names[] = {"broker", "process-manager", "coordinator"};
	struct tree_table *t = pair.table;

	memset(t, 0, sizeof *t);
	if (ftruncate(pair.arena_fd, 0) < 0 || ftruncate(pair.arena_fd, TREE_ARENA_BYTES) < 0)
		abort();
	t->magic = TREE_MAGIC;
	t->version = TREE_VERSION;
	t->size = sizeof *t;
	t->tick_ms = TICK_MS;
	t->miss_max = 8;
	t->max_starts_per_second = 100;
	snprintf(t->boot_id, sizeof t->boot_id, "%s", kernel_boot_id());
	for (int i = 0; i < PARTS_OF_INIT; i++) {
		snprintf(t->actors[i].name, sizeof t->actors[i].name, "%s", names[i]);
		t->actors[i].slot.pidfd = t->actors[i].slot.order = -1;
	}
	atomic_store(&t->n_actors, PARTS_OF_INIT);
	if (!kernel_tells_status())
		atomic_store(&t->flags, TREE_FLAG_NO_INFO);
}

static int pidfd_of(int32_t pid)
{
	int fd;

	if (!kernel_proc(pid))
		return -1;
	fd = fd_new(FD_PIDFD, true);
	fd_of(fd)->pid = pid;
	return fd;
}

static void adopt_slot(struct tree_slot *s)
{
	enum tree_state state = tree_state_of(atomic_load(&s->word));

	s->pidfd = -1;
	if ((state == TREE_RUNNING || state == TREE_STARTING) && atomic_load(&s->pid))
		s->pidfd = pidfd_of(atomic_load(&s->pid));
}

static bool stream_is_held(const struct tree_stream *s)
{
	for (int k = 0; k < atomic_load(&pair.table->high); k++)
		if (pair.table->slots[k].streams == s->key &&
		    tree_state_of(atomic_load(&pair.table->slots[k].word)) == TREE_RUNNING)
			return true;
	return false;
}

/* As the new pair's main does over an old table. */
static void adopt_table(void)
{
	struct tree_table *t = pair.table;

	for (int k = 0; k < TREE_MEMBERS; k++) {
		atomic_store(&t->members[k].state, TREE_MEMBER_FREE);
		atomic_store(&t->members[k].pid, 0);
	}
	for (int i = 0; i < atomic_load(&t->high); i++)
		adopt_slot(&t->slots[i]);
	for (int i = 0; i < atomic_load(&t->n_actors); i++)
		adopt_slot(&t->actors[i].slot);
	for (int i = 0; i < atomic_load(&t->streams_high); i++) {
		struct tree_stream *s = &t->streams[i];
		bool held = s->key && stream_is_held(s);

		for (int k = 0; k < 4; k++)
			s->fds[k] = held && s->fds[k] >= 0 ? fd_new(FD_PIPE, true) : -1;
		s->key = held ? s->key : 0;
	}
}

void pair_boot(bool fresh)
{
	map_memory();
	pair.lock_fd = fd_new(FD_OTHER, true);
	pair.listen_fd = fd_new(FD_LISTEN, true);
	pair.notify_fd = fd_new(FD_NOTIFY, true);
	pair.bell_fd = fd_new(FD_BELL, true);
	pair.null_fd = fd_new(FD_OTHER, true);
	pair.environment = no_environment;
	pair.run_dir = pair.state_dir = pair.libexec = "";
	bell = 0;
	fork_ns = rescue_ns = SIM_NEVER;
	if (fresh)
		fill_table();
	else
		adopt_table();
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

/* --- calls of both --- */

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

int __wrap_waitid(idtype_t type, id_t id, siginfo_t *ret_si, int options)
{
	struct proc *p = type == P_ALL ? kernel_zombie_of(pair_pid()) : kernel_proc((int32_t)id);

	pair_step();
	memset(ret_si, 0, sizeof *ret_si);
	if (!p || p->state != PROC_ZOMBIE)
		return 0;
	ret_si->si_pid = p->pid;
	ret_si->si_code = p->status & 0x80   ? CLD_DUMPED
			  : p->status & 0x7f ? CLD_KILLED
					     : CLD_EXITED;
	ret_si->si_status = p->status & 0x7f ? p->status & 0x7f : p->status >> 8;
	if (!(options & WNOWAIT))
		kernel_reap(p);
	return 0;
}

/* PIDFD_GET_INFO, whose layout reap.c has: mask at 0, exit code at 60. */
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct fd *f = fd_of(fd);
	struct proc *p = f ? kernel_any(f->pid) : NULL;
	uint64_t mask = 0;
	uint8_t *info;
	va_list args;

	(void)request;
	pair_step();
	va_start(args, request);
	info = va_arg(args, uint8_t *);
	va_end(args);
	if (!p) {
		errno = EBADF;
		return -1;
	}
	if (p->state == PROC_GONE) {
		mask = 8;
		memcpy(info + 60, &p->status, sizeof p->status);
	}
	memcpy(info, &mask, sizeof mask);
	return 0;
}

int __wrap_kill(pid_t pid, int signo)
{
	struct proc *p = kernel_proc(pid < 0 ? -pid : pid);

	pair_step();
	if (pid > -SIM_PID && pid < SIM_PID)
		return __real_kill(pid, signo);
	if (pid < 0 ? kernel_signal_group(-pid, signo) > 0 : p != NULL) {
		if (pid > 0)
			kernel_signal(p, signo);
		return 0;
	}
	errno = ESRCH;
	return -1;
}

static long open_pidfd(int32_t pid)
{
	int fd;

	if (!kernel_proc(pid)) {
		errno = ESRCH;
		return -1;
	}
	fd = pidfd_of(pid);
	fd_of(fd)->of_pair = pair_acts();
	return fd;
}

static long signal_pidfd(int fd, int signo)
{
	struct fd *f = fd_of(fd);
	struct proc *p = f ? kernel_proc(f->pid) : NULL;

	if (!p) {
		errno = f ? ESRCH : EBADF;
		return -1;
	}
	kernel_signal(p, signo);
	return 0;
}

long __wrap_syscall(long number, ...)
{
	long a[5];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number != SYS_pidfd_open && number != SYS_pidfd_send_signal)
		return __real_syscall(number, a[0], a[1], a[2], a[3], a[4]);
	pair_step();
	if (number == SYS_pidfd_open)
		return open_pidfd((int32_t)a[0]);
	return signal_pidfd((int)a[0], (int)a[1]);
}

int __wrap_prctl(int option, ...)
{
	(void)option;
	return 0;
}

int __wrap_usleep(unsigned us)
{
	(void)us;
	return 0;
}

/* --- clone --- */

static int actor_of(const int32_t *pid_at)
{
	for (int i = 0; i < PARTS_OF_INIT; i++)
		if ((uintptr_t)&pair.table->actors[i].slot.pid == (uintptr_t)pid_at)
			return i;
	return -1;
}

static void exec_program(struct proc *p, int32_t *pid_at)
{
	struct tree_slot *s = (void *)((char *)pid_at - offsetof(struct tree_slot, pid));
	const struct tree_spec *spec = (const void *)(pair.arena + s->spec);
	int err;

	p->instance = s->instance;
	snprintf(p->id, sizeof p->id, "%s", spec->deployment);
	oracle_spawns(p);
	err = program_exec(p);
	if (!err)
		return;
	atomic_store(&s->stage_error, (uint32_t)TREE_STAGE_EXEC << 16 | (uint32_t)err);
	oracle_never(s->instance);
	kernel_finish(p, 127 << 8);
}

int __wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	va_list args;
	int32_t *pid_at;
	struct proc *p;
	int i;

	(void)fn;
	(void)stack;
	(void)flags;
	va_start(args, arg);
	pid_at = va_arg(args, int32_t *);
	va_end(args);
	pair_step();
	i = actor_of(pid_at);
	if (!world.quiet && i < 0 && one_in(300)) {
		world.faults[FAULT_NO_FORK]++;
		errno = EAGAIN;
		return -1;
	}
	p = kernel_new(i < 0 ? PARTS : (enum part)i, pair_pid());
	*pid_at = p->pid;
	if (i >= 0)
		part_born((enum part)i, p->pid, 2 * SIM_MS + chance(30 * SIM_MS));
	else
		exec_program(p, pid_at);
	pair_step(); /* the kernel has recorded it, and nobody else has */
	return p->pid;
}

/* Of the process-manager, when both members are dead. */
pid_t __wrap_fork(void)
{
	if (!part_step(PART_MANAGER))
		pair_rescue();
	return SIM_PID - 1;
}

pid_t __wrap_waitpid(pid_t pid, int *ret_status, int options)
{
	(void)options;
	if (ret_status)
		*ret_status = 0;
	return pid;
}
