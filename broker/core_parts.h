/*
 * What the files of the broker's core share. Included by them only.
 */
#ifndef LOPS_BROKER_CORE_PARTS_H
#define LOPS_BROKER_CORE_PARTS_H

#include "broker/core.h"
#include "broker/peers.h"
#include "broker/tail.h"
#include "msgs/type.h"

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
	bool closed; /* nothing published is taken */
	bool looked; /* in this turn, which peers are gone */
	char degraded_state[16], degraded_message[200];
	struct core_retention retention;
	int error;       /* of the journal in this turn: the turn is void */
	uint8_t *packet; /* room for one outgoing packet */
	struct batch {   /* the last one built, for those who follow with the same wishes */
		uint64_t from, to; /* places in the tail */
		const struct sub *like;
		size_t len;
		uint8_t *data;
	} batch;
};

/* --- core.c: answers --- */
struct door_writer core_answer_begin(struct core *c, enum door_verb verb);
bool core_answer_send(struct core *c, const struct peer *p, const struct door_writer *w);
void core_refuse(struct core *c, const struct peer *p, uint64_t number, int error,
		 const char *text);

/* --- own_words.c: events of the broker's own --- */
void core_say_gap(struct core *c, const struct peer *p, const struct sub *s, uint64_t from,
		  uint64_t to, const char *reason);
void core_repeat_degraded(struct core *c, const struct peer *p, const struct sub *s);

/* --- publish.c --- */
void core_on_publish(struct core *c, struct peer *p, struct door_reader *r);

/* --- gather.c: rows of the journal in packets --- */
struct gather {
	struct core *c;
	const struct peer *p;
	uint64_t id; /* sub or request */
	enum door_verb verb;
	size_t len;
};
struct gather gather_begin(struct core *c, const struct peer *p, enum door_verb verb, uint64_t id);
bool gather_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len); /* a journal_row_fn */
void gather_send(struct gather *g, bool more);
bool core_may_see(const struct peer *p, bool is_private);
bool core_record_is_private(const uint8_t *rec, uint32_t len);

/* --- subscribe.c, deliver.c --- */
void core_on_subscribe(struct core *c, struct peer *p, struct door_reader *r);
void core_on_credit(struct core *c, struct peer *p, struct door_reader *r);
bool sub_wants(const struct sub *s, const char *topic, uint32_t len);
/* Everybody in turn, until nobody has credit left or the share of this turn is used: then true. */
bool core_feed_all(struct core *c);
void core_feed_tap(struct core *c);

/* --- ask.c --- */
void core_on_get(struct core *c, struct peer *p, struct door_reader *r);
void core_on_last(struct core *c, struct peer *p, struct door_reader *r);
void core_on_back(struct core *c, struct peer *p, struct door_reader *r);

#endif
