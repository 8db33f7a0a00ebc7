/*
 * Subscriptions: last values first, then where the stream begins, after any gap was said.
 */
#include "broker/core_parts.h"

#include <errno.h>
#include <string.h>

/* Rows of this turn are in the transaction already and read back like any other. */
static int send_last_values(struct core *c, const struct peer *p, const struct sub *s,
			    char keys[][DOOR_NAME_MAX + 1], uint32_t n)
{
	struct gather g = gather_begin(c, p, DOOR_DELIVER, s->id);
	struct door_writer w;
	int err = 0;

	for (uint32_t i = 0; i < n && !err; i++)
		err = journal_read_last(c->journal, keys[i], gather_row, &g);
	if (g.len)
		gather_send(&g, false);
	w = core_answer_begin(c, DOOR_LOADED);
	door_write_uint(&w, s->id);
	door_write_uint(&w, c->head);
	core_answer_send(c, p, &w);
	return err;
}

/* Where the stream begins, after any gap was said. */
static void place_sub(struct core *c, const struct peer *p, struct sub *s, enum door_start start,
		      uint64_t seq)
{
	uint64_t tail = journal_tail(c->journal);
	bool known;

	if (start == DOOR_CURSOR)
		seq = journal_cursor(c->journal, s->cursor, &known);
	else if (start == DOOR_LIVE)
		seq = c->head;
	if (seq > c->head) {
		core_say_gap(c, p, s, c->head + 1, seq, "epoch");
		seq = c->head;
	} else if (seq && tail && seq + 1 < tail) {
		core_say_gap(c, p, s, seq + 1, tail - 1, "retention");
		seq = tail - 1;
	} else if (!seq && tail) {
		seq = tail - 1; /* all there is: nothing is missing from that */
	}
	s->after = seq;
	s->in_tail = tail_place_after(&c->tail, seq, &s->place);
	/* Live means from now: also no ephemeral event of before. */
	if (seq == c->head)
		s->place = c->tail.next;
}

void core_on_subscribe(struct core *c, struct peer *p, struct door_reader *r)
{
	static char keys[DOOR_PREFIXES_MAX][DOOR_NAME_MAX + 1];
	uint64_t id = door_read_uint(r), start = door_read_uint(r), seq = door_read_uint(r);
	struct door_text cursor = door_read_str(r, DOOR_NAME_MAX);
	uint64_t credit = door_read_uint(r);
	struct sub *s = r->error ? NULL : peer_sub_new(p, id);
	uint32_t n_keys;

	if (!s || start > DOOR_CURSOR) {
		core_refuse(c, p, 0, s ? EBADMSG : ENOSPC, "this subscription can't be had");
		return;
	}
	memcpy(s->cursor, cursor.at, cursor.len);
	s->credit = (int64_t)(credit > CORE_CREDIT_MAX ? CORE_CREDIT_MAX : credit);
	s->n_prefixes = door_read_array(r, DOOR_PREFIXES_MAX);
	for (uint32_t i = 0; i < s->n_prefixes && !r->error; i++)
		sub_prefix(s, i, door_read_str(r, MSG_TOPIC_MAX));
	n_keys = door_read_array(r, DOOR_PREFIXES_MAX);
	for (uint32_t i = 0; i < n_keys && !r->error; i++) {
		struct door_text key = door_read_str(r, DOOR_NAME_MAX);

		memcpy(keys[i], key.at, key.len);
		keys[i][key.len] = 0;
	}
	if (r->error) {
		peer_sub_end(p, id);
		core_refuse(c, p, 0, EBADMSG, "not a subscription");
		return;
	}
	c->batch.like = NULL;
	if (n_keys || start == DOOR_LIVE)
		c->error = c->error ? c->error : send_last_values(c, p, s, keys, n_keys);
	place_sub(c, p, s, (enum door_start)start, seq);
	core_repeat_degraded(c, p, s);
}

void core_on_credit(struct core *c, struct peer *p, struct door_reader *r)
{
	struct sub *s = peer_sub(p, door_read_uint(r));
	uint64_t bytes = door_read_uint(r);

	if (r->error || !s) {
		c->refused++;
		return;
	}
	s->credit += (int64_t)(bytes > CORE_CREDIT_MAX ? CORE_CREDIT_MAX : bytes);
	if (s->credit > (int64_t)CORE_CREDIT_MAX)
		s->credit = CORE_CREDIT_MAX;
}
