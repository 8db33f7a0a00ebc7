/*
 * What lops-init tells without being asked: starts and ends to the process-manager, gathered over a
 * turn; pipes to the log-monitor. The table is the truth: where a socket is full, its owner is told
 * to look there as soon as there is room.
 */
#include <string.h>
#include "actors/init/clients.h"
#include "actors/init/pair.h"
#include "lib/tree/client.h"

static struct tree_message gathered, out;

static void to_process_manager(const struct tree_message *m)
{
	for (int i = 0; i < DOOR_CLIENTS; i++) {
		struct client *c = &door_clients[i];

		if (c->fd >= 0 && c->role == ROLE_PROCESS_MANAGER && tree_send(c->fd, m) < 0)
			c->missed = true;
	}
}

static void send_gathered(void)
{
	if (gathered.count)
		to_process_manager(&gathered);
	gathered.count = 0;
}

static void push_slot(enum tree_op op, int slot)
{
	struct tree_item *item;

	if (gathered.count == TREE_BATCH || (gathered.count && gathered.op != op))
		send_gathered();
	gathered.op = op;
	item = &gathered.items[gathered.count++];
	*item = (struct tree_item){.instance = pair.table->slots[slot].instance};
	door_report(item, slot);
}

void door_push_exit(int slot)
{
	push_slot(TREE_EXIT, slot);
}

void door_push_start(int slot)
{
	push_slot(TREE_START, slot);
}

void door_push_now(void)
{
	send_gathered();
	for (int i = 0; i < DOOR_CLIENTS; i++) {
		struct client *c = &door_clients[i];

		if (c->fd < 0 || !c->missed)
			continue;
		memset(&out, 0, TREE_MESSAGE_HEAD);
		out.op = TREE_EXIT;
		c->missed = tree_send(c->fd, &out) < 0;
	}
}

void door_push_actor_died(void)
{
	memset(&out, 0, TREE_MESSAGE_HEAD);
	out.op = TREE_ACTOR_DIED;
	to_process_manager(&out);
}

/* One stream's read ends; false: its socket is full for now. */
static bool push_stream(struct client *c, const struct tree_stream *s)
{
	int fds[2], n = 0;

	memset(&out, 0, TREE_MESSAGE_HEAD);
	out.op = TREE_STREAMS_NEW;
	out.count = 1;
	out.items[0] = (struct tree_item){.streams = s->key};
	/* value: which of the two come along, bit 0 out, bit 1 err */
	for (int k = 0; k < 2; k++)
		if (s->fds[2 * k] >= 0) {
			fds[n++] = s->fds[2 * k];
			out.value |= 1u << k;
		}
	memcpy(out.text, s->deployment, sizeof out.text);
	return n == 0 || tree_send_fds(c->fd, &out, fds, n) == 0;
}

void door_push_streams(void)
{
	int high = atomic_load(&pair.table->streams_high);

	for (int i = 0; i < DOOR_CLIENTS; i++) {
		struct client *c = &door_clients[i];

		if (c->fd < 0 || c->role != ROLE_LOG_MONITOR)
			continue;
		for (; c->next_stream < high; c->next_stream++)
			if (pair.table->streams[c->next_stream].key &&
			    !push_stream(c, &pair.table->streams[c->next_stream]))
				break;
	}
}
