/*
 * The broker's decisions: who may publish what, what comes twice, who is owed what. Packets in,
 * packets out through a function; the journal behind broker/journal.h. No socket, no clock.
 */
#ifndef LOPS_BROKER_CORE_H
#define LOPS_BROKER_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "broker/journal.h"
#include "msgs/door.h"

#define CORE_PEER_ID_MAX 32
#define CORE_PEERS_MAX   2048
#define CORE_SUBS_MAX    16 /* a peer */
#define CORE_CREDIT_MAX  (8u * 1024 * 1024)
#define CORE_TURN_EVENTS 1000

struct core;

struct core_out {
	void *arg;
	/* false: the peer is gone. Parts are sent as one packet. */
	bool (*send)(void *arg, const uint8_t *id, size_t id_len, const void *head, size_t head_len,
		     const void *payload, size_t payload_len);
	/* A public event for the tap. */
	void (*tap)(void *arg, const struct door_record *rec);
};

struct core_limits {
	uint64_t own_uid;
	uint8_t cookie[DOOR_COOKIE_BYTES];
};

struct core *core_new(struct journal *j, const struct core_out *out,
		      const struct core_limits *limits);
void core_free(struct core *c);

/* A packet of a peer whose uid the transport vouches for. */
void core_packet(struct core *c, const uint8_t *id, size_t id_len, uint64_t uid, void *packet,
		 size_t len);
void core_peer_gone(struct core *c, const uint8_t *id, size_t id_len);
/* Whether more publishes should be read before the turn ends. */
bool core_turn_has_room(const struct core *c);
/* Commits, acknowledges, delivers. 0 or the journal's error: nothing of the turn was kept, the
 * broker must end and be restarted. *ret_more: somebody has credit left and rows to come. */
int core_turn_end(struct core *c, bool *ret_more);
/* After a turn that the journal could not keep: nothing of it is known any more, and every peer is
 * told to say hello again, upon which it sends what was not acknowledged. Closed: nothing published
 * is taken until the next call; questions are answered. */
void core_start_anew(struct core *c, bool closed);
/* Says bus.degraded to who follows it, and to whoever will, until the next call. */
void core_say_degraded(struct core *c, const char *state, const char *message);
struct core_retention { /* what an actor asked for */
	uint64_t age_ms, bytes;
};
struct core_retention core_retention(const struct core *c); /* zeros: nobody did */
uint32_t core_peers(const struct core *c);
uint64_t core_refused(const struct core *c); /* packets and events refused so far */
uint64_t core_published(const struct core *c);

#endif
