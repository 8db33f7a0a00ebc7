/*
 * Feeding subscriptions by credit: at the head from the tail in memory, behind it from the journal.
 */
#include "broker/core_parts.h"

#include <string.h>

enum { READ_ROWS = 512 };

bool sub_wants(const struct sub *s, const char *topic, uint32_t len)
{
	for (uint32_t i = 0; i < s->n_prefixes; i++)
		if (len >= s->prefixes[i].len &&
		    memcmp(topic, s->prefixes[i].text, s->prefixes[i].len) == 0)
			return true;
	return false;
}

/* Sends the batch that was built; takes its bytes off the credit. */
static bool send_batch(struct core *c, const struct peer *p, struct sub *s, size_t len)
{
	uint8_t head[24];
	struct door_writer w = door_writer_over(head, sizeof head);

	if (len == 0)
		return true;
	door_write_uint(&w, DOOR_DELIVER);
	door_write_uint(&w, s->id);
	door_write_uint(&w, DOOR_STREAM);
	s->credit -= (int64_t)(w.len + len);
	return c->out.send(c->out.arg, p->id, p->id_len, w.data, w.len, c->batch.data, len);
}

/* Fills the batch from the tail, from s->place on. */
static void build_from_tail(struct core *c, const struct peer *p, const struct sub *s)
{
	struct batch *b = &c->batch;
	uint64_t place = s->place < c->tail.first ? c->tail.first : s->place;

	if (b->like && b->from == place && b->to > place && sub_is_like(b->like, s) &&
	    b->to <= c->tail.next)
		return;
	*b = (struct batch){.from = place, .like = s, .data = b->data};
	while (place < c->tail.next) {
		const struct tail_entry *e = tail_at(&c->tail, place);

		if (core_may_see(p, e->is_private) &&
		    sub_wants(s, (const char *)e->rec + 3, e->topic_len)) {
			if (b->len && b->len + e->len > DOOR_BATCH_BYTES)
				break;
			memcpy(b->data + b->len, e->rec, e->len);
			b->len += e->len;
		}
		place++;
	}
	b->to = place;
}

static bool feed_from_tail(struct core *c, struct peer *p, struct sub *s)
{
	bool alive;

	build_from_tail(c, p, s);
	alive = send_batch(c, p, s, c->batch.len);
	for (uint64_t at = c->batch.to; at > c->batch.from; at--)
		if (tail_at(&c->tail, at - 1)->seq) {
			s->after = tail_at(&c->tail, at - 1)->seq;
			break;
		}
	s->place = c->batch.to;
	return alive;
}

struct from_file {
	struct core *c;
	const struct peer *p;
	struct sub *s;
	size_t len;
	uint32_t rows;
	bool full;
};

/* Rows that lie between are gone: trimmed while the subscription stood still, or lost to damage. */
static void skip(struct core *c, const struct peer *p, struct sub *s, uint64_t to)
{
	core_say_gap(c, p, s, s->after + 1, to, "retention");
	s->after = to;
}

static bool take_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	struct from_file *f = arg;

	f->rows++;
	if (seq > f->s->after + 1) {
		if (f->len) { /* what lies before the hole is sent first */
			f->full = true;
			return false;
		}
		skip(f->c, f->p, f->s, seq - 1);
	}
	if (core_may_see(f->p, core_record_is_private(rec, len)) &&
	    sub_wants(f->s, (const char *)rec + 3, rec[2])) {
		if (f->len && f->len + len > DOOR_BATCH_BYTES) {
			f->full = true;
			return false;
		}
		memcpy(f->c->batch.data + f->len, rec, len);
		f->len += len;
	}
	f->s->after = seq;
	return true;
}

static bool feed_from_file(struct core *c, struct peer *p, struct sub *s)
{
	struct from_file f = {.c = c, .p = p, .s = s};
	int err;

	c->batch.like = NULL;
	err = journal_read(c->journal, s->after, READ_ROWS, take_row, &f);
	if (err) {
		c->error = err;
		return true;
	}
	if (!f.rows && s->after < c->head)
		skip(c, p, s, c->head);
	s->in_tail = tail_place_after(&c->tail, s->after, &s->place);
	return send_batch(c, p, s, f.len);
}

static bool is_behind(const struct core *c, const struct sub *s)
{
	return s->in_tail ? s->place < c->tail.next : s->after < c->head;
}

/* One packet for the subscription if it has credit and is behind. false: the peer is gone. */
static bool feed(struct core *c, struct peer *p, struct sub *s)
{
	if (s->in_tail && s->place < c->tail.first)
		s->in_tail = tail_place_after(&c->tail, s->after, &s->place);
	if (s->credit <= 0 || !is_behind(c, s))
		return true;
	return s->in_tail ? feed_from_tail(c, p, s) : feed_from_file(c, p, s);
}

/* Everybody in turn, until nobody has credit left or the share of this turn is used. */
bool core_feed_all(struct core *c)
{
	bool more = true;

	for (int round = 0; round < 8 && more && !c->error; round++) {
		more = false;
		for (uint32_t i = 0; i < c->peers.n && !c->error; i++) {
			struct peer *p = c->peers.all[i];
			bool alive = true;

			for (uint32_t k = 0; k < p->n_subs && alive && !c->error; k++) {
				alive = feed(c, p, p->subs[k]);
				more |= alive && p->subs[k]->credit > 0 && is_behind(c, p->subs[k]);
			}
			if (!alive) {
				c->batch.like = NULL;
				peers_remove(&c->peers, p);
				i--;
			}
		}
	}
	return more;
}

void core_feed_tap(struct core *c)
{
	if (c->tapped < c->tail.first)
		c->tapped = c->tail.first;
	for (; c->tapped < c->tail.next; c->tapped++) {
		const struct tail_entry *e = tail_at(&c->tail, c->tapped);
		struct door_reader r = door_reader_over(e->rec, e->len);
		struct door_record rec;

		if (c->out.tap && !e->is_private && door_read_record(&r, &rec))
			c->out.tap(c->out.arg, &rec);
	}
}
