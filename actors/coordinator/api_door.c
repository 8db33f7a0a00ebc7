/*
 * The API door: a unix socket on which each client has one request at a time. Nothing here blocks:
 * who is slow is written to when there is room, who is gone is forgotten, who is one too many is
 * told so. What a request means is decided elsewhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "actors/coordinator/coordinator.h"

struct api_client *api_client_of(struct coordinator *c, uint32_t place, uint64_t serial)
{
	struct api_client *k = &c->clients[place];

	return k->fd >= 0 && k->serial == serial && serial ? k : NULL;
}

uint32_t api_client_place(const struct coordinator *c, const struct api_client *k)
{
	return (uint32_t)(k - c->clients);
}

static void drop(struct actor *a, struct api_client *k)
{
	coordinator_of(a)->out_bytes -= k->out.cap;
	held_drop(a, k);
	actor_port_remove(a, k->fd);
	close(k->fd);
	free(k->in);
	codec_buffer_done(&k->out);
	*k = (struct api_client){.fd = -1};
}

static void watch(struct actor *a, struct api_client *k)
{
	uint32_t events = k->out_at < k->out.len ? EPOLLOUT : 0;

	if (!k->pending && !events)
		events |= EPOLLIN;
	actor_port_change(a, k->fd, events | EPOLLRDHUP);
}

/* False: the client is gone. */
static bool write_out(struct actor *a, struct api_client *k)
{
	while (k->out_at < k->out.len) {
		ssize_t n = send(k->fd, k->out.data + k->out_at, k->out.len - k->out_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0) {
			drop(a, k);
			return false;
		}
		k->out_at += (size_t)n;
		k->heard_ms = actor_now_ms(a);
	}
	coordinator_of(a)->out_bytes -= k->out.cap;
	codec_buffer_done(&k->out);
	k->out = (struct codec_buffer){0};
	k->out_at = 0;
	if (k->closing) {
		drop(a, k);
		return false;
	}
	return true;
}

void api_client_say(struct actor *a, struct api_client *k, const struct api_answer *answer)
{
	api_client_say_rows(a, k, answer, NULL);
}

void api_client_say_rows(struct actor *a, struct api_client *k, const struct api_answer *answer,
			 const struct api_rows *processes)
{
	struct coordinator *c = coordinator_of(a);
	size_t before = k->out.cap;

	if (api_answer_append(answer, processes, &k->out) < 0) {
		actor_log(a, ACTOR_ERROR, "an answer could not be written; its client is let go");
		k->closing = true;
	}
	c->out_bytes += k->out.cap - before;
	if (answer->more)
		return;
	k->pending = false;
	if (write_out(a, k))
		watch(a, k);
}

static void refuse_frame(struct actor *a, struct api_client *k, const char *why)
{
	k->closing = true;
	k->in_len = 0;
	answer_status(a, k, 2, why);
}

static void handle_frame(struct actor *a, struct api_client *k, size_t len)
{
	struct coordinator *c = coordinator_of(a);
	struct api_call r;
	const char *field = NULL;
	char why[120];
	int err;

	codec_arena_reset(&c->arena);
	err = msg_body_decode(&REC_api_call, k->in + API_HEAD_BYTES, len, &c->arena, &r, &field);
	k->in_len -= API_HEAD_BYTES + len;
	memmove(k->in, k->in + API_HEAD_BYTES + len, k->in_len);
	k->request[0] = 0;
	if (err) {
		snprintf(why, sizeof why, "not a request: %s%s", field ? "field " : strerror(-err),
			 field ? field : "");
		refuse_frame(a, k, why);
	} else if (!r.request[0] || strlen(r.request) > API_REQUEST_MAX) {
		refuse_frame(a, k, "a request's id has 1 to 64 bytes");
	} else {
		snprintf(k->request, sizeof k->request, "%s", r.request);
		k->pending = true;
		request_handle(a, k, &r);
	}
}

/* Handles what has come whole, one request at a time. */
static void handle_input(struct actor *a, struct api_client *k)
{
	uint64_t serial = k->serial;

	while (k->fd >= 0 && k->serial == serial && !k->pending && !k->closing &&
	       k->in_len >= API_HEAD_BYTES) {
		uint32_t len = api_frame_length(k->in);

		if (len > API_FRAME_MAX) {
			refuse_frame(a, k, "the request is larger than 256 KiB");
			return;
		}
		if (k->in_len < API_HEAD_BYTES + len)
			return;
		handle_frame(a, k, len);
	}
}

static bool make_room(struct api_client *k)
{
	size_t want = k->in_len < API_HEAD_BYTES ? 512 : API_HEAD_BYTES + api_frame_length(k->in);
	uint8_t *data;

	if (want > API_HEAD_BYTES + API_FRAME_MAX)
		want = API_HEAD_BYTES + API_FRAME_MAX;
	/* Only as fast as bytes really come. */
	if (want > 2 * k->in_len + 512)
		want = 2 * k->in_len + 512;
	if (want <= k->in_cap)
		return k->in_len < k->in_cap;
	data = realloc(k->in, want);
	if (!data)
		return false;
	k->in = data;
	k->in_cap = want;
	return true;
}

static void read_in(struct actor *a, struct api_client *k)
{
	ssize_t n;

	if (!make_room(k)) {
		drop(a, k);
		return;
	}
	n = recv(k->fd, k->in + k->in_len, k->in_cap - k->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(a, k);
		return;
	}
	k->in_len += (size_t)n;
	k->heard_ms = actor_now_ms(a);
	handle_input(a, k);
}

static void on_client(struct actor *a, int fd, uint32_t events, void *arg)
{
	struct api_client *k = arg;

	if (k->fd != fd)
		return;
	if (events & EPOLLOUT) {
		if (!write_out(a, k))
			return;
		watch(a, k);
		handle_input(a, k);
	} else if (events & EPOLLIN) {
		read_in(a, k);
	} else if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
		drop(a, k);
	}
}

static struct api_client *free_place(struct coordinator *c)
{
	for (uint32_t i = 0; i < c->high; i++)
		if (c->clients[i].fd < 0)
			return &c->clients[i];
	return c->high < CLIENTS_MAX ? &c->clients[c->high++] : NULL;
}

static void say_busy(int fd)
{
	struct codec_buffer b = {0};
	struct api_answer busy;

	msg_body_init(&REC_api_answer, &busy);
	busy.request = "";
	busy.status = 7;
	busy.message = "the set is busy: too many clients at once; try again";
	if (api_answer_append(&busy, NULL, &b) == 0)
		(void)!send(fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	codec_buffer_done(&b);
	close(fd);
}

static void take_client(struct actor *a, int fd)
{
	struct coordinator *c = coordinator_of(a);
	struct api_client *k;
	struct ucred peer;
	socklen_t len = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		close(fd);
		return;
	}
	k = c->out_bytes < OUT_BYTES_MAX ? free_place(c) : NULL;
	if (!k) {
		say_busy(fd);
		return;
	}
	*k = (struct api_client){.fd = fd,
				 .serial = ++c->serials,
				 .uid = peer.uid,
				 .role = roles_of_peer(a, fd),
				 .heard_ms = actor_now_ms(a)};
	if (actor_port_add(a, fd, EPOLLIN | EPOLLRDHUP, on_client, k) < 0) {
		k->fd = -1;
		say_busy(fd);
	}
}

static void on_listen(struct actor *a, int fd, uint32_t events, void *arg)
{
	(void)events;
	(void)arg;
	for (int i = 0; i < 64; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client < 0)
			return;
		take_client(a, client);
	}
}

/* Lets go of those who say nothing or take nothing. */
static void every_sweep(struct actor *a, struct actor_timer *t)
{
	struct coordinator *c = coordinator_of(a);

	for (uint32_t i = 0; i < c->high; i++) {
		struct api_client *k = &c->clients[i];

		if (k->fd >= 0 && !k->pending && k->heard_ms + IDLE_MS < actor_now_ms(a))
			drop(a, k);
	}
	actor_timer_set(a, t, actor_now_ms(a) + IDLE_MS / 4);
}

/* Made under another name: whoever connects finds a door that listens, with its rights set. */
int api_door_open(struct actor *a)
{
	struct coordinator *c = coordinator_of(a);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char door[sizeof at.sun_path];
	int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/api.new", actor_run_dir(a)), fd;
	mode_t before;

	if (n < 0 || (size_t)n + 1 >= sizeof at.sun_path)
		return -ENAMETOOLONG;
	snprintf(door, sizeof door, "%s/api.sock", actor_run_dir(a));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(at.sun_path);
	before = umask(0177);
	n = bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4096) < 0 ? -errno : 0;
	umask(before);
	if (n == 0) {
		roles_inherit(at.sun_path, door);
		n = rename(at.sun_path, door) < 0 ? -errno : 0;
	}
	if (n < 0)
		close(fd);
	else
		c->listen_fd = fd;
	return n;
}

void api_door_serve(struct actor *a)
{
	struct coordinator *c = coordinator_of(a);

	if (actor_port_add(a, c->listen_fd, EPOLLIN, on_listen, NULL) < 0) {
		actor_log(a, ACTOR_ERROR, "the API door could not be watched");
		actor_exit(a, 1);
		return;
	}
	c->sweep.fn = every_sweep;
	actor_timer_set(a, &c->sweep, actor_now_ms(a) + IDLE_MS / 4);
}

void api_door_done(struct actor *a)
{
	struct coordinator *c = coordinator_of(a);

	for (uint32_t i = 0; i < c->high; i++)
		if (c->clients[i].fd >= 0) {
			held_drop(a, &c->clients[i]);
			close(c->clients[i].fd);
			free(c->clients[i].in);
			codec_buffer_done(&c->clients[i].out);
		}
	if (c->listen_fd >= 0)
		close(c->listen_fd);
	codec_arena_done(&c->arena);
}
