/*
 * The kind "fixed": every pause is the first one.
 */
#include "lib/policy/backoff.h"
#include "lib/policy/times.h"

backoff_fn backoff_fixed;

struct backoff_pause backoff_fixed(const struct backoff_settings *s, struct backoff_facts f)
{
	(void)f;
	return (struct backoff_pause){backoff_grown(s, 0), TIMES_NEVER,
				      "a pause of the same length each time"};
}
