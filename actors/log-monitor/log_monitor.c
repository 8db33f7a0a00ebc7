/*
 * log-monitor: the one drainer of captured stdout and stderr, into rotated files. It never starts,
 * stops or judges a program, and never holds one up because a disk is slow without saying so.
 */
#include "actors/log-monitor/log_monitor.h"

extern const struct actor_spec actor_spec_main;

/* --- events --- */

static void on_deployment_deleted(struct actor *a, const struct event *ev,
				  const struct deployment_deleted *e)
{
	if (ev->is_last_value || !actor_is_real(a))
		return;
	streams_reopen(a, e->deployment_id);
	log_store_forget(&monitor_of(a)->store, e->deployment_id);
}

/* --- life --- */

static void configured(struct actor *a)
{
	struct rotate_limits *l = &monitor_of(a)->store.limits;
	double mb = actor_setting_number(a, "log_monitoring", "rotate_size_mb");
	double keep = actor_setting_number(a, "log_monitoring", "rotate_keep");

	l->size_bytes = mb > 0 ? (uint64_t)(mb * 1024 * 1024) : 0;
	l->keep = keep > 0 ? (uint32_t)keep : 0;
}

static int init(struct actor *a)
{
	struct log_monitor *m = monitor_of(a);

	m->tree_fd = m->store.logs_fd = m->store.sink = m->store.peek[0] = m->store.peek[1] = -1;
	m->tell.fn = every_tell;
	configured(a);
	return 0;
}

static int open_shell(struct actor *a)
{
	int err = log_store_open(&monitor_of(a)->store, actor_state_dir(a));

	return err < 0 ? err : tree_link_open(a);
}

static void reopen(struct actor *a)
{
	streams_reopen(a, NULL);
}

static void done(struct actor *a)
{
	streams_done(a);
	log_store_done(&monitor_of(a)->store);
}

/* --- tables --- */

static const struct actor_handler handlers[] = {
	ON(deployment_deleted, on_deployment_deleted),
	ON_END,
};

static const struct msg_type *const publishes[] = {&MSG_log_dropped, NULL};

static const struct actor_setting settings[] = {
	{"log_monitoring", "rotate_size_mb", "50", "a captured file is rotated at this size"},
	{"log_monitoring", "rotate_keep", "5", "older files kept beside the current one"},
	SETTING_END,
};

const struct actor_spec actor_spec_main = {
	.name = "log-monitor",
	.purpose = "drains what programs print into rotated files",
	.state_size = sizeof(struct log_monitor),
	.handlers = handlers,
	.publishes = publishes,
	.settings = settings,
	.init = init,
	.open = open_shell,
	.configured = configured,
	.reopen = reopen,
	.done = done,
};
