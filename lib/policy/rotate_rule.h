/*
 * When a log file is rotated, and where to cut. Pure.
 */
#ifndef LOPS_POLICY_ROTATE_RULE_H
#define LOPS_POLICY_ROTATE_RULE_H

#include <stdbool.h>
#include <stdint.h>

struct rotate_limits {
	uint64_t size_bytes; /* 0: never */
	uint32_t keep;       /* older files kept beside the current one */
};

/* Whether the file of that size is full before more is written to it. */
bool rotate_rule(struct rotate_limits limits, uint64_t size_bytes);

#endif
