/*
 * The process-manager's connection to lops-init, behind lib/tree/client.h: packets in order, each
 * after a while, until an end is closed. What waits to be accepted outlives a worker, for the
 * listening socket does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "lib/actor/core.h"
#include "lib/tree/client.h"
#include "tests/sim/kernel.h"
#include "tests/sim/oracle.h"
#include "tests/sim/wrap.h"

enum { WIRES = 4096, PORTS = 1024, NOTES = 256 };

struct packet {
	struct packet *next;
	uint64_t ready_ns;
	int fds[TREE_FDS_MAX], n_fds;
	size_t len;
	struct tree_message *m;
};

struct wire {
	bool used, is_pending;
	int client, server; /* descriptors, -1: closed, or not accepted yet */
	bool server_was;
	int32_t pid; /* of the client */
	struct packet *to_server, *to_client;
};

static struct wire wires[WIRES];
static bool is_listening;
static struct {
	int fd; /* -1: free */
	actor_port_fn *fn;
	void *arg;
} ports[PORTS];
static int n_ports;
static struct {
	int32_t pid;
	char text[32];
} notes[NOTES];
static int n_notes;

/* --- queues --- */

static void push(struct packet **at, const struct tree_message *m, size_t len, const int *fds,
		 int n_fds)
{
	struct packet *p = calloc(1, sizeof *p);
	uint64_t ready = world.now_ns + 2000 + chance(one_in(30) ? 30 * SIM_MS : 100000);

	if (!p)
		abort();
	p->m = malloc(len);
	if (!p->m)
		abort();
	memcpy(p->m, m, len);
	p->len = len;
	p->n_fds = n_fds;
	if (n_fds)
		memcpy(p->fds, fds, (size_t)n_fds * sizeof *fds);
	for (; *at; at = &(*at)->next)
		ready = (*at)->ready_ns > ready ? (*at)->ready_ns : ready;
	p->ready_ns = ready;
	*at = p;
}

static void drop_first(struct packet **at)
{
	struct packet *p = *at;

	*at = p->next;
	free(p->m);
	free(p);
}

static void end_if_closed(struct wire *w)
{
	if (w->client >= 0 || w->server >= 0 || w->is_pending)
		return;
	while (w->to_server)
		drop_first(&w->to_server);
	while (w->to_client)
		drop_first(&w->to_client);
	w->used = false;
}

static struct wire *wire_of(int fd)
{
	struct fd *f = fd_of(fd);

	return f && f->kind == FD_CONNECTION ? &wires[f->wire] : NULL;
}

static bool has_come(const struct packet *p)
{
	return p && p->ready_ns <= world.now_ns;
}

/* --- the calls --- */

int tree_connect(const char *run_dir)
{
	int i = 0;

	(void)run_dir;
	if (part_step(PART_MANAGER) || !is_listening)
		return -ECONNREFUSED;
	while (i < WIRES && wires[i].used)
		i++;
	if (i == WIRES)
		return -EMFILE;
	wires[i] = (struct wire){.used = true,
				 .is_pending = true,
				 .client = fd_new(FD_CONNECTION, false),
				 .server = -1,
				 .pid = -1};
	fd_of(wires[i].client)->wire = i;
	wires[i].pid = part_pid(PART_MANAGER);
	return wires[i].client;
}

static size_t length_of(const struct tree_message *m)
{
	return TREE_MESSAGE_HEAD +
	       m->count * (m->op == TREE_STATUS ? sizeof *m->actors : sizeof *m->items);
}

static void note_sent(const struct tree_message *m)
{
	if (m->op != TREE_PING)
		trace("%s sends tree op %u of %u", pair_acts() ? "lops-init" : "process-manager",
		      m->op, m->count);
	for (uint32_t i = 0; i < m->count && m->op == TREE_CONFIRM && !pair_acts(); i++)
		oracle_confirms(m->items[i].instance);
}

int tree_send_fds(int fd, const struct tree_message *m, const int *fds, int n_fds)
{
	struct wire *w = wire_of(fd);

	if (pair_acts())
		pair_step();
	else if (part_step(PART_MANAGER))
		return -EPIPE;
	if (!w || (fd == w->server ? w->client < 0 : w->server < 0 && !w->is_pending))
		return -EPIPE;
	note_sent(m);
	push(fd == w->server ? &w->to_client : &w->to_server, m, length_of(m), fds, n_fds);
	return 0;
}

int tree_send(int fd, const struct tree_message *m)
{
	return tree_send_fds(fd, m, NULL, 0);
}

int tree_receive(int fd, struct tree_message *ret_m, int *ret_fds, int *ret_n_fds)
{
	struct wire *w = wire_of(fd);
	struct packet **at = w && fd == w->server ? &w->to_server : w ? &w->to_client : NULL;
	bool ended = !w || (fd == w->server ? w->client < 0 : w->server_was && w->server < 0);

	if (pair_acts())
		pair_step();
	if (ret_n_fds)
		*ret_n_fds = 0;
	if (!at || !has_come(*at))
		return ended && (!at || !*at) ? 0 : -EAGAIN;
	memcpy(ret_m, (*at)->m, (*at)->len);
	for (int i = 0; ret_n_fds && i < (*at)->n_fds; i++) {
		int sent = (*at)->fds[i];

		ret_fds[(*ret_n_fds)++] =
			sent < SIM_FD ? dup(sent)
				      : fd_new(fd_of(sent) ? fd_of(sent)->kind : FD_OTHER, false);
	}
	drop_first(at);
	return 1;
}

/* --- ends --- */

void wire_closed(int fd)
{
	struct wire *w = wire_of(fd);

	if (fd == w->server)
		w->server = -1;
	else
		w->client = -1;
	end_if_closed(w);
}

int wire_accept(void)
{
	for (int i = 0; i < WIRES; i++) {
		struct wire *w = &wires[i];

		if (!w->used || !w->is_pending)
			continue;
		w->is_pending = false;
		w->server = fd_new(FD_CONNECTION, true);
		w->server_was = true;
		fd_of(w->server)->wire = i;
		return w->server;
	}
	return -1;
}

bool wire_has_pending(void)
{
	for (int i = 0; i < WIRES; i++)
		if (wires[i].used && wires[i].is_pending)
			return true;
	return false;
}

int32_t wire_peer_pid(int fd)
{
	struct wire *w = wire_of(fd);

	return w ? w->pid : 0;
}

bool wire_is_ready(int fd)
{
	struct wire *w = wire_of(fd);

	if (!w)
		return false;
	if (fd == w->server)
		return has_come(w->to_server) || (!w->to_server && w->client < 0);
	return has_come(w->to_client) || (!w->to_client && w->server_was && w->server < 0);
}

void wire_open(bool listening)
{
	is_listening = listening;
	if (listening)
		return;
	for (int i = 0; i < WIRES; i++)
		if (wires[i].used && wires[i].is_pending) {
			wires[i].is_pending = false;
			wires[i].server_was = true; /* its client sees the end */
			end_if_closed(&wires[i]);
		}
	n_notes = 0;
}

void wire_begin(void)
{
	memset(wires, 0, sizeof wires);
	n_ports = n_notes = 0;
	is_listening = false;
}

void wire_end(void)
{
	for (int i = 0; i < WIRES; i++) {
		wires[i].client = wires[i].server = -1;
		wires[i].is_pending = false;
		if (wires[i].used)
			end_if_closed(&wires[i]);
	}
}

/* --- the process-manager's ports --- */

int wire_port_add(int fd, actor_port_fn *fn, void *arg)
{
	int i = 0;

	while (i < n_ports && ports[i].fd >= 0)
		i++;
	if (i == PORTS)
		return -ENOMEM;
	ports[i].fd = fd;
	ports[i].fn = fn;
	ports[i].arg = arg;
	n_ports = i == n_ports ? n_ports + 1 : n_ports;
	return 0;
}

void wire_port_remove(int fd)
{
	for (int i = 0; i < n_ports; i++)
		if (ports[i].fd == fd)
			ports[i].fd = -1;
}

static void close_if_not_of_pair(int fd, struct fd *f)
{
	if (!f->of_pair)
		fd_close(fd);
}

/* Its process is gone, and its descriptors with it. */
void wire_ports_forget(void)
{
	n_ports = 0;
	fds_each(close_if_not_of_pair);
}

static bool port_is_ready(int i)
{
	struct fd *f = fd_of(ports[i].fd);
	struct proc *p;

	if (!f)
		return false;
	if (f->kind == FD_CONNECTION)
		return wire_is_ready(ports[i].fd);
	if (f->kind == FD_NOTIFY)
		return n_notes > 0;
	p = f->kind == FD_PIDFD ? kernel_proc(f->pid) : NULL;
	return f->kind == FD_PIDFD && (!p || p->state != PROC_LIVES);
}

bool wire_ports_run(struct actor *manager)
{
	int first = n_ports ? (int)chance((uint64_t)n_ports) : 0;

	for (int k = 0; k < n_ports; k++) {
		int i = (first + k) % n_ports;

		if (!port_is_ready(i))
			continue;
		actor_turn(manager);
		ports[i].fn(manager, ports[i].fd, EPOLLIN, ports[i].arg);
		actor_flush(manager);
		return true;
	}
	return false;
}

uint64_t wire_next_ns(void)
{
	uint64_t next = SIM_NEVER;

	for (int i = 0; i < n_ports; i++) {
		struct wire *w = wire_of(ports[i].fd);

		if (port_is_ready(i))
			return world.now_ns;
		if (w && w->to_client && w->to_client->ready_ns < next)
			next = w->to_client->ready_ns;
	}
	return next;
}

uint64_t wire_next_for_pair_ns(void)
{
	uint64_t next = SIM_NEVER;

	for (int i = 0; i < WIRES; i++)
		if (wires[i].used && wires[i].server >= 0 && wires[i].to_server &&
		    wires[i].to_server->ready_ns < next)
			next = wires[i].to_server->ready_ns;
	return next;
}

/* --- the notify socket, which is lops-init's --- */

void wire_notify(int32_t pid, const char *text)
{
	if (n_notes == NOTES)
		return;
	notes[n_notes].pid = pid;
	strncpy(notes[n_notes].text, text, sizeof notes->text - 1);
	n_notes++;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *h, int flags)
{
	struct fd *f = fd_of(fd);
	struct ucred cred = {0};
	struct cmsghdr *c;
	size_t len;

	if (!f || f->kind != FD_NOTIFY)
		return __real_recvmsg(fd, h, flags);
	if (!n_notes) {
		errno = EAGAIN;
		return -1;
	}
	len = strlen(notes[0].text);
	memcpy(h->msg_iov->iov_base, notes[0].text, len);
	cred.pid = notes[0].pid;
	h->msg_controllen = CMSG_SPACE(sizeof cred);
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof cred);
	memcpy(CMSG_DATA(c), &cred, sizeof cred);
	h->msg_flags = 0;
	memmove(notes, notes + 1, (size_t)--n_notes * sizeof *notes);
	return (ssize_t)len;
}
