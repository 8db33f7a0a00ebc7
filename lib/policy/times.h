/*
 * Points in time and lengths of time in milliseconds, which never overflow. For every policy that
 * looks at a clock's value that its caller brings.
 */
#ifndef LOPS_POLICY_TIMES_H
#define LOPS_POLICY_TIMES_H

#include <stdint.h>

#define TIMES_NEVER INT64_MAX

static inline int64_t times_add(int64_t a, int64_t b)
{
	int64_t sum;

	if (a == TIMES_NEVER || b == TIMES_NEVER)
		return TIMES_NEVER;
	if (__builtin_add_overflow(a, b, &sum))
		return a < 0 ? INT64_MIN : TIMES_NEVER;
	return sum;
}

/* How long `then` is ago; 0 when it lies ahead. */
static inline int64_t times_since(int64_t then, int64_t now)
{
	int64_t ago;

	if (then >= now)
		return 0;
	return __builtin_sub_overflow(now, then, &ago) ? TIMES_NEVER : ago;
}

#endif
