/*
 * The broker's decisions; see the header. Sent first, read later: whoever has credit is served
 * before more publishes are taken, so that no queue grows.
 */
#include "broker/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "broker/peers.h"
#include "broker/tail.h"
#include "msgs/type.h"

enum { READ_ROWS = 512 };

struct core {
	struct journal *journal;
	struct core_out out;
	struct core_limits limits;
	struct peers peers;
	struct tail tail;
	uint64_t head, refused, published;
	uint64_t tapped; /* next place of the tail for the tap */
	uint32_t turn_events;
	bool turn_sync, turn_dirty;
	int error;       /* of the journal in this turn: the turn is void */
	uint8_t *packet; /* room for one outgoing packet */
	struct batch {   /* the last one built, for those who follow with the same wishes */
		uint64_t from, to; /* places in the tail */
		const struct sub *like;
		size_t len;
		uint8_t *data;
	} batch;
};

struct core *core_new(struct journal *j, const struct core_out *out,
		      const struct core_limits *limits)
{
	struct core *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	*c = (struct core){.journal = j, .out = *out, .limits = *limits, .head = journal_head(j)};
	c->packet = malloc(2 * MSG_FRAME_MAX);
	c->batch.data = malloc(2 * MSG_FRAME_MAX);
	if (!c->packet || !c->batch.data || tail_init(&c->tail, c->head) < 0) {
		core_free(c);
		return NULL;
	}
	return c;
}

void core_free(struct core *c)
{
	if (!c)
		return;
	peers_done(&c->peers);
	if (c->tail.ring)
		tail_done(&c->tail);
	free(c->packet);
	free(c->batch.data);
	free(c);
}

uint32_t core_peers(const struct core *c)
{
	return c->peers.n;
}

uint64_t core_refused(const struct core *c)
{
	return c->refused;
}

uint64_t core_published(const struct core *c)
{
	return c->published;
}

bool core_turn_has_room(const struct core *c)
{
	return c->turn_events < CORE_TURN_EVENTS && !c->error;
}

/* --- answers --- */

static struct door_writer answer_begin(struct core *c, enum door_verb verb)
{
	struct door_writer w = door_writer_over(c->packet, 2 * MSG_FRAME_MAX);

	door_write_uint(&w, verb);
	return w;
}

static bool answer_send(struct core *c, const struct peer *p, const struct door_writer *w)
{
	return c->out.send(c->out.arg, p->id, p->id_len, w->data, w->len, NULL, 0);
}

static void refuse(struct core *c, const struct peer *p, uint64_t number, int error,
		   const char *text)
{
	struct door_writer w = answer_begin(c, DOOR_REFUSED);

	c->refused++;
	door_write_uint(&w, number);
	door_write_uint(&w, (uint64_t)error);
	door_write_str(&w, text, strlen(text));
	answer_send(c, p, &w);
}

static void on_hello(struct core *c, struct peer *p, struct door_reader *r)
{
	uint64_t low = door_read_uint(r), high = door_read_uint(r);
	struct door_text sender = door_read_str(r, MSG_SENDER_MAX);
	uint64_t incarnation = door_read_uint(r);
	struct door_text cookie = door_read_bin(r, DOOR_COOKIE_BYTES);
	struct door_writer w;

	if (r->error || sender.len == 0) {
		refuse(c, p, 0, EBADMSG, "not a hello");
		return;
	}
	if (low > DOOR_PROTOCOL_MAX || high < DOOR_PROTOCOL_MIN) {
		refuse(c, p, 0, EPROTONOSUPPORT, "no protocol version in common");
		return;
	}
	if (p->uid != c->limits.own_uid && p->uid != 0) {
		refuse(c, p, 0, EACCES, "this set belongs to another user");
		return;
	}
	peer_begin(p, sender.at, sender.len, incarnation);
	p->is_actor = cookie.len == DOOR_COOKIE_BYTES &&
		      memcmp(cookie.at, c->limits.cookie, DOOR_COOKIE_BYTES) == 0;
	p->acked = journal_sender_number(c->journal, p->sender, incarnation);
	p->number = p->said = p->acked;
	w = answer_begin(c, DOOR_WELCOME);
	door_write_uint(&w, DOOR_PROTOCOL_MAX);
	door_write_uint(&w, journal_epoch(c->journal));
	door_write_uint(&w, c->head);
	door_write_uint(&w, p->acked);
	door_write_bool(&w, p->is_actor);
	answer_send(c, p, &w);
}

/* --- publishing --- */

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
		refuse(c, p, 0, EBADMSG, "not a header");
		return;
	}
	why = why_not(p, type, &h);
	if (!why && h.number > p->number)
		publish_new(c, p, type, &h, rec);
	else if (why)
		refuse(c, p, h.number, EPERM, why);
	if (h.number > p->number && !c->error) {
		p->number = h.number;
		p->in_turn = true;
		c->turn_dirty = true;
	}
	c->turn_events++;
}

static void on_publish(struct core *c, struct peer *p, struct door_reader *r)
{
	struct door_record rec;

	while (!c->error && door_read_record(r, &rec))
		publish_one(c, p, &rec);
	if (r->error)
		refuse(c, p, 0, EBADMSG, "not records");
	/* Sent again although settled: the acknowledgement was lost, and is said once more. */
	p->in_turn = true;
}

/* --- subscribing --- */

static bool allowed(const struct peer *p, bool is_private)
{
	return p->is_actor || !is_private;
}

static void deliver_one(struct core *c, const struct peer *p, uint64_t sub, enum door_kind kind,
			const uint8_t *rec, uint32_t len)
{
	struct door_writer w = answer_begin(c, DOOR_DELIVER);

	door_write_uint(&w, sub);
	door_write_uint(&w, kind);
	c->out.send(c->out.arg, p->id, p->id_len, w.data, w.len, rec, len);
}

static bool is_private_record(const uint8_t *rec, uint32_t len)
{
	const struct msg_type *type = len > 3 ? msg_type_of((const char *)rec + 3, rec[2]) : NULL;

	return !type || (type->flags & PRIVATE);
}

/* Rows gathered into packets of DOOR_BATCH_BYTES. */
struct gather {
	struct core *c;
	const struct peer *p;
	uint64_t id; /* sub or request */
	enum door_verb verb;
	size_t len;
};

static void gather_send(struct gather *g, bool more)
{
	struct door_writer w = answer_begin(g->c, g->verb);

	door_write_uint(&w, g->id);
	if (g->verb == DOOR_DELIVER)
		door_write_uint(&w, DOOR_LAST_VALUE);
	else
		door_write_bool(&w, more);
	g->c->out.send(g->c->out.arg, g->p->id, g->p->id_len, w.data, w.len, g->c->batch.data,
		       g->len);
	g->len = 0;
}

static bool gather_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	struct gather *g = arg;

	(void)seq;
	if (!allowed(g->p, is_private_record(rec, len)))
		return true;
	if (g->len + len > DOOR_BATCH_BYTES && g->len)
		gather_send(g, true);
	memcpy(g->c->batch.data + g->len, rec, len);
	g->len += len;
	return true;
}

static struct gather gather_begin(struct core *c, const struct peer *p, enum door_verb verb,
				  uint64_t id)
{
	c->batch.like = NULL; /* its buffer is borrowed */
	return (struct gather){.c = c, .p = p, .verb = verb, .id = id};
}

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
	w = answer_begin(c, DOOR_LOADED);
	door_write_uint(&w, s->id);
	door_write_uint(&w, c->head);
	answer_send(c, p, &w);
	return err;
}

static void say_gap(struct core *c, const struct peer *p, const struct sub *s, uint64_t from,
		    uint64_t to)
{
	/* {"from": u64, "to": u64, "reason": "retention"} */
	uint8_t body[64], header[MSG_HEADER_MAX], rec[256];
	struct msg_header h = {.version = MSG_VERSION,
			       .epoch = journal_epoch(c->journal),
			       .sender = "broker",
			       .uid = MSG_UID_NONE};
	struct door_writer b = door_writer_over(body, sizeof body),
			   w = door_writer_over(rec, sizeof rec);
	static const char *const names[] = {"from", "to"};
	uint64_t values[] = {from, to};

	door_write_raw(&b, &(uint8_t){0x83}, 1);
	for (int i = 0; i < 2; i++) {
		door_write_str(&b, names[i], strlen(names[i]));
		door_write_uint(&b, values[i]);
	}
	door_write_str(&b, "reason", 6);
	door_write_str(&b, "retention", 9);
	door_write_record(&w, "bus.gap", 7, header, msg_header_encode(&h, header), body, b.len);
	deliver_one(c, p, s->id, DOOR_STREAM, rec, (uint32_t)w.len);
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
		say_gap(c, p, s, c->head + 1, seq);
		seq = c->head;
	} else if (seq && tail && seq + 1 < tail) {
		say_gap(c, p, s, seq + 1, tail - 1);
		seq = tail - 1;
	}
	s->after = seq;
	s->in_tail = tail_place_after(&c->tail, seq, &s->place);
	/* Live means from now: also no ephemeral event of before. */
	if (seq == c->head)
		s->place = c->tail.next;
}

static void on_subscribe(struct core *c, struct peer *p, struct door_reader *r)
{
	static char keys[DOOR_PREFIXES_MAX][DOOR_NAME_MAX + 1];
	uint64_t id = door_read_uint(r), start = door_read_uint(r), seq = door_read_uint(r);
	struct door_text cursor = door_read_str(r, DOOR_NAME_MAX);
	uint64_t credit = door_read_uint(r);
	struct sub *s = r->error ? NULL : peer_sub_new(p, id);
	uint32_t n_keys;

	if (!s || start > DOOR_CURSOR) {
		refuse(c, p, 0, s ? EBADMSG : ENOSPC, "this subscription can't be had");
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
		refuse(c, p, 0, EBADMSG, "not a subscription");
		return;
	}
	c->batch.like = NULL;
	if (n_keys || start == DOOR_LIVE)
		c->error = c->error ? c->error : send_last_values(c, p, s, keys, n_keys);
	place_sub(c, p, s, (enum door_start)start, seq);
}

static bool wants(const struct sub *s, const char *topic, uint32_t len)
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

		if (allowed(p, e->is_private) && wants(s, (const char *)e->rec + 3, e->topic_len)) {
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

static bool take_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	struct from_file *f = arg;

	f->rows++;
	if (allowed(f->p, is_private_record(rec, len)) &&
	    wants(f->s, (const char *)rec + 3, rec[2])) {
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
	if (!f.full && f.rows < READ_ROWS && s->after < c->head)
		s->after = c->head; /* the rest was trimmed meanwhile */
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
static bool feed_all(struct core *c)
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

/* --- committing --- */

static int note_senders(struct core *c)
{
	int err = 0;

	for (uint32_t i = 0; i < c->peers.n && !err; i++) {
		struct peer *p = c->peers.all[i];

		if (p->in_turn && p->number > p->acked)
			err = journal_set_sender(c->journal, p->sender, p->incarnation, p->number);
	}
	return err;
}

static void acknowledge(struct core *c)
{
	for (uint32_t i = 0; i < c->peers.n; i++) {
		struct peer *p = c->peers.all[i];
		struct peer_run run;

		if (!p->in_turn)
			continue;
		p->acked = p->number;
		/* Runs of consecutive numbers with consecutive seqs, so that the sender knows each.
		 */
		while (peer_next_run(p, &run)) {
			struct door_writer w = answer_begin(c, DOOR_ACK);

			door_write_uint(&w, p->incarnation);
			door_write_uint(&w, run.number);
			door_write_uint(&w, run.seq);
			door_write_uint(&w, run.run);
			answer_send(c, p, &w);
		}
	}
}

static int commit(struct core *c)
{
	if (!c->error && c->turn_dirty)
		c->error = note_senders(c);
	if (!c->error)
		c->error = journal_commit(c->journal, c->turn_sync);
	if (c->error)
		return c->error;
	acknowledge(c);
	c->turn_sync = c->turn_dirty = false;
	return 0;
}

/* --- the rest of the verbs --- */

static void on_credit(struct core *c, struct peer *p, struct door_reader *r)
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

static void on_commit(struct core *c, struct peer *p, struct door_reader *r)
{
	struct door_text name = door_read_str(r, DOOR_NAME_MAX);
	uint64_t seq = door_read_uint(r);
	char cursor[DOOR_NAME_MAX + 1] = "";

	if (r->error || !name.len || seq > c->head || memchr(name.at, 0, name.len)) {
		refuse(c, p, 0, EINVAL, "not a cursor or beyond the head");
		return;
	}
	memcpy(cursor, name.at, name.len);
	c->error = journal_set_cursor(c->journal, cursor, seq);
	c->turn_dirty = true;
}

static void on_get(struct core *c, struct peer *p, struct door_reader *r)
{
	uint64_t request = door_read_uint(r), by = door_read_uint(r), a = door_read_uint(r);
	struct gather g = gather_begin(c, p, DOOR_ANSWER, request);

	door_read_uint(r);
	door_read_str(r, MSG_SENDER_MAX);
	if (r->error) {
		refuse(c, p, 0, EBADMSG, "not a get");
		return;
	}
	if (by == DOOR_BY_DID)
		a = a ? journal_seq_of_did(c->journal, a) : 0;
	if (by <= DOOR_BY_DID && a)
		c->error = journal_read_one(c->journal, a, gather_row, &g);
	gather_send(&g, false);
}

static void on_last(struct core *c, struct peer *p, struct door_reader *r)
{
	uint64_t request = door_read_uint(r);
	struct door_text prefix = door_read_str(r, MSG_TOPIC_MAX);
	struct gather g = gather_begin(c, p, DOOR_ANSWER, request);
	char key[MSG_TOPIC_MAX + 1] = "";

	if (r->error || (prefix.len && memchr(prefix.at, 0, prefix.len))) {
		refuse(c, p, 0, EBADMSG, "not a key prefix");
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

static void on_back(struct core *c, struct peer *p, struct door_reader *r)
{
	uint64_t request = door_read_uint(r);
	struct door_text dep = door_read_str(r, MSG_TOPIC_MAX);
	uint64_t before = door_read_uint(r), limit = door_read_uint(r);
	struct gather g = gather_begin(c, p, DOOR_ANSWER, request);
	struct back b = {.g = &g};
	char name[MSG_TOPIC_MAX + 2];

	if (r->error) {
		refuse(c, p, 0, EBADMSG, "not a back");
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

static void on_ping(struct core *c, const struct peer *p, struct door_reader *r)
{
	struct door_writer w = answer_begin(c, DOOR_PONG);
	uint64_t token = door_read_uint(r);

	door_write_uint(&w, token);
	door_write_uint(&w, journal_epoch(c->journal));
	door_write_uint(&w, c->head);
	answer_send(c, p, &w);
}

static void take(struct core *c, struct peer *p, uint64_t verb, struct door_reader *r)
{
	bool reads = verb == DOOR_SUBSCRIBE || verb == DOOR_GET || verb == DOOR_LAST ||
		     verb == DOOR_BACK;

	/* Nobody sees what is not committed. */
	if (reads && commit(c) < 0)
		return;
	switch (verb) {
	case DOOR_PUBLISH:
		on_publish(c, p, r);
		break;
	case DOOR_SUBSCRIBE:
		on_subscribe(c, p, r);
		break;
	case DOOR_CREDIT:
		on_credit(c, p, r);
		break;
	case DOOR_COMMIT:
		on_commit(c, p, r);
		break;
	case DOOR_GET:
		on_get(c, p, r);
		break;
	case DOOR_LAST:
		on_last(c, p, r);
		break;
	case DOOR_BACK:
		on_back(c, p, r);
		break;
	case DOOR_UNSUBSCRIBE:
		c->batch.like = NULL;
		peer_sub_end(p, door_read_uint(r));
		break;
	case DOOR_PING:
		on_ping(c, p, r);
		break;
	default:
		refuse(c, p, 0, EBADMSG, "no such verb");
	}
}

void core_packet(struct core *c, const uint8_t *id, size_t id_len, uint64_t uid, void *packet,
		 size_t len)
{
	struct door_reader r = door_reader_over(packet, len);
	uint64_t verb = door_read_uint(&r);
	struct peer *p = peers_find(&c->peers, id, id_len);

	if (c->error)
		return;
	if (!p)
		p = peers_add(&c->peers, id, id_len, uid);
	if (!p) {
		c->refused++;
		return;
	}
	if (r.error)
		refuse(c, p, 0, EBADMSG, "not a packet");
	else if (verb == DOOR_HELLO)
		on_hello(c, p, &r);
	else if (!p->sender[0])
		refuse(c, p, 0, ENOTCONN, "say hello first");
	else
		take(c, p, verb, &r);
}

void core_peer_gone(struct core *c, const uint8_t *id, size_t id_len)
{
	struct peer *p = peers_find(&c->peers, id, id_len);

	c->batch.like = NULL;
	if (p)
		peers_remove(&c->peers, p);
}

/* --- the end of a turn --- */

static void feed_tap(struct core *c)
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

int core_turn_end(struct core *c, bool *ret_more)
{
	*ret_more = false;
	if (commit(c) < 0)
		return c->error;
	c->turn_events = 0;
	feed_tap(c);
	*ret_more = feed_all(c);
	return c->error;
}
