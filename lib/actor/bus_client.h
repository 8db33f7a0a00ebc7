/*
 * One actor's end of the stream door, as a pure machine: packets in, packets out through a
 * function. It keeps what the broker has not acknowledged and sends it again after a reconnect; it
 * subscribes, gives credit, and commits the cursor only when what the handlers published is
 * durable. It owns no socket and no clock.
 */
#ifndef LOPS_ACTOR_BUS_CLIENT_H
#define LOPS_ACTOR_BUS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "msgs/door.h"
#include "msgs/header.h"

#define BUS_OUTBOX_EVENTS 65536
#define BUS_OUTBOX_BYTES  (32u * 1024 * 1024)
#define BUS_WINDOW_BYTES  (512u * 1024) /* credit of a subscription */
#define BUS_SEQ_RING      4096

enum bus_sub { BUS_LIVE = 1, BUS_CURSOR = 2 };

/* What the client tells its owner. Records are borrowed until the call returns. */
struct bus_owner {
	void *arg;
	void (*send)(void *arg, const void *packet, size_t len);
	void (*welcomed)(void *arg, uint64_t epoch, uint64_t head_seq);
	void (*deliver)(void *arg, enum bus_sub sub, bool is_last_value, struct door_record *rec);
	void (*loaded)(void *arg, uint64_t seq); /* last values are complete */
	void (*acked)(void *arg, uint64_t number, uint64_t seq);
	/* record NULL: the end of that request's answer */
	void (*answer)(void *arg, uint64_t request, struct door_record *rec);
	void (*refused)(void *arg, uint64_t number, int error, const char *text);
	/* The journal is another one, or lost what we had seen: the state must be rebuilt. */
	void (*stale)(void *arg, const char *why);
};

struct bus_outbox_entry;
struct bus_request;

struct bus_commit {
	uint64_t seq, number; /* commit seq once number is acknowledged */
};

struct bus_client {
	struct bus_owner owner;
	char sender[MSG_SENDER_MAX + 1];
	uint64_t incarnation;
	uint8_t cookie[DOOR_COOKIE_BYTES];
	const char *const *live_prefixes, *const *cursor_prefixes, *const *keys; /* NULL-ended */
	const char *cursor;                                                      /* NULL: none */

	bool connected, welcomed, loaded, holds_cursor, cursor_begun;
	uint64_t epoch, head_seq;
	struct bus_outbox_entry *first, *last, *unsent; /* oldest, newest, next to send */
	uint32_t outbox_events;
	size_t outbox_bytes;
	uint64_t next_number, acked_number, dropped;
	uint64_t seq_ring[BUS_SEQ_RING]; /* of own numbers, by number % size */
	uint64_t live_seq, cursor_seq;   /* last delivered of each subscription */
	uint32_t owed[3];                /* bytes received and not yet given back, by sub */
	struct bus_commit commits[64];
	uint32_t n_commits;
	uint64_t committed_seq; /* the last one sent */
	struct bus_request *requests;
	uint64_t next_request;
	uint64_t retain_age_ms, retain_bytes; /* asked for at each welcome; 0: nothing to ask */
	uint8_t *packet;                      /* room for one outgoing packet */
};

int bus_client_init(struct bus_client *c, const struct bus_owner *owner, const char *sender,
		    uint64_t incarnation);
void bus_client_done(struct bus_client *c);

void bus_client_connected(struct bus_client *c);
void bus_client_disconnected(struct bus_client *c);
/* -EBADMSG: not a packet of the protocol (dropped). */
int bus_client_receive(struct bus_client *c, void *packet, size_t len);

/* Queues; flush sends. 0, -EAGAIN: an ephemeral one was dropped, -ENOBUFS: the bound is reached. */
int bus_client_publish(struct bus_client *c, uint64_t number, bool durable, const char *topic,
		       const uint8_t *header, size_t header_len, const uint8_t *body,
		       size_t body_len);
/* Lets the cursor's stream begin. */
void bus_client_take_up(struct bus_client *c);
void bus_client_flush(struct bus_client *c);

/* Handlers of everything up to seq have run, and published up to the newest number. */
void bus_client_handled(struct bus_client *c, uint64_t seq);

uint64_t bus_client_get(struct bus_client *c, enum door_by by, uint64_t a, uint64_t b,
			const char *sender);
uint64_t bus_client_last(struct bus_client *c, const char *key_prefix);
uint64_t bus_client_back(struct bus_client *c, const char *deployment, uint64_t before_seq,
			 uint32_t limit);
/* How much the journal keeps, from now on and after each reconnect. */
void bus_client_retain(struct bus_client *c, uint64_t age_ms, uint64_t bytes);
/* Asks for the newest seq; head_seq has it when the (empty) answer comes. */
uint64_t bus_client_head(struct bus_client *c);
void bus_client_ping(struct bus_client *c, uint64_t token);

#endif
