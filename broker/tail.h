/*
 * The newest part of the journal in memory, and what is ephemeral between two durable events: what
 * a subscriber at the head is fed from without a read. Bounded by bytes; the oldest goes first.
 */
#ifndef LOPS_BROKER_TAIL_H
#define LOPS_BROKER_TAIL_H

#include <stdbool.h>
#include <stdint.h>
#include "msgs/door.h"

#define TAIL_BYTES   (1u * 1024 * 1024)
#define TAIL_ENTRIES 8192u

struct tail_entry {
	uint64_t seq; /* 0: ephemeral */
	bool is_private;
	uint32_t topic_len, len;
	uint8_t *rec; /* the whole record; the topic starts at rec + 3 */
};

/* Places count every event ever put, so that an entry keeps its place while others go. */
struct tail {
	struct tail_entry *ring;
	uint64_t first, next; /* places */
	uint64_t first_seq;   /* oldest durable seq that is surely here with all after it */
	size_t bytes;
};

int tail_init(struct tail *t, uint64_t head_seq);
void tail_done(struct tail *t);
void tail_clear(struct tail *t, uint64_t head_seq); /* forgets all; places go on counting */
int tail_put(struct tail *t, uint64_t seq, bool is_private, uint32_t topic_len, const uint8_t *rec,
	     uint32_t len);
const struct tail_entry *tail_at(const struct tail *t, uint64_t place); /* first <= place < next */
/* The place after the durable event seq; false: it is not here. */
bool tail_place_after(const struct tail *t, uint64_t seq, uint64_t *ret_place);

#endif
