/*
 * What the journal needs besides its turns: checkpoints, retention, the ballast, and a way through
 * a full disk. It decides nothing about events.
 */
#ifndef LOPS_BROKER_UPKEEP_H
#define LOPS_BROKER_UPKEEP_H

#include <stdbool.h>
#include "broker/core.h"

struct upkeep {
	struct journal *journal;
	struct core *core;
	const char *state_dir;
	/* One line for the log. */
	void (*say)(const char *level, const char *text, const char *more);
	struct core_retention kept; /* what was asked for at the last look */
	bool full, pinned, has_ballast;
	uint64_t next_trim_ms, next_sweep_ms, next_room_ms, next_ballast_ms, next_pin_ms;
};

/* After each turn. 0, or an error that must end the broker. */
int upkeep_turn(struct upkeep *u, uint64_t now_ms);
/* A turn that could not be kept for err: 0 when it is waited for (nothing is acknowledged
 * meanwhile), else the error that must end the broker. */
int upkeep_failed(struct upkeep *u, uint64_t now_ms, int err);

#endif
