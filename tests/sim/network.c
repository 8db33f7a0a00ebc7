/*
 * Connections; see the header. A packet is never lost alone: a connection breaks, and everything on
 * it is gone. An actor hears of a break, and of a new connection, a little later than it happens.
 */
#include "tests/sim/network.h"

#include <stdlib.h>
#include <string.h>
#include "broker/core.h"
#include "lib/actor/core.h"
#include "tests/sim/journal_model.h"
#include "tests/sim/oracle.h"

enum { FIRST = PART_MANAGER, LAST = PART_OBSERVER };

struct packet {
	struct packet *next;
	uint64_t ready_ns;
	size_t len;
	uint8_t data[];
};

struct queue {
	struct packet *first, **last;
	uint64_t ready_ns; /* of the newest */
};

static struct link {
	struct queue up, down;
	bool is_up;       /* there is a connection */
	bool is_told;     /* and the actor believes so */
	uint64_t next_ns; /* connected or told at */
	uint64_t generation, slow_until_ns;
} links[PARTS];
static struct core *core;
static uint64_t turn_ns; /* the broker has something to do at */

/* --- queues --- */

static uint64_t latency(const struct link *l)
{
	uint64_t ns = 5000 + chance(200000);

	if (world.now_ns < l->slow_until_ns)
		ns += chance(SIM_SECOND);
	return one_in(50) ? ns + chance(20 * SIM_MS) : ns;
}

static void push(struct link *l, struct queue *q, const void *head, size_t head_len,
		 const void *payload, size_t payload_len)
{
	struct packet *p = malloc(sizeof *p + head_len + payload_len);
	uint64_t ready = world.now_ns + latency(l);

	if (!p)
		abort();
	q->ready_ns = ready > q->ready_ns ? ready : q->ready_ns;
	*p = (struct packet){.ready_ns = q->ready_ns, .len = head_len + payload_len};
	memcpy(p->data, head, head_len);
	if (payload_len)
		memcpy(p->data + head_len, payload, payload_len);
	*q->last = p;
	q->last = &p->next;
}

static struct packet *pop(struct queue *q)
{
	struct packet *p = q->first;

	if (p) {
		q->first = p->next;
		if (!q->first)
			q->last = &q->first;
	}
	return p;
}

static void clear(struct queue *q)
{
	struct packet *p;

	while ((p = pop(q)))
		free(p);
	q->ready_ns = 0;
}

static bool comes_twice(const uint8_t *packet)
{
	bool may = packet[0] == DOOR_PUBLISH || packet[0] == DOOR_ACK || packet[0] == DOOR_DELIVER;

	if (!may || world.quiet || !one_in(2000))
		return false;
	world.faults[FAULT_DUPLICATE]++;
	return true;
}

/* --- the broker's side --- */

/* A connection's identity changes with every reconnect. */
static size_t id_of(enum part p, uint8_t *id)
{
	id[0] = (uint8_t)(p + 1);
	memcpy(id + 1, &links[p].generation, sizeof links[p].generation);
	return 1 + sizeof links[p].generation;
}

static bool send_down(void *arg, const uint8_t *id, size_t id_len, const void *head,
		      size_t head_len, const void *payload, size_t payload_len)
{
	enum part p = (enum part)(id[0] - 1);
	uint8_t now[16];

	(void)arg;
	if (part_step(PART_BROKER))
		return true;
	oracle_broker_sends(p, head, head_len, payload, payload_len);
	if (!links[p].is_up || id_of(p, now) != id_len || memcmp(now, id, id_len) != 0)
		return false;
	for (int n = 1 + comes_twice(head); n > 0; n--)
		push(&links[p], &links[p].down, head, head_len, payload, payload_len);
	return true;
}

void network_broker_up(void)
{
	struct core_out out = {.send = send_down};
	struct core_limits limits = {.own_uid = 0};

	journal_model_opened();
	core = core_new(journal_model(), &out, &limits);
	if (!core)
		abort();
	turn_ns = SIM_NEVER;
}

void network_broker_down(void)
{
	core_free(core);
	core = NULL;
	turn_ns = SIM_NEVER;
	for (int p = FIRST; p <= LAST; p++)
		network_reset((enum part)p);
}

static bool broker_acts(void)
{
	return core && part_lives(PART_BROKER) && !part_hangs(PART_BROKER);
}

static bool is_ready(const struct queue *q)
{
	return q->first && q->first->ready_ns <= world.now_ns;
}

static void take_up(enum part p)
{
	struct packet *k = pop(&links[p].up);
	uint8_t id[16];
	size_t len = id_of(p, id);

	trace("%s -> broker: verb %d, %zu bytes", part_name(p), k->data[0], k->len);
	core_packet(core, id, len, 0, k->data, k->len);
	free(k);
}

/* As the real one: what is there is read, within bounds, then the turn ends. */
static bool broker_turn(void)
{
	bool any = turn_ns <= world.now_ns, more = false;
	int budget = 1 + (int)chance(12);

	if (!broker_acts())
		return false;
	for (int k = 0, p = FIRST + (int)chance(3); k < 3 && budget > 0; k++) {
		for (; budget > 0 && is_ready(&links[p].up) && core_turn_has_room(core); budget--) {
			take_up((enum part)p);
			any = true;
		}
		p = p == LAST ? FIRST : p + 1;
	}
	if (!any)
		return false;
	if (core_turn_end(core, &more) < 0 && part_lives(PART_BROKER))
		violated("broker", "a turn failed");
	turn_ns = more ? world.now_ns : SIM_NEVER;
	return true;
}

/* --- the actors' side --- */

void network_begin(void)
{
	memset(links, 0, sizeof links);
	core = NULL;
	turn_ns = SIM_NEVER;
	for (int p = 0; p < PARTS; p++) {
		links[p].up.last = &links[p].up.first;
		links[p].down.last = &links[p].down.first;
		links[p].next_ns = SIM_NEVER;
	}
}

void network_end(void)
{
	for (int p = 0; p < PARTS; p++) {
		clear(&links[p].up);
		clear(&links[p].down);
	}
	core_free(core);
	core = NULL;
}

void network_attach(enum part p)
{
	links[p].is_told = false;
	links[p].next_ns = world.now_ns + chance(20 * SIM_MS);
}

static void cut(enum part p)
{
	struct link *l = &links[p];

	clear(&l->up);
	clear(&l->down);
	l->is_up = false;
	l->generation++;
}

void network_detach(enum part p)
{
	cut(p);
	links[p].is_told = false;
	links[p].next_ns = SIM_NEVER;
}

void network_reset(enum part p)
{
	cut(p);
	if (part_lives(p))
		links[p].next_ns = world.now_ns + chance(one_in(3) ? 200 * SIM_MS : SIM_MS);
}

void network_slow(enum part p, uint64_t until_ns)
{
	links[p].slow_until_ns = until_ns;
}

/* Events that were said together may come in packets of their own: what a larger burst does. */
static void send_apart(enum part p, const void *packet, size_t len)
{
	static uint8_t copy[MSG_FRAME_MAX];
	struct door_reader r = door_reader_over(copy, len);
	struct door_record rec;

	memcpy(copy, packet, len);
	door_read_uint(&r);
	while (door_read_record(&r, &rec))
		push(&links[p], &links[p].up, copy, 1, rec.whole, rec.whole_len);
}

void network_send_up(enum part p, const void *packet, size_t len)
{
	if (part_step(p) || !links[p].is_up)
		return;
	if (*(const uint8_t *)packet == DOOR_PUBLISH && one_in(4)) {
		send_apart(p, packet, len);
		return;
	}
	for (int n = 1 + comes_twice(packet); n > 0; n--)
		push(&links[p], &links[p].up, packet, len, NULL, 0);
}

/* A connection goes up, or the actor hears of what became of it. */
static bool link_step(enum part p)
{
	struct link *l = &links[p];
	struct actor *a = part_actor(p);

	if (!a || part_hangs(p) || l->next_ns > world.now_ns)
		return false;
	if (l->is_up && !l->is_told) {
		l->is_told = true;
		l->next_ns = SIM_NEVER;
		actor_turn(a);
		actor_connected(a);
	} else if (!l->is_up && l->is_told) {
		l->is_told = false;
		l->next_ns = world.now_ns + 20 * SIM_MS + chance(100 * SIM_MS);
		actor_turn(a);
		actor_disconnected(a);
	} else if (core && part_lives(PART_BROKER)) {
		l->is_up = true;
		l->generation++;
		l->next_ns = world.now_ns + (one_in(4) ? chance(5 * SIM_MS) : 0);
	} else {
		l->next_ns = world.now_ns + 20 * SIM_MS + chance(500 * SIM_MS);
	}
	return true;
}

static bool take_down(enum part p)
{
	struct actor *a = part_actor(p);
	int budget = 1 + (int)chance(6);

	if (!a || part_hangs(p) || !is_ready(&links[p].down))
		return false;
	actor_turn(a);
	for (; budget > 0 && is_ready(&links[p].down) && part_lives(p) && !a->exiting; budget--) {
		struct packet *k = pop(&links[p].down);

		actor_receive(a, k->data, k->len);
		free(k);
	}
	actor_flush(a);
	return true;
}

/* --- time --- */

static uint64_t queue_next(const struct queue *q)
{
	return q->first ? q->first->ready_ns : SIM_NEVER;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t network_next_ns(void)
{
	uint64_t next = broker_acts() ? turn_ns : SIM_NEVER;

	for (int p = FIRST; p <= LAST; p++) {
		if (broker_acts())
			next = sooner(next, queue_next(&links[p].up));
		if (part_actor((enum part)p) && !part_hangs((enum part)p))
			next = sooner(next, sooner(queue_next(&links[p].down), links[p].next_ns));
	}
	return next;
}

void network_run(void)
{
	int first = (int)chance(4);

	for (int k = 0; k < 4; k++) {
		int p = FIRST + (first + k) % 4;

		if (p > LAST ? broker_turn() : link_step((enum part)p) || take_down((enum part)p))
			return;
	}
}
