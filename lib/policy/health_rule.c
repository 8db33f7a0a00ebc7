/*
 * Health from checks; see the header.
 */
#include "lib/policy/health_rule.h"

#include <string.h>
#include "lib/policy/times.h"

static const char *const names[HEALTHS] = {"unknown", "healthy", "degraded", "unhealthy"};

const char *health_name(enum health h)
{
	return names[h < HEALTHS ? h : HEALTH_UNKNOWN];
}

enum health health_of(const char *name)
{
	int h = 0;

	while (h < HEALTHS && strcmp(names[h], name) != 0)
		h++;
	return (enum health)h;
}

/* What the i-th check counts as. */
static enum health counted(const struct health_state *s, const struct health_round *r, uint32_t i)
{
	const struct health_check *c = &r->checks[i];
	bool graced =
		times_since(r->started_ms, r->now_ms) < r->grace_ms && !(s->succeeded >> i & 1);

	if (c->result >= HEALTHS)
		return HEALTH_UNKNOWN;
	if (c->result == HEALTH_UNHEALTHY && graced && !c->is_process)
		return HEALTH_UNKNOWN;
	return c->result;
}

static enum health overall(const uint32_t n_of[HEALTHS], uint32_t n, bool process_is_gone,
			   uint32_t bad_rounds, uint32_t unhealthy_after)
{
	if (process_is_gone)
		return HEALTH_UNHEALTHY;
	if (n_of[HEALTH_UNHEALTHY])
		return bad_rounds >= (unhealthy_after ? unhealthy_after : 1) ? HEALTH_UNHEALTHY
									     : HEALTH_DEGRADED;
	if (n_of[HEALTH_DEGRADED])
		return HEALTH_DEGRADED;
	return n > 0 && n_of[HEALTH_HEALTHY] == n ? HEALTH_HEALTHY : HEALTH_UNKNOWN;
}

bool health_rule(struct health_state *s, const struct health_round *r)
{
	uint32_t n_of[HEALTHS] = {0}, n = r->n < HEALTH_CHECKS_MAX ? r->n : HEALTH_CHECKS_MAX;
	enum health before = s->overall;
	bool process_is_gone = false;

	if (r->held)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		enum health h;

		if (r->checks[i].result == HEALTH_HEALTHY || r->checks[i].result == HEALTH_DEGRADED)
			s->succeeded |= UINT32_C(1) << i;
		h = counted(s, r, i);
		n_of[h]++;
		process_is_gone |= h == HEALTH_UNHEALTHY && r->checks[i].is_process;
	}
	if (!n_of[HEALTH_UNHEALTHY])
		s->bad_rounds = 0;
	else if (s->bad_rounds < UINT32_MAX)
		s->bad_rounds++;
	s->overall = overall(n_of, n, process_is_gone, s->bad_rounds, r->unhealthy_after);
	return s->overall != before;
}
