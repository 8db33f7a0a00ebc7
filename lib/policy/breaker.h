/*
 * The circuit breaker of one deployment: CLOSED, after `threshold` failures within a sliding window
 * OPEN, after `reset_ms` HALF_OPEN for one trial, whose end decides between the two. Pure. (The
 * pattern is M. Nygard's, "Release It!".)
 *
 * Memory is bounded whatever the threshold. Up to BREAKER_MARKS failures each has a mark of its own
 * and the window is exact. Above, failures that lie within a 62nd part of the window share a mark,
 * which counts until the last of them can have left: such a breaker may open as if its window were
 * longer by that part, never later than the window says. Times are the caller's, in milliseconds of
 * a clock that does not step; a time that runs backward counts as no time passed.
 */
#ifndef LOPS_POLICY_BREAKER_H
#define LOPS_POLICY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_MARKS 64

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_STATES };

struct breaker_settings {
	uint32_t threshold; /* 0: it never opens */
	int64_t window_ms;  /* a failure counts while it is at most so old */
	int64_t reset_ms;   /* 0: a trial may be made at once */
};

struct breaker {
	enum breaker_state state;
	int64_t until_ms; /* OPEN: no trial before */
	uint32_t first, n;
	struct breaker_mark {
		int64_t at_ms; /* of the first failure it stands for */
		uint32_t count;
	} marks[BREAKER_MARKS]; /* ring, oldest first */
};

/* A failure: whether the breaker is open after it. In HALF_OPEN it ends the trial. */
bool breaker_fail(struct breaker *b, const struct breaker_settings *s, int64_t now_ms);
/* Whether a failure now would leave it open; later it can only turn from yes to no. */
bool breaker_would_open(const struct breaker *b, const struct breaker_settings *s, int64_t now_ms);
/* OPEN since long enough: HALF_OPEN, and the caller makes the one trial. */
bool breaker_try(struct breaker *b, int64_t now_ms);
/* The trial did well, or a person said so: CLOSED, and nothing is remembered. */
void breaker_close(struct breaker *b);
/* From when on a failure would not open it any more; `now_ms` when it would not now. */
int64_t breaker_calm_at(const struct breaker *b, const struct breaker_settings *s, int64_t now_ms);

const char *breaker_state_name(enum breaker_state s);

#endif
