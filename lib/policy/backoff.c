/*
 * The table of kinds, growth and jitter; see the header.
 */
#include "lib/policy/backoff.h"

#include <stddef.h>
#include <string.h>

/* A row declares the kind's function and names it. */
#define KINDS(K) K(exponential) K(fixed) K(time_of_day)

#define DECLARE(name) backoff_fn backoff_##name;
KINDS(DECLARE)
#define ROW(name) {#name, backoff_##name},
static const struct backoff_kind kinds[] = {KINDS(ROW)};

const struct backoff_kind *backoff_kind_at(unsigned i)
{
	return i < sizeof kinds / sizeof *kinds ? &kinds[i] : NULL;
}

const struct backoff_kind *backoff_kind_of(const char *name)
{
	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* Whole milliseconds of a number that may be anything. */
static int64_t whole_ms(double ms)
{
	if (!(ms > 0))
		return 0;
	return ms < 9e18 ? (int64_t)ms : INT64_MAX - 1;
}

int64_t backoff_grown(const struct backoff_settings *s, uint32_t exponent)
{
	double factor = s->multiplier > 1 ? s->multiplier : 1, power = 1;
	int64_t max = s->max_ms > 0 ? s->max_ms : 0, grown;

	if (s->initial_ms <= 0)
		return 0; /* nothing grows from nothing, and 0 times infinity is no number */
	for (uint32_t e = exponent; e; e >>= 1, factor *= factor)
		if (e & 1)
			power *= factor;
	grown = whole_ms((double)s->initial_ms * power);
	return grown < max ? grown : max;
}

struct backoff_pause backoff_pause(const struct backoff_kind *kind,
				   const struct backoff_settings *s, struct backoff_facts f)
{
	struct backoff_pause p = kind->pause(s, f);
	double share = s->jitter > 0 ? s->jitter : 0;

	if (share > 1)
		share = 1;
	if (share > 0 && p.ms > 0)
		p.ms = whole_ms((double)p.ms * (1 + share * (2.0 * f.random / UINT32_MAX - 1)));
	return p;
}
