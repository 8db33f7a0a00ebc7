/*
 * How long to wait before a restart. The kinds are functions of a file each, chosen by name through
 * one table: a further kind is its file and its row in backoff.c. Pure.
 *
 * The formula is that of every exponential backoff, min(initial * multiplier ^ exponent, max),
 * varied by a share of itself so that what fell together does not rise together.
 */
#ifndef LOPS_POLICY_BACKOFF_H
#define LOPS_POLICY_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff_settings {
	int64_t initial_ms, max_ms; /* below 0 counts as 0 */
	double multiplier;          /* not a number or below 1 counts as 1 */
	double jitter;              /* share, 0 to 1; not a number counts as 0 */
};

struct backoff_facts {
	uint32_t exponent; /* restarts in a row that had a pause */
	uint32_t random;   /* any; the whole range is evenly likely */
	int64_t day_ms;    /* milliseconds since local midnight, for kinds that look at the hour */
};

struct backoff_pause {
	int64_t ms;
	int64_t holds_ms; /* the same answer would be given for so long; TIMES_NEVER: always */
	const char *reason;
};

typedef struct backoff_pause backoff_fn(const struct backoff_settings *s, struct backoff_facts f);

struct backoff_kind {
	const char *name;
	backoff_fn *pause; /* without jitter */
};

/* NULL: there is no kind of that name. */
const struct backoff_kind *backoff_kind_of(const char *name);
const struct backoff_kind *backoff_kind_at(unsigned i); /* NULL behind the last */

/* The pause of the kind, varied. */
struct backoff_pause backoff_pause(const struct backoff_kind *kind,
				   const struct backoff_settings *s, struct backoff_facts f);

/* For kinds: min(initial * multiplier ^ exponent, max). */
int64_t backoff_grown(const struct backoff_settings *s, uint32_t exponent);

#endif
