/*
 * The broker's decisions: peers, verbs and turns; see the header. Sent first, read later: whoever
 * has credit is served before more publishes are taken, so that no queue grows.
 */
#include "broker/core_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

struct core_retention core_retention(const struct core *c)
{
	return c->retention;
}

/* --- answers --- */

struct door_writer core_answer_begin(struct core *c, enum door_verb verb)
{
	struct door_writer w = door_writer_over(c->packet, 2 * MSG_FRAME_MAX);

	door_write_uint(&w, verb);
	return w;
}

bool core_answer_send(struct core *c, const struct peer *p, const struct door_writer *w)
{
	return c->out.send(c->out.arg, p->id, p->id_len, w->data, w->len, NULL, 0);
}

void core_refuse(struct core *c, const struct peer *p, uint64_t number, int error, const char *text)
{
	struct door_writer w = core_answer_begin(c, DOOR_REFUSED);

	c->refused++;
	door_write_uint(&w, number);
	door_write_uint(&w, (uint64_t)error);
	door_write_str(&w, text, strlen(text));
	core_answer_send(c, p, &w);
}

/* There is one of each actor: one that still speaks although another took its place is told to end.
 */
static void end_earlier(struct core *c, const struct peer *p)
{
	for (uint32_t i = 0; i < c->peers.n; i++) {
		struct peer *q = c->peers.all[i];

		if (q == p || !q->is_actor || strcmp(q->sender, p->sender) != 0)
			continue;
		if (q->incarnation != p->incarnation)
			core_refuse(c, q, 0, ESTALE, "another one of this name has said hello");
		peer_begin(q, "", 0, 0);
		c->batch.like = NULL;
	}
}

static void on_hello(struct core *c, struct peer *p, struct door_reader *r)
{
	uint64_t low = door_read_uint(r), high = door_read_uint(r);
	struct door_text sender = door_read_str(r, MSG_SENDER_MAX);
	uint64_t incarnation = door_read_uint(r);
	struct door_text cookie = door_read_bin(r, DOOR_COOKIE_BYTES);
	struct door_writer w;

	if (r->error || sender.len == 0) {
		core_refuse(c, p, 0, EBADMSG, "not a hello");
		return;
	}
	if (low > DOOR_PROTOCOL_MAX || high < DOOR_PROTOCOL_MIN) {
		core_refuse(c, p, 0, EPROTONOSUPPORT, "no protocol version in common");
		return;
	}
	if (p->uid != c->limits.own_uid && p->uid != 0) {
		core_refuse(c, p, 0, EACCES, "this set belongs to another user");
		return;
	}
	peer_begin(p, sender.at, sender.len, incarnation);
	p->is_actor = cookie.len == DOOR_COOKIE_BYTES &&
		      memcmp(cookie.at, c->limits.cookie, DOOR_COOKIE_BYTES) == 0;
	if (p->is_actor)
		end_earlier(c, p);
	p->acked = journal_sender_number(c->journal, p->sender, incarnation);
	p->number = p->said = p->acked;
	w = core_answer_begin(c, DOOR_WELCOME);
	door_write_uint(&w, DOOR_PROTOCOL_MAX);
	door_write_uint(&w, journal_epoch(c->journal));
	door_write_uint(&w, c->head);
	door_write_uint(&w, p->acked);
	door_write_bool(&w, p->is_actor);
	core_answer_send(c, p, &w);
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
			struct door_writer w = core_answer_begin(c, DOOR_ACK);

			door_write_uint(&w, p->incarnation);
			door_write_uint(&w, run.number);
			door_write_uint(&w, run.seq);
			door_write_uint(&w, run.run);
			core_answer_send(c, p, &w);
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

/* --- verbs --- */

static void on_commit(struct core *c, struct peer *p, struct door_reader *r)
{
	struct door_text name = door_read_str(r, DOOR_NAME_MAX);
	uint64_t seq = door_read_uint(r);
	char cursor[DOOR_NAME_MAX + 1] = "";

	if (r->error || !name.len || seq > c->head || memchr(name.at, 0, name.len)) {
		core_refuse(c, p, 0, EINVAL, "not a cursor or beyond the head");
		return;
	}
	if (c->closed)
		return; /* committed again with the next one; handling is at least once */
	memcpy(cursor, name.at, name.len);
	c->error = journal_set_cursor(c->journal, cursor, seq, p->is_actor);
	c->turn_dirty = true;
}

static void on_retain(struct core *c, const struct peer *p, struct door_reader *r)
{
	struct core_retention wanted = {.age_ms = door_read_uint(r), .bytes = door_read_uint(r)};

	if (r->error || !p->is_actor || !wanted.age_ms || !wanted.bytes)
		core_refuse(c, p, 0, r->error ? EBADMSG : EPERM,
			    "only the set's own actors say how much is kept");
	else
		c->retention = wanted;
}

static void on_ping(struct core *c, const struct peer *p, struct door_reader *r)
{
	struct door_writer w = core_answer_begin(c, DOOR_PONG);
	uint64_t token = door_read_uint(r);

	door_write_uint(&w, token);
	door_write_uint(&w, journal_epoch(c->journal));
	door_write_uint(&w, c->head);
	core_answer_send(c, p, &w);
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
		core_on_publish(c, p, r);
		break;
	case DOOR_SUBSCRIBE:
		core_on_subscribe(c, p, r);
		break;
	case DOOR_CREDIT:
		core_on_credit(c, p, r);
		break;
	case DOOR_COMMIT:
		on_commit(c, p, r);
		break;
	case DOOR_GET:
		core_on_get(c, p, r);
		break;
	case DOOR_LAST:
		core_on_last(c, p, r);
		break;
	case DOOR_BACK:
		core_on_back(c, p, r);
		break;
	case DOOR_UNSUBSCRIBE:
		c->batch.like = NULL;
		peer_sub_end(p, door_read_uint(r));
		break;
	case DOOR_RETAIN:
		on_retain(c, p, r);
		break;
	case DOOR_PING:
		on_ping(c, p, r);
		break;
	default:
		core_refuse(c, p, 0, EBADMSG, "no such verb");
	}
}

/* Nobody tells when a peer goes: it shows when something is sent to it. A pong may come unasked. */
static void drop_who_is_gone(struct core *c)
{
	struct door_writer w = core_answer_begin(c, DOOR_PONG);

	c->looked = true;
	c->batch.like = NULL;
	door_write_uint(&w, 0);
	door_write_uint(&w, journal_epoch(c->journal));
	door_write_uint(&w, c->head);
	for (uint32_t i = c->peers.n; i > 0; i--)
		if (!core_answer_send(c, c->peers.all[i - 1], &w))
			peers_remove(&c->peers, c->peers.all[i - 1]);
}

static struct peer *peer_of(struct core *c, const uint8_t *id, size_t id_len, uint64_t uid)
{
	struct peer *p = peers_find(&c->peers, id, id_len), nobody = {.id_len = id_len};

	if (p)
		return p;
	if (c->peers.n == CORE_PEERS_MAX && !c->looked)
		drop_who_is_gone(c);
	p = peers_add(&c->peers, id, id_len, uid);
	if (!p && id_len <= sizeof nobody.id) {
		memcpy(nobody.id, id, id_len);
		core_refuse(c, &nobody, 0, EBUSY, "there are too many connections");
	}
	return p;
}

void core_packet(struct core *c, const uint8_t *id, size_t id_len, uint64_t uid, void *packet,
		 size_t len)
{
	struct door_reader r = door_reader_over(packet, len);
	uint64_t verb = door_read_uint(&r);
	struct peer *p;

	if (c->error)
		return;
	p = peer_of(c, id, id_len, uid);
	if (!p)
		return;
	if (r.error)
		core_refuse(c, p, 0, EBADMSG, "not a packet");
	else if (verb == DOOR_HELLO)
		on_hello(c, p, &r);
	else if (!p->sender[0])
		core_refuse(c, p, 0, ENOTCONN, "say hello first");
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

void core_start_anew(struct core *c, bool closed)
{
	c->error = 0;
	c->closed = closed;
	c->head = journal_head(c->journal);
	c->turn_events = 0;
	c->turn_sync = c->turn_dirty = false;
	c->batch.like = NULL;
	tail_clear(&c->tail, c->head);
	c->tapped = c->tail.next;
	for (uint32_t i = 0; i < c->peers.n; i++) {
		if (c->peers.all[i]->sender[0])
			core_refuse(c, c->peers.all[i], 0, ENOTCONN, "say hello again");
		peer_begin(c->peers.all[i], "", 0, 0);
	}
}

/* --- the end of a turn --- */

int core_turn_end(struct core *c, bool *ret_more)
{
	*ret_more = false;
	if (commit(c) < 0)
		return c->error;
	c->turn_events = 0;
	c->looked = false;
	core_feed_tap(c);
	*ret_more = core_feed_all(c);
	return c->error;
}
