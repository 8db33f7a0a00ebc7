/*
 * See the header.
 */
#include "lib/policy/wait_rule.h"

bool wait_rule(enum wait_for what, const struct wait_facts *f)
{
	bool moves = f->status == PROCESS_STARTING || f->status == PROCESS_STOPPING;

	switch (what) {
	case WAIT_SPAWNED:
		return !f->exists || !moves || (f->status == PROCESS_STARTING && f->has_process);
	case WAIT_REST:
		return !f->exists || !moves;
	case WAIT_ENDED:
		return !f->exists || !process_is_alive(f->status);
	case WAIT_GONE:
		return !f->exists;
	case WAIT_NOTHING:
		break;
	}
	return true;
}
