/*
 * The kind "exponential": each pause is longer than the one before, up to the longest.
 */
#include "lib/policy/backoff.h"
#include "lib/policy/times.h"

backoff_fn backoff_exponential;

struct backoff_pause backoff_exponential(const struct backoff_settings *s, struct backoff_facts f)
{
	return (struct backoff_pause){backoff_grown(s, f.exponent), TIMES_NEVER,
				      "a pause that grows with each restart in a row"};
}
