/*
 * Connections between the actors and the broker's core: in order while they last, lost with a
 * death.
 */
#include <stdlib.h>
#include <string.h>
#include "broker/core.h"
#include "tests/sim/journal_model.h"
#include "tests/sim/world.h"

struct packet {
	struct packet *next;
	size_t len;
	uint8_t data[];
};

struct queue {
	struct packet *first, **last;
};

static struct {
	struct actor *actor;
	struct queue up, down;
	bool connected;
	uint64_t connect_ns, generation;
} ends[ENDS];
static struct core *core;
static struct journal *journal;

static void push(struct queue *q, const void *head, size_t head_len, const void *payload,
		 size_t payload_len)
{
	struct packet *p = malloc(sizeof *p + head_len + payload_len);

	if (!p)
		abort();
	p->next = NULL;
	p->len = head_len + payload_len;
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
}

/* A connection's identity changes with every reconnect. */
static size_t id_of(enum end e, uint8_t *id)
{
	id[0] = (uint8_t)(e + 1);
	memcpy(id + 1, &ends[e].generation, sizeof ends[e].generation);
	return 1 + sizeof ends[e].generation;
}

static bool send_down(void *arg, const uint8_t *id, size_t id_len, const void *head,
		      size_t head_len, const void *payload, size_t payload_len)
{
	uint8_t now[16];

	(void)arg;
	for (int e = 0; e < ENDS; e++)
		if (ends[e].connected && id_of((enum end)e, now) == id_len &&
		    memcmp(now, id, id_len) == 0) {
			push(&ends[e].down, head, head_len, payload, payload_len);
			return true;
		}
	return false;
}

void network_begin(void)
{
	journal = journal_model_new();
	for (int e = 0; e < ENDS; e++) {
		memset(&ends[e], 0, sizeof ends[e]);
		ends[e].up.last = &ends[e].up.first;
		ends[e].down.last = &ends[e].down.first;
	}
	network_broker_start();
}

bool network_broker_lives(void)
{
	return core != NULL;
}

void network_broker_start(void)
{
	struct core_out out = {.send = send_down};
	struct core_limits limits = {.own_uid = 0};

	core = core_new(journal, &out, &limits);
	if (!core)
		abort();
}

void network_broker_crash(void)
{
	world.crashes[CRASH_BROKER]++;
	core_free(core);
	core = NULL;
	for (int e = 0; e < ENDS; e++)
		network_reset((enum end)e);
}

struct actor *network_actor(enum end e)
{
	return ends[e].actor;
}

void network_reset(enum end e)
{
	bool was = ends[e].connected;

	clear(&ends[e].up);
	clear(&ends[e].down);
	ends[e].connected = false;
	ends[e].generation++;
	ends[e].connect_ns = world.now_ns + 1000000 + chance() % 100000000;
	if (was && ends[e].actor)
		actor_disconnected(ends[e].actor);
}

void network_attach(enum end e, struct actor *a)
{
	if (!a)
		network_reset(e);
	ends[e].actor = a;
	if (a)
		ends[e].connect_ns = world.now_ns + chance() % 10000000;
}

void network_send_up(enum end e, const void *packet, size_t len)
{
	if (ends[e].connected)
		push(&ends[e].up, packet, len, NULL, 0);
}

static bool connect_one(enum end e)
{
	if (ends[e].connected || !ends[e].actor || !core || world.now_ns < ends[e].connect_ns)
		return false;
	ends[e].connected = true;
	actor_connected(ends[e].actor);
	return true;
}

static bool one_packet(enum end e)
{
	struct packet *p;
	bool more;

	if (ends[e].actor && (one_in(2) || !core) && (p = pop(&ends[e].down))) {
		actor_receive(ends[e].actor, p->data, p->len);
		actor_flush(ends[e].actor);
		free(p);
		return true;
	}
	if (core && (p = pop(&ends[e].up))) {
		uint8_t id[16];
		size_t len = id_of(e, id);

		core_packet(core, id, len, 0, p->data, p->len);
		free(p);
		if (one_in(3) && core_turn_end(core, &more) < 0)
			violated("the broker's turn failed");
		return true;
	}
	return false;
}

bool network_step(void)
{
	int first = (int)(chance() % ENDS);
	bool any = false, more;

	for (int k = 0; k < ENDS && !any; k++) {
		enum end e = (enum end)((first + k) % ENDS);

		any = connect_one(e) || one_packet(e);
	}
	if (!any && core) {
		if (core_turn_end(core, &more) < 0)
			violated("the broker's turn failed");
		for (int e = 0; e < ENDS; e++)
			any |= ends[e].down.first && ends[e].actor;
	}
	return any;
}

void network_free(void)
{
	for (int e = 0; e < ENDS; e++) {
		clear(&ends[e].up);
		clear(&ends[e].down);
	}
	core_free(core);
	core = NULL;
}
