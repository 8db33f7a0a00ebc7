/*
 * The shell's side of lops-init: connects and connects again, sends starts in batches, takes exits
 * from the table, and is the third watcher: where both members of the pair are dead it makes a new
 * pair on the same table.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "actors/process-manager/shell.h"

enum {
	RECONNECT_MS = 20,
	RECONNECT_MAX_MS = 500,
	FAILURES_BEFORE_RESCUE = 3,
	RESCUE_PAUSE_MS = 50,
	WATCH_MS = 1000,
	SILENCE_MS = 3000
};

static void on_readable(struct actor *a, int fd, uint32_t events, void *arg);

/* --- connection --- */

static void disconnect(struct actor *a)
{
	struct shell *s = shell_of(a);

	if (s->fd >= 0) {
		actor_port_remove(a, s->fd);
		close(s->fd);
	}
	s->fd = -1;
	s->n_signals_sent = 0;
	if (!s->reconnect.due_ms)
		actor_timer_set(a, &s->reconnect, actor_now_ms(a) + RECONNECT_MS);
}

static void send_hello(struct actor *a)
{
	struct shell *s = shell_of(a);
	static struct tree_message m;

	m.op = TREE_HELLO;
	snprintf(m.text, sizeof m.text, "process-manager");
	if (tree_send(s->fd, &m) < 0)
		disconnect(a);
}

static void try_connect(struct actor *a, struct actor_timer *t);

static void ping(struct actor *a)
{
	static struct tree_message m = {.op = TREE_PING};

	if (shell_of(a)->fd >= 0 && tree_send(shell_of(a)->fd, &m) < 0)
		disconnect(a);
}

/* Both members may be stopped, with nobody left to continue either. */
static void wake_pair(struct actor *a)
{
	rescue_continue(shell_of(a));
	shell_of(a)->heard_ms = actor_now_ms(a);
	disconnect(a);
}

/* A connection that waits in the queue of a pair that died is never ended by anybody. */
static void watch_pair(struct actor *a, struct actor_timer *t)
{
	struct shell *s = shell_of(a);

	actor_timer_set(a, t, actor_now_ms(a) + WATCH_MS);
	if (!s->table || atomic_load(&s->table->stop))
		return;
	if (!rescue_pair_lives(s)) {
		disconnect(a);
		try_connect(a, NULL);
		return;
	}
	if (actor_now_ms(a) > s->heard_ms + SILENCE_MS)
		wake_pair(a);
	else
		ping(a);
}

static void try_connect(struct actor *a, struct actor_timer *t)
{
	struct shell *s = shell_of(a);
	uint64_t wait;

	(void)t;
	if (s->fd >= 0)
		return;
	/* The listening socket is ours too: a connection would succeed though both members are
	 * dead, and never be answered. */
	if (s->table && !rescue_pair_lives(s)) {
		rescue_pair(a);
		actor_timer_set(a, &s->reconnect, actor_now_ms(a) + RESCUE_PAUSE_MS);
		return;
	}
	s->fd = tree_connect(actor_run_dir(a));
	if (s->fd < 0) {
		s->fd = -1;
		s->failures++;
		if (s->table && s->failures % FAILURES_BEFORE_RESCUE == 0)
			rescue_pair(a);
		wait = RECONNECT_MS * (s->failures < 25 ? s->failures : 25);
		actor_timer_set(a, &s->reconnect,
				actor_now_ms(a) +
					(wait > RECONNECT_MAX_MS ? RECONNECT_MAX_MS : wait));
		return;
	}
	s->failures = 0;
	if (actor_port_add(a, s->fd, EPOLLIN, on_readable, NULL) < 0) {
		disconnect(a);
		return;
	}
	send_hello(a);
}

/* --- the table --- */

static void look_at_slot(struct actor *a, int slot)
{
	struct shell *s = shell_of(a);
	const struct tree_slot *t = &s->table->slots[slot];
	struct deployment *d;

	if (tree_state_of(atomic_load(&t->word)) != TREE_EXITED)
		return;
	d = deployment_of_instance(manager_of(a), t->instance);
	if (d)
		life_exited(a, d, t);
	else if (manager_of(a)->resumed && !life_is_being_said(manager_of(a), t->instance) &&
		 !reload_exited(a, t))
		manager_of(a)->os->confirm(a, t->instance); /* nobody's any more */
}

static void look_at_all(struct actor *a)
{
	const struct tree_table *t = shell_of(a)->table;

	for (int i = 0; t && i < atomic_load(&t->high); i++)
		look_at_slot(a, i);
}

static void note_arena(struct shell *s)
{
	for (int i = 0; i < atomic_load(&s->table->high); i++) {
		const struct tree_slot *t = &s->table->slots[i];
		const struct tree_spec *spec = (const void *)(s->arena + t->spec);

		if (tree_state_of(atomic_load(&t->word)) != TREE_FREE && t->spec &&
		    t->spec < TREE_ARENA_BYTES - sizeof *spec && spec->magic == TREE_SPEC_MAGIC)
			arena_note(s, t->spec, spec->length);
	}
}

static int map_tree(struct shell *s, const int *fds)
{
	void *table = mmap(NULL, sizeof *s->table, PROT_READ, MAP_SHARED, fds[0], 0);
	void *arena = mmap(NULL, TREE_ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);

	if (table == MAP_FAILED || arena == MAP_FAILED)
		return -errno;
	s->table = table;
	s->arena = arena;
	if (s->table->magic != TREE_MAGIC || s->table->version != TREE_VERSION)
		return -EPROTO;
	note_arena(s);
	return 0;
}

static void on_hello(struct actor *a, int *fds, int n)
{
	struct shell *s = shell_of(a);
	struct manager *m = manager_of(a);

	if (n != 5) {
		actor_log(a, ACTOR_ERROR, "lops-init did not take us for its process-manager");
		actor_exit(a, 1);
		return;
	}
	if (!s->table) {
		memcpy(s->fds, fds, sizeof s->fds);
		if (map_tree(s, fds) < 0) {
			actor_log(a, ACTOR_ERROR,
				  "the table of lops-init is not one of this version");
			actor_exit(a, 1);
			return;
		}
		actor_port_add(a, s->fds[4], EPOLLIN, notify_read, NULL);
	} else {
		for (int i = 0; i < n; i++)
			close(fds[i]);
	}
	m->table = s->table;
	deaths_look(a);
	signals_send(a);
	if (m->loaded)
		adopt_all(a);
}

/* --- messages --- */

static void on_start_answer(struct actor *a, const struct tree_item *item)
{
	struct deployment *d = deployment_of_instance(manager_of(a), item->instance);
	struct proc_stat f = {0};

	if (!d && item->slot >= 0)
		look_at_slot(a, item->slot);
	if (!d)
		return;
	d->living = 0;
	if (item->slot < 0 && item->error == ESRCH) {
		life_exited_unknown(a, d, ENDED_UNWATCHED);
		return;
	}
	if (item->slot < 0) {
		char why[200];

		snprintf(why, sizeof why, "no slot is free for it: %s (%d at most)",
			 strerror(item->error), TREE_SLOTS);
		life_exited_unknown(a, d, why);
		return;
	}
	if (item->stage || item->error) {
		look_at_slot(a, item->slot);
		return;
	}
	if (item->pid > 0) {
		if (proc_stat(item->pid, &f) == 1)
			d->ppid = f.ppid;
		life_started(a, d, item->pid, f.start_ticks);
		look_at_slot(a, item->slot);
	}
}

static void take(struct actor *a, struct tree_message *m, int *fds, int n_fds)
{
	if (m->op == TREE_HELLO) {
		on_hello(a, fds, n_fds);
		return;
	}
	for (int i = 0; i < n_fds; i++)
		close(fds[i]);
	if (m->op == TREE_ACTOR_DIED)
		deaths_look(a);
	if (m->op == TREE_SIGNAL)
		signals_answered(a);
	if (m->op == TREE_EXIT && m->count == 0)
		look_at_all(a);
	for (uint32_t i = 0; i < m->count && shell_of(a)->table; i++) {
		if (m->op == TREE_START)
			on_start_answer(a, &m->items[i]);
		else if (m->op == TREE_EXIT && m->items[i].slot >= 0 &&
			 m->items[i].slot < TREE_SLOTS)
			look_at_slot(a, m->items[i].slot);
	}
}

static void on_readable(struct actor *a, int fd, uint32_t events, void *arg)
{
	static struct tree_message m;
	struct shell *s = shell_of(a);

	(void)events;
	(void)arg;
	for (int share = 0; share < 64 && s->fd == fd; share++) {
		int fds[TREE_FDS_MAX], n = TREE_FDS_MAX, got = tree_receive(fd, &m, fds, &n);

		if (got == -EAGAIN)
			break;
		if (got <= 0) {
			disconnect(a);
			break;
		}
		s->heard_ms = actor_now_ms(a);
		take(a, &m, fds, n);
	}
	manager_of(a)->os->flush(a);
}

/* --- what the pure part asks for --- */

static bool is_up(struct actor *a)
{
	return shell_of(a)->fd >= 0 && shell_of(a)->table;
}

bool tree_port_send(struct actor *a, struct tree_message *m)
{
	struct shell *s = shell_of(a);

	m->id = ++s->next_id;
	if (s->fd >= 0 && tree_send(s->fd, m) == 0)
		return true;
	disconnect(a);
	return false;
}

static void send_batch(struct actor *a, struct tree_message *m, enum tree_op op)
{
	if (m->count == 0)
		return;
	m->op = op;
	/* Not sent: the reconnect takes stock and asks again. */
	tree_port_send(a, m);
	m->count = 0;
}

static void flush(struct actor *a)
{
	send_batch(a, &shell_of(a)->out, TREE_START);
	send_batch(a, &shell_of(a)->confirms, TREE_CONFIRM);
}

static void start(struct actor *a, struct deployment *d)
{
	struct shell *s = shell_of(a);
	bool captures = !d->spec || !d->spec->stdout_log || !d->spec->stderr_log;

	if (s->out.count == TREE_BATCH)
		send_batch(a, &s->out, TREE_START);
	s->out.items[s->out.count++] = (struct tree_item){.instance = d->instance,
							  .spec = d->arena_at,
							  .streams = captures ? d->streams : 0,
							  .value = d->helper,
							  .pid = (int32_t)d->living,
							  .start_ticks = d->start_ticks};
}

static void confirm(struct actor *a, uint64_t instance)
{
	struct shell *s = shell_of(a);

	if (s->confirms.count == TREE_BATCH)
		send_batch(a, &s->confirms, TREE_CONFIRM);
	s->confirms.items[s->confirms.count++] = (struct tree_item){.instance = instance};
}

/* One that may be about to be taken over is told to lops-init first. */
static void signal_it(struct actor *a, struct deployment *d, int signo, bool group)
{
	flush(a);
	signals_add(shell_of(a), d->instance,
		    (uint32_t)signo | (uint32_t)(group ? TREE_SCOPE_GROUP : TREE_SCOPE_MAIN) << 16);
	signals_send(a);
}

static void release(struct actor *a, uint64_t streams)
{
	static struct tree_message m;

	m = (struct tree_message){.count = 1};
	m.items[0] = (struct tree_item){.streams = streams};
	send_batch(a, &m, TREE_RELEASE);
}

static uint64_t place_spec(struct actor *a, struct deployment *d, const char **ret_why,
			   int *ret_status)
{
	static char why[400];
	struct shell *s = shell_of(a);
	struct spec_block block;
	struct spec_place where = {.run_dir = actor_run_dir(a)};
	uint64_t at;

	*ret_why = why;
	*ret_status = 1;
	if (!s->arena) {
		snprintf(why, sizeof why, "lops-init is not there yet");
		return 0;
	}
	limits_prepare(a, d, &where);
	*ret_status = spec_build(d, &where, &block, why, sizeof why);
	if (*ret_status)
		return 0;
	at = arena_take(s, block.length);
	if (at) {
		memcpy(s->arena + at, block.data, block.length);
	} else {
		*ret_status = 1;
		snprintf(why, sizeof why, "no room is left for its command and environment");
	}
	free(block.data);
	return at;
}

/* Not while a slot names it: it is found again by the next life of ours. */
static void free_spec(struct actor *a, uint64_t at)
{
	struct shell *s = shell_of(a);

	for (int i = 0; s->table && i < atomic_load(&s->table->high); i++) {
		enum tree_state state = tree_state_of(atomic_load(&s->table->slots[i].word));

		if (s->table->slots[i].spec == at && state != TREE_FREE && state != TREE_EXITED)
			return;
	}
	arena_give(s, at);
}

/* Of a start that nobody has told us of, it is the process that leads its session. */
static bool lives(struct actor *a, struct deployment *d)
{
	struct proc_stat f;

	(void)a;
	if (proc_stat(d->living, &f) != 1 || f.state == 'Z' || f.state == 'X' ||
	    (d->start_ticks ? f.start_ticks != d->start_ticks : f.session != d->living))
		return false;
	d->start_ticks = f.start_ticks;
	return true;
}

const struct tree_os tree_port_os = {
	.is_up = is_up,
	.start = start,
	.signal = signal_it,
	.confirm = confirm,
	.release = release,
	.place_spec = place_spec,
	.free_spec = free_spec,
	.sweep = sweep_ask,
	.port_is_occupied = port_occupied,
	.port_holder = port_holder,
	.flush = flush,
	.lives = lives,
	.unkept_limits = limits_unkept,
	.oom_kills = limits_oom_kills,
	.forget = limits_forget,
	.take_stock = limits_open,
};

int tree_port_open(struct actor *a)
{
	struct shell *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	manager_of(a)->shell = s;
	s->fd = -1;
	for (int i = 0; i < 5; i++)
		s->fds[i] = -1;
	s->reconnect.fn = try_connect;
	s->watch.fn = watch_pair;
	watch_pair(a, &s->watch);
	try_connect(a, NULL);
	return 0;
}
