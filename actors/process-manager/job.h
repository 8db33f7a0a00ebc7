/*
 * A command being carried out, to the files that take commands up, wait and answer. Included by
 * them only.
 */
#ifndef LOPS_PROCESS_MANAGER_JOB_H
#define LOPS_PROCESS_MANAGER_JOB_H

#include "actors/process-manager/manager.h"

enum verb { VERB_PUT, VERB_DELETE, VERB_START, VERB_STOP, VERB_RESTART, VERB_RELOAD, VERB_SIGNAL };
struct outcome {
	char id[TREE_NAME_BYTES];
	int status;
	char message[400];
};

struct job {
	struct job *next;
	char request[72];
	enum verb verb;
	uint64_t seq;
	int64_t uid;
	enum job_patience patience;
	bool quiet, taking; /* still handing out its deployments */
	int status;
	char message[400];
	struct outcome *outcomes; /* of those that failed */
	uint32_t n_outcomes, waiting;
	char **notes;
	uint32_t n_notes;
	/* restart one after the other */
	char **queue;
	uint32_t n_queue, at_queue;
	double timeout_s;
	bool force;
};

/* --- jobs.c --- */
/* NULL: it was cut off and is taken up already, and comes through the cursor once more. */
struct job *job_new(struct actor *a, const struct event *ev, enum verb verb, const char *request);
const char *job_verb_name(const struct job *j);
void job_accepted(struct actor *a, const struct job *j, const struct msg_strs *ids);
void job_refuse(struct actor *a, struct job *j, int status, const char *message);
void job_outcome(struct job *j, const char *id, int status, const char *message);
/* Goes on with its queue, or is answered and forgotten, when nothing is waited for. */
void job_check(struct actor *a, struct job *j);
/* It waits until the deployment rests. */
void job_wait_for(struct job *j, struct deployment *d, bool for_running, bool for_delete);

/* --- commands.c: the next deployment of a restart one after the other --- */
void job_queue_next(struct actor *a, struct job *j);

/* --- resume.c --- */
bool resume_took(const struct manager *m, uint64_t seq);

#endif
