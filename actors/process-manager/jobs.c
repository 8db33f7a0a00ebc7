/*
 * Jobs: a command from being taken up to being answered, once, and who waits for which deployment
 * meanwhile. What a command does stands in commands.c.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/process-manager/job.h"

static const char *const verb_names[] = {"put",     "delete", "start", "stop",
					 "restart", "reload", "signal"};

struct job *job_new(struct actor *a, const struct event *ev, enum verb verb, const char *request)
{
	struct manager *m = manager_of(a);
	struct job *j;

	if (m->resumed && resume_took(m, ev->header.seq))
		return NULL;
	j = calloc(1, sizeof *j);
	if (!j)
		abort();
	j->verb = verb;
	j->seq = ev->header.seq;
	j->uid = ev->header.uid == MSG_UID_NONE ? MSG_NONE : (int64_t)ev->header.uid;
	j->timeout_s = (double)NAN;
	snprintf(j->request, sizeof j->request, "%s", request);
	j->taking = true;
	j->next = m->jobs;
	m->jobs = j;
	return j;
}

static void job_free(struct manager *m, struct job *j)
{
	struct job **at = &m->jobs;

	while (*at && *at != j)
		at = &(*at)->next;
	if (*at)
		*at = j->next;
	for (uint32_t i = 0; i < j->n_notes; i++)
		free(j->notes[i]);
	for (uint32_t i = 0; i < j->n_queue; i++)
		free(j->queue[i]);
	free(j->notes);
	free(j->queue);
	free(j->outcomes);
	free(j);
}

void jobs_done(struct manager *m)
{
	while (m->jobs)
		job_free(m, m->jobs);
	free(m->taken_again);
}

void job_accepted(struct actor *a, const struct job *j, const struct msg_strs *ids)
{
	struct command_accepted e = {
		.request = j->request, .verb = verb_names[j->verb], .uid = j->uid};
	struct publish to = {
		.did = msg_did("accepted", j->request, 0, 0), .cause = j->seq, .uid = MSG_UID_NONE};

	if (ids && ids->count <= 100)
		e.deployments = *ids;
	if (!j->quiet)
		publish_command_accepted(a, &to, &e);
}

static void say_finished(struct actor *a, struct job *j)
{
	struct command_finished e = {
		.request = j->request, .verb = verb_names[j->verb], .status = j->status};
	struct publish to = {
		.did = msg_did("finished", j->request, 0, 0), .cause = j->seq, .uid = MSG_UID_NONE};
	struct outcome_record records[200];
	uint32_t n = j->n_outcomes > 200 ? 200 : j->n_outcomes;

	for (uint32_t i = 0; i < n; i++)
		records[i] = (struct outcome_record){
			.deployment_id = j->outcomes[i].id,
			.status = j->outcomes[i].status,
			.message = j->outcomes[i].message[0] ? j->outcomes[i].message : NULL};
	e.message = j->message[0] ? j->message : NULL;
	e.outcomes = (struct outcome_record_list){.items = records, .count = n};
	e.notes = (struct msg_strs){.items = (const char **)(void *)j->notes, .count = j->n_notes};
	if (!j->quiet || j->status)
		publish_command_finished(a, &to, &e);
}

void job_refuse(struct actor *a, struct job *j, int status, const char *message)
{
	struct command_refused e = {.request = j->request,
				    .verb = verb_names[j->verb],
				    .uid = j->uid,
				    .status = status,
				    .message = message};
	struct publish to = {
		.did = msg_did("refused", j->request, 0, 0), .cause = j->seq, .uid = MSG_UID_NONE};

	publish_command_refused(a, &to, &e);
	j->status = status;
	snprintf(j->message, sizeof j->message, "%s", message);
}

void job_outcome(struct job *j, const char *id, int status, const char *message)
{
	struct outcome *more;

	if (status == 0 && !message)
		return;
	more = realloc(j->outcomes, (j->n_outcomes + 1) * sizeof *more);
	if (!more)
		abort();
	j->outcomes = more;
	more += j->n_outcomes++;
	*more = (struct outcome){.status = status};
	snprintf(more->id, sizeof more->id, "%s", id);
	snprintf(more->message, sizeof more->message, "%s", message ? message : "");
	if (status > j->status) {
		j->status = status;
		snprintf(j->message, sizeof j->message, "%s", more->message);
	}
}

void job_check(struct actor *a, struct job *j)
{
	if (j->taking || j->waiting)
		return;
	if (j->at_queue < j->n_queue) {
		job_queue_next(a, j);
		return;
	}
	say_finished(a, j);
	job_free(manager_of(a), j);
}

void job_wait_for(struct job *j, struct deployment *d, bool for_running, bool for_delete)
{
	struct waiter *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	*w = (struct waiter){.next = d->waiters,
			     .job = j,
			     .patience = j->patience,
			     .for_running = for_running,
			     .for_delete = for_delete};
	d->waiters = w;
	j->waiting++;
}

void jobs_expect(struct job *j)
{
	j->waiting++;
}

void jobs_came_to(struct actor *a, struct job *j, const char *id, int status, const char *message)
{
	uint64_t seq = j->seq;
	struct deployment *d;

	j->waiting--;
	job_outcome(j, id, status, message);
	job_check(a, j);
	/* Answered first: one that is cut off here is taken up, and answered the same, once more.
	 */
	d = deployment_find(manager_of(a), id);
	if (d && d->command_seq == seq) {
		d->command_seq = 0;
		d->command_verb = NULL;
		life_changed(a, d, "command_seq");
	}
}

void jobs_note(struct actor *a, struct deployment *d, const char *note)
{
	(void)a;
	for (struct waiter *w = d->waiters; w; w = w->next) {
		char **notes = realloc(w->job->notes, (w->job->n_notes + 1) * sizeof *notes);

		if (!notes)
			abort();
		w->job->notes = notes;
		notes[w->job->n_notes++] = strdup(note);
	}
}

void jobs_settle(struct actor *a, struct deployment *d, int status, const char *message)
{
	struct waiter *w = d->waiters, *next;
	bool is_stopped = !process_is_alive(d->status);
	uint64_t cause = actor_cause(a);

	d->waiters = NULL;
	if (d->is_create && status)
		d->deleted = true;
	d->is_create = false;
	d->command_seq = 0;
	d->command_verb = NULL;
	d->n_cut_off = 0;
	for (; w; w = next) {
		next = w->next;
		if (w->for_delete && is_stopped && status == 0) {
			d->deleted = true; /* and is answered when it is */
			w->next = d->waiters;
			d->waiters = w;
			continue;
		}
		w->job->waiting--;
		if (w->for_running && is_stopped && status == 0)
			job_outcome(w->job, d->id, 1, "it was stopped meanwhile");
		else
			job_outcome(w->job, d->id, status, message);
		job_check(a, w->job);
		free(w);
	}
	actor_set_cause(a, cause);
}

void jobs_deleted(struct actor *a, struct deployment *d)
{
	uint64_t cause = actor_cause(a);

	while (d->waiters) {
		struct waiter *w = d->waiters;

		d->waiters = w->next;
		w->job->waiting--;
		job_check(a, w->job);
		free(w);
	}
	actor_set_cause(a, cause);
}

typedef bool is_answered_fn(const struct waiter *w, enum job_patience reached);

static bool has_run(const struct waiter *w, enum job_patience reached)
{
	return w->for_running && w->patience <= reached;
}

static bool has_stopped(const struct waiter *w, enum job_patience reached)
{
	(void)reached;
	return !w->for_running && !w->for_delete;
}

/* Answers those for whom it is enough; the others go on waiting. */
static void answer_some(struct actor *a, struct deployment *d, is_answered_fn *is_answered,
			enum job_patience reached)
{
	struct waiter **at = &d->waiters;
	uint64_t cause = actor_cause(a);

	while (*at) {
		struct waiter *w = *at;

		if (!is_answered(w, reached)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->job->waiting--;
		job_check(a, w->job);
		free(w);
	}
	if (!d->waiters) {
		d->command_seq = 0;
		d->command_verb = NULL;
	}
	actor_set_cause(a, cause);
}

void jobs_reached(struct actor *a, struct deployment *d, enum job_patience reached)
{
	d->is_create = false; /* it was executed: whatever comes of it, it stays */
	answer_some(a, d, has_run, reached);
}

void jobs_stopped(struct actor *a, struct deployment *d)
{
	answer_some(a, d, has_stopped, JOB_EXEC);
}

uint32_t jobs_waiting(const struct deployment *d, int64_t *ret_seqs, uint32_t max)
{
	uint32_t n = 0;

	for (const struct waiter *w = d->waiters; w && n < max; w = w->next)
		ret_seqs[n++] = (int64_t)w->job->seq;
	return n;
}

const char *job_verb_name(const struct job *j)
{
	return verb_names[j->verb];
}
