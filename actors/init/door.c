/*
 * Operations of lops-init's socket; see msgs/tree.h for their meaning. Every packet is bounded by
 * its type; every operation is idempotent by instance, so that clients may send again after a
 * takeover.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "actors/init/clients.h"
#include "actors/init/door.h"
#include "actors/init/pair.h"
#include "actors/init/slots.h"
#include "lib/tree/client.h"

enum { READ_SHARE = 16, FIRST_CLIENT_TAG = 100000 };

struct client door_clients[DOOR_CLIENTS];
static struct tree_message in, out;
static int epoll_fd;

void door_begin(int epoll)
{
	epoll_fd = epoll;
	for (int i = 0; i < DOOR_CLIENTS; i++)
		door_clients[i].fd = -1;
}

void door_client_end(struct client *c)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	close(c->fd);
	*c = (struct client){.fd = -1};
}

void door_accept(void)
{
	int fd = accept4(pair.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), i = 0;
	struct epoll_event e = {.events = EPOLLIN};

	if (fd < 0)
		return;
	while (i < DOOR_CLIENTS && door_clients[i].fd >= 0)
		i++;
	if (i == DOOR_CLIENTS) {
		close(fd);
		return;
	}
	door_clients[i] = (struct client){.fd = fd};
	e.data.u64 = (uint64_t)(FIRST_CLIENT_TAG + i);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		door_client_end(&door_clients[i]);
}

static void answer(struct client *c, int error)
{
	out.op = in.op;
	out.id = in.id;
	out.error = error < 0 ? -error : error;
	/* Who doesn't read is better served by a connection of its own making. */
	if (tree_send(c->fd, &out) < 0)
		door_client_end(c);
}

static void begin_answer(void)
{
	memset(&out, 0, TREE_MESSAGE_HEAD);
}

/* --- who is who --- */

static struct tree_actor *actor_named(const char *name)
{
	for (int i = 0; i < atomic_load(&pair.table->n_actors); i++)
		if (strcmp(pair.table->actors[i].name, name) == 0)
			return &pair.table->actors[i];
	return NULL;
}

static void hello(struct client *c)
{
	struct ucred peer = {0};
	socklen_t size = sizeof peer;
	struct tree_actor *a = actor_named(in.text);
	bool open = atomic_load(&pair.table->flags) & TREE_FLAG_OPEN_DOOR;
	int fds[] = {pair.table_fd, pair.arena_fd, pair.lock_fd, pair.listen_fd, pair.notify_fd};

	getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	begin_answer();
	if (peer.uid != geteuid() && peer.uid != 0) {
		answer(c, EACCES);
		return;
	}
	c->role = ROLE_CONTROL;
	if ((a && atomic_load(&a->slot.pid) == peer.pid) || open) {
		c->actor = a;
		c->role = strcmp(in.text, "process-manager") == 0 ? ROLE_PROCESS_MANAGER
			  : strcmp(in.text, "log-monitor") == 0   ? ROLE_LOG_MONITOR
			  : a                                     ? ROLE_ACTOR
								  : ROLE_CONTROL;
	} else if (in.text[0] && strcmp(in.text, "control") != 0) {
		c->role = ROLE_NONE;
		answer(c, EPERM); /* it takes the name of an actor that it is not */
		return;
	}
	out.op = in.op;
	out.id = in.id;
	if (c->role == ROLE_PROCESS_MANAGER)
		tree_send_fds(c->fd, &out, fds, 5);
	else
		tree_send(c->fd, &out);
	if (c->role == ROLE_LOG_MONITOR)
		door_push_streams();
}

static void beat(struct client *c)
{
	if (!c->actor)
		return;
	c->actor->silent_ticks = 0;
	if (atomic_exchange(&c->actor->ready, in.value != 0) != (in.value != 0))
		door_ready_changed();
}

/* --- the process-manager's operations --- */

void door_report(struct tree_item *item, int slot)
{
	struct tree_slot *s = &pair.table->slots[slot];
	uint32_t stage_error = atomic_load(&s->stage_error);

	item->slot = slot;
	item->pid = atomic_load(&s->pid);
	item->stage = stage_error >> 16;
	item->error = (int32_t)(stage_error & 0xffff);
}

/* The slot in which it is begun, or in which the process that is it already is taken over. */
static int begin(const struct tree_item *item)
{
	int slot;

	if (!item->instance)
		return -EINVAL;
	if (item->pid > 0) {
		slot = adopt_living(item);
		if (slot >= 0)
			worker_watch(slot);
		return slot;
	}
	slot = slots_new(pair.table, item->instance, item->spec, item->streams);
	if (slot < 0)
		return slot;
	pair.table->slots[slot].helper = item->value & 1;
	slots_commit_start(&pair.table->slots[slot]);
	worker_start(slot);
	return slot;
}

static void start_one(struct tree_item *item)
{
	int slot = slots_find(pair.table, item->instance);

	if (slot < 0)
		slot = begin(item);
	if (slot >= 0) {
		door_report(item, slot);
		return;
	}
	item->error = -slot;
	item->slot = -1;
}

static void start(struct client *c)
{
	begin_answer();
	out.count = in.count;
	for (uint32_t i = 0; i < in.count; i++) {
		out.items[i] = in.items[i];
		start_one(&out.items[i]);
	}
	answer(c, 0);
	door_push_streams();
}

static void confirm(struct client *c)
{
	begin_answer();
	out.count = in.count;
	for (uint32_t i = 0; i < in.count; i++) {
		int slot = slots_find(pair.table, in.items[i].instance);

		out.items[i] = in.items[i];
		out.items[i].error = 0;
		if (slot < 0)
			continue;
		if (tree_state_of(atomic_load(&pair.table->slots[slot].word)) != TREE_EXITED)
			out.items[i].error = EBUSY;
		else
			worker_confirm(slot);
	}
	answer(c, 0);
}

static void arm_orders(struct client *c)
{
	begin_answer();
	out.count = in.count;
	for (uint32_t i = 0; i < in.count; i++) {
		int slot = slots_find(pair.table, in.items[i].instance);

		out.items[i] = in.items[i];
		out.items[i].error = slot < 0 || !in.items[i].next
					     ? ENOENT
					     : -slots_arm(pair.table, slot, &in.items[i]);
		/* It may have ended meanwhile: then the order is carried out now. */
		if (slot >= 0 &&
		    tree_state_of(atomic_load(&pair.table->slots[slot].word)) == TREE_EXITED)
			door_push_exit(slot);
	}
	answer(c, 0);
}

static void revoke_orders(struct client *c)
{
	begin_answer();
	out.count = in.count;
	for (uint32_t i = 0; i < in.count; i++) {
		out.items[i] = in.items[i];
		out.items[i].error = -slots_revoke(pair.table, in.items[i].instance);
		MARK(13);
	}
	answer(c, 0);
}

static int send_signal(const struct tree_item *item)
{
	int slot = slots_find(pair.table, item->instance), signo = (int)(item->value & 0xffff);
	struct tree_slot *s = slot < 0 ? NULL : &pair.table->slots[slot];
	int32_t pid = s ? atomic_load(&s->pid) : 0;

	if (!s || pid <= 0 || tree_state_of(atomic_load(&s->word)) != TREE_RUNNING)
		return ESRCH;
	if (s->pidfd < 0 || syscall(SYS_pidfd_send_signal, s->pidfd, 0, NULL, 0) < 0)
		return ESRCH;
	/* Its group has its pid, and while it is not reaped nobody else can have either. */
	if (item->value >> 16 == TREE_SCOPE_GROUP)
		return kill(-pid, signo) < 0 ? errno : 0;
	return syscall(SYS_pidfd_send_signal, s->pidfd, signo, NULL, 0) < 0 ? errno : 0;
}

static void signal_all(struct client *c)
{
	begin_answer();
	out.count = in.count;
	for (uint32_t i = 0; i < in.count; i++) {
		out.items[i] = in.items[i];
		out.items[i].error =
			(in.items[i].value & 0xffff) > 64 ? EINVAL : send_signal(&in.items[i]);
	}
	answer(c, 0);
}

static void tell_gone(uint64_t key)
{
	begin_answer();
	out.op = TREE_STREAMS_GONE;
	out.count = 1;
	out.items[0] = (struct tree_item){.streams = key};
	for (int i = 0; i < DOOR_CLIENTS; i++)
		if (door_clients[i].fd >= 0 && door_clients[i].role == ROLE_LOG_MONITOR)
			tree_send(door_clients[i].fd, &out);
}

/* The place may get another stream, which log-monitor is to hear of; what it knows it tells apart
 * by key and inode. */
static void tell_again_from(int place)
{
	for (int i = 0; i < DOOR_CLIENTS; i++)
		if (door_clients[i].next_stream > place)
			door_clients[i].next_stream = place;
}

static void release(struct client *c)
{
	for (uint32_t i = 0; i < in.count; i++) {
		struct tree_stream *s = slots_stream(pair.table, in.items[i].streams);
		int fds[4];

		if (!s)
			continue;
		memcpy(fds, s->fds, sizeof fds);
		tell_gone(s->key);
		for (int k = 0; k < 4; k++)
			s->fds[k] = -1;
		s->key = 0;
		tell_again_from((int)(s - pair.table->streams));
		for (int k = 0; k < 4; k++)
			if (fds[k] >= 0)
				close(fds[k]);
	}
	begin_answer();
	answer(c, 0);
}

/* --- control --- */

static bool all_ready(void)
{
	for (int i = 0; i < atomic_load(&pair.table->n_actors); i++)
		if (!atomic_load(&pair.table->actors[i].ready))
			return false;
	return true;
}

static void status(struct client *c)
{
	begin_answer();
	out.count = (uint32_t)atomic_load(&pair.table->n_actors);
	for (uint32_t i = 0; i < out.count; i++) {
		struct tree_actor *a = &pair.table->actors[i];

		out.actors[i] = (struct tree_actor_status){
			.pid = atomic_load(&a->slot.pid),
			.state = tree_state_of(atomic_load(&a->slot.word)),
			.ready = atomic_load(&a->ready),
			.respawns = a->respawns};
		memcpy(out.actors[i].name, a->name, sizeof a->name);
	}
	out.value = atomic_load(&pair.table->flags);
	answer(c, 0);
}

static int living(void)
{
	int n = 0;

	for (int i = 0; i < atomic_load(&pair.table->high); i++) {
		enum tree_state s = tree_state_of(atomic_load(&pair.table->slots[i].word));

		n += !pair.table->slots[i].helper &&
		     (s == TREE_RUNNING || s == TREE_STARTING || s == TREE_WAITING);
	}
	return n;
}

static void wait_ready(struct client *c)
{
	c->waits_ready = true;
	c->wait_id = in.id;
	door_ready_changed();
}

void door_ready_changed(void)
{
	if (!all_ready())
		return;
	for (int i = 0; i < DOOR_CLIENTS; i++) {
		struct client *c = &door_clients[i];

		if (c->fd < 0 || !c->waits_ready)
			continue;
		c->waits_ready = false;
		begin_answer();
		out.op = TREE_WAIT_READY;
		out.id = c->wait_id;
		tree_send(c->fd, &out);
	}
}

static void control(struct client *c)
{
	switch (in.op) {
	case TREE_STATUS:
		status(c);
		return;
	case TREE_WAIT_READY:
		wait_ready(c);
		return;
	case TREE_SHUTDOWN:
		begin_answer();
		out.value = (uint32_t)living();
		answer(c, out.value && !in.value ? EBUSY : 0);
		if (!out.value || in.value)
			worker_shutdown();
		return;
	case TREE_KEEP:
	case TREE_RESUME:
		begin_answer();
		worker_keep(in.op == TREE_KEEP);
		answer(c, 0);
		return;
	case TREE_PING:
		begin_answer();
		answer(c, 0);
		return;
	default:
		begin_answer();
		answer(c, EINVAL);
	}
}

static void manage(struct client *c)
{
	switch (in.op) {
	case TREE_START:
		start(c);
		return;
	case TREE_CONFIRM:
		confirm(c);
		return;
	case TREE_ARM:
		arm_orders(c);
		return;
	case TREE_REVOKE:
		revoke_orders(c);
		return;
	case TREE_SIGNAL:
		signal_all(c);
		return;
	case TREE_RELEASE:
		release(c);
		return;
	default:
		control(c);
	}
}

static void handle(struct client *c)
{
	if (in.op == TREE_HELLO) {
		hello(c);
	} else if (in.op == TREE_BEAT) {
		beat(c);
	} else if (c->role == ROLE_PROCESS_MANAGER) {
		manage(c);
	} else if (c->role != ROLE_NONE) {
		control(c);
	} else {
		begin_answer();
		answer(c, EPERM);
	}
	MARK(10);
}

void door_read(int i)
{
	struct client *c = &door_clients[i];

	for (int n = 0; n < READ_SHARE && c->fd >= 0; n++) {
		int got = tree_receive(c->fd, &in, NULL, NULL);

		if (got == -EAGAIN)
			return;
		if (got == 1)
			handle(c);
		else
			door_client_end(c);
	}
}
