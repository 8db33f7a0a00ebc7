/*
 * See the header.
 */
#include "lib/policy/restart_attempts.h"

#include <stddef.h>

static struct restart_attempt *back(struct restart_attempts *all, uint32_t i)
{
	if (i >= all->n || all->n > RESTART_ATTEMPTS_KEPT)
		return NULL;
	return &all->kept[(all->first + all->n - 1 - i) % RESTART_ATTEMPTS_KEPT];
}

void restart_attempts_add(struct restart_attempts *all, const struct restart_attempt *one)
{
	restart_attempts_settle(all, RESTART_FAILED); /* a further one means that it did not do */
	if (all->n >= RESTART_ATTEMPTS_KEPT) {
		all->first = (all->first + 1) % RESTART_ATTEMPTS_KEPT;
		all->n = RESTART_ATTEMPTS_KEPT - 1;
	}
	all->n++;
	*back(all, 0) = *one;
	all->total++;
}

bool restart_attempts_settle(struct restart_attempts *all, enum restart_success how)
{
	struct restart_attempt *latest = back(all, 0);

	if (!latest || latest->success != RESTART_OPEN || how == RESTART_OPEN)
		return false;
	latest->success = how;
	*(how == RESTART_SUCCEEDED ? &all->succeeded : &all->failed) += 1;
	return true;
}

const struct restart_attempt *restart_attempts_back(const struct restart_attempts *all, uint32_t i)
{
	return back((struct restart_attempts *)(uintptr_t)all, i);
}

const char *restart_trigger_name(enum restart_trigger t)
{
	static const char *const names[] = {"auto", "manual", "preemptive"};

	return t < RESTART_TRIGGERS ? names[t] : "?";
}
