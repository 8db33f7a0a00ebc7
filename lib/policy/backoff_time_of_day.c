/*
 * The kind "time_of_day": by day, from 8 to 20 o'clock local time, pauses are those of the kind
 * exponential, for somebody waits and somebody is there to look. By night they are four times as
 * long, up to the longest: what breaks then mostly waits for something that is back in the morning.
 *
 * An answer holds until the next of the two hours.
 */
#include "lib/policy/backoff.h"
#include "lib/policy/times.h"

#define HOUR_MS      (INT64_C(60) * 60 * 1000)
#define DAY_BEGINS   (8 * HOUR_MS)
#define DAY_ENDS     (20 * HOUR_MS)
#define NIGHT_FACTOR 4

backoff_fn backoff_time_of_day;

struct backoff_pause backoff_time_of_day(const struct backoff_settings *s, struct backoff_facts f)
{
	int64_t at = f.day_ms % (24 * HOUR_MS), grown = backoff_grown(s, f.exponent);
	int64_t max = s->max_ms > 0 ? s->max_ms : 0;

	if (at < 0)
		at += 24 * HOUR_MS;
	if (at >= DAY_BEGINS && at < DAY_ENDS)
		return (struct backoff_pause){grown, DAY_ENDS - at, "by day the pause is short"};
	return (struct backoff_pause){grown > max / NIGHT_FACTOR ? max : grown * NIGHT_FACTOR,
				      (at < DAY_BEGINS ? 0 : 24 * HOUR_MS) + DAY_BEGINS - at,
				      "by night the pause is four times as long"};
}
