/*
 * The stream door from an actor's side; see the header.
 */
#include "lib/actor/bus_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Marks the token of a ping that is a request. */
#define TOKEN_OF_REQUEST (UINT64_C(1) << 62)

enum { PACKET_BYTES = MSG_FRAME_MAX, PUBLISH_TARGET = 128 * 1024 };

struct bus_outbox_entry {
	struct bus_outbox_entry *next;
	uint64_t number;
	bool durable;
	uint32_t len, header_at;
	uint8_t record[];
};

struct bus_request {
	struct bus_request *next;
	uint64_t id;
	uint32_t len;
	uint8_t packet[];
};

int bus_client_init(struct bus_client *c, const struct bus_owner *owner, const char *sender,
		    uint64_t incarnation)
{
	*c = (struct bus_client){
		.owner = *owner, .incarnation = incarnation, .next_number = 1, .next_request = 1};
	memcpy(c->sender, sender, strnlen(sender, MSG_SENDER_MAX));
	c->packet = malloc(PACKET_BYTES);
	return c->packet ? 0 : -ENOMEM;
}

static void outbox_pop(struct bus_client *c)
{
	struct bus_outbox_entry *e = c->first;

	c->first = e->next;
	if (!c->first)
		c->last = NULL;
	if (c->unsent == e)
		c->unsent = e->next;
	c->outbox_events--;
	c->outbox_bytes -= e->len;
	free(e);
}

void bus_client_done(struct bus_client *c)
{
	struct bus_request *r, *next;

	while (c->first)
		outbox_pop(c);
	for (r = c->requests; r; r = next) {
		next = r->next;
		free(r);
	}
	free(c->packet);
	c->packet = NULL;
	c->requests = NULL;
}

static struct door_writer packet_begin(struct bus_client *c, enum door_verb verb)
{
	struct door_writer w = door_writer_over(c->packet, PACKET_BYTES);

	door_write_uint(&w, verb);
	return w;
}

static void packet_send(struct bus_client *c, const struct door_writer *w)
{
	if (!w->error)
		c->owner.send(c->owner.arg, w->data, w->len);
}

static void write_text(struct door_writer *w, const char *s)
{
	door_write_str(w, s, strlen(s));
}

static void write_list(struct door_writer *w, const char *const *items)
{
	uint32_t n = 0;

	while (items && items[n])
		n++;
	door_write_array(w, n);
	for (uint32_t i = 0; i < n; i++)
		write_text(w, items[i]);
}

void bus_client_connected(struct bus_client *c)
{
	struct door_writer w = packet_begin(c, DOOR_HELLO);

	c->connected = true;
	c->welcomed = false;
	door_write_uint(&w, DOOR_PROTOCOL_MIN);
	door_write_uint(&w, DOOR_PROTOCOL_MAX);
	write_text(&w, c->sender);
	door_write_uint(&w, c->incarnation);
	door_write_bin(&w, c->cookie, sizeof c->cookie);
	packet_send(c, &w);
}

void bus_client_disconnected(struct bus_client *c)
{
	c->connected = c->welcomed = false;
}

static void subscribe(struct bus_client *c, enum bus_sub sub, enum door_start start, uint64_t seq,
		      const char *const *prefixes, const char *const *keys)
{
	struct door_writer w = packet_begin(c, DOOR_SUBSCRIBE);

	c->owed[sub] = 0;
	door_write_uint(&w, sub);
	door_write_uint(&w, start);
	door_write_uint(&w, seq);
	write_text(&w, sub == BUS_CURSOR ? c->cursor : "");
	door_write_uint(&w, BUS_WINDOW_BYTES);
	write_list(&w, prefixes);
	write_list(&w, keys);
	packet_send(c, &w);
}

/* From the broker's place for the cursor; after a reconnect from where it had come to. */
static void begin_cursor(struct bus_client *c)
{
	if (!c->cursor || c->holds_cursor || !c->loaded)
		return;
	subscribe(c, BUS_CURSOR, c->cursor_seq ? DOOR_AFTER : DOOR_CURSOR, c->cursor_seq,
		  c->cursor_prefixes, NULL);
	c->cursor_begun = true;
}

void bus_client_take_up(struct bus_client *c)
{
	c->holds_cursor = false;
	if (c->welcomed && !c->cursor_begun)
		begin_cursor(c);
}

/* The first time: last values, then live. Later: on from what was seen. The cursor follows once the
 * last values are there, so that its handlers know the state. */
static void subscribe_all(struct bus_client *c)
{
	if (!c->loaded) {
		subscribe(c, BUS_LIVE, DOOR_LIVE, 0, c->live_prefixes, c->keys);
		return;
	}
	subscribe(c, BUS_LIVE, DOOR_AFTER, c->live_seq, c->live_prefixes, NULL);
	begin_cursor(c);
}

/* Causes that named an own number get the seq that number has by now. */
static void settle_cause(struct bus_client *c, struct bus_outbox_entry *e)
{
	uint64_t cause = msg_header_peek(e->record + e->header_at, MSG_AT_CAUSE);
	uint64_t number = cause & ~MSG_CAUSE_OWN;

	if ((cause & MSG_CAUSE_OWN) && number <= c->acked_number &&
	    c->acked_number - number < BUS_SEQ_RING && c->seq_ring[number % BUS_SEQ_RING])
		msg_header_patch(e->record + e->header_at, MSG_AT_CAUSE,
				 c->seq_ring[number % BUS_SEQ_RING]);
}

void bus_client_flush(struct bus_client *c)
{
	while (c->welcomed && c->unsent) {
		struct door_writer w = packet_begin(c, DOOR_PUBLISH);

		while (c->unsent && w.len + c->unsent->len <= PACKET_BYTES &&
		       w.len < PUBLISH_TARGET) {
			settle_cause(c, c->unsent);
			door_write_raw(&w, c->unsent->record, c->unsent->len);
			c->unsent = c->unsent->next;
		}
		packet_send(c, &w);
	}
}

/* Drops the oldest ephemeral event; false when there is none. */
static bool drop_ephemeral(struct bus_client *c)
{
	struct bus_outbox_entry **at = &c->first, *before = NULL, *e;

	while (*at && (*at)->durable) {
		before = *at;
		at = &(*at)->next;
	}
	e = *at;
	if (!e)
		return false;
	*at = e->next;
	if (c->last == e)
		c->last = before;
	if (c->unsent == e)
		c->unsent = e->next;
	c->outbox_events--;
	c->outbox_bytes -= e->len;
	c->dropped++;
	free(e);
	return true;
}

int bus_client_publish(struct bus_client *c, uint64_t number, bool durable, const char *topic,
		       const uint8_t *header, size_t header_len, const uint8_t *body,
		       size_t body_len)
{
	size_t topic_len = strlen(topic), len = 1 + 2 + topic_len + 2 + header_len + 5 + body_len;
	struct bus_outbox_entry *e;
	struct door_writer w;

	while (c->outbox_events >= BUS_OUTBOX_EVENTS || c->outbox_bytes + len > BUS_OUTBOX_BYTES)
		if (!drop_ephemeral(c))
			return durable ? -ENOBUFS : -EAGAIN;
	if (len + 8 > PACKET_BYTES)
		return -EMSGSIZE;
	e = malloc(sizeof *e + len);
	if (!e)
		return -ENOMEM;
	*e = (struct bus_outbox_entry){.number = number,
				       .durable = durable,
				       .len = (uint32_t)len,
				       .header_at = (uint32_t)(1 + 2 + topic_len + 2)};
	w = door_writer_over(e->record, len);
	door_write_record(&w, topic, topic_len, header, header_len, body, body_len);
	if (c->last)
		c->last->next = e;
	else
		c->first = e;
	c->last = e;
	if (!c->unsent)
		c->unsent = e;
	c->outbox_events++;
	c->outbox_bytes += len;
	return 0;
}

static void send_commit(struct bus_client *c, uint64_t seq)
{
	struct door_writer w = packet_begin(c, DOOR_COMMIT);

	write_text(&w, c->cursor);
	door_write_uint(&w, seq);
	packet_send(c, &w);
}

/* Commits as far as acknowledgements allow. */
static void commit_settled(struct bus_client *c)
{
	uint32_t done = 0;

	while (done < c->n_commits && c->commits[done].number <= c->acked_number)
		done++;
	if (!done || !c->welcomed)
		return;
	c->committed_seq = c->commits[done - 1].seq;
	send_commit(c, c->committed_seq);
	c->n_commits -= done;
	memmove(c->commits, c->commits + done, c->n_commits * sizeof *c->commits);
}

void bus_client_handled(struct bus_client *c, uint64_t seq)
{
	struct bus_commit *last = c->n_commits ? &c->commits[c->n_commits - 1] : NULL;
	uint64_t number = c->next_number - 1;

	if (!c->cursor)
		return;
	/* A full list merges its newest entry: it is committed later, which is safe. */
	if (last &&
	    (last->number == number || c->n_commits == sizeof c->commits / sizeof *c->commits))
		*last = (struct bus_commit){.seq = seq, .number = number};
	else
		c->commits[c->n_commits++] = (struct bus_commit){.seq = seq, .number = number};
	commit_settled(c);
}

/* Everything up to number is settled; the last `run` numbers have consecutive seqs that end in seq.
 */
static void take_acknowledgement(struct bus_client *c, uint64_t number, uint64_t seq, uint64_t run)
{
	if (number >= c->next_number)
		return;
	for (uint64_t i = 0; i < run && i < BUS_SEQ_RING && i < number && i < seq; i++)
		c->seq_ring[(number - i) % BUS_SEQ_RING] = seq - i;
	if (number <= c->acked_number)
		return;
	c->acked_number = number;
	while (c->first && c->first->number <= number)
		outbox_pop(c);
	commit_settled(c);
	c->owner.acked(c->owner.arg, number, seq);
}

static void send_retain(struct bus_client *c)
{
	struct door_writer w = packet_begin(c, DOOR_RETAIN);

	door_write_uint(&w, c->retain_age_ms);
	door_write_uint(&w, c->retain_bytes);
	if (c->retain_age_ms)
		packet_send(c, &w);
}

void bus_client_retain(struct bus_client *c, uint64_t age_ms, uint64_t bytes)
{
	c->retain_age_ms = age_ms;
	c->retain_bytes = bytes;
	if (c->welcomed)
		send_retain(c);
}

static int on_welcome(struct bus_client *c, struct door_reader *r)
{
	uint64_t proto = door_read_uint(r), epoch = door_read_uint(r), head = door_read_uint(r);
	uint64_t acked = door_read_uint(r);

	door_read_uint(r); /* whether we count as an actor */
	if (r->error || proto < DOOR_PROTOCOL_MIN || proto > DOOR_PROTOCOL_MAX)
		return -EBADMSG;
	if (c->epoch && epoch != c->epoch) {
		c->owner.stale(c->owner.arg, "the journal's epoch changed");
		return 0;
	}
	c->epoch = epoch;
	c->head_seq = head > c->head_seq ? head : c->head_seq;
	c->welcomed = true;
	take_acknowledgement(c, acked, 0, 0);
	c->unsent = c->first;
	c->owner.welcomed(c->owner.arg, epoch, head);
	send_retain(c);
	subscribe_all(c);
	/* The last one may have been lost, and what is said next must not be older than it. */
	if (c->committed_seq)
		send_commit(c, c->committed_seq);
	commit_settled(c);
	/* Whoever asks about what it has published asks after it. */
	bus_client_flush(c);
	for (struct bus_request *q = c->requests; q; q = q->next)
		c->owner.send(c->owner.arg, q->packet, q->len);
	return 0;
}

static void give_credit(struct bus_client *c, enum bus_sub sub, size_t bytes)
{
	struct door_writer w;

	c->owed[sub] += (uint32_t)bytes;
	if (c->owed[sub] < BUS_WINDOW_BYTES / 2)
		return;
	w = packet_begin(c, DOOR_CREDIT);
	door_write_uint(&w, sub);
	door_write_uint(&w, c->owed[sub]);
	packet_send(c, &w);
	c->owed[sub] = 0;
}

static void note_seq(struct bus_client *c, enum bus_sub sub, const struct door_record *rec)
{
	uint64_t seq =
		rec->header_len > MSG_AT_SENDER ? msg_header_peek(rec->header, MSG_AT_SEQ) : 0;

	if (sub == BUS_LIVE && seq > c->live_seq)
		c->live_seq = seq;
	if (sub == BUS_CURSOR && seq > c->cursor_seq)
		c->cursor_seq = seq;
	if (seq > c->head_seq)
		c->head_seq = seq;
}

static int on_deliver(struct bus_client *c, struct door_reader *r, size_t len)
{
	uint64_t sub = door_read_uint(r), kind = door_read_uint(r);
	struct door_record rec;

	if (r->error || (sub != BUS_LIVE && sub != BUS_CURSOR))
		return -EBADMSG;
	while (door_read_record(r, &rec)) {
		/* After a reconnect nothing is handled twice. */
		uint64_t seen = sub == BUS_LIVE ? c->live_seq : c->cursor_seq, seq;

		if (rec.header_len <= MSG_AT_SENDER)
			return -EBADMSG;
		seq = msg_header_peek(rec.header, MSG_AT_SEQ);
		if (kind == DOOR_STREAM && seq && seq <= seen)
			continue;
		c->owner.deliver(c->owner.arg, (enum bus_sub)sub, kind == DOOR_LAST_VALUE, &rec);
		if (kind == DOOR_STREAM)
			note_seq(c, (enum bus_sub)sub, &rec);
	}
	if (sub == BUS_CURSOR && c->cursor_seq)
		bus_client_handled(c, c->cursor_seq);
	give_credit(c, (enum bus_sub)sub, len);
	return r->error;
}

static int on_loaded(struct bus_client *c, struct door_reader *r)
{
	uint64_t sub = door_read_uint(r), seq = door_read_uint(r);

	if (r->error)
		return r->error;
	if (sub != BUS_LIVE || c->loaded)
		return 0;
	c->loaded = true;
	c->live_seq = seq > c->live_seq ? seq : c->live_seq;
	c->owner.loaded(c->owner.arg, seq);
	begin_cursor(c);
	return 0;
}

static void request_forget(struct bus_client *c, uint64_t id)
{
	for (struct bus_request **at = &c->requests; *at; at = &(*at)->next)
		if ((*at)->id == id) {
			struct bus_request *r = *at;

			*at = r->next;
			free(r);
			return;
		}
}

static bool request_is_open(const struct bus_client *c, uint64_t id)
{
	for (const struct bus_request *r = c->requests; r; r = r->next)
		if (r->id == id)
			return true;
	return false;
}

static int on_answer(struct bus_client *c, struct door_reader *r)
{
	uint64_t id = door_read_uint(r), more = door_read_uint(r);
	struct door_record rec;

	if (r->error || !request_is_open(c, id))
		return r->error;
	while (door_read_record(r, &rec))
		c->owner.answer(c->owner.arg, id, &rec);
	if (!more) {
		request_forget(c, id);
		c->owner.answer(c->owner.arg, id, NULL);
	}
	return r->error;
}

static int on_pong(struct bus_client *c, struct door_reader *r)
{
	uint64_t token = door_read_uint(r), epoch = door_read_uint(r), head = door_read_uint(r);
	uint64_t id = token & ~TOKEN_OF_REQUEST;

	if (r->error || epoch != c->epoch)
		return r->error;
	if (head > c->head_seq)
		c->head_seq = head;
	if ((token & TOKEN_OF_REQUEST) && request_is_open(c, id)) {
		request_forget(c, id);
		c->owner.answer(c->owner.arg, id, NULL);
	}
	return 0;
}

static int on_refused(struct bus_client *c, struct door_reader *r)
{
	uint64_t number = door_read_uint(r), error = door_read_uint(r);
	struct door_text text = door_read_str(r, 512);
	char copy[513];

	if (r->error)
		return r->error;
	memcpy(copy, text.at, text.len);
	copy[text.len] = 0;
	if (number == 0 && error == ENOTCONN) {
		/* It has not heard from us. Of all that was refused, only the first says so: the
		 * hello that follows is on its way. */
		if (c->welcomed)
			bus_client_connected(c);
		return 0;
	}
	if (number == 0 && error == ESTALE)
		c->owner.stale(c->owner.arg, copy);
	else
		c->owner.refused(c->owner.arg, number, (int)error, copy);
	return 0;
}

int bus_client_receive(struct bus_client *c, void *packet, size_t len)
{
	struct door_reader r = door_reader_over(packet, len);
	uint64_t verb = door_read_uint(&r), number, seq, run;

	if (r.error)
		return r.error;
	if (verb == DOOR_WELCOME)
		return on_welcome(c, &r);
	if (verb == DOOR_REFUSED)
		return on_refused(c, &r);
	if (!c->welcomed)
		return 0;
	switch (verb) {
	case DOOR_ACK:
		if (door_read_uint(&r) != c->incarnation)
			return r.error;
		number = door_read_uint(&r);
		seq = door_read_uint(&r);
		run = door_read_uint(&r);
		if (!r.error)
			take_acknowledgement(c, number, seq, run);
		return r.error;
	case DOOR_DELIVER:
		return on_deliver(c, &r, len);
	case DOOR_LOADED:
		return on_loaded(c, &r);
	case DOOR_ANSWER:
		return on_answer(c, &r);
	case DOOR_PONG:
		return on_pong(c, &r);
	default:
		return -EBADMSG;
	}
}

static uint64_t request_send(struct bus_client *c, const struct door_writer *w, uint64_t id)
{
	struct bus_request *r = w->error ? NULL : malloc(sizeof *r + w->len);

	if (!r)
		return 0;
	*r = (struct bus_request){.next = c->requests, .id = id, .len = (uint32_t)w->len};
	memcpy(r->packet, w->data, w->len);
	c->requests = r;
	if (c->welcomed) {
		bus_client_flush(c); /* clobbers the packet buffer; r holds its own copy */
		c->owner.send(c->owner.arg, r->packet, r->len);
	}
	return id;
}

uint64_t bus_client_get(struct bus_client *c, enum door_by by, uint64_t a, uint64_t b,
			const char *sender)
{
	uint64_t id = c->next_request++;
	struct door_writer w = packet_begin(c, DOOR_GET);

	door_write_uint(&w, id);
	door_write_uint(&w, by);
	door_write_uint(&w, a);
	door_write_uint(&w, b);
	write_text(&w, sender ? sender : "");
	return request_send(c, &w, id);
}

uint64_t bus_client_last(struct bus_client *c, const char *key_prefix)
{
	uint64_t id = c->next_request++;
	struct door_writer w = packet_begin(c, DOOR_LAST);

	door_write_uint(&w, id);
	write_text(&w, key_prefix);
	return request_send(c, &w, id);
}

uint64_t bus_client_back(struct bus_client *c, const char *deployment, uint64_t before_seq,
			 uint32_t limit)
{
	uint64_t id = c->next_request++;
	struct door_writer w = packet_begin(c, DOOR_BACK);

	door_write_uint(&w, id);
	write_text(&w, deployment);
	door_write_uint(&w, before_seq);
	door_write_uint(&w, limit);
	return request_send(c, &w, id);
}

uint64_t bus_client_head(struct bus_client *c)
{
	uint64_t id = c->next_request++;
	struct door_writer w = packet_begin(c, DOOR_PING);

	door_write_uint(&w, id | TOKEN_OF_REQUEST);
	return request_send(c, &w, id);
}

void bus_client_ping(struct bus_client *c, uint64_t token)
{
	struct door_writer w = packet_begin(c, DOOR_PING);

	door_write_uint(&w, token);
	packet_send(c, &w);
}
