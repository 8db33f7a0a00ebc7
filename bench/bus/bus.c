/*
 * The broker against bare forwarding: events of 200 bytes from one publisher to N subscribers,
 * through the journal and through a ROUTER that copies each frame to each subscriber; and one event
 * at a time, published to acknowledged.
 *
 *   bus RUN_DIR [PAIRS]     a broker answers in RUN_DIR; prints rows of the table of bench/run.sh
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include "msgs/door.h"
#include "msgs/header.h"

enum { SUBS_MAX = 100, WINDOW = 8000, BATCH = 50, PAIRS_MAX = 15 };

static void *context;
static const char *run_dir;
static uint8_t cookie[DOOR_COOKIE_BYTES];
static char forward_at[64];
static _Atomic int ready_subs;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void *dealer(const char *endpoint)
{
	void *s = zmq_socket(context, ZMQ_DEALER);
	int zero = 0;

	zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof zero);
	zmq_connect(s, endpoint);
	return s;
}

static void hello(void *s, const char *name, uint64_t incarnation)
{
	uint8_t data[128], answer[256];
	struct door_writer w = door_writer_over(data, sizeof data);

	door_write_uint(&w, DOOR_HELLO);
	door_write_uint(&w, 1);
	door_write_uint(&w, 1);
	door_write_str(&w, name, strlen(name));
	door_write_uint(&w, incarnation);
	door_write_bin(&w, cookie, sizeof cookie);
	zmq_send(s, w.data, w.len, 0);
	zmq_recv(s, answer, sizeof answer, 0); /* welcome */
}

static void *on_bus(const char *name, uint64_t incarnation)
{
	char endpoint[300];
	void *s;

	snprintf(endpoint, sizeof endpoint, "ipc://%s/bus", run_dir);
	s = dealer(endpoint);
	hello(s, name, incarnation);
	return s;
}

static size_t put_event(struct door_writer *w, const char *name, uint64_t incarnation,
			uint64_t number, const char *topic)
{
	/* {"actor": 60 letters} or {"state": …}, so that a record has about 200 bytes */
	static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct msg_header h = {.version = MSG_VERSION,
			       .incarnation = incarnation,
			       .number = number,
			       .uid = MSG_UID_NONE};
	uint8_t header[MSG_HEADER_MAX], body[128];
	struct door_writer b = door_writer_over(body, sizeof body);
	const char *key = strcmp(topic, "actor.started") == 0 ? "actor" : "state";
	size_t before = w->len, len;

	snprintf(h.sender, sizeof h.sender, "%s", name);
	len = msg_header_encode(&h, header);
	door_write_raw(&b, &(uint8_t){0x81}, 1);
	door_write_str(&b, key, strlen(key));
	door_write_str(&b, text, sizeof text - 1);
	door_write_record(w, topic, strlen(topic), header, len, body, b.len);
	return w->len - before;
}

/* --- through the broker --- */

struct subscriber {
	pthread_t thread;
	uint64_t wanted, id;
	const char *topic;
	bool bare;
};

static void subscribe(void *s, const char *topic)
{
	uint8_t data[128];
	struct door_writer w = door_writer_over(data, sizeof data);

	door_write_uint(&w, DOOR_SUBSCRIBE);
	door_write_uint(&w, 1);
	door_write_uint(&w, DOOR_LIVE);
	door_write_uint(&w, 0);
	door_write_str(&w, "", 0);
	door_write_uint(&w, 1 << 20);
	door_write_array(&w, 1);
	door_write_str(&w, topic, strlen(topic));
	door_write_array(&w, 0);
	zmq_send(s, w.data, w.len, 0);
}

static void give_credit(void *s, uint64_t bytes)
{
	uint8_t data[32];
	struct door_writer w = door_writer_over(data, sizeof data);

	door_write_uint(&w, DOOR_CREDIT);
	door_write_uint(&w, 1);
	door_write_uint(&w, bytes);
	zmq_send(s, w.data, w.len, 0);
}

static uint64_t count_packet(void *data, size_t len, bool *ret_loaded)
{
	struct door_reader r = door_reader_over(data, len);
	struct door_record rec;
	uint64_t n = 0, verb = door_read_uint(&r);

	*ret_loaded = verb == DOOR_LOADED;
	if (verb != DOOR_DELIVER)
		return 0;
	door_read_uint(&r);
	door_read_uint(&r);
	while (door_read_record(&r, &rec))
		n++;
	return n;
}

static void *follow(void *arg)
{
	struct subscriber *sub = arg;
	char name[32];
	void *s;
	uint64_t got = 0, owed = 0;
	zmq_msg_t m;

	snprintf(name, sizeof name, "s%llu", (unsigned long long)sub->id);
	s = sub->bare ? dealer(forward_at) : on_bus(name, sub->id);
	if (sub->bare) {
		zmq_send(s, "s", 1, 0); /* the forwarder says when it is heard */
	} else {
		subscribe(s, sub->topic);
	}
	zmq_msg_init(&m);
	while (got < sub->wanted) {
		bool loaded = false;

		zmq_msg_recv(&m, s, 0);
		if (sub->bare) {
			got++;
			continue;
		}
		got += count_packet(zmq_msg_data(&m), zmq_msg_size(&m), &loaded);
		if (loaded)
			atomic_fetch_add(&ready_subs, 1);
		owed += zmq_msg_size(&m);
		if (owed > 1 << 19) {
			give_credit(s, owed);
			owed = 0;
		}
	}
	zmq_msg_close(&m);
	zmq_close(s);
	return NULL;
}

/* The newest number that is settled; `number` when nothing came. */
static uint64_t acknowledged(void *s, uint64_t number, bool wait)
{
	uint8_t data[256];
	int n;

	while ((n = zmq_recv(s, data, sizeof data, wait ? 0 : ZMQ_DONTWAIT)) > 0) {
		struct door_reader r = door_reader_over(data, (size_t)n);

		wait = false;
		if (door_read_uint(&r) == DOOR_ACK) {
			door_read_uint(&r);
			number = door_read_uint(&r);
		}
	}
	return number;
}

static void publish_all(uint64_t n, const char *topic)
{
	static uint8_t data[MSG_FRAME_MAX];
	uint64_t incarnation = (uint64_t)(now_s() * 1e6), sent = 0, acked = 0;
	void *s = on_bus("bench", incarnation);

	while (sent < n) {
		struct door_writer w = door_writer_over(data, sizeof data);

		door_write_uint(&w, DOOR_PUBLISH);
		for (int i = 0; i < BATCH && sent < n; i++)
			put_event(&w, "bench", incarnation, ++sent, topic);
		zmq_send(s, w.data, w.len, 0);
		while (sent > acked + WINDOW)
			acked = acknowledged(s, acked, true);
	}
	while (acked < n)
		acked = acknowledged(s, acked, true);
	zmq_close(s);
}

/* --- bare forwarding: each frame, to each subscriber --- */

struct forwarder {
	pthread_t thread;
	int subs;
	uint64_t wanted;
};

static void *forward(void *arg)
{
	struct forwarder *f = arg;
	void *s = zmq_socket(context, ZMQ_ROUTER);
	uint8_t ids[SUBS_MAX][16], id[16], data[512];
	int lens[SUBS_MAX], n = 0, zero = 0;
	uint64_t passed = 0;

	zmq_setsockopt(s, ZMQ_LINGER, &(int){-1}, sizeof(int));
	zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof zero);
	zmq_bind(s, forward_at);
	while (passed < f->wanted) {
		int id_len = zmq_recv(s, id, sizeof id, 0), len = zmq_recv(s, data, sizeof data, 0);

		if (len == 1 && n < SUBS_MAX) {
			memcpy(ids[n], id, (size_t)id_len);
			lens[n++] = id_len;
			atomic_fetch_add(&ready_subs, 1);
			continue;
		}
		passed++;
		for (int i = 0; i < n; i++) {
			zmq_send(s, ids[i], (size_t)lens[i], ZMQ_SNDMORE);
			zmq_send(s, data, (size_t)len, 0);
		}
	}
	zmq_close(s);
	return NULL;
}

static double rate(int subs, uint64_t n, const char *topic)
{
	static struct subscriber all[SUBS_MAX];
	struct forwarder f = {.subs = subs, .wanted = n};
	static uint64_t round;
	bool bare = topic == NULL;
	double begun;

	atomic_store(&ready_subs, 0);
	snprintf(forward_at, sizeof forward_at, "ipc:///tmp/lops-bench-%d-%llu", (int)getpid(),
		 (unsigned long long)++round);
	if (bare)
		pthread_create(&f.thread, NULL, forward, &f);
	for (int i = 0; i < subs; i++) {
		all[i] = (struct subscriber){.wanted = n,
					     .topic = topic,
					     .bare = bare,
					     .id = round * 1000 + (uint64_t)i};
		pthread_create(&all[i].thread, NULL, follow, &all[i]);
	}
	while (atomic_load(&ready_subs) < subs)
		usleep(1000);
	usleep(20000);
	begun = now_s();
	if (bare) {
		uint8_t data[512];
		struct door_writer w = door_writer_over(data, sizeof data);
		void *s = dealer(forward_at);
		size_t len = put_event(&w, "bench", 1, 1, "actor.started");

		for (uint64_t i = 0; i < n; i++)
			zmq_send(s, data, len, 0);
		pthread_join(f.thread, NULL);
		zmq_close(s);
		unlink(forward_at + 6);
	} else {
		publish_all(n, topic);
	}
	for (int i = 0; i < subs; i++)
		pthread_join(all[i].thread, NULL);
	return (double)n / (now_s() - begun);
}

static void compare(int subs, uint64_t n, const char *what, const char *topic, int pairs)
{
	double ratios[PAIRS_MAX], ours[PAIRS_MAX], bare[PAIRS_MAX];

	for (int i = 0; i < pairs; i++) {
		bare[i] = rate(subs, n, NULL);
		ours[i] = rate(subs, n, topic);
		ratios[i] = ours[i] / bare[i];
	}
	qsort(ratios, (size_t)pairs, sizeof *ratios, by_size);
	qsort(ours, (size_t)pairs, sizeof *ours, by_size);
	qsort(bare, (size_t)pairs, sizeof *bare, by_size);
	printf("| bus: %s events a second, %d subscriber%s | %.0f k | %.0f k (bare forwarding) | "
	       "%.2f |\n",
	       what, subs, subs > 1 ? "s" : "", ours[pairs / 2] / 1e3, bare[pairs / 2] / 1e3,
	       ratios[pairs / 2]);
	fflush(stdout);
}

/* --- one at a time --- */

static double one_at_a_time(const char *topic)
{
	static double us[2000];
	uint64_t incarnation = (uint64_t)(now_s() * 1e6);
	void *s = on_bus("single", incarnation);

	for (uint64_t i = 0; i < 2000; i++) {
		uint8_t data[512];
		struct door_writer w = door_writer_over(data, sizeof data);
		double begun = now_s();

		door_write_uint(&w, DOOR_PUBLISH);
		put_event(&w, "single", incarnation, i + 1, topic);
		zmq_send(s, w.data, w.len, 0);
		zmq_recv(s, data, sizeof data, 0);
		us[i] = (now_s() - begun) * 1e6;
	}
	zmq_close(s);
	qsort(us, 2000, sizeof *us, by_size);
	return us[1000];
}

int main(int argc, char **argv)
{
	int pairs = argc > 2 ? atoi(argv[2]) : 5, fd;
	char path[300];
	double with, without;

	if (argc < 2 || pairs < 1 || pairs > PAIRS_MAX)
		return 2;
	run_dir = argv[1];
	snprintf(path, sizeof path, "%s/cookie", run_dir);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, cookie, sizeof cookie) != sizeof cookie)
		return 1;
	close(fd);
	context = zmq_ctx_new();
	zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 4096);
	compare(1, 200000, "durable", "actor.started", pairs);
	compare(10, 60000, "durable", "actor.started", pairs);
	compare(100, 8000, "durable", "actor.started", pairs);
	compare(1, 200000, "ephemeral", "bus.degraded", pairs);
	compare(10, 60000, "ephemeral", "bus.degraded", pairs);
	compare(100, 8000, "ephemeral", "bus.degraded", pairs);
	without = one_at_a_time("bus.degraded");
	with = one_at_a_time("actor.started");
	printf("| bus: published to acknowledged, p50 | %.0f us | %.0f us (not journalled) | %.2f "
	       "|\n",
	       with, without, with / without);
	zmq_ctx_term(context);
	return 0;
}
