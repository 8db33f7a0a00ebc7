/*
 * Topics and deployments that the journal has seen: their numbers in it and their newest seq, in
 * memory, so that an append looks nothing up. No I/O.
 */
#ifndef LOPS_BROKER_NAMES_H
#define LOPS_BROKER_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct name {
	struct name *next_dirty;
	uint64_t last; /* newest seq */
	uint32_t id;
	bool dirty, stored;
	char text[];
};

struct names {
	struct name **slots;
	uint32_t n, cap, max_id;
	struct name *dirty; /* changed in this turn */
};

struct name *names_find(const struct names *t, const char *text);
struct name *names_add(struct names *t, const char *text, uint32_t id, uint64_t last,
		       bool stored); /* NULL: no memory */
void names_touch(struct names *t, struct name *n, uint64_t seq);
void names_sweep(struct names *t, uint64_t tail); /* forgets names whose last is before it */
void names_done(struct names *t);

#endif
