/*
 * What the broker says itself: gaps, and trouble of the journal. Never journalled, for both are
 * about what the journal can't hold.
 */
#include "broker/core_parts.h"

#include <stdio.h>
#include <string.h>

/* One record of ours: a map of strings and numbers. */
struct words {
	uint8_t body[512];
	struct door_writer w;
};

static void words_begin(struct words *x, uint8_t n)
{
	x->w = door_writer_over(x->body, sizeof x->body);
	door_write_raw(&x->w, &(uint8_t){(uint8_t)(0x80 | n)}, 1);
}

static void put_text(struct words *x, const char *name, const char *text)
{
	door_write_str(&x->w, name, strlen(name));
	door_write_str(&x->w, text, strlen(text));
}

static void put_number(struct words *x, const char *name, uint64_t n)
{
	door_write_str(&x->w, name, strlen(name));
	door_write_uint(&x->w, n);
}

static struct door_writer record(const struct core *c, const char *topic, const struct words *x,
				 uint8_t *room, size_t size)
{
	struct msg_header h = {.version = MSG_VERSION,
			       .epoch = journal_epoch(c->journal),
			       .sender = "broker",
			       .uid = MSG_UID_NONE};
	struct door_writer w = door_writer_over(room, size);
	uint8_t header[MSG_HEADER_MAX];

	door_write_record(&w, topic, strlen(topic), header, msg_header_encode(&h, header), x->body,
			  x->w.len);
	return w;
}

static void deliver(struct core *c, const struct peer *p, const struct sub *s,
		    const struct door_writer *rec)
{
	struct door_writer w = core_answer_begin(c, DOOR_DELIVER);

	door_write_uint(&w, s->id);
	door_write_uint(&w, DOOR_STREAM);
	c->out.send(c->out.arg, p->id, p->id_len, w.data, w.len, rec->data, rec->len);
}

void core_say_gap(struct core *c, const struct peer *p, const struct sub *s, uint64_t from,
		  uint64_t to, const char *reason)
{
	uint8_t room[768];
	struct door_writer rec;
	struct words x;

	words_begin(&x, 3);
	put_number(&x, "from", from);
	put_number(&x, "to", to);
	put_text(&x, "reason", reason);
	rec = record(c, "bus.gap", &x, room, sizeof room);
	deliver(c, p, s, &rec);
}

static struct door_writer degraded(const struct core *c, uint8_t *room, size_t size)
{
	struct words x;

	words_begin(&x, 2);
	put_text(&x, "state", c->degraded_state);
	put_text(&x, "message", c->degraded_message);
	return record(c, "bus.degraded", &x, room, size);
}

static bool follows_degraded(const struct sub *s)
{
	static const char topic[] = "bus.degraded";

	return sub_wants(s, topic, sizeof topic - 1);
}

void core_repeat_degraded(struct core *c, const struct peer *p, const struct sub *s)
{
	uint8_t room[768];
	struct door_writer rec;

	if (!c->degraded_state[0] || !follows_degraded(s))
		return;
	rec = degraded(c, room, sizeof room);
	deliver(c, p, s, &rec);
}

void core_say_degraded(struct core *c, const char *state, const char *message)
{
	uint8_t room[768];
	struct door_writer rec;
	struct door_reader r;
	struct door_record parts;

	snprintf(c->degraded_state, sizeof c->degraded_state, "%s", state);
	snprintf(c->degraded_message, sizeof c->degraded_message, "%s", message);
	rec = degraded(c, room, sizeof room);
	for (uint32_t i = 0; i < c->peers.n; i++)
		for (uint32_t k = 0; k < c->peers.all[i]->n_subs; k++)
			if (follows_degraded(c->peers.all[i]->subs[k]))
				deliver(c, c->peers.all[i], c->peers.all[i]->subs[k], &rec);
	r = door_reader_over(rec.data, rec.len);
	if (c->out.tap && door_read_record(&r, &parts))
		c->out.tap(c->out.arg, &parts);
}
