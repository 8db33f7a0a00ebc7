/*
 * Outcomes that wait until the view shows them. The process-manager says what a command came to
 * before it says the record that results, and a client that asks next must see it. No client is
 * held for long by a record that never comes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"

enum { SHOWN_WITHIN_MS = 2000 };

struct held {
	struct actor_timer timer; /* gives up */
	struct api_client *client;
	struct command_finished *outcome; /* malloc, NULL: still to come */
	char **ids;                       /* malloc, and each of them */
	uint32_t n_ids, at;               /* shown so far */
	enum wait_for done, failed, ended, what;
	bool records;
	uint64_t give_up_ms;
};

static void every_held(struct actor *a, struct actor_timer *t);

static struct held *held_of(struct api_client *k)
{
	struct held *h = k->held;

	if (!h) {
		h = calloc(1, sizeof *h);
		if (!h)
			abort();
		h->client = k;
		h->timer.fn = every_held;
		k->held = h;
	}
	return h;
}

static void held_free(struct actor *a, struct held *h)
{
	actor_timer_cancel(a, &h->timer);
	for (uint32_t i = 0; i < h->n_ids; i++)
		free(h->ids[i]);
	free(h->ids);
	free(h->outcome);
	free(h);
}

void held_drop(struct actor *a, struct api_client *k)
{
	if (k->held)
		held_free(a, k->held);
	k->held = NULL;
}

static void keep_id(struct held *h, const char *id)
{
	h->ids = reallocarray(h->ids, h->n_ids + 1, sizeof *h->ids);
	if (!h->ids)
		abort();
	h->ids[h->n_ids] = strdup(id);
	if (!h->ids[h->n_ids++])
		abort();
}

void held_expect(struct actor *a, struct api_client *k, const struct expected *e)
{
	struct held *h;

	held_drop(a, k);
	h = held_of(k);
	h->done = e->done;
	h->failed = e->failed;
	h->ended = e->n_ids == 1 ? WAIT_ENDED : WAIT_REST; /* of several only some did */
	h->records = e->records;
	for (uint32_t i = 0; i < e->n_ids; i++)
		keep_id(h, e->ids[i]);
}

/* --- answering --- */

static void answer(struct actor *a, struct held *h)
{
	struct api_client *k = h->client;
	struct finished f = {.outcome = h->outcome,
			     .ids = (const char *const *)h->ids,
			     .n_ids = h->records ? h->n_ids : 0};

	k->held = NULL; /* an answer may end the client */
	answer_finished(a, k, &f);
	held_free(a, h);
}

/* Those whose record shows what the command did are not looked at again. */
static void look(struct actor *a, struct held *h)
{
	for (; h->at < h->n_ids; h->at++) {
		const struct view_row *row = view_find(coordinator_of(a), h->ids[h->at]);
		struct wait_facts f = {.exists = row != NULL};

		if (row) {
			f.status = row->status;
			f.has_process = row->has_process;
		}
		if (!wait_rule(h->what, &f))
			break;
	}
	if (h->at == h->n_ids || actor_now_ms(a) >= h->give_up_ms)
		answer(a, h);
	else
		actor_timer_set(a, &h->timer, h->give_up_ms);
}

static void every_held(struct actor *a, struct actor_timer *t)
{
	look(a, (struct held *)(void *)((char *)t - offsetof(struct held, timer)));
}

void held_look(struct actor *a)
{
	struct coordinator *c = coordinator_of(a);

	for (uint32_t i = 0; i < c->high; i++)
		if (c->clients[i].held && c->clients[i].held->outcome)
			look(a, c->clients[i].held);
}

/* Who brought the set up named no deployment: what is about to be shown is all that starts. */
static void expect_starting(struct actor *a, struct held *h)
{
	const struct coordinator *c = coordinator_of(a);

	for (uint32_t i = 0; i < c->n_rows; i++)
		if (c->rows[i].status == PROCESS_STARTING)
			keep_id(h, c->rows[i].id);
	h->done = h->failed = WAIT_REST;
}

static enum wait_for what_of(const struct held *h, const struct command_finished *e)
{
	if (e->status == 0)
		return h->done;
	if (e->outcomes.count == 0) /* refused as a whole, it did nothing that could be shown */
		return WAIT_NOTHING;
	return e->status == 3 ? h->ended : h->failed; /* 3: it ran, and stays */
}

void held_finished(struct actor *a, struct api_client *k, const struct command_finished *e)
{
	bool is_known = k->held != NULL;
	struct held *h = held_of(k);

	if (h->outcome)
		return;
	if (!is_known)
		expect_starting(a, h);
	h->outcome = msg_body_copy(&MSG_command_finished.body, e);
	if (!h->outcome)
		abort();
	h->what = what_of(h, e);
	h->give_up_ms = actor_now_ms(a) + SHOWN_WITHIN_MS;
	look(a, h);
}
