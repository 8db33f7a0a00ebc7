/*
 * Deployments by id, and their records to and from events. Decides nothing.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/process-manager/manager.h"
#include "msgs/codec.h"

static struct deployment **place(struct manager *m, const char *id)
{
	uint32_t hash = 2166136261u;
	struct deployment **at;

	for (const char *c = id; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	for (at = &m->by_id[hash % HASH]; *at && strcmp((*at)->id, id) != 0;)
		at = &(*at)->next;
	return at;
}

struct deployment *deployment_find(struct manager *m, const char *id)
{
	return *place(m, id);
}

struct deployment *deployment_of_instance(struct manager *m, uint64_t instance)
{
	for (uint32_t i = 0; i < HASH && instance; i++)
		for (struct deployment *d = m->by_id[i]; d; d = d->next)
			if (d->instance == instance)
				return d;
	return NULL;
}

void deployment_each(struct manager *m, void (*fn)(void *arg, struct deployment *d), void *arg)
{
	for (uint32_t i = 0; i < HASH; i++)
		for (struct deployment *d = m->by_id[i], *next; d; d = next) {
			next = d->next;
			fn(arg, d);
		}
}

struct deployment *deployment_add(struct manager *m, const char *id)
{
	struct deployment **at = place(m, id), *d = calloc(1, sizeof *d);

	if (!d)
		abort();
	snprintf(d->id, sizeof d->id, "%s", id);
	d->status = PROCESS_STOPPED;
	d->port = d->pid = d->ppid = d->exit_code = d->signal = MSG_NONE;
	d->start_time = d->end_time = (double)NAN;
	d->streams = msg_did("streams", id, 0, 0);
	*at = d;
	m->n++;
	return d;
}

void deployment_text(char **at, const char *text, size_t size)
{
	char *copy = text && text[0] ? strndup(text, size - 1) : NULL;

	free(*at);
	*at = copy;
}

void deployment_remove(struct actor *a, struct deployment *d)
{
	struct manager *m = manager_of(a);
	struct deployment **at = place(m, d->id);

	actor_timer_cancel(a, &d->timer);
	for (uint32_t i = 0; i < m->n_starting; i++)
		if (m->starting[i] == d)
			m->starting[i--] = m->starting[--m->n_starting];
	for (uint32_t i = 0; i < m->n_exiting; i++)
		if (m->exiting[i] == d)
			m->exiting[i--] = m->exiting[--m->n_exiting];
	while (d->waiters) {
		struct waiter *w = d->waiters;

		d->waiters = w->next;
		free(w);
	}
	*at = d->next;
	m->n--;
	free(d->spec);
	free(d->cut_off);
	free(d->reason);
	free(d->status_text);
	free(d);
}

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

/* Those of before a crash until they are taken up again, then those that wait. */
static struct msg_i64s commands_of(const struct deployment *d)
{
	static int64_t seqs[JOBS_WAITING_MAX];
	uint32_t n = jobs_waiting(d, seqs, JOBS_WAITING_MAX);

	for (uint32_t i = 0; i < d->n_cut_off && n < JOBS_WAITING_MAX; i++)
		seqs[n++] = d->cut_off[i];
	return (struct msg_i64s){.items = seqs, .count = n};
}

void deployment_record(const struct deployment *d, struct process_record *ret_r)
{
	const struct deployment_spec *s = d->spec;

	msg_body_init(&REC_process_record, ret_r);
	ret_r->deployment_id = d->id;
	ret_r->status = process_status_name(d->status);
	ret_r->intent = d->wants_run ? "run" : "stop";
	ret_r->generation = d->generation;
	ret_r->running_generation = d->running_generation;
	ret_r->pending = process_is_alive(d->status) && d->running_generation != d->generation;
	ret_r->instance = d->instance;
	ret_r->pid = d->pid;
	ret_r->ppid = d->pid == MSG_NONE ? MSG_NONE : d->ppid;
	ret_r->start_ticks = d->start_ticks;
	ret_r->boot_id = or_null(d->boot_id);
	ret_r->start_time = d->start_time;
	ret_r->end_time = d->end_time;
	ret_r->port = d->port;
	ret_r->exit_code = d->exit_code;
	ret_r->signal = d->signal;
	ret_r->core_dumped = d->core_dumped;
	ret_r->reason = d->reason;
	ret_r->status_text = d->status_text;
	ret_r->restarts = d->restarts;
	ret_r->handled_seq = d->handled_seq;
	ret_r->command_seq = d->command_seq;
	ret_r->command_verb = d->command_verb;
	ret_r->commands = commands_of(d);
	ret_r->streams = d->streams;
	if (!s)
		return;
	ret_r->command = s->command;
	ret_r->log_file = s->log_file;
	ret_r->groups = s->groups;
	ret_r->auto_restart = s->restart && strcmp(s->restart, "never") != 0;
	ret_r->source = s->source;
	ret_r->autostart = s->autostart;
	ret_r->depends_on = s->depends_on;
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

void deployment_load(struct actor *a, const struct process_record *r)
{
	struct manager *m = manager_of(a);
	struct deployment *d = deployment_find(m, r->deployment_id);

	d = d ? d : deployment_add(m, r->deployment_id);
	d->status = process_status_of(r->status);
	if (d->status == PROCESS_STATUSES)
		d->status = PROCESS_STOPPED;
	d->asked = d->status == PROCESS_STOPPING;
	d->wants_run = strcmp(r->intent, "run") == 0;
	d->generation = r->generation;
	d->running_generation = r->running_generation;
	d->instance = r->instance;
	d->pid = r->pid;
	d->ppid = r->ppid;
	d->start_ticks = r->start_ticks;
	copy_text(d->boot_id, sizeof d->boot_id, r->boot_id);
	d->start_time = r->start_time;
	d->end_time = r->end_time;
	d->port = r->port;
	d->exit_code = r->exit_code;
	d->signal = r->signal;
	d->core_dumped = r->core_dumped;
	deployment_text(&d->reason, r->reason, REASON_BYTES);
	deployment_text(&d->status_text, r->status_text, STATUS_TEXT_BYTES);
	d->restarts = r->restarts;
	d->handled_seq = r->handled_seq;
	d->command_seq = r->command_seq;
	free(d->cut_off);
	d->n_cut_off = r->commands.count;
	d->cut_off = malloc((r->commands.count + 1) * sizeof *d->cut_off);
	if (!d->cut_off)
		abort();
	if (r->commands.count)
		memcpy(d->cut_off, r->commands.items, r->commands.count * sizeof *d->cut_off);
	d->streams = r->streams ? r->streams : d->streams;
	actor_unique_above(a, r->instance);
}
