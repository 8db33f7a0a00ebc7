/*
 * A page of the journal for a client: asked for by seq, many at once, answered when the last of
 * them came. Private bodies are left out, for they hold environments.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"

enum { PAGE = 64, PAGE_BYTES = 160 * 1024 };

struct page {
	uint32_t place;
	uint64_t serial;
	uint64_t next, head, last; /* last: newest kept on this page */
	uint32_t open;             /* answers still to come */
	char topic[MSG_TOPIC_MAX + 1];
	uint32_t n;
	size_t bytes;
	bool full;
	struct {
		char topic[MSG_TOPIC_MAX + 1];
		struct msg_header header;
		struct codec_buffer body;
	} rows[PAGE];
};

static void fill(struct api_event *e, const char *topic, const struct msg_header *h,
		 const struct codec_buffer *body)
{
	msg_body_init(&REC_api_event, e);
	e->topic = topic;
	e->epoch = h->epoch;
	e->seq = h->seq;
	e->prev = h->prev;
	e->dprev = h->dprev;
	e->cause = h->cause;
	e->sender = h->sender;
	e->incarnation = h->incarnation;
	e->number = h->number;
	e->did = h->did;
	e->time = (double)h->time_ns / 1e9;
	if (h->uid != MSG_UID_NONE)
		e->uid = (int64_t)h->uid;
	e->body = (struct msg_bytes){.data = body->data, .len = (uint32_t)body->len};
}

static void say_page(struct actor *a, struct page *p)
{
	struct api_client *k = api_client_of(coordinator_of(a), p->place, p->serial);
	struct api_event events[PAGE];
	struct api_answer answer;

	if (k) {
		msg_body_init(&REC_api_answer, &answer);
		answer.request = k->request;
		answer.status = 0;
		for (uint32_t i = 0; i < p->n; i++)
			fill(&events[i], p->rows[i].topic, &p->rows[i].header, &p->rows[i].body);
		answer.events = (struct api_event_list){.items = events, .count = p->n};
		answer.next = p->next < p->head ? p->next : 0;
		api_client_say(a, k, &answer);
	}
	for (uint32_t i = 0; i < p->n; i++)
		codec_buffer_done(&p->rows[i].body);
	free(p);
}

static void keep(struct page *p, const struct event *ev)
{
	const char *slash = ev->deployment[0] ? "/" : "";
	size_t before = p->bytes;

	p->rows[p->n].body = (struct codec_buffer){0};
	if (!(ev->type->flags & PRIVATE))
		msg_body_encode(&ev->type->body, ev->body, &p->rows[p->n].body, NULL);
	p->bytes += p->rows[p->n].body.len + 400;
	if (p->n && p->bytes > PAGE_BYTES) { /* begins the next page */
		codec_buffer_done(&p->rows[p->n].body);
		p->bytes = before;
		p->full = true;
		p->next = p->last;
		return;
	}
	snprintf(p->rows[p->n].topic, sizeof p->rows[p->n].topic, "%s%s%s", ev->type->topic, slash,
		 ev->deployment);
	p->rows[p->n++].header = ev->header;
	p->last = ev->header.seq;
}

static void on_found(struct actor *a, void *arg, const struct event *ev)
{
	struct page *p = arg;
	char topic[2 * MSG_TOPIC_MAX + 2];

	if (!ev) {
		if (--p->open == 0)
			say_page(a, p);
		return;
	}
	if (p->full)
		return;
	snprintf(topic, sizeof topic, "%s/%s", ev->type->topic, ev->deployment);
	if (strncmp(topic, p->topic, strlen(p->topic)) == 0)
		keep(p, ev);
}

/* The head is known: the rows of the page are asked for. */
static void on_head(struct actor *a, void *arg, const struct event *ev)
{
	struct page *p = arg;
	uint64_t since = p->next, head = actor_head_seq(a);

	(void)ev;
	p->head = head;
	for (uint64_t seq = since + 1; seq <= head && seq <= since + PAGE; seq++) {
		p->open++;
		actor_get_by_seq(a, seq, on_found, p);
	}
	/* What is not kept any more is passed over. */
	p->next = since + PAGE < head ? since + PAGE : head;
	if (--p->open == 0)
		say_page(a, p);
}

void journal_answer(struct actor *a, struct api_client *k, uint64_t since, const char *topic)
{
	struct page *p;

	if (!actor_bus_is_up(a)) {
		answer_status(a, k, 7, "the broker is away, and the journal with it; try again");
		return;
	}
	p = calloc(1, sizeof *p);
	if (!p)
		abort();
	p->place = api_client_place(coordinator_of(a), k);
	p->serial = k->serial;
	snprintf(p->topic, sizeof p->topic, "%s", topic ? topic : "");
	p->open = 1;
	p->next = since;
	actor_get_head(a, on_head, p);
}
