/*
 * Who is connected, what each has published in this turn, and what each subscribes to. Memory only;
 * decides nothing.
 */
#ifndef LOPS_BROKER_PEERS_H
#define LOPS_BROKER_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "broker/core.h"

#define PEER_RING 4096 /* own numbers whose seq is remembered */

struct sub_prefix {
	uint32_t len;
	char *text;
};

struct sub {
	uint64_t id;
	int64_t credit; /* bytes; may go below 0 by one packet */
	char cursor[DOOR_NAME_MAX + 1];
	struct sub_prefix prefixes[DOOR_PREFIXES_MAX];
	uint32_t n_prefixes;
	bool in_tail;
	uint64_t after; /* last seq given */
	uint64_t place; /* next place in the tail */
	bool is_actor;  /* sees private events */
};

struct peer {
	uint8_t id[CORE_PEER_ID_MAX];
	size_t id_len;
	uint64_t uid;
	char sender[MSG_SENDER_MAX + 1]; /* empty: no hello yet */
	uint64_t incarnation;
	bool is_actor, in_turn;
	uint64_t number, acked, said; /* newest seen; durable; acknowledged to it in this turn */
	uint64_t *ring;               /* seq of number % PEER_RING */
	struct sub *subs[CORE_SUBS_MAX];
	uint32_t n_subs;
};

struct peer_run {
	uint64_t number, seq, run;
};

struct peers {
	struct peer *all[CORE_PEERS_MAX];
	uint32_t n;
	struct peer *latest; /* the last one found: packets come in bursts */
};

struct peer *peers_find(struct peers *t, const uint8_t *id, size_t id_len);
struct peer *peers_add(struct peers *t, const uint8_t *id, size_t id_len,
		       uint64_t uid); /* NULL: full */
void peers_remove(struct peers *t, struct peer *p);
void peers_done(struct peers *t);

void peer_begin(struct peer *p, const char *sender, size_t len, uint64_t incarnation);
void peer_note_seq(struct peer *p, uint64_t number, uint64_t seq);
uint64_t peer_seq_of(const struct peer *p, uint64_t number); /* 0: not remembered */
/* The next run of numbers to acknowledge, after said; false: all are. */
bool peer_next_run(struct peer *p, struct peer_run *ret_run);

struct sub *peer_sub(struct peer *p, uint64_t id);
struct sub *peer_sub_new(struct peer *p,
			 uint64_t id); /* replaces one of the same id; NULL: too many */
void peer_sub_end(struct peer *p, uint64_t id);
void sub_prefix(struct sub *s, uint32_t at, struct door_text text);
bool sub_is_like(const struct sub *a, const struct sub *b); /* wants the same events */

#endif
