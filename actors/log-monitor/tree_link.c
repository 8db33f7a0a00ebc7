/*
 * The log-monitor's connection to lops-init, which hands over the read ends of the captured pipes:
 * all of them after each connection, the new ones as they come. The same pipe told of twice is
 * known by its inode.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "actors/log-monitor/log_monitor.h"
#include "lib/tree/client.h"

enum { RECONNECT_MS = 50, TURN_MESSAGES = 64 };

static struct tree_message in;

static void disconnect(struct actor *a)
{
	struct log_monitor *m = monitor_of(a);

	if (m->tree_fd >= 0) {
		actor_port_remove(a, m->tree_fd);
		close(m->tree_fd);
	}
	m->tree_fd = -1;
	actor_timer_set(a, &m->reconnect, actor_now_ms(a) + RECONNECT_MS);
}

/* value says which of the two came along: bit 0 out, bit 1 err. */
static void take_streams(struct actor *a, const int *fds, int n_fds)
{
	int at = 0;

	for (int k = 0; k < 2; k++)
		if (in.count == 1 && in.value & 1u << k && at < n_fds)
			stream_take(a, in.items[0].streams, in.text, k == 1, fds[at++]);
	while (at < n_fds)
		close(fds[at++]);
}

static void on_message(struct actor *a, int fd, uint32_t events, void *arg)
{
	(void)events;
	(void)arg;
	for (int i = 0; i < TURN_MESSAGES; i++) {
		int fds[TREE_FDS_MAX], n = TREE_FDS_MAX, got = tree_receive(fd, &in, fds, &n);

		if (got == -EAGAIN)
			return;
		if (got != 1) {
			disconnect(a);
			return;
		}
		if (in.op == TREE_STREAMS_NEW)
			take_streams(a, fds, n);
		else
			for (int k = 0; k < n; k++)
				close(fds[k]);
		if (in.op == TREE_STREAMS_GONE && in.count == 1)
			streams_gone(a, in.items[0].streams);
	}
}

static void try_connect(struct actor *a, struct actor_timer *t)
{
	struct log_monitor *m = monitor_of(a);
	static struct tree_message hello = {.op = TREE_HELLO, .text = "log-monitor"};

	(void)t;
	m->tree_fd = tree_connect(actor_run_dir(a));
	if (m->tree_fd >= 0 && actor_port_add(a, m->tree_fd, EPOLLIN, on_message, NULL) < 0) {
		close(m->tree_fd);
		m->tree_fd = -1;
	}
	if (m->tree_fd < 0 || tree_send(m->tree_fd, &hello) < 0)
		disconnect(a);
}

int tree_link_open(struct actor *a)
{
	struct log_monitor *m = monitor_of(a);

	m->reconnect.fn = try_connect;
	try_connect(a, &m->reconnect);
	return 0;
}
