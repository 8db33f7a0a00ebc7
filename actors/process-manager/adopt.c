/*
 * After a start of ours: what the tree holds against what the journal says, and the difference made
 * good. Pure over the table; asks the shell whether a process lives.
 */
#include <stdio.h>
#include <string.h>
#include "actors/process-manager/manager.h"

struct adoption {
	struct actor *a;
	const struct tree_table *table;
};

static const struct tree_slot *slot_of(const struct tree_table *t, uint64_t instance)
{
	for (int i = 0; t && instance && i < atomic_load(&t->high); i++) {
		const struct tree_slot *s = &t->slots[i];

		if (s->instance == instance &&
		    tree_state_of(atomic_load(&s->word)) >= TREE_STARTING)
			return s;
	}
	return NULL;
}

/* It lives: what we would be waiting for is begun again. */
static void go_on(struct adoption *q, struct deployment *d)
{
	if (d->status == PROCESS_STARTING) {
		life_awaits_ready(q->a, d);
	} else if (d->status == PROCESS_STOPPING && !manager_of(q->a)->resumed) {
		d->status = PROCESS_RUNNING;
		life_stop(q->a, d, (double)__builtin_nan(""), false);
	}
}

/* It outlived its whole tree: the new lops-init makes it its own, and its output is read again. */
static void take_over(struct actor *a, struct deployment *d)
{
	const char *why;
	int status;

	d->arena_at = d->spec ? manager_of(a)->os->place_spec(a, d, &why, &status) : 0;
	life_send_start(a, d);
}

/* No slot knows it: it was never spawned, or the whole tree is another one. */
static void adopt_without_slot(struct adoption *q, struct deployment *d)
{
	struct manager *m = manager_of(q->a);

	/* Sent on a connection that broke: it may yet be carried out, so it is not given up. */
	if (d->start_sent) {
		life_send_start(q->a, d);
		return;
	}
	d->living = d->pid == MSG_NONE ? 0 : d->pid;
	if (d->living && m->os->lives(q->a, d)) {
		take_over(q->a, d);
		go_on(q, d);
		return;
	}
	d->living = 0;
	/* Its start was on the disk. Nobody has carried it out, or one whose table is gone. */
	if (d->status == PROCESS_STARTING && d->pid == MSG_NONE && d->spec) {
		m->os->sweep(q->a, d, 0);
		return;
	}
	life_exited_unknown(q->a, d, ENDED_UNWATCHED);
}

void adopt_swept(struct actor *a, struct deployment *d, const int64_t *found, uint32_t n)
{
	struct manager *m = manager_of(a);
	const char *why;
	int status;

	for (uint32_t i = 0; i < n; i++) {
		d->living = found[i];
		if (m->os->lives(a, d)) {
			take_over(a, d);
			m->os->flush(a);
			return;
		}
	}
	d->living = 0;
	/* Finished now, under the same number. */
	d->arena_at = m->os->place_spec(a, d, &why, &status);
	if (d->arena_at)
		life_send_start(a, d);
	else
		life_exited_unknown(a, d, why);
	m->os->flush(a);
}

static void adopt_one(void *arg, struct deployment *d)
{
	struct adoption *q = arg;
	const struct tree_slot *s = slot_of(q->table, d->instance);
	enum tree_state state = s ? tree_state_of(atomic_load(&s->word)) : TREE_FREE;

	if (!process_is_alive(d->status)) {
		/* The exit is on the disk; only its confirmation was cut off. */
		if (state == TREE_EXITED && d->exit_number <= actor_acked(q->a))
			manager_of(q->a)->os->confirm(q->a, d->instance);
		return;
	}
	if (!s) {
		/* Until its intent is on the disk it is not to be started, nor given up. */
		if (!d->start_number)
			adopt_without_slot(q, d);
		return;
	}
	d->arena_at = s->spec;
	if (state == TREE_EXITED && d->exit_instance == d->instance) {
		if (d->exit_number <= actor_acked(q->a))
			manager_of(q->a)->os->confirm(q->a, d->instance);
		return;
	}
	if (state == TREE_EXITED) {
		life_exited(q->a, d, s);
		return;
	}
	if (d->pid == MSG_NONE && (d->status == PROCESS_STARTING || manager_of(q->a)->resumed)) {
		life_send_start(q->a, d); /* same number: answered with what is there */
	} else if (atomic_load(&s->pid) > 0) {
		d->pid = atomic_load(&s->pid);
		go_on(q, d);
	}
}

/* A stop whose last exit is known but whose end was not said. */
static void adopt_half_stopped(void *arg, struct deployment *d)
{
	struct adoption *q = arg;

	if (d->status == PROCESS_STOPPING && d->pid == MSG_NONE &&
	    !slot_of(q->table, d->instance) && !d->sweep_wanted && !d->exit_number)
		manager_of(q->a)->os->sweep(q->a, d, 9);
}

/* Exits that nobody waits for any more: said and journalled, then the deployment was deleted or
 * started anew, and only the confirmation was cut off. */
static void confirm_leftovers(struct actor *a, const struct tree_table *t)
{
	for (int i = 0; t && i < atomic_load(&t->high); i++) {
		const struct tree_slot *s = &t->slots[i];
		enum tree_state state = tree_state_of(atomic_load(&s->word));

		if (state == TREE_RUNNING && s->helper)
			reload_found(a, s);
		else if (state == TREE_EXITED &&
			 !deployment_of_instance(manager_of(a), s->instance) &&
			 !life_is_being_said(manager_of(a), s->instance) && !reload_exited(a, s))
			manager_of(a)->os->confirm(a, s->instance);
	}
}

/* Streams of deployments that are gone: their release was cut off. */
static void release_leftovers(struct actor *a, const struct tree_table *t)
{
	for (int i = 0; t && i < atomic_load(&t->streams_high); i++) {
		const struct tree_stream *s = &t->streams[i];

		if (s->key && !deployment_find(manager_of(a), s->deployment))
			manager_of(a)->os->release(a, s->key);
	}
}

static void adopt_old_boot(void *arg, struct deployment *d)
{
	struct manager *m = manager_of(arg);

	if (process_is_alive(d->status) && strcmp(d->boot_id, m->boot_id) != 0)
		life_exited_unknown(arg, d, "ended with the machine's last boot");
}

static void forget_cut_off(void *arg, struct deployment *d)
{
	(void)arg;
	d->n_cut_off = 0;
}

void adopt_resumed(struct actor *a)
{
	struct adoption q = {.a = a, .table = manager_of(a)->table};

	deployment_each(manager_of(a), forget_cut_off, NULL);
	if (!manager_of(a)->resumed)
		deployment_each(manager_of(a), adopt_old_boot, a);
	deployment_each(manager_of(a), adopt_one, &q);
	deployment_each(manager_of(a), adopt_half_stopped, &q);
	confirm_leftovers(a, q.table);
	release_leftovers(a, q.table);
	manager_of(a)->os->flush(a);
	manager_of(a)->resumed = true;
	actor_take_up(a);
}

/* The commands that were cut off come first: who waits for what is there again before what happened
 * meanwhile is found, and its outcome is theirs. */
void adopt_all(struct actor *a)
{
	struct manager *m = manager_of(a);

	if (m->resumed) {
		adopt_resumed(a);
	} else if (!m->resuming) {
		m->resuming = true;
		m->os->take_stock(a);
		resume_begin(a);
		if (!m->n_resuming)
			adopt_resumed(a);
	}
}
