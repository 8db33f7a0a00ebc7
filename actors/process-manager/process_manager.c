/*
 * process-manager: starts, stops and adopts programs; alone writes their status, alone talks to
 * lops-init about them. It never decides when to restart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "actors/process-manager/manager.h"
#include "lib/tree/boot.h"
#include "msgs/codec.h"

extern const struct actor_spec actor_spec_main;

static void take_record(struct actor *a, const struct event *ev, const struct process_record *r)
{
	if (ev->is_last_value)
		deployment_load(a, r);
}

#define RECORD_HANDLER(name)                                                                       \
	static void on_##name(struct actor *a, const struct event *ev, const struct name *e)       \
	{                                                                                          \
		take_record(a, ev, &e->process);                                                   \
	}
RECORD_HANDLER(deployment_created)
RECORD_HANDLER(deployment_changed)
RECORD_HANDLER(process_starting)
RECORD_HANDLER(process_started)
RECORD_HANDLER(process_stopping)
RECORD_HANDLER(process_exited)
RECORD_HANDLER(process_stopped)

static void on_spec_set(struct actor *a, const struct event *ev, const struct spec_set *e)
{
	struct deployment *d;

	if (!ev->is_last_value)
		return;
	d = deployment_find(manager_of(a), e->spec.deployment_id);
	d = d ? d : deployment_add(manager_of(a), e->spec.deployment_id);
	free(d->spec);
	/* Its generation is the record's: one that is newer was cut off and is said again. */
	d->spec = msg_body_copy(&REC_deployment_spec, &e->spec);
}

static int init(struct actor *a)
{
	struct manager *m = manager_of(a);
	boot_read_id(m->boot_id);
	m->os = &tree_port_os;
	return 0;
}

/* The shell adopts as soon as the tree is known too. */
static void ready(struct actor *a)
{
	manager_of(a)->loaded = true;
	if (manager_of(a)->table)
		adopt_all(a);
}

static void free_one(void *arg, struct deployment *d)
{
	deployment_remove(arg, d);
}

static void done(struct actor *a)
{
	jobs_done(manager_of(a));
	reloads_done(manager_of(a));
	deployment_each(manager_of(a), free_one, a);
}

static const struct actor_handler handlers[] = {
	ON(deployment_created, on_deployment_created),
	ON(deployment_changed, on_deployment_changed),
	ON(process_starting, on_process_starting),
	ON(process_started, on_process_started),
	ON(process_stopping, on_process_stopping),
	ON(process_exited, on_process_exited),
	ON(process_stopped, on_process_stopped),
	ON(spec_set, on_spec_set),
	ON(do_deployment_put, on_deployment_put),
	ON(do_deployment_delete, on_deployment_delete),
	ON(do_process_start, on_process_start),
	ON(do_process_stop, on_process_stop),
	ON(do_process_restart, on_process_restart),
	ON(do_process_reload, on_process_reload),
	ON(do_process_signal, on_process_signal),
	ON_END,
};

static const char *const keys[] = {"process/", "spec/", NULL};
static const char *const commands[] = {"do.", NULL};
static const struct msg_type *const publishes[] = {
	&MSG_deployment_created, &MSG_deployment_changed,
	&MSG_deployment_deleted, &MSG_spec_set,
	&MSG_process_starting,   &MSG_process_started,
	&MSG_process_stopping,   &MSG_process_exited,
	&MSG_process_stopped,    &MSG_command_accepted,
	&MSG_command_refused,    &MSG_command_finished,
	&MSG_actor_died,         NULL,
};

const struct actor_spec actor_spec_main = {
	.name = "process-manager",
	.purpose = "starts, stops and adopts programs, and keeps their status",
	.state_size = sizeof(struct manager),
	.handlers = handlers,
	.keys = keys,
	.cursor = "process-manager",
	.cursor_topics = commands,
	.holds_cursor = true,
	.publishes = publishes,
	.init = init,
	.open = tree_port_open,
	.ready = ready,
	.acked = life_acked,
	.done = done,
};
