/*
 * What each command does to the deployments it names. A deployment remembers the command that is
 * being carried out on it, so that one cut off by a crash is taken up again, and the last that was
 * applied, so that none is applied twice.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/process-manager/job.h"
#include "lib/policy/exit_rule.h"
#include "lib/policy/name_rule.h"
#include "msgs/codec.h"

/* Whether this command is still to be applied: not by an earlier life of ours, unless cut off. */
static bool is_new_for(const struct job *j, const struct deployment *d)
{
	return d->handled_seq < j->seq || (d->handled_seq == j->seq && d->command_seq == j->seq);
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
	job_outcome(j, d->id, 7, "too many commands wait for it already; try again");
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
	d->command_verb = job_verb_name(j);
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
	job_outcome(j, id, 4, text);
}

static void start_one(struct actor *a, struct job *j, struct deployment *d)
{
	if (!is_new_for(j, d)) {
		if (was_waiting(j, d) && d->status != PROCESS_RUNNING) {
			job_wait_for(j, d, true, false);
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
	job_wait_for(j, d, true, false);
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
			job_wait_for(j, d, false, false);
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
	job_wait_for(j, d, false, false);
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
	job_wait_for(j, d, true, false);
	life_stop(a, d, j->timeout_s, false);
	d->start_after_stop = true;
	if (stops)
		say_waiting(a, d);
}

void job_queue_next(struct actor *a, struct job *j)
{
	struct deployment *d;

	if (j->status) { /* halts at the first that does not become ready */
		for (; j->at_queue < j->n_queue; j->at_queue++)
			job_outcome(j, j->queue[j->at_queue], j->status,
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
		job_wait_for(j, d, true, false);
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
		job_refuse(a, j, status, why);
	} else if (!is_there(d) || d->handled_seq < j->seq) {
		job_accepted(a, j, NULL);
		put(a, j, d, c);
	} else if (d->status != PROCESS_RUNNING &&
		   (d->command_seq == j->seq || was_waiting(j, d))) {
		/* Cut off by our own death: its start goes on. */
		d->is_create = strcmp(c->mode, "create") == 0 && d->pid == MSG_NONE;
		job_wait_for(j, d, true, false);
		if (d->command_seq == j->seq)
			put_started(a, d);
	}
	end_taking(a, j);
}

/* Its exit is still on its way to the journal, and is to be confirmed first. */
static void delete_later(struct actor *a, struct job *j, struct deployment *d)
{
	take_up(j, d);
	job_wait_for(j, d, false, true);
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
	job_accepted(a, j, &c->deployments);
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
				job_wait_for(j, d, false, true);
		} else if (!c->force) {
			snprintf(text, sizeof text, "%s is %s; stop it first or use --force", d->id,
				 process_status_name(d->status));
			job_outcome(j, id, 6, text);
		} else {
			bool stops = d->status == PROCESS_STOPPING;

			take_up(j, d);
			d->wants_run = false;
			if (d->waiters)
				jobs_settle(a, d, 1, "it was deleted meanwhile");
			take_up(j, d);
			job_wait_for(j, d, false, true);
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
	job_accepted(a, j, &c->deployments);
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
	job_accepted(a, j, &c->deployments);
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
	job_accepted(a, j, &c->deployments);
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

	if (d->pid == MSG_NONE || !process_is_alive(d->status)) {
		snprintf(text, sizeof text, "%s is not running", d->id);
		job_outcome(j, d->id, 3, text);
		return;
	}
	if (d->handled_seq >= j->seq)
		return;
	d->handled_seq = j->seq;
	manager_of(a)->os->signal(a, d, signo, tree);
	life_changed(a, d, "handled_seq");
}

void on_process_signal(struct actor *a, const struct event *ev, const struct do_process_signal *c)
{
	struct job *j = job_new(a, ev, VERB_SIGNAL, c->request);

	if (!j)
		return;
	job_accepted(a, j, &c->deployments);
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
		job_outcome(j, d->id, 3, text);
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
	job_accepted(a, j, &c->deployments);
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
