/*
 * Stream door and tap over ZeroMQ; see the header.
 */
#include "broker/doors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { SOCKETS_MAX = 4096, BACKLOG = 1024, HANDSHAKE_MS = 2000, TAP_HWM = 10000 };

static void set_option(void *socket, int option, int value)
{
	zmq_setsockopt(socket, option, &value, sizeof value);
}

static void *socket_new(struct doors *d, int type)
{
	void *s = zmq_socket(d->context, type);
	int64_t frame = MSG_FRAME_MAX + 1024;

	if (!s)
		return NULL;
	set_option(s, ZMQ_LINGER, 0);
	set_option(s, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
	set_option(s, ZMQ_BACKLOG, BACKLOG);
	zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &frame, sizeof frame);
	return s;
}

static int bind_at(void *socket, const char *run_dir, const char *name)
{
	char endpoint[4200];

	snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", run_dir, name);
	return zmq_bind(socket, endpoint) < 0 ? -errno : 0;
}

int doors_open(struct doors *d, const char *run_dir)
{
	int err;

	d->context = zmq_ctx_new();
	if (!d->context)
		return -ENOMEM;
	zmq_ctx_set(d->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
	d->router = socket_new(d, ZMQ_ROUTER);
	d->tap = socket_new(d, ZMQ_XPUB);
	if (!d->router || !d->tap)
		return -errno;
	set_option(d->router, ZMQ_ROUTER_MANDATORY, 1);
	set_option(d->router, ZMQ_SNDHWM, 0); /* bounded by credit */
	set_option(d->router, ZMQ_RCVHWM, 1000);
	set_option(d->tap, ZMQ_SNDHWM, TAP_HWM);
	err = bind_at(d->router, run_dir, "bus");
	return err ? err : bind_at(d->tap, run_dir, "tap");
}

void doors_close(struct doors *d)
{
	if (d->router)
		zmq_close(d->router);
	if (d->tap)
		zmq_close(d->tap);
	if (d->context)
		zmq_ctx_term(d->context);
}

static bool send_packet(void *arg, const uint8_t *id, size_t id_len, const void *head,
			size_t head_len, const void *payload, size_t payload_len)
{
	struct doors *d = arg;
	zmq_msg_t m;

	if (zmq_send(d->router, id, id_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
		return errno != EHOSTUNREACH;
	if (zmq_msg_init_size(&m, head_len + payload_len) < 0)
		abort();
	memcpy(zmq_msg_data(&m), head, head_len);
	if (payload_len)
		memcpy((char *)zmq_msg_data(&m) + head_len, payload, payload_len);
	if (zmq_msg_send(&m, d->router, ZMQ_DONTWAIT) < 0)
		zmq_msg_close(&m);
	return true;
}

static void send_tap(void *arg, const struct door_record *rec)
{
	struct doors *d = arg;

	zmq_send(d->tap, rec->topic.at, rec->topic.len, ZMQ_SNDMORE | ZMQ_DONTWAIT);
	zmq_send(d->tap, rec->header, rec->header_len, ZMQ_SNDMORE | ZMQ_DONTWAIT);
	zmq_send(d->tap, rec->body, rec->body_len, ZMQ_DONTWAIT);
}

struct core_out doors_out(struct doors *d)
{
	return (struct core_out){.arg = d, .send = send_packet, .tap = send_tap};
}

/* "localhost:UID:GID:PID" of an ipc peer. */
static uint64_t peer_uid(zmq_msg_t *m)
{
	const char *address = zmq_msg_gets(m, "Peer-Address"),
		   *colon = address ? strchr(address, ':') : NULL;

	return colon ? strtoull(colon + 1, NULL, 10) : UINT64_MAX;
}

/* One packet: identity and one frame. More frames are not ours: the rest is thrown away. */
static bool read_packet(struct doors *d)
{
	uint8_t id[256];
	zmq_msg_t m;
	int id_len = zmq_recv(d->router, id, sizeof id, ZMQ_DONTWAIT), more = 0;
	size_t size = sizeof more;
	bool single;

	if (id_len < 0)
		return false;
	zmq_getsockopt(d->router, ZMQ_RCVMORE, &more, &size);
	if (!more)
		return true;
	zmq_msg_init(&m);
	if (zmq_msg_recv(&m, d->router, ZMQ_DONTWAIT) < 0) {
		zmq_msg_close(&m);
		return true;
	}
	single = !zmq_msg_more(&m);
	if (single && id_len <= CORE_PEER_ID_MAX)
		core_packet(d->core, id, (size_t)id_len, peer_uid(&m), zmq_msg_data(&m),
			    zmq_msg_size(&m));
	while (zmq_msg_more(&m) && zmq_msg_recv(&m, d->router, ZMQ_DONTWAIT) >= 0)
		;
	zmq_msg_close(&m);
	return true;
}

bool doors_read(struct doors *d)
{
	uint8_t subscription[256];
	bool any = false;

	for (int i = 0; i < 1000 && core_turn_has_room(d->core) && read_packet(d); i++)
		any = true;
	while (zmq_recv(d->tap, subscription, sizeof subscription, ZMQ_DONTWAIT) >= 0)
		;
	return any;
}

void doors_wait(struct doors *d, int timeout_ms)
{
	zmq_pollitem_t items[] = {{.socket = d->router, .events = ZMQ_POLLIN},
				  {.socket = d->tap, .events = ZMQ_POLLIN}};

	zmq_poll(items, 2, timeout_ms);
}
