/*
 * Questions about the journal: one event, last values, a deployment's events backwards.
 */
#include "broker/core_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void core_on_get(struct core *c, struct peer *p, struct door_reader *r)
{
	uint64_t request = door_read_uint(r), by = door_read_uint(r), a = door_read_uint(r),
		 b = door_read_uint(r);
	struct door_text sender = door_read_str(r, MSG_SENDER_MAX);
	struct gather g = gather_begin(c, p, DOOR_ANSWER, request);
	char name[MSG_SENDER_MAX + 1] = "";

	if (r->error || by > DOOR_BY_ID) {
		core_refuse(c, p, 0, EBADMSG, "not a get");
		return;
	}
	memcpy(name, sender.at, sender.len);
	if (by == DOOR_BY_DID)
		a = a ? journal_seq_of_did(c->journal, a) : 0;
	else if (by == DOOR_BY_ID)
		a = journal_seq_of_id(c->journal, name, a, b);
	if (a)
		c->error = journal_read_one(c->journal, a, gather_row, &g);
	gather_send(&g, false);
}

void core_on_last(struct core *c, struct peer *p, struct door_reader *r)
{
	uint64_t request = door_read_uint(r);
	struct door_text prefix = door_read_str(r, MSG_TOPIC_MAX);
	struct gather g = gather_begin(c, p, DOOR_ANSWER, request);
	char key[MSG_TOPIC_MAX + 1] = "";

	if (r->error || (prefix.len && memchr(prefix.at, 0, prefix.len))) {
		core_refuse(c, p, 0, EBADMSG, "not a key prefix");
		return;
	}
	memcpy(key, prefix.at, prefix.len);
	c->error = journal_read_last(c->journal, key, gather_row, &g);
	gather_send(&g, false);
}

struct back {
	struct gather *g;
	uint64_t next;
};

static bool back_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	struct back *b = arg;
	struct door_record parts;
	struct door_reader r;

	gather_row(b->g, seq, rec, len);
	/* Read in place: the row is not written to. */
	r = door_reader_over(b->g->c->packet, 0);
	r.at = b->g->c->packet;
	memcpy(r.at, rec, len);
	r.end = r.at + len;
	b->next = door_read_record(&r, &parts) ? msg_header_peek(parts.header, MSG_AT_DPREV) : 0;
	return true;
}

void core_on_back(struct core *c, struct peer *p, struct door_reader *r)
{
	uint64_t request = door_read_uint(r);
	struct door_text dep = door_read_str(r, MSG_TOPIC_MAX);
	uint64_t before = door_read_uint(r), limit = door_read_uint(r);
	struct gather g = gather_begin(c, p, DOOR_ANSWER, request);
	struct back b = {.g = &g};
	char name[MSG_TOPIC_MAX + 2];

	if (r->error) {
		core_refuse(c, p, 0, EBADMSG, "not a back");
		return;
	}
	snprintf(name, sizeof name, "/%.*s", (int)dep.len, dep.at);
	b.next = before ? before : journal_last_of(c->journal, name);
	for (uint64_t i = 0; i < limit && i < 1000 && b.next && !c->error; i++) {
		uint64_t seq = b.next;

		b.next = 0;
		c->error = journal_read_one(c->journal, seq, back_row, &b);
	}
	gather_send(&g, false);
}
