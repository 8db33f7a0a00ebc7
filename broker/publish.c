/*
 * Taking an event: who may publish it, whether it was said before, its place in every chain, and
 * its way into the journal.
 */
#include "broker/core_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Causes that name an own event by its number. */
static int resolve_cause(struct core *c, struct peer *p, uint8_t *header)
{
	uint64_t cause = msg_header_peek(header, MSG_AT_CAUSE);

	if (cause & MSG_CAUSE_OWN)
		cause = peer_seq_of(p, cause & ~MSG_CAUSE_OWN);
	else if (cause > c->head)
		cause = 0;
	msg_header_patch(header, MSG_AT_CAUSE, cause);
	return 0;
}

static const char *why_not(const struct peer *p, const struct msg_type *type,
			   const struct msg_header *h)
{
	if (!type)
		return "no such type of event";
	if (!p->is_actor && !(type->flags & OUTSIDE))
		return "only the set's own actors publish this";
	if (strcmp(h->sender, p->sender) != 0 || h->incarnation != p->incarnation)
		return "the sender is not who said hello";
	return NULL;
}

static void patch(struct core *c, struct peer *p, struct door_record *rec, uint64_t seq,
		  const char *topic, const char *dep)
{
	char name[MSG_TOPIC_MAX + 2];

	snprintf(name, sizeof name, "/%s", dep);
	resolve_cause(c, p, rec->header);
	msg_header_patch(rec->header, MSG_AT_EPOCH, journal_epoch(c->journal));
	msg_header_patch(rec->header, MSG_AT_SEQ, seq);
	msg_header_patch(rec->header, MSG_AT_PREV, seq ? journal_last_of(c->journal, topic) : 0);
	msg_header_patch(rec->header, MSG_AT_DPREV,
			 seq && dep[0] ? journal_last_of(c->journal, name) : 0);
	if (!p->is_actor)
		msg_header_patch(rec->header, rec->header_len - 9, p->uid);
}

static int keep_last(struct core *c, const struct msg_type *type, const char *dep, uint64_t seq,
		     const struct door_record *rec)
{
	char key[2 * MSG_TOPIC_MAX];

	if (type->flags & FORGETS)
		return journal_forget(c->journal, dep);
	if (!type->key)
		return 0;
	snprintf(key, sizeof key, "%s/%s", type->key, dep);
	return journal_set_last(c->journal, key, seq, rec->whole, rec->whole_len);
}

static int keep_durable(struct core *c, const struct msg_type *type, const struct msg_header *h,
			struct door_record *rec, const char *topic, const char *dep)
{
	struct journal_entry e = {.seq = c->head + 1,
				  .prev = msg_header_peek(rec->header, MSG_AT_PREV),
				  .dprev = msg_header_peek(rec->header, MSG_AT_DPREV),
				  .cause = msg_header_peek(rec->header, MSG_AT_CAUSE),
				  .did = h->did,
				  .time_ns = h->time_ns,
				  .topic = topic,
				  .deployment = dep,
				  .rec = rec->whole,
				  .rec_len = rec->whole_len};
	int err = journal_append(c->journal, &e);

	if (!err)
		err = keep_last(c, type, dep, e.seq, rec);
	if (!err)
		err = tail_put(&c->tail, e.seq, type->flags & PRIVATE, rec->topic.len, rec->whole,
			       rec->whole_len);
	if (err)
		return err;
	c->head = e.seq;
	c->turn_sync |= (type->flags & SYNC) != 0;
	return 0;
}

static void publish_new(struct core *c, struct peer *p, const struct msg_type *type,
			const struct msg_header *h, struct door_record *rec)
{
	char topic[MSG_TOPIC_MAX + 1];
	const char *slash, *dep;
	uint64_t seq = type->flags & DURABLE ? c->head + 1 : 0, earlier = 0;

	memcpy(topic, rec->topic.at, rec->topic.len);
	topic[rec->topic.len] = 0;
	slash = strchr(topic, '/');
	dep = slash ? slash + 1 : "";
	if (seq && h->did)
		earlier = journal_seq_of_did(c->journal, h->did);
	if (earlier) { /* said before, by an earlier incarnation: settled with its place */
		peer_note_seq(p, h->number, earlier);
		return;
	}
	patch(c, p, rec, seq, topic, dep);
	if (seq)
		c->error = keep_durable(c, type, h, rec, topic, dep);
	else
		tail_put(&c->tail, 0, type->flags & PRIVATE, rec->topic.len, rec->whole,
			 rec->whole_len);
	peer_note_seq(p, h->number, seq);
	c->published++;
}

static void publish_one(struct core *c, struct peer *p, struct door_record *rec)
{
	const struct msg_type *type = msg_type_of(rec->topic.at, rec->topic.len);
	struct msg_header h;
	const char *why;

	if (memchr(rec->topic.at, 0, rec->topic.len) ||
	    msg_header_decode(rec->header, rec->header_len, &h) < 0) {
		core_refuse(c, p, 0, EBADMSG, "not a header");
		return;
	}
	why = why_not(p, type, &h);
	if (!why && h.number > p->number)
		publish_new(c, p, type, &h, rec);
	else if (why)
		core_refuse(c, p, h.number, EPERM, why);
	if (h.number > p->number && !c->error) {
		p->number = h.number;
		p->in_turn = true;
		c->turn_dirty = true;
	}
	c->turn_events++;
}

void core_on_publish(struct core *c, struct peer *p, struct door_reader *r)
{
	struct door_record rec;

	if (c->closed)
		return; /* not acknowledged: it waits in its outbox for the next hello */
	while (!c->error && door_read_record(r, &rec))
		publish_one(c, p, &rec);
	if (r->error)
		core_refuse(c, p, 0, EBADMSG, "not records");
	/* Sent again although settled: the acknowledgement was lost, and is said once more. */
	p->in_turn = true;
}
