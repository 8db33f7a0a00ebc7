/*
 * From packets to typed handlers, and from effects to packets. Pure but for the host's functions:
 * the same code runs on the real bus and in the harness.
 */
#include "lib/actor/core.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void *actor_state(struct actor *a)
{
	return a->state;
}

void actor_turn(struct actor *a)
{
	a->now_ns = a->host.now_ns(a->host.arg);
}

uint64_t actor_now_ns(const struct actor *a)
{
	return a->now_ns;
}

uint64_t actor_now_ms(const struct actor *a)
{
	return a->now_ns / 1000000;
}

uint64_t actor_wall_ns(const struct actor *a)
{
	return a->host.wall_ns(a->host.arg);
}

uint64_t actor_random(struct actor *a)
{
	return a->host.random(a->host.arg);
}

/* Microseconds of the wall clock, or one more than before: greater than any of an earlier
 * incarnation as long as the clock was not set back by more than the actor's own lifetime; owners
 * of numbers that must never repeat raise it further with what they have loaded. */
uint64_t actor_unique(struct actor *a)
{
	uint64_t wall = actor_wall_ns(a) / 1000;

	a->last_unique = wall > a->last_unique ? wall : a->last_unique + 1;
	return a->last_unique;
}

void actor_unique_above(struct actor *a, uint64_t seen)
{
	if (seen > a->last_unique)
		a->last_unique = seen;
}

uint64_t actor_acked(const struct actor *a)
{
	return a->bus.acked_number;
}

uint64_t actor_cause(const struct actor *a)
{
	return a->cause;
}

void actor_set_cause(struct actor *a, uint64_t cause)
{
	a->cause = cause;
}

bool actor_bus_is_up(const struct actor *a)
{
	return a->bus.welcomed;
}

uint64_t actor_head_seq(const struct actor *a)
{
	return a->bus.head_seq;
}

uint64_t actor_seq_of(const struct actor *a, uint64_t number)
{
	if (number == 0 || number > a->bus.acked_number ||
	    a->bus.acked_number - number >= BUS_SEQ_RING)
		return 0;
	return a->bus.seq_ring[number % BUS_SEQ_RING];
}

const char *actor_run_dir(const struct actor *a)
{
	return a->host.run_dir;
}

const char *actor_state_dir(const struct actor *a)
{
	return a->host.state_dir;
}

bool actor_is_real(const struct actor *a)
{
	return a->host.is_real;
}

void actor_exit(struct actor *a, int status)
{
	a->exiting = true;
	a->host.exit(a->host.arg, status);
}

int actor_port_add(struct actor *a, int fd, uint32_t events, actor_port_fn *fn, void *arg)
{
	return a->host.port_add ? a->host.port_add(a->host.arg, fd, events, fn, arg) : -ENOSYS;
}

int actor_port_change(struct actor *a, int fd, uint32_t events)
{
	return a->host.port_change ? a->host.port_change(a->host.arg, fd, events) : -ENOSYS;
}

void actor_port_remove(struct actor *a, int fd)
{
	if (a->host.port_remove)
		a->host.port_remove(a->host.arg, fd);
}

void actor_log(struct actor *a, enum actor_level level, const char *fmt, ...)
{
	char text[2048];
	va_list args;

	if (level == ACTOR_DEBUG && !a->tracing)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	a->host.log(a->host.arg, level, text);
}

/* --- publishing --- */

static void trace(struct actor *a, const char *way, const struct msg_type *type,
		  const char *deployment, const struct msg_header *h, const void *body)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = a->tracing ? open_memstream(&text, &len) : NULL;

	if (!out)
		return;
	fprintf(out, "%s %s%s%s seq=%" PRIu64 " number=%" PRIu64 " cause=%" PRIx64 " from=%s ", way,
		type->topic, deployment[0] ? "/" : "", deployment, h->seq, h->number, h->cause,
		h->sender);
	msg_body_print(&type->body, body, out);
	fclose(out);
	actor_log(a, ACTOR_DEBUG, "%.2000s", text);
	free(text);
}

static bool may_publish(const struct actor_spec *spec, const struct msg_type *type)
{
	if (type == &MSG_actor_started)
		return true;
	for (const struct msg_type *const *t = spec->publishes; t && *t; t++)
		if (*t == type)
			return true;
	return false;
}

static struct msg_header header_of(struct actor *a, const struct publish *to, uint64_t number)
{
	struct msg_header h = {.version = MSG_VERSION,
			       .incarnation = a->bus.incarnation,
			       .number = number,
			       .did = to->did,
			       .cause = to->cause  ? to->cause
					: to->root ? 0
						   : a->cause,
			       .time_ns = actor_wall_ns(a),
			       .mono_ns = a->now_ns,
			       .uid = to->uid};

	memcpy(h.sender, a->bus.sender, sizeof h.sender);
	return h;
}

static int queue(struct actor *a, const struct msg_type *type, const struct publish *to,
		 uint64_t number)
{
	struct msg_header h = header_of(a, to, number);
	uint8_t header[MSG_HEADER_MAX];
	size_t header_len = msg_header_encode(&h, header);
	char topic[MSG_TOPIC_MAX + 1];
	int len = snprintf(topic, sizeof topic, "%s%s%s", type->topic, to->deployment ? "/" : "",
			   to->deployment ? to->deployment : "");

	if (len < 0 || (size_t)len >= sizeof topic)
		return -EINVAL;
	return bus_client_publish(&a->bus, number, type->flags & DURABLE, topic, header, header_len,
				  a->body.data, a->body.len);
}

uint64_t actor_publish(struct actor *a, const struct msg_type *type, const struct publish *to,
		       const void *body)
{
	uint64_t number = a->bus.next_number;
	const char *bad = NULL;
	int err;

	if (!may_publish(a->spec, type)) {
		actor_log(a, ACTOR_ERROR, "publishes %s, which its table does not name",
			  type->topic);
		abort();
	}
	a->body.len = 0;
	err = msg_body_encode(&type->body, body, &a->body, &bad);
	if (!err)
		err = queue(a, type, to, number);
	if (err == -ENOBUFS || err == -ENOMEM) {
		actor_log(a, ACTOR_ERROR,
			  "the outbox is full; restarting to rebuild from the journal");
		actor_exit(a, 1);
		return 0;
	}
	if (err) {
		actor_log(a, ACTOR_ERROR, "%s was not published: %s %s", type->topic,
			  strerror(-err), bad ? bad : "");
		return 0;
	}
	a->bus.next_number++;
	trace(a, "->", type, to->deployment ? to->deployment : "",
	      &(struct msg_header){.number = number, .cause = a->cause}, body);
	return number;
}

/* --- receiving --- */

static void say_malformed(struct actor *a, const struct door_record *rec, const char *what,
			  const char *field)
{
	if (a->malformed++ < 10)
		actor_log(a, ACTOR_WARN, "dropped a malformed %.*s: %s %s", (int)rec->topic.len,
			  rec->topic.at, what, field);
}

/* Fills ev from the record; the body lies in the arena. false: dropped. */
static bool open_record(struct actor *a, struct door_record *rec, char *deployment,
			struct event *ret_ev)
{
	const char *slash = memchr(rec->topic.at, '/', rec->topic.len), *field = "";
	size_t len = slash ? (size_t)(rec->topic.at + rec->topic.len - slash - 1) : 0;
	void *body;

	ret_ev->type = msg_type_of(rec->topic.at, rec->topic.len);
	if (!ret_ev->type) {
		a->unknown++;
		return false;
	}
	if (msg_header_decode(rec->header, rec->header_len, &ret_ev->header) < 0) {
		say_malformed(a, rec, "header", "");
		return false;
	}
	memcpy(deployment, slash ? slash + 1 : "", len);
	deployment[len] = 0;
	ret_ev->deployment = deployment;
	codec_arena_reset(&a->arena);
	body = codec_arena_alloc(&a->arena, ret_ev->type->body.size);
	if (!body || msg_body_decode(&ret_ev->type->body, rec->body, rec->body_len, &a->arena, body,
				     &field) < 0) {
		say_malformed(a, rec, "field", field);
		return false;
	}
	ret_ev->body = body;
	return true;
}

/* What was missed is in the last values, which are loaded at the start: before the first event of
 * the stream a gap costs nothing more, and restarting again would only meet it again. */
static void on_gap(struct actor *a, enum bus_sub sub)
{
	if (!a->streamed[sub]) {
		actor_log(a, ACTOR_WARN, "events were lost to retention while this part was away");
		return;
	}
	actor_log(a, ACTOR_WARN, "events were lost to retention; restarting to rebuild");
	actor_exit(a, 1);
}

static void on_deliver(void *arg, enum bus_sub sub, bool is_last_value, struct door_record *rec)
{
	struct actor *a = arg;
	char deployment[MSG_TOPIC_MAX + 1];
	struct event ev = {.is_last_value = is_last_value};

	if (a->exiting || !open_record(a, rec, deployment, &ev))
		return;
	trace(a, "<-", ev.type, deployment, &ev.header, ev.body);
	a->handled++;
	a->cause = is_last_value ? 0 : ev.header.seq;
	if (ev.type == &MSG_config_set)
		settings_take(a, ev.body);
	if (ev.type == &MSG_bus_gap) {
		on_gap(a, sub);
		return;
	}
	if (!is_last_value)
		a->streamed[sub] = true;
	for (const struct actor_handler *h = a->spec->handlers; h && h->type; h++)
		if (h->type == ev.type)
			h->fn.any(a, &ev, ev.body);
	a->cause = 0;
}

static void on_welcomed(void *arg, uint64_t epoch, uint64_t head_seq)
{
	struct actor *a = arg;

	(void)epoch;
	(void)head_seq;
	a->bus_up = true;
	if (a->spec->bus)
		a->spec->bus(a, true);
}

static void on_loaded(void *arg, uint64_t seq)
{
	struct actor *a = arg;

	(void)seq;
	a->ready_said = true;
	if (a->spec->ready)
		a->spec->ready(a);
}

static void on_acked(void *arg, uint64_t number, uint64_t seq)
{
	struct actor *a = arg;

	(void)seq;
	if (a->spec->acked)
		a->spec->acked(a, number);
}

static void on_answer(void *arg, uint64_t request, struct door_record *rec)
{
	struct actor *a = arg;
	struct actor_request **at = &a->requests, *r;
	char deployment[MSG_TOPIC_MAX + 1];
	struct event ev = {0};

	while (*at && (*at)->id != request)
		at = &(*at)->next;
	r = *at;
	if (!r)
		return;
	if (rec) {
		if (open_record(a, rec, deployment, &ev))
			r->fn(a, r->arg, &ev);
		return;
	}
	*at = r->next;
	r->fn(a, r->arg, NULL);
	free(r);
}

static void on_refused(void *arg, uint64_t number, int error, const char *text)
{
	struct actor *a = arg;

	actor_log(a, ACTOR_ERROR, "the broker refused event %" PRIu64 ": %s (%s)", number, text,
		  strerror(error));
}

static void on_stale(void *arg, const char *why)
{
	struct actor *a = arg;

	actor_log(a, ACTOR_WARN, "%s; restarting to rebuild", why);
	actor_exit(a, 1);
}

static void do_send(void *arg, const void *packet, size_t len)
{
	struct actor *a = arg;

	a->host.send(a->host.arg, packet, len);
}

void actor_receive(struct actor *a, void *packet, size_t len)
{
	if (bus_client_receive(&a->bus, packet, len) < 0 && a->malformed++ < 10)
		actor_log(a, ACTOR_WARN, "dropped a malformed packet of %zu bytes", len);
}

void actor_connected(struct actor *a)
{
	bus_client_connected(&a->bus);
}

void actor_disconnected(struct actor *a)
{
	bool was_up = a->bus_up;

	bus_client_disconnected(&a->bus);
	a->bus_up = false;
	if (was_up && a->spec->bus)
		a->spec->bus(a, false);
}

void actor_flush(struct actor *a)
{
	bus_client_flush(&a->bus);
}

void actor_retain(struct actor *a, uint64_t age_ms, uint64_t bytes)
{
	bus_client_retain(&a->bus, age_ms, bytes);
}

void actor_take_up(struct actor *a)
{
	bus_client_take_up(&a->bus);
}

/* --- asking the journal --- */

static void expect(struct actor *a, uint64_t id, actor_found_fn *fn, void *arg)
{
	struct actor_request *r = malloc(sizeof *r);

	if (!r || !id)
		abort();
	*r = (struct actor_request){.next = a->requests, .id = id, .fn = fn, .arg = arg};
	a->requests = r;
}

void actor_get_head(struct actor *a, actor_found_fn *fn, void *arg)
{
	expect(a, bus_client_head(&a->bus), fn, arg);
}

void actor_get_by_seq(struct actor *a, uint64_t seq, actor_found_fn *fn, void *arg)
{
	expect(a, bus_client_get(&a->bus, DOOR_BY_SEQ, seq, 0, ""), fn, arg);
}

void actor_get_by_did(struct actor *a, uint64_t did, actor_found_fn *fn, void *arg)
{
	expect(a, bus_client_get(&a->bus, DOOR_BY_DID, did, 0, ""), fn, arg);
}

void actor_get_last(struct actor *a, const char *key_prefix, actor_found_fn *fn, void *arg)
{
	expect(a, bus_client_last(&a->bus, key_prefix), fn, arg);
}

void actor_get_back(struct actor *a, const char *deployment, uint64_t before_seq, uint32_t limit,
		    actor_found_fn *fn, void *arg)
{
	expect(a, bus_client_back(&a->bus, deployment, before_seq, limit), fn, arg);
}

/* --- birth and death --- */

static bool goes_through_cursor(const struct actor_spec *spec, const char *topic)
{
	for (const char *const *p = spec->cursor_topics; p && *p; p++)
		if (strncmp(topic, *p, strlen(*p)) == 0)
			return true;
	return false;
}

static int subscriptions_init(struct actor *a)
{
	uint32_t n = 0, n_keys = 0, at = 0;

	while (a->spec->handlers && a->spec->handlers[n].type)
		n++;
	while (a->spec->keys && a->spec->keys[n_keys])
		n_keys++;
	a->prefixes = calloc(n + 3, sizeof *a->prefixes);
	a->keys = calloc(n_keys + 2, sizeof *a->keys);
	if (!a->prefixes || !a->keys)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (!goes_through_cursor(a->spec, a->spec->handlers[i].type->topic))
			a->prefixes[at++] = a->spec->handlers[i].type->topic;
	for (uint32_t i = 0; i < n_keys; i++)
		a->keys[i] = a->spec->keys[i];
	if (a->n_values) {
		a->prefixes[at++] = MSG_config_set.topic;
		a->keys[n_keys] = "config/";
	}
	a->bus.live_prefixes = a->prefixes;
	a->bus.keys = a->keys;
	a->bus.cursor = a->spec->cursor;
	a->bus.holds_cursor = a->spec->holds_cursor;
	a->bus.cursor_prefixes = a->spec->cursor_topics;
	return 0;
}

int actor_init(struct actor *a, const struct actor_spec *spec, const struct actor_host *host,
	       uint64_t incarnation, const uint8_t cookie[DOOR_COOKIE_BYTES])
{
	struct bus_owner owner = {.arg = a,
				  .send = do_send,
				  .welcomed = on_welcomed,
				  .deliver = on_deliver,
				  .loaded = on_loaded,
				  .acked = on_acked,
				  .answer = on_answer,
				  .refused = on_refused,
				  .stale = on_stale};
	int err;

	*a = (struct actor){.spec = spec, .host = *host};
	a->state = calloc(1, spec->state_size ? spec->state_size : 1);
	if (!a->state)
		return -ENOMEM;
	err = bus_client_init(&a->bus, &owner, spec->name, incarnation);
	if (!err)
		memcpy(a->bus.cookie, cookie, DOOR_COOKIE_BYTES);
	err = err ? err : settings_init(a);
	err = err ? err : subscriptions_init(a);
	actor_turn(a);
	if (!err && spec->init)
		err = spec->init(a);
	return err;
}

void actor_done(struct actor *a)
{
	struct actor_request *next;

	if (a->spec->done)
		a->spec->done(a);
	for (struct actor_request *r = a->requests; r; r = next) {
		next = r->next;
		free(r);
	}
	bus_client_done(&a->bus);
	settings_done(a);
	codec_arena_done(&a->arena);
	codec_buffer_done(&a->body);
	free(a->prefixes);
	free(a->keys);
	free(a->heap);
	free(a->state);
}
