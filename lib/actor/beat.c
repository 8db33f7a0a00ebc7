/*
 * The heartbeat; see the header.
 */
#include "lib/actor/beat.h"

#include <stdio.h>
#include <unistd.h>
#include "lib/tree/client.h"

static void say_hello(struct beat *b)
{
	static struct tree_message m = {.op = TREE_HELLO};

	b->fd = tree_connect(b->run_dir);
	if (b->fd < 0)
		return;
	snprintf(m.text, sizeof m.text, "%s", b->name);
	if (tree_send(b->fd, &m) < 0)
		beat_done(b);
}

/* Answers are of no interest; the end of the connection is. */
static void drain(struct beat *b)
{
	static struct tree_message m;
	int fds[TREE_FDS_MAX], n, got;

	do {
		n = TREE_FDS_MAX;
		got = tree_receive(b->fd, &m, fds, &n);
		for (int i = 0; got > 0 && i < n; i++)
			close(fds[i]);
	} while (got > 0);
	if (got == 0)
		beat_done(b);
}

void beat_send(struct beat *b, bool ready)
{
	static struct tree_message m = {.op = TREE_BEAT};

	m.value = ready;
	if (b->fd >= 0)
		drain(b);
	if (b->fd < 0)
		say_hello(b);
	if (b->fd >= 0 && tree_send(b->fd, &m) < 0)
		beat_done(b);
}

void beat_done(struct beat *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}
