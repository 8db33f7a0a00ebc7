/*
 * Commands over one or many deployments: taken up once, answered once. A deployment remembers the
 * command that is being carried out on it, so that one cut off by a crash is taken up again, and
 * the last that was applied, so that none is applied twice.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/process-manager/manager.h"
#include "lib/policy/exit_rule.h"
#include "lib/policy/name_rule.h"
#include "msgs/codec.h"

enum verb { VERB_PUT, VERB_DELETE, VERB_START, VERB_STOP, VERB_RESTART, VERB_RELOAD, VERB_SIGNAL };
static const char *const verb_names[] = {"put",     "delete", "start", "stop",
					 "restart", "reload", "signal"};

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

static int by_seq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* NULL: it was cut off and is taken up already, and comes through the cursor once more. */
static struct job *job_new(struct actor *a, const struct event *ev, enum verb verb,
			   const char *request)
{
	struct manager *m = manager_of(a);
	struct job *j;

	if (m->resumed && m->n_taken_again &&
	    bsearch(&ev->header.seq, m->taken_again, m->n_taken_again, sizeof *m->taken_again,
		    by_seq))
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

static void say_accepted(struct actor *a, const struct job *j, const struct msg_strs *ids)
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

static void refuse(struct actor *a, struct job *j, int status, const char *message)
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

static void outcome(struct job *j, const char *id, int status, const char *message)
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

static void queue_next(struct actor *a, struct job *j);

static void job_check(struct actor *a, struct job *j)
{
	if (j->taking || j->waiting)
		return;
	if (j->at_queue < j->n_queue) {
		queue_next(a, j);
		return;
	}
	say_finished(a, j);
	job_free(manager_of(a), j);
}

/* The job waits until the deployment rests. */
static void wait_for(struct job *j, struct deployment *d, bool for_running, bool for_delete)
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
	outcome(j, id, status, message);
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
			outcome(w->job, d->id, 1, "it was stopped meanwhile");
		else
			outcome(w->job, d->id, status, message);
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

/* Whether this command is still to be applied: not by an earlier life of ours, unless cut off. */
static bool is_new_for(const struct job *j, const struct deployment *d)
{
	return d->handled_seq < j->seq || (d->handled_seq == j->seq && d->command_seq == j->seq);
}

uint32_t jobs_waiting(const struct deployment *d, int64_t *ret_seqs, uint32_t max)
{
	uint32_t n = 0;

	for (const struct waiter *w = d->waiters; w && n < max; w = w->next)
		ret_seqs[n++] = (int64_t)w->job->seq;
	return n;
}

/* Whether it waited for the deployment when our last life ended, though others came after it. */
static bool was_waiting(const struct job *j, const struct deployment *d)
{
	for (uint32_t i = 0; i < d->n_cut_off; i++)
		if (d->cut_off[i] == (int64_t)j->seq)
			return true;
	return false;
}

/* What waits for a deployment stands in its record, and there is an end to that. */
static bool is_crowded(struct job *j, const struct deployment *d)
{
	int64_t seqs[JOBS_WAITING_MAX];

	if (jobs_waiting(d, seqs, JOBS_WAITING_MAX) < JOBS_WAITING_MAX)
		return false;
	outcome(j, d->id, 7, "too many commands wait for it already; try again");
	return true;
}

/* Nothing else is said of the deployment now, and a crash of ours must not lose the command. */
static void say_waiting(struct actor *a, struct deployment *d)
{
	life_changed(a, d, "commands");
}

static void take_up(const struct job *j, struct deployment *d)
{
	d->handled_seq = j->seq;
	d->command_seq = j->seq;
	d->command_verb = verb_names[j->verb];
}

/* Deletes what was marked while others still held it. */
static void forget_if_marked(struct actor *a, struct deployment *d, const char *reason)
{
	if (d->deleted && !process_is_alive(d->status) && d->exit_number <= actor_acked(a))
		life_delete(a, d, reason);
}

static void unknown(struct job *j, const char *id)
{
	char text[160];

	snprintf(text, sizeof text, "no deployment is named %.64s", id);
	outcome(j, id, 4, text);
}

static void start_one(struct actor *a, struct job *j, struct deployment *d)
{
	if (!is_new_for(j, d)) {
		if (was_waiting(j, d) && d->status != PROCESS_RUNNING) {
			wait_for(j, d, true, false);
			d->start_after_stop |= d->status == PROCESS_STOPPING && d->wants_run;
		}
		return;
	}
	if (is_crowded(j, d))
		return;
	if (d->deleted) {
		unknown(j, d->id);
		return;
	}
	if (d->status == PROCESS_RUNNING) {
		d->handled_seq = j->seq;
		if (!d->wants_run) {
			d->wants_run = true;
			life_changed(a, d, "intent");
		}
		return;
	}
	take_up(j, d);
	wait_for(j, d, true, false);
	d->wants_run = true;
	if (process_rule(d->status, PROCESS_IN_START).action == PROCESS_DO_SPAWN) {
		life_start(a, d);
		return;
	}
	d->start_after_stop = d->status == PROCESS_STOPPING;
	say_waiting(a, d);
}

static void stop_one(struct actor *a, struct job *j, struct deployment *d, bool keep_intent)
{
	bool changes = d->wants_run && !keep_intent, stops = d->status == PROCESS_STOPPING;

	if (!is_new_for(j, d)) {
		if (was_waiting(j, d) && stops)
			wait_for(j, d, false, false);
		return;
	}
	if (is_crowded(j, d))
		return;
	if (!process_is_alive(d->status)) {
		d->handled_seq = j->seq;
		if (changes || d->status == PROCESS_BACKOFF || d->status == PROCESS_FAILED) {
			d->wants_run = !changes && d->wants_run;
			life_stop(a, d, j->timeout_s, j->force);
		}
		return;
	}
	take_up(j, d);
	if (!keep_intent)
		d->wants_run = false;
	/* Who waited for it to run is told. */
	if (d->status != PROCESS_STOPPING && d->waiters)
		jobs_settle(a, d, 1, "it was stopped meanwhile");
	take_up(j, d);
	wait_for(j, d, false, false);
	life_stop(a, d, j->timeout_s, j->force);
	if (stops)
		say_waiting(a, d);
}

static void restart_one(struct actor *a, struct job *j, struct deployment *d)
{
	bool was_stopped = d->handled_seq == j->seq && d->status <= PROCESS_RUNNING,
	     stops = d->status == PROCESS_STOPPING;

	/* Cut off by our own death in its second half: the start goes on. */
	if (!is_new_for(j, d) || was_stopped || !process_is_alive(d->status)) {
		start_one(a, j, d);
		return;
	}
	if (is_crowded(j, d))
		return;
	take_up(j, d);
	d->wants_run = true;
	wait_for(j, d, true, false);
	life_stop(a, d, j->timeout_s, false);
	d->start_after_stop = true;
	if (stops)
		say_waiting(a, d);
}

static void queue_next(struct actor *a, struct job *j)
{
	struct deployment *d;

	if (j->status) { /* halts at the first that does not become ready */
		for (; j->at_queue < j->n_queue; j->at_queue++)
			outcome(j, j->queue[j->at_queue], j->status,
				"not restarted, for an earlier one failed");
	} else {
		const char *id = j->queue[j->at_queue++];

		d = deployment_find(manager_of(a), id);
		actor_set_cause(a, j->seq);
		j->taking = true;
		if (d)
			restart_one(a, j, d);
		else
			unknown(j, id);
		j->taking = false;
	}
	job_check(a, j);
}

/* --- handlers --- */

static void end_taking(struct actor *a, struct job *j)
{
	j->taking = false;
	job_check(a, j);
}

/* One of which only the spec reached the journal is not there yet. */
static bool is_there(const struct deployment *d)
{
	return d && d->handled_seq;
}

static const char *check_put(const struct do_deployment_put *c, const struct deployment *d,
			     const struct job *j, int *ret_status)
{
	static char text[200];
	const char *why = name_rule(c->spec.deployment_id);

	if (why) {
		*ret_status = 2;
		snprintf(text, sizeof text, "the name %s", why);
		return text;
	}
	*ret_status = 6;
	if (strcmp(c->mode, "create") == 0 && is_there(d) && d->handled_seq != j->seq) {
		snprintf(text, sizeof text, "the name %s is taken", c->spec.deployment_id);
		return text;
	}
	if (strcmp(c->mode, "set") == 0 && !is_there(d)) {
		*ret_status = 4;
		snprintf(text, sizeof text, "no deployment is named %s", c->spec.deployment_id);
		return text;
	}
	if (c->base_generation && d && d->generation != c->base_generation &&
	    d->handled_seq != j->seq)
		return "it was changed by somebody else meanwhile";
	if (c->spec.command.count == 0) {
		*ret_status = 2;
		return "the command is empty";
	}
	return NULL;
}

static void say_spec(struct actor *a, struct deployment *d)
{
	struct spec_set e = {
		.generation = d->generation, .spec = *d->spec, .port_in_force = d->port};

	publish_spec_set(a, PUBLISH_TO(d->id), &e);
}

static void put_started(struct actor *a, struct deployment *d)
{
	if (process_rule(d->status, PROCESS_IN_START).action == PROCESS_DO_SPAWN)
		life_start(a, d);
	forget_if_marked(a, d, "could not be started");
}

static void put(struct actor *a, struct job *j, struct deployment *d,
		const struct do_deployment_put *c)
{
	bool is_new = !is_there(d);

	if (!d)
		d = deployment_add(manager_of(a), c->spec.deployment_id);
	else if (d->port != MSG_NONE && d->spec && d->spec->port != c->spec.port &&
		 !process_is_alive(d->status))
		d->port = MSG_NONE;
	free(d->spec);
	d->spec = msg_body_copy(&REC_deployment_spec, &c->spec);
	if (!d->spec)
		abort();
	d->generation++;
	d->handled_seq = j->seq;
	if (is_new && c->spec.autostart)
		d->wants_run = true;
	if (c->start) {
		take_up(j, d);
		wait_for(j, d, true, false);
	}
	say_spec(a, d);
	if (is_new)
		life_say(a, d, &MSG_deployment_created);
	else
		life_changed(a, d, "spec");
	d->is_create = c->start && is_new;
	if (c->start)
		put_started(a, d);
}

void on_deployment_put(struct actor *a, const struct event *ev, const struct do_deployment_put *c)
{
	struct deployment *d = deployment_find(manager_of(a), c->spec.deployment_id);
	struct job *j = job_new(a, ev, VERB_PUT, c->request);
	int status;
	const char *why;

	if (!j)
		return;
	j->quiet = c->quiet;
	j->patience = c->wait ? JOB_HELD : JOB_EXEC;
	why = check_put(c, d, j, &status);
	if (why) {
		refuse(a, j, status, why);
	} else if (!is_there(d) || d->handled_seq < j->seq) {
		say_accepted(a, j, NULL);
		put(a, j, d, c);
	} else if (d->status != PROCESS_RUNNING &&
		   (d->command_seq == j->seq || was_waiting(j, d))) {
		/* Cut off by our own death: its start goes on. */
		d->is_create = strcmp(c->mode, "create") == 0 && d->pid == MSG_NONE;
		wait_for(j, d, true, false);
		if (d->command_seq == j->seq)
			put_started(a, d);
	}
	end_taking(a, j);
}

/* Its exit is still on its way to the journal, and is to be confirmed first. */
static void delete_later(struct actor *a, struct job *j, struct deployment *d)
{
	take_up(j, d);
	wait_for(j, d, false, true);
	d->deleted = true;
	say_waiting(a, d);
}

void on_deployment_delete(struct actor *a, const struct event *ev,
			  const struct do_deployment_delete *c)
{
	struct job *j = job_new(a, ev, VERB_DELETE, c->request);
	char text[200];

	if (!j)
		return;
	say_accepted(a, j, &c->deployments);
	for (uint32_t i = 0; i < c->deployments.count; i++) {
		const char *id = c->deployments.items[i];
		struct deployment *d = deployment_find(manager_of(a), id);

		/* Gone: what was asked for. Another of its name came after: not what was meant. */
		if (!d || (d->handled_seq > j->seq && !was_waiting(j, d)))
			continue;
		if (!process_is_alive(d->status) && d->exit_number > actor_acked(a)) {
			delete_later(a, j, d);
		} else if (!process_is_alive(d->status)) {
			life_delete(a, d, "asked for");
		} else if (d->handled_seq > j->seq) {
			if (d->status == PROCESS_STOPPING)
				wait_for(j, d, false, true);
		} else if (!c->force) {
			snprintf(text, sizeof text, "%s is %s; stop it first or use --force", d->id,
				 process_status_name(d->status));
			outcome(j, id, 6, text);
		} else {
			bool stops = d->status == PROCESS_STOPPING;

			take_up(j, d);
			d->wants_run = false;
			if (d->waiters)
				jobs_settle(a, d, 1, "it was deleted meanwhile");
			take_up(j, d);
			wait_for(j, d, false, true);
			life_stop(a, d, j->timeout_s, false);
			if (stops)
				say_waiting(a, d);
		}
	}
	end_taking(a, j);
}

static void start_wanted(void *arg, struct deployment *d)
{
	struct {
		struct actor *a;
		struct job *j;
	} *q = arg;
	bool rests = d->status == PROCESS_EXITED || d->status == PROCESS_FAILED ||
		     d->status == PROCESS_CRASHED;

	/* EXITED, CRASHED and FAILED stay within a boot. */
	if (d->wants_run && !process_is_alive(d->status) &&
	    !(rests && strcmp(d->boot_id, manager_of(q->a)->boot_id) == 0))
		start_one(q->a, q->j, d);
}

void on_process_start(struct actor *a, const struct event *ev, const struct do_process_start *c)
{
	struct job *j = job_new(a, ev, VERB_START, c->request);
	struct {
		struct actor *a;
		struct job *j;
	} q = {.a = a, .j = j};

	if (!j)
		return;
	j->patience = c->set_start ? JOB_READY : c->wait ? JOB_HELD : JOB_EXEC;
	say_accepted(a, j, &c->deployments);
	if (c->set_start && c->deployments.count == 0)
		deployment_each(manager_of(a), start_wanted, &q);
	for (uint32_t i = 0; i < c->deployments.count; i++) {
		struct deployment *d = deployment_find(manager_of(a), c->deployments.items[i]);

		if (d)
			start_one(a, j, d);
		else
			unknown(j, c->deployments.items[i]);
	}
	end_taking(a, j);
}

void on_process_stop(struct actor *a, const struct event *ev, const struct do_process_stop *c)
{
	struct job *j = job_new(a, ev, VERB_STOP, c->request);

	if (!j)
		return;
	j->timeout_s = c->timeout_seconds;
	j->force = c->force;
	say_accepted(a, j, &c->deployments);
	for (uint32_t i = 0; i < c->deployments.count; i++) {
		struct deployment *d = deployment_find(manager_of(a), c->deployments.items[i]);

		if (d)
			stop_one(a, j, d, c->keep_intent);
		else
			unknown(j, c->deployments.items[i]);
	}
	end_taking(a, j);
}

void on_process_restart(struct actor *a, const struct event *ev, const struct do_process_restart *c)
{
	struct job *j = job_new(a, ev, VERB_RESTART, c->request);

	if (!j)
		return;
	j->timeout_s = c->timeout_seconds;
	j->patience = JOB_READY;
	say_accepted(a, j, &c->deployments);
	if (c->parallel || c->deployments.count == 1) {
		for (uint32_t i = 0; i < c->deployments.count; i++) {
			struct deployment *d =
				deployment_find(manager_of(a), c->deployments.items[i]);

			if (d)
				restart_one(a, j, d);
			else
				unknown(j, c->deployments.items[i]);
		}
	} else {
		j->queue = calloc(c->deployments.count, sizeof *j->queue);
		if (!j->queue)
			abort();
		for (uint32_t i = 0; i < c->deployments.count; i++) {
			struct deployment *d =
				deployment_find(manager_of(a), c->deployments.items[i]);

			j->queue[j->n_queue++] = strdup(c->deployments.items[i]);
			/* Where our last life ended in the middle of it, before the others. */
			if (d && was_waiting(j, d))
				restart_one(a, j, d);
		}
	}
	end_taking(a, j);
}

static void signal_one(struct actor *a, struct job *j, struct deployment *d, int signo, bool tree)
{
	char text[200];
	int err;

	if (d->pid == MSG_NONE || !process_is_alive(d->status)) {
		snprintf(text, sizeof text, "%s is not running", d->id);
		outcome(j, d->id, 3, text);
		return;
	}
	if (d->handled_seq >= j->seq)
		return;
	d->handled_seq = j->seq;
	err = manager_of(a)->os->signal(a, d, signo, tree);
	if (err) {
		snprintf(text, sizeof text, "%s could not be signalled: %s", d->id,
			 strerror(err < 0 ? -err : err));
		outcome(j, d->id, 1, text);
	}
	life_changed(a, d, "handled_seq");
}

void on_process_signal(struct actor *a, const struct event *ev, const struct do_process_signal *c)
{
	struct job *j = job_new(a, ev, VERB_SIGNAL, c->request);

	if (!j)
		return;
	say_accepted(a, j, &c->deployments);
	for (uint32_t i = 0; i < c->deployments.count; i++) {
		struct deployment *d = deployment_find(manager_of(a), c->deployments.items[i]);

		if (d)
			signal_one(a, j, d, (int)c->signal, c->tree);
		else
			unknown(j, c->deployments.items[i]);
	}
	end_taking(a, j);
}

static void reload_one(struct actor *a, struct job *j, struct deployment *d)
{
	char text[200];

	if (d->pid == MSG_NONE || !process_is_alive(d->status)) {
		snprintf(text, sizeof text, "%s is not running", d->id);
		outcome(j, d->id, 3, text);
	} else if (d->handled_seq >= j->seq) {
		jobs_expect(j);
		jobs_came_to(
			a, j, d->id, 1,
			"it was begun, but the process-manager died: what it came to is not known");
	} else {
		take_up(j, d);
		reload_begin(a, d, j, life_changed(a, d, "handled_seq"));
	}
}

void on_process_reload(struct actor *a, const struct event *ev, const struct do_process_reload *c)
{
	struct job *j = job_new(a, ev, VERB_RELOAD, c->request);

	if (!j)
		return;
	say_accepted(a, j, &c->deployments);
	for (uint32_t i = 0; i < c->deployments.count; i++) {
		struct deployment *d = deployment_find(manager_of(a), c->deployments.items[i]);

		if (!d)
			unknown(j, c->deployments.items[i]);
		else if (d->spec && d->spec->reload_command.count)
			reload_one(a, j, d);
		else
			signal_one(a, j, d,
				   d->spec && d->spec->reload_signal > 0
					   ? (int)d->spec->reload_signal
					   : 1,
				   false);
	}
	end_taking(a, j);
}

/* --- what a crash of ours cut off --- */

static void take_again(struct actor *a, const struct event *ev)
{
	actor_set_cause(a, ev->header.seq);
	if (ev->type == &MSG_do_deployment_put)
		on_deployment_put(a, ev, ev->body);
	else if (ev->type == &MSG_do_deployment_delete)
		on_deployment_delete(a, ev, ev->body);
	else if (ev->type == &MSG_do_process_start)
		on_process_start(a, ev, ev->body);
	else if (ev->type == &MSG_do_process_stop)
		on_process_stop(a, ev, ev->body);
	else if (ev->type == &MSG_do_process_restart)
		on_process_restart(a, ev, ev->body);
	else if (ev->type == &MSG_do_process_reload)
		on_process_reload(a, ev, ev->body);
	actor_set_cause(a, 0);
}

static void found(struct actor *a, void *arg, const struct event *ev)
{
	struct manager *m = manager_of(a);

	(void)arg;
	if (ev)
		take_again(a, ev);
	else if (--m->n_resuming == 0)
		adopt_resumed(a);
}

struct cut_off {
	uint64_t *seqs;
	uint32_t n, cap;
};

static void note_cut_off(void *arg, struct deployment *d)
{
	struct cut_off *c = arg;

	if (c->n + d->n_cut_off + 1 > c->cap) {
		c->cap = 2 * (c->n + d->n_cut_off + 1);
		c->seqs = realloc(c->seqs, c->cap * sizeof *c->seqs);
		if (!c->seqs)
			abort();
	}
	for (uint32_t i = 0; i < d->n_cut_off; i++)
		c->seqs[c->n++] = (uint64_t)d->cut_off[i];
	if (d->command_seq) /* a reload, which does not wait for the deployment itself */
		c->seqs[c->n++] = d->command_seq;
}

void jobs_resume(struct actor *a)
{
	struct manager *m = manager_of(a);
	struct cut_off c = {0};

	deployment_each(m, note_cut_off, &c);
	if (c.n)
		qsort(c.seqs, c.n, sizeof *c.seqs, by_seq);
	for (uint32_t i = 0; i < c.n; i++)
		if (m->n_resuming == 0 || c.seqs[i] != c.seqs[m->n_resuming - 1])
			c.seqs[m->n_resuming++] = c.seqs[i];
	m->taken_again = c.seqs;
	m->n_taken_again = m->n_resuming;
	for (uint32_t i = 0; i < m->n_taken_again; i++)
		actor_get_by_seq(a, m->taken_again[i], found, NULL);
}
