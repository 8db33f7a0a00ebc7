/*
 * Programs that behave: steady ones, and those that end at once, ignore TERM, leave children
 * behind, are slow to be ready or can't be executed at all.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tests/sim/kernel.h"
#include "tests/sim/oracle.h"

const char *const program_kinds[] = {"steady",  "short", "instant", "stubborn", "missing",
				     "forking", "ready", "slow",    "clingy",   "port"};

int program_kinds_count(void)
{
	return (int)(sizeof program_kinds / sizeof *program_kinds);
}

static bool is_kind(const char *id, const char *kind)
{
	return strncmp(id, kind, strlen(kind)) == 0;
}

bool program_waits_ready(const char *id)
{
	return is_kind(id, "ready");
}

static void ends_by_itself(struct proc *p, uint64_t within_ns)
{
	p->ends_ns = world.now_ns + (within_ns ? chance(within_ns) : 0);
	p->ends_status = one_in(5) ? 11 | 0x80 : one_in(5) ? 9 : (int)chance(3) << 8;
}

/* In the session of its parent, or in one of its own, which a signal to the group does not reach.
 */
static struct proc *fork_child(struct proc *p, bool escapes)
{
	struct proc *c = kernel_new(PARTS, p->pid);

	c->instance = p->instance;
	snprintf(c->id, sizeof c->id, "%s", p->id);
	if (!escapes)
		c->session = p->session;
	return c;
}

int program_exec(struct proc *p)
{
	if (is_kind(p->id, "missing"))
		return ENOENT;
	p->is_main = true;
	oracle_spawned(p);
	world.spawned++;
	if (is_kind(p->id, "short")) {
		ends_by_itself(p, 5 * SIM_SECOND);
	} else if (is_kind(p->id, "instant")) {
		ends_by_itself(p, 0);
	} else if (is_kind(p->id, "stubborn")) {
		p->ignores_term = true;
	} else if (is_kind(p->id, "slow")) {
		p->is_slow = true;
	} else if (is_kind(p->id, "ready")) {
		p->ready_ns = world.now_ns + chance(4 * SIM_SECOND);
		if (one_in(8))
			ends_by_itself(p, 3 * SIM_SECOND);
	} else if (is_kind(p->id, "forking")) {
		for (uint64_t n = 1 + chance(3); n > 0; n--)
			fork_child(p, false)->ignores_term = one_in(3);
		if (one_in(3))
			ends_by_itself(p, 20 * SIM_SECOND);
	} else if (is_kind(p->id, "clingy")) {
		struct proc *c = fork_child(p, true);

		c->ignores_term = true;
		if (one_in(4))
			c->stuck_until_ns = world.now_ns + chance(60 * SIM_SECOND);
	} else if (is_kind(p->id, "port")) {
		p->port = oracle_port_of(p->instance);
	}
	return 0;
}
