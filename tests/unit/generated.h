/*
 * Bodies filled from a seed, by the schema's own tables: every type is tested without naming one.
 */
#ifndef LOPS_TESTS_GENERATED_H
#define LOPS_TESTS_GENERATED_H

#include <stdint.h>
#include "msgs/codec.h"

uint64_t generated_random(uint64_t *seed); /* splitmix64 */
/* Fills every field; strings and lists lie in the arena. */
void generated_body(const struct msg_record *rec, void *body, struct codec_arena *arena,
		    uint64_t *seed);

#endif
