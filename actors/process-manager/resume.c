/*
 * The commands that a crash of ours cut off: found by what the deployments' records name, taken up
 * once more in their order, and passed over when the cursor brings them again.
 */
#include <stdlib.h>
#include "actors/process-manager/job.h"

static int by_seq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

bool resume_took(const struct manager *m, uint64_t seq)
{
	return m->n_taken_again &&
	       bsearch(&seq, m->taken_again, m->n_taken_again, sizeof *m->taken_again, by_seq);
}

static void take_again(struct actor *a, const struct event *ev)
{
	actor_set_cause(a, ev->header.seq);
	if (ev->type == &MSG_do_deployment_put)
		on_deployment_put(a, ev, ev->body);
	else if (ev->type == &MSG_do_deployment_delete)
		on_deployment_delete(a, ev, ev->body);
	else if (ev->type == &MSG_do_process_start)
		on_process_start(a, ev, ev->body);
	else if (ev->type == &MSG_do_process_stop)
		on_process_stop(a, ev, ev->body);
	else if (ev->type == &MSG_do_process_restart)
		on_process_restart(a, ev, ev->body);
	else if (ev->type == &MSG_do_process_reload)
		on_process_reload(a, ev, ev->body);
	actor_set_cause(a, 0);
}

static void found(struct actor *a, void *arg, const struct event *ev)
{
	struct manager *m = manager_of(a);

	(void)arg;
	if (ev)
		take_again(a, ev);
	else if (--m->n_resuming == 0)
		adopt_resumed(a);
}

struct cut_off {
	uint64_t *seqs;
	uint32_t n, cap;
};

static void note_cut_off(void *arg, struct deployment *d)
{
	struct cut_off *c = arg;

	if (c->n + d->n_cut_off + 1 > c->cap) {
		c->cap = 2 * (c->n + d->n_cut_off + 1);
		c->seqs = realloc(c->seqs, c->cap * sizeof *c->seqs);
		if (!c->seqs)
			abort();
	}
	for (uint32_t i = 0; i < d->n_cut_off; i++)
		c->seqs[c->n++] = (uint64_t)d->cut_off[i];
	if (d->command_seq) /* a reload, which does not wait for the deployment itself */
		c->seqs[c->n++] = d->command_seq;
}

void resume_begin(struct actor *a)
{
	struct manager *m = manager_of(a);
	struct cut_off c = {0};

	deployment_each(m, note_cut_off, &c);
	if (c.n)
		qsort(c.seqs, c.n, sizeof *c.seqs, by_seq);
	for (uint32_t i = 0; i < c.n; i++)
		if (m->n_resuming == 0 || c.seqs[i] != c.seqs[m->n_resuming - 1])
			c.seqs[m->n_resuming++] = c.seqs[i];
	m->taken_again = c.seqs;
	m->n_taken_again = m->n_resuming;
	for (uint32_t i = 0; i < m->n_taken_again; i++)
		actor_get_by_seq(a, m->taken_again[i], found, NULL);
}
