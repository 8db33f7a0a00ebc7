/*
 * The worker: lops-init proper. One epoll loop over signals, the socket, its connections, the bell
 * of the guardian and the pidfds of children whose parent it is not. It spawns, records, carries
 * out standing orders, and respawns actors. It becomes the guardian when a link above it is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "actors/init/door.h"
#include "actors/init/pair.h"
#include "actors/init/slots.h"

enum { TAG_SIGNAL = 1, TAG_LISTEN, TAG_BELL, TAG_PIDFD = 1000, TAG_CLIENT = 100000, EVENTS = 64 };
enum {
	SILENT_MS = 5000,
	SILENT_BOOT_MS = 30000,
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 5000,
	GOOD_LIFE_MS = 5000
};
enum { CHAIN = 2, SCAN_MS = 200 };

static int epoll_fd;
static bool any_timer, any_orphan;
static uint64_t next_scan_ns, last_actor_tick_ns, shutdown_at_ns;

static void watch_fd(int fd, uint64_t tag, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u64 = tag};

	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

/* In the table: a worker that takes over in the middle of it must not start the actors again. */
static bool shutting_down(void)
{
	return atomic_load(&pair.table->ending);
}

static enum tree_state state_of(const struct tree_slot *s)
{
	return tree_state_of(atomic_load(&s->word));
}

/* --- starts and ends --- */

static void ended(int slot);

void worker_start(int slot)
{
	int err = spawn_slot(slot);

	if (err == -EAGAIN)
		any_timer = true; /* STARTING with pid 0 stays: tried again on the tick */
	else if (err < 0)
		ended(slot);
}

static void carry_out_order(int slot)
{
	struct slots_taken taken = slots_take_order(pair.table, slot, pair_now_ns());

	if (taken.what == SLOTS_START_LATER)
		any_timer = true;
	if (taken.what != SLOTS_START_NOW)
		return;
	MARK(9);
	atomic_fetch_add(&pair.table->n_orders_taken, 1);
	worker_start(taken.slot);
}

/* Orders first: recovery costs no hop. */
static void ended(int slot)
{
	carry_out_order(slot);
	door_push_exit(slot);
}

void worker_confirm(int slot)
{
	struct tree_slot *s = &pair.table->slots[slot];
	int fd = s->pidfd;

	carry_out_order(slot);
	/* An order that the end did not call for serves no more. */
	if (s->order >= 0 && pair.table->slots[s->order].after == s->instance &&
	    state_of(&pair.table->slots[s->order]) == TREE_ORDERED)
		slots_revoke(pair.table, pair.table->slots[s->order].instance);
	s->pidfd = -1;
	MARK(11);
	if (fd >= 0) {
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		close(fd);
	}
	MARK(12);
	slots_free(pair.table, slot);
}

void worker_watch(int slot)
{
	if (pair.table->slots[slot].pidfd >= 0)
		watch_fd(pair.table->slots[slot].pidfd, (uint64_t)(TAG_PIDFD + slot), EPOLLIN);
	any_orphan = true;
}

/* A start that could not be made at once: who asked has had an answer without a pid. */
static void start_late(int slot)
{
	worker_start(slot);
	if (state_of(&pair.table->slots[slot]) == TREE_RUNNING)
		door_push_start(slot);
}

static void run_timers(void)
{
	uint64_t now = pair_now_ns();

	if (!any_timer)
		return;
	any_timer = false;
	for (int i = 0; i < atomic_load(&pair.table->high); i++) {
		struct tree_slot *s = &pair.table->slots[i];

		if (slots_due(pair.table, s, now)) {
			atomic_fetch_add(&pair.table->n_orders_taken, 1);
			start_late(i);
		} else if (state_of(s) == TREE_STARTING && atomic_load(&s->pid) == 0) {
			start_late(i);
		}
		any_timer |= state_of(s) == TREE_WAITING;
	}
}

static int wait_ms(void)
{
	uint64_t now = pair_now_ns(), soonest = now + (uint64_t)pair.table->tick_ms * 1000000;

	for (int i = 0; any_timer && i < atomic_load(&pair.table->high); i++) {
		struct tree_slot *s = &pair.table->slots[i];

		if (state_of(s) == TREE_WAITING && s->due_ns < soonest)
			soonest = s->due_ns > now ? s->due_ns : now + 1000000;
	}
	return (int)((soonest - now + 999999) / 1000000);
}

/* --- actors --- */

static void actor_start(struct tree_actor *a)
{
	if (spawn_actor(a) < 0) {
		slots_record(&a->slot, TREE_HOW_NEVER, 0, pair_now_ns(), pair_wall_ns());
		a->next_start_ns = pair_now_ns() + UINT64_C(1000000000);
	}
}

/* Filled before it is counted: who reads the count finds it whole. */
static void note_death(struct tree_actor *a)
{
	uint64_t n = atomic_load(&a->n_deaths);

	a->deaths[n % TREE_DEATHS] = (struct tree_death){.word = atomic_load(&a->slot.word),
							 .ended_wall_ns = a->slot.ended_wall_ns,
							 .pid = atomic_load(&a->slot.pid),
							 .silent = a->silent};
	a->silent = 0;
	atomic_store(&a->n_deaths, n + 1);
	door_push_actor_died();
}

static void actor_ended(struct tree_actor *a)
{
	uint64_t now = pair_now_ns(), life_ms = (now - a->slot.started_ns) / 1000000;
	int status = tree_status_of(atomic_load(&a->slot.word));

	if (!shutting_down() && !(atomic_load(&pair.table->flags) & TREE_FLAG_KEPT)) {
		pair_say(a->name, status & 0x7f ? " was killed by signal" : " exited with",
			 status & 0x7f ? status & 0x7f : status >> 8);
		note_death(a);
	}
	if (life_ms >= GOOD_LIFE_MS)
		a->backoff_ms = 0;
	a->next_start_ns = now + (uint64_t)a->backoff_ms * 1000000;
	a->backoff_ms = a->backoff_ms ? a->backoff_ms * 2 : BACKOFF_FIRST_MS;
	if (a->backoff_ms > BACKOFF_MAX_MS)
		a->backoff_ms = BACKOFF_MAX_MS;
	if (a->slot.pidfd >= 0) {
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, a->slot.pidfd, NULL);
		close(a->slot.pidfd);
	}
	a->slot.pidfd = -1;
	a->respawns++;
	atomic_store(&a->ready, 0);
	atomic_store(&a->slot.pid, 0);
	atomic_store(&a->slot.word, TREE_WORD(TREE_FREE, 0, 0));
}

/* A silent actor: stopped ones get SIGCONT, the others KILL. Counted in own ticks. */
static void judge_actor(struct tree_actor *a, uint32_t elapsed_ms)
{
	uint32_t limit = atomic_load(&a->ready) ? SILENT_MS : SILENT_BOOT_MS;
	int32_t parent, pid = atomic_load(&a->slot.pid);

	a->silent_ticks += elapsed_ms;
	if (a->silent_ticks < limit || pid <= 0)
		return;
	if (watch_state_of(pid, &parent) == 'T' && a->silent_ticks < 2 * limit) {
		kill(pid, SIGCONT);
		return;
	}
	pair_say(a->name, " gave no sign of life and is replaced, pid", pid);
	a->silent = 1;
	if (a->slot.pidfd >= 0)
		syscall(SYS_pidfd_send_signal, a->slot.pidfd, SIGKILL, NULL, 0);
	a->silent_ticks = 0;
}

static void tick_actors(void)
{
	uint64_t now = pair_now_ns();
	uint32_t elapsed = (uint32_t)((now - last_actor_tick_ns) / 1000000);
	bool kept = atomic_load(&pair.table->flags) & TREE_FLAG_KEPT;

	if (elapsed > 3 * pair.table->tick_ms)
		elapsed = 0; /* own tick came late */
	last_actor_tick_ns = now;
	for (int i = 0; i < atomic_load(&pair.table->n_actors); i++) {
		struct tree_actor *a = &pair.table->actors[i];

		switch (state_of(&a->slot)) {
		case TREE_FREE:
			if (!kept && !shutting_down() && now >= a->next_start_ns)
				actor_start(a);
			break;
		case TREE_STARTING:
			if (atomic_load(&a->slot.pid) == 0)
				actor_start(a);
			else
				slots_running(&a->slot);
			break;
		case TREE_RUNNING:
			reap_orphan(&a->slot);
			judge_actor(a, elapsed);
			break;
		case TREE_EXITED:
			actor_ended(a);
			break;
		default:
			break;
		}
	}
}

/* An actor's death is answered at once, not on the tick. */
static void actors_after_reap(void)
{
	for (int i = 0; i < atomic_load(&pair.table->n_actors); i++) {
		struct tree_actor *a = &pair.table->actors[i];

		if (state_of(&a->slot) != TREE_EXITED)
			continue;
		actor_ended(a);
		if (!(atomic_load(&pair.table->flags) & TREE_FLAG_KEPT) && !shutting_down() &&
		    a->next_start_ns <= pair_now_ns())
			actor_start(a);
	}
}

static void signal_actors(const char *name, int signo)
{
	for (int i = 0; i < atomic_load(&pair.table->n_actors); i++) {
		struct tree_actor *a = &pair.table->actors[i];

		if ((!name || strcmp(a->name, name) == 0) && a->slot.pidfd >= 0 &&
		    atomic_load(&a->slot.pid) > 0)
			syscall(SYS_pidfd_send_signal, a->slot.pidfd, signo, NULL, 0);
	}
}

void worker_keep(bool keep)
{
	if (keep) {
		atomic_fetch_or(&pair.table->flags, TREE_FLAG_KEPT);
		signal_actors(NULL, SIGKILL); /* they are crash-only: nothing is lost by it */
	} else {
		atomic_fetch_and(&pair.table->flags, ~(uint32_t)TREE_FLAG_KEPT);
		for (int i = 0; i < atomic_load(&pair.table->n_actors); i++)
			pair.table->actors[i].next_start_ns = pair.table->actors[i].backoff_ms = 0;
	}
}

static void kill_helpers(void)
{
	for (int i = 0; i < atomic_load(&pair.table->high); i++) {
		struct tree_slot *s = &pair.table->slots[i];

		if (s->helper && state_of(s) == TREE_RUNNING && s->pidfd >= 0 &&
		    syscall(SYS_pidfd_send_signal, s->pidfd, 0, NULL, 0) == 0)
			kill(-atomic_load(&s->pid), SIGKILL);
	}
}

void worker_shutdown(void)
{
	atomic_store(&pair.table->ending, 1);
	shutdown_at_ns = pair_now_ns() + UINT64_C(2000000000);
	/* TERM means an orderly down to the coordinator, and the programs are down already. */
	signal_actors("coordinator", SIGKILL);
	signal_actors(NULL, SIGTERM);
	kill_helpers();
}

static bool shutdown_is_done(void)
{
	bool any = false;

	if (!shutting_down())
		return false;
	for (int i = 0; i < atomic_load(&pair.table->n_actors); i++)
		any |= atomic_load(&pair.table->actors[i].slot.pid) > 0;
	if (any && pair_now_ns() < shutdown_at_ns)
		return false;
	signal_actors(NULL, SIGKILL);
	atomic_store(&pair.table->stop, 1);
	return true;
}

/* --- the loop --- */

static void take_signals(int fd)
{
	struct signalfd_siginfo s;

	while (read(fd, &s, sizeof s) == sizeof s) {
		if (s.ssi_signo == SIGUSR1)
			signal_actors(NULL, SIGUSR1);
		else if (s.ssi_signo == SIGHUP)
			signal_actors("coordinator", SIGHUP);
		else if (s.ssi_signo == SIGTERM || s.ssi_signo == SIGINT)
			signal_actors("coordinator", SIGTERM);
	}
	reap_all(true, ended);
	actors_after_reap();
}

static void answer_bell(void)
{
	uint64_t count;

	if (read(pair.bell_fd, &count, sizeof count) < 0)
		return;
	for (int w = 0; w < TREE_SLOTS / 64; w++) {
		uint64_t bits = atomic_exchange(&pair.table->dirty[w], 0);

		while (bits) {
			int slot = w * 64 + __builtin_ctzll(bits);

			MARK(23);
			bits &= bits - 1;
			ended(slot);
		}
	}
}

/* Children that fell to pid 1 are seen by their pidfd; a scan catches what has none. */
static void scan_orphans(void)
{
	uint64_t now = pair_now_ns();

	if (!any_orphan || now < next_scan_ns)
		return;
	next_scan_ns = now + UINT64_C(1000000) * SCAN_MS;
	any_orphan = false;
	for (int i = 0; i < atomic_load(&pair.table->high); i++) {
		struct tree_slot *s = &pair.table->slots[i];

		if (state_of(s) != TREE_RUNNING &&
		    !(state_of(s) == TREE_STARTING && atomic_load(&s->pid)))
			continue;
		any_orphan = true;
		if (reap_orphan(s))
			ended(i);
	}
}

static void pidfd_ready(int slot)
{
	struct tree_slot *s = &pair.table->slots[slot];

	reap_all(true, ended);
	if (state_of(s) == TREE_RUNNING && reap_orphan(s))
		ended(slot);
	if (state_of(s) == TREE_EXITED && s->pidfd >= 0)
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->pidfd, NULL);
}

/* Finishes what a takeover cut off and watches what others are parent of. */
static void take_stock(void)
{
	slots_settle_orders(pair.table);
	MARK(18);
	for (int i = 0; i < atomic_load(&pair.table->high); i++) {
		struct tree_slot *s = &pair.table->slots[i];

		switch (state_of(s)) {
		case TREE_STARTING:
			if (atomic_load(&s->pid) == 0) {
				atomic_fetch_add(&pair.table->n_finished_starts, 1);
				worker_start(i);
				break;
			}
			slots_running(s);
			/* fall through */
		case TREE_RUNNING:
			if (s->pidfd < 0)
				s->pidfd = (int)syscall(SYS_pidfd_open, atomic_load(&s->pid), 0);
			worker_watch(i);
			break;
		case TREE_EXITED:
			carry_out_order(i);
			break;
		case TREE_WAITING:
			any_timer = true;
			break;
		default:
			break;
		}
	}
}

static void take_event(const struct epoll_event *e, int signal_fd)
{
	if (e->data.u64 == TAG_SIGNAL)
		take_signals(signal_fd);
	else if (e->data.u64 == TAG_LISTEN)
		door_accept();
	else if (e->data.u64 == TAG_BELL)
		answer_bell();
	else if (e->data.u64 >= TAG_CLIENT)
		door_read((int)(e->data.u64 - TAG_CLIENT));
	else if (e->data.u64 >= TAG_PIDFD)
		pidfd_ready((int)(e->data.u64 - TAG_PIDFD));
}

static int worker_begin(void)
{
	int signal_fd = signalfd(-1, &pair.signals, SFD_CLOEXEC | SFD_NONBLOCK);

	prctl(PR_SET_NAME, "lops-init");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	any_timer = any_orphan = false;
	last_actor_tick_ns = pair_now_ns();
	door_begin(epoll_fd);
	watch_fd(signal_fd, TAG_SIGNAL, EPOLLIN);
	watch_fd(pair.listen_fd, TAG_LISTEN, EPOLLIN);
	watch_fd(pair.bell_fd, TAG_BELL, EPOLLIN);
	take_stock();
	if (shutting_down())
		worker_shutdown();
	tick_actors();
	atomic_store(&pair.table->ready, 1);
	return signal_fd;
}

enum pair_next worker_run(void)
{
	struct epoll_event events[EVENTS];
	int signal_fd = worker_begin();

	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, wait_ms());

		for (int i = 0; i < n; i++)
			take_event(&events[i], signal_fd);
		if (n < EVENTS)
			reap_all(true, ended); /* a member's death and stray exits */
		actors_after_reap();
		watch_tick();
		tick_actors();
		run_timers();
		scan_orphans();
		door_push_streams();
		door_push_now();
		if (atomic_load(&pair.table->stop) || shutdown_is_done())
			return PAIR_EXIT;
		watch_upper();
		if (watch_members() < CHAIN) {
			int forked;

			sweep_descriptors();
			forked = watch_fork_worker();
			if (forked >= 0)
				return forked == 1 ? PAIR_WORK : PAIR_GUARD;
			usleep(20000);
			return PAIR_WORK;
		}
	}
}
