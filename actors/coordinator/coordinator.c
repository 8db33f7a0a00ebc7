/*
 * coordinator: the door for people and programs. It answers from a view of what the bus says, turns
 * requests into commands, and hands the set's file to the others at `up`. It never starts, stops or
 * decides anything itself.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"

extern const struct actor_spec actor_spec_main;

#define RECORD_HANDLER(name)                                                                       \
	static void on_##name(struct actor *a, const struct event *ev, const struct name *e)       \
	{                                                                                          \
		view_take(coordinator_of(a), &e->process, ev->header.seq);                         \
		held_look(a);                                                                      \
	}
RECORD_HANDLER(deployment_created)
RECORD_HANDLER(deployment_changed)
RECORD_HANDLER(process_starting)
RECORD_HANDLER(process_started)
RECORD_HANDLER(process_stopping)
RECORD_HANDLER(process_exited)
RECORD_HANDLER(process_stopped)

static void on_deployment_deleted(struct actor *a, const struct event *ev,
				  const struct deployment_deleted *e)
{
	(void)ev;
	view_drop(coordinator_of(a), e->deployment_id);
	held_look(a);
}

static void on_command_finished(struct actor *a, const struct event *ev,
				const struct command_finished *e)
{
	(void)ev;
	request_finished(a, e);
	setup_finished(a, e);
}

/* It comes again after each reconnect as long as it lasts. */
static void on_bus_degraded(struct actor *a, const struct event *ev, const struct bus_degraded *e)
{
	struct coordinator *c = coordinator_of(a);

	(void)ev;
	snprintf(c->trouble, sizeof c->trouble, "%s",
		 strcmp(e->state, "full") == 0 && e->message ? e->message : "");
	if (c->trouble[0])
		requests_give_up(a, c->trouble);
}

static void on_config_set(struct actor *a, const struct event *ev, const struct config_set *e)
{
	(void)ev;
	values_take(a, e);
}

static int init(struct actor *a)
{
	struct coordinator *c = coordinator_of(a);

	c->listen_fd = -1;
	c->observers = c->operators = GROUP_NONE;
	return 0;
}

static void ready(struct actor *a)
{
	if (!actor_is_real(a))
		return;
	api_door_serve(a);
	setup_begin(a);
}

static void bus(struct actor *a, bool connected)
{
	coordinator_of(a)->away_since_ns = connected ? 0 : actor_wall_ns(a);
	coordinator_of(a)->trouble[0] = 0;
}

static void signalled(struct actor *a, int signo)
{
	if (signo == SIGTERM || signo == SIGINT)
		setup_down(a);
	else
		actor_log(a, ACTOR_INFO, "the file is read at the next up");
}

static void done(struct actor *a)
{
	api_door_done(a);
	setup_done(coordinator_of(a));
	values_done(coordinator_of(a));
	view_done(coordinator_of(a));
}

static const struct actor_handler handlers[] = {
	ON(deployment_created, on_deployment_created),
	ON(deployment_changed, on_deployment_changed),
	ON(deployment_deleted, on_deployment_deleted),
	ON(process_starting, on_process_starting),
	ON(process_started, on_process_started),
	ON(process_stopping, on_process_stopping),
	ON(process_exited, on_process_exited),
	ON(process_stopped, on_process_stopped),
	ON(command_finished, on_command_finished),
	ON(bus_degraded, on_bus_degraded),
	ON(config_set, on_config_set),
	ON_END,
};
static const char *const keys[] = {"process/", "config/", NULL};
static const struct msg_type *const publishes[] = {
	&MSG_config_set,           &MSG_do_deployment_put,
	&MSG_do_deployment_delete, &MSG_do_process_start,
	&MSG_do_process_stop,      &MSG_do_process_restart,
	&MSG_do_process_reload,    &MSG_do_process_signal,
	&MSG_command_finished,     NULL,
};

const struct actor_spec actor_spec_main = {
	.name = "coordinator",
	.purpose = "the API door: answers from its view and passes commands on",
	.state_size = sizeof(struct coordinator),
	.handlers = handlers,
	.keys = keys,
	.publishes = publishes,
	.init = init,
	.open = api_door_open,
	.ready = ready,
	.bus = bus,
	.signalled = signalled,
	.done = done,
};
