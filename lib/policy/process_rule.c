/*
 * Statuses and what follows; see the header. One row a status, one column an input.
 */
#include "lib/policy/process_rule.h"

#include <string.h>

#define STEP(status, act)                                                                          \
	{                                                                                          \
		.next = PROCESS_##status, .action = PROCESS_DO_##act                               \
	}
/* Of a status in which nothing runs. */
#define DOWN(status)                                                                               \
	{                                                                                          \
		[PROCESS_IN_START] = STEP(STARTING, SPAWN),                                        \
		[PROCESS_IN_READY] = STEP(status, NOTHING),                                        \
		[PROCESS_IN_STOP] = STEP(STOPPED, SETTLE),                                         \
		[PROCESS_IN_EXIT_WELL] = STEP(status, NOTHING),                                    \
		[PROCESS_IN_EXIT_BADLY] = STEP(status, NOTHING),                                   \
		[PROCESS_IN_GONE] = STEP(status, NOTHING),                                         \
		[PROCESS_IN_DELETE] = STEP(status, FORGET)                                         \
	}

static const struct process_step steps[PROCESS_STATUSES][PROCESS_INPUTS] = {
	[PROCESS_STARTING] = {[PROCESS_IN_START] = STEP(STARTING, NOTHING),
			      [PROCESS_IN_READY] = STEP(RUNNING, SETTLE),
			      [PROCESS_IN_STOP] = STEP(STOPPING, SIGNAL),
			      [PROCESS_IN_EXIT_WELL] = STEP(EXITED, SETTLE),
			      [PROCESS_IN_EXIT_BADLY] = STEP(CRASHED, SETTLE),
			      [PROCESS_IN_GONE] = STEP(STARTING, NOTHING),
			      [PROCESS_IN_DELETE] = STEP(STARTING, REFUSE)},
	[PROCESS_RUNNING] = {[PROCESS_IN_START] = STEP(RUNNING, NOTHING),
			     [PROCESS_IN_READY] = STEP(RUNNING, NOTHING),
			     [PROCESS_IN_STOP] = STEP(STOPPING, SIGNAL),
			     [PROCESS_IN_EXIT_WELL] = STEP(EXITED, SETTLE),
			     [PROCESS_IN_EXIT_BADLY] = STEP(CRASHED, SETTLE),
			     [PROCESS_IN_GONE] = STEP(RUNNING, NOTHING),
			     [PROCESS_IN_DELETE] = STEP(RUNNING, REFUSE)},
	[PROCESS_STOPPING] = {[PROCESS_IN_START] = STEP(STOPPING, START_AFTER),
			      [PROCESS_IN_READY] = STEP(STOPPING, NOTHING),
			      [PROCESS_IN_STOP] = STEP(STOPPING, NOTHING),
			      [PROCESS_IN_EXIT_WELL] = STEP(STOPPING, NOTHING),
			      [PROCESS_IN_EXIT_BADLY] = STEP(STOPPING, NOTHING),
			      [PROCESS_IN_GONE] = STEP(STOPPED, SETTLE),
			      [PROCESS_IN_DELETE] = STEP(STOPPING, REFUSE)},
	[PROCESS_STOPPED] = DOWN(STOPPED),
	[PROCESS_EXITED] = DOWN(EXITED),
	[PROCESS_CRASHED] = DOWN(CRASHED),
	[PROCESS_BACKOFF] = DOWN(BACKOFF),
	[PROCESS_FAILED] = DOWN(FAILED),
};

struct process_step process_rule(enum process_status now, enum process_input input)
{
	return steps[now][input];
}

bool process_is_alive(enum process_status s)
{
	return s <= PROCESS_STOPPING;
}

static const char *const names[PROCESS_STATUSES] = {"starting", "running", "stopping", "stopped",
						    "exited",   "crashed", "backoff",  "failed"};

const char *process_status_name(enum process_status s)
{
	return names[s];
}

enum process_status process_status_of(const char *name)
{
	int s = 0;

	while (s < PROCESS_STATUSES && strcmp(names[s], name) != 0)
		s++;
	return (enum process_status)s;
}
