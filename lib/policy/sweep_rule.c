/*
 * Belonging by mark or by session; see the header.
 */
#include "lib/policy/sweep_rule.h"

bool sweep_rule(const struct sweep_facts *f)
{
	if (f->pid == f->main_pid)
		return false;
	if (f->main_instance && f->instance == f->main_instance)
		return true;
	/* A session is named by a pid, and a pid that was given away names somebody else's. */
	return f->main_is_it && f->session == f->main_pid;
}
