/*
 * The statuses of a deployment and which may follow which. Pure.
 */
#ifndef LOPS_POLICY_PROCESS_RULE_H
#define LOPS_POLICY_PROCESS_RULE_H

#include <stdbool.h>

enum process_status {
	PROCESS_STARTING,
	PROCESS_RUNNING,
	PROCESS_STOPPING,
	PROCESS_STOPPED,
	PROCESS_EXITED,
	PROCESS_CRASHED,
	PROCESS_BACKOFF,
	PROCESS_FAILED,
	PROCESS_STATUSES,
};

enum process_input {
	PROCESS_IN_START,      /* asked for */
	PROCESS_IN_READY,      /* exec or notify, as its rule says */
	PROCESS_IN_STOP,       /* asked for */
	PROCESS_IN_EXIT_WELL,  /* ended by itself with a success code */
	PROCESS_IN_EXIT_BADLY, /* ended by itself otherwise, or could not be started */
	PROCESS_IN_GONE,       /* the whole tree is gone after a stop */
	PROCESS_IN_DELETE,
	PROCESS_INPUTS,
};

enum process_action {
	PROCESS_DO_NOTHING, /* the input changes nothing (and is answered so) */
	PROCESS_DO_SPAWN,
	PROCESS_DO_SIGNAL,      /* begin the stop */
	PROCESS_DO_SETTLE,      /* answer those who wait */
	PROCESS_DO_START_AFTER, /* start once it has stopped */
	PROCESS_DO_FORGET,
	PROCESS_DO_REFUSE,
};

struct process_step {
	enum process_status next;
	enum process_action action;
};

struct process_step process_rule(enum process_status now, enum process_input input);

bool process_is_alive(enum process_status s); /* a process may exist */
const char *process_status_name(enum process_status s);
/* PROCESS_STATUSES when unknown. */
enum process_status process_status_of(const char *name);

#endif
