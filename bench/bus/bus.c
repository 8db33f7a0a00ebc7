/*
 * The broker against bare forwarding: events of 200 bytes from one publisher to N subscribers,
 * through the journal and through a ROUTER that copies each frame to each subscriber; and one event
 * at a time, published to acknowledged.
 *
 *   bus RUN_DIR STATE_DIR [PAIRS]    a broker answers there; prints rows of the table of
 * bench/run.sh
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
#include "bench/door_end.h"
#include "msgs/door.h"
#include "msgs/header.h"

enum { SUBS_MAX = 100, WINDOW = 8000, BATCH = 50, PAIRS_MAX = 15 };

static void *context;
static const char *run_dir;
static char forward_at[64];
static _Atomic int ready_subs;
static int pace_per_s;       /* 0: as fast as it goes */
static double *latencies_ms; /* NULL: not asked for */
static _Atomic uint64_t n_latencies;
static _Atomic uint64_t last_got_ns, n_missing; /* ephemeral events may be dropped */

static size_t put_event(struct door_writer *w, const char *name, uint64_t incarnation,
			uint64_t number, const char *topic)
{
	/* {"actor": 60 letters} or {"state": …}, so that a record has about 200 bytes */
	static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct msg_header h = {.version = MSG_VERSION,
			       .incarnation = incarnation,
			       .number = number,
			       .mono_ns = (uint64_t)(door_end_now_s() * 1e9),
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

/* mono_ns is the last but one value of the header. */
static void note_latency(const struct door_record *rec)
{
	uint64_t sent_ns = msg_header_peek(rec->header, rec->header_len - 18);

	if (latencies_ms)
		latencies_ms[atomic_fetch_add(&n_latencies, 1)] =
			door_end_now_s() * 1e3 - (double)sent_ns / 1e6;
}

static void pace(double begun, uint64_t sent)
{
	double due = begun + (double)sent / pace_per_s;

	while (pace_per_s && door_end_now_s() < due)
		usleep(20);
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
	for (; door_read_record(&r, &rec); n++)
		note_latency(&rec);
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
	s = sub->bare ? door_end_dealer(context, forward_at)
		      : door_end_open(context, run_dir, name, sub->id);
	if (sub->bare) {
		zmq_send(s, "s", 1, 0); /* the forwarder says when it is heard */
	} else {
		door_end_subscribe(s, sub->topic, 1 << 20);
	}
	zmq_msg_init(&m);
	zmq_setsockopt(s, ZMQ_RCVTIMEO, &(int){3000}, sizeof(int));
	while (got < sub->wanted) {
		bool loaded = false;

		if (zmq_msg_recv(&m, s, 0) < 0)
			break;
		atomic_store(&last_got_ns, (uint64_t)(door_end_now_s() * 1e9));
		if (sub->bare) {
			struct door_reader r = door_reader_over(zmq_msg_data(&m), zmq_msg_size(&m));
			struct door_record rec;

			if (latencies_ms && door_read_record(&r, &rec))
				note_latency(&rec);
			got++;
			continue;
		}
		got += count_packet(zmq_msg_data(&m), zmq_msg_size(&m), &loaded);
		if (loaded)
			atomic_fetch_add(&ready_subs, 1);
		owed += zmq_msg_size(&m);
		if (owed > 1 << 19) {
			door_end_give_credit(s, owed);
			owed = 0;
		}
	}
	atomic_fetch_add(&n_missing, sub->wanted - got);
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
	uint64_t incarnation = (uint64_t)(door_end_now_s() * 1e6), sent = 0, acked = 0;
	void *s = door_end_open(context, run_dir, "bench", incarnation);
	double begun = door_end_now_s();

	while (sent < n) {
		struct door_writer w = door_writer_over(data, sizeof data);

		door_write_uint(&w, DOOR_PUBLISH);
		for (int i = 0; i < (pace_per_s ? 1 : BATCH) && sent < n; i++)
			put_event(&w, "bench", incarnation, ++sent, topic);
		zmq_send(s, w.data, w.len, 0);
		pace(begun, sent);
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
	begun = door_end_now_s();
	if (bare) {
		uint8_t data[512];
		struct door_writer w = door_writer_over(data, sizeof data);
		void *s = door_end_dealer(context, forward_at);
		size_t len = put_event(&w, "bench", 1, 1, "actor.started");

		for (uint64_t i = 0; i < n; i++) {
			if (pace_per_s) {
				w.len = 0;
				put_event(&w, "bench", 1, 1, "actor.started");
			}
			zmq_send(s, data, len, 0);
			pace(begun, i + 1);
		}
		pthread_join(f.thread, NULL);
		zmq_close(s);
		unlink(forward_at + 6);
	} else {
		publish_all(n, topic);
	}
	for (int i = 0; i < subs; i++)
		pthread_join(all[i].thread, NULL);
	return ((double)n - (double)atomic_exchange(&n_missing, 0) / subs) /
	       ((double)atomic_load(&last_got_ns) / 1e9 - begun);
}

static void compare(int subs, uint64_t n, const char *what, const char *topic, int pairs,
		    const char *when)
{
	double ratios[PAIRS_MAX], ours[PAIRS_MAX], bare[PAIRS_MAX];

	for (int i = 0; i < pairs; i++) {
		bare[i] = rate(subs, n, NULL);
		ours[i] = rate(subs, n, topic);
		ratios[i] = ours[i] / bare[i];
	}
	qsort(ratios, (size_t)pairs, sizeof *ratios, door_end_by_size);
	qsort(ours, (size_t)pairs, sizeof *ours, door_end_by_size);
	qsort(bare, (size_t)pairs, sizeof *bare, door_end_by_size);
	printf("| bus: %s events a second, %d subscriber%s%s | %.0f k | %.0f k (bare forwarding) | "
	       "%.2f |\n",
	       what, subs, subs > 1 ? "s" : "", when, ours[pairs / 2] / 1e3, bare[pairs / 2] / 1e3,
	       ratios[pairs / 2]);
	fflush(stdout);
}

/* --- one at a time --- */

enum { SINGLES = 2000 };

static double one_at_a_time(const char *topic)
{
	static double us[SINGLES];
	uint64_t incarnation = (uint64_t)(door_end_now_s() * 1e6);
	void *s = door_end_open(context, run_dir, "single", incarnation);

	for (uint64_t i = 0; i < SINGLES; i++) {
		uint8_t data[512];
		struct door_writer w = door_writer_over(data, sizeof data);
		double begun = door_end_now_s();

		door_write_uint(&w, DOOR_PUBLISH);
		put_event(&w, "single", incarnation, i + 1, topic);
		zmq_send(s, w.data, w.len, 0);
		zmq_recv(s, data, sizeof data, 0);
		us[i] = (door_end_now_s() - begun) * 1e6;
	}
	zmq_close(s);
	qsort(us, SINGLES, sizeof *us, door_end_by_size);
	return us[SINGLES / 2];
}

/* A page appended and synced, in the folder of the journal. */
static double bare_sync(const char *state_dir)
{
	static double us[SINGLES / 4];
	static const char page[4096];
	char path[300];
	int fd;

	snprintf(path, sizeof path, "%s/bench-sync", state_dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (int i = 0; i < SINGLES / 4; i++) {
		double begun = door_end_now_s();

		if (write(fd, page, sizeof page) < 0 || fdatasync(fd) < 0)
			exit(1);
		us[i] = (door_end_now_s() - begun) * 1e6;
	}
	close(fd);
	unlink(path);
	qsort(us, SINGLES / 4, sizeof *us, door_end_by_size);
	return us[SINGLES / 8];
}

static void acknowledgements(const char *state_dir, const char *when)
{
	double without = one_at_a_time("bus.degraded"), with = one_at_a_time("actor.started"),
	       sync = bare_sync(state_dir), command = one_at_a_time("do.process.signal");

	printf("| bus: published to acknowledged, p50%s | %.0f us | %.0f us (not journalled) | "
	       "%.2f |\n",
	       when, with, without, with / without);
	printf("| bus: a command acknowledged, on the disk, p50%s | %.0f us | %.0f us (the above "
	       "and "
	       "1.5 × %.0f us, a bare fdatasync) | %.2f |\n",
	       when, command, with + 1.5 * sync, sync, command / (with + 1.5 * sync));
	fflush(stdout);
}

/* --- 5,000 a second to 10 subscribers --- */

enum { PACED = 20000, PACE_PER_S = 5000, PACED_SUBS = 10 };

/* p99 in ms of published (or sent) to received, over all subscribers. */
static double paced(bool bare)
{
	static double ms[PACED * PACED_SUBS];

	latencies_ms = ms;
	atomic_store(&n_latencies, 0);
	pace_per_s = PACE_PER_S;
	rate(PACED_SUBS, PACED, bare ? NULL : "actor.started");
	pace_per_s = 0;
	latencies_ms = NULL;
	qsort(ms, PACED * PACED_SUBS, sizeof *ms, door_end_by_size);
	return ms[PACED * PACED_SUBS / 100 * 99];
}

static void delivery(const char *when)
{
	double floor = paced(true), ours = paced(false);

	printf("| bus: delivery at 5,000 a second to 10 subscribers, p99%s | %.2f ms | %.2f ms "
	       "(bare "
	       "forwarding) | %.2f |\n",
	       when, ours, floor, ours / floor);
	fflush(stdout);
}

/* --- all of it, as it is and in trouble --- */

static void durable(const char *state_dir, int pairs, const char *when)
{
	compare(1, 200000, "durable", "actor.started", pairs, when);
	compare(10, 60000, "durable", "actor.started", pairs, when);
	compare(100, 8000, "durable", "actor.started", pairs, when);
	acknowledgements(state_dir, when);
	delivery(when);
}

int main(int argc, char **argv)
{
	int pairs = argc > 3 ? atoi(argv[3]) : 5;
	void *stalled;

	if (argc < 3 || pairs < 1 || pairs > PAIRS_MAX)
		return 2;
	run_dir = argv[1];
	context = zmq_ctx_new();
	zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 4096);
	durable(argv[2], pairs, "");
	compare(1, 200000, "ephemeral", "bus.degraded", pairs, "");
	compare(10, 60000, "ephemeral", "bus.degraded", pairs, "");
	compare(100, 8000, "ephemeral", "bus.degraded", pairs, "");
	stalled = door_end_open(context, run_dir, "stalled", 1);
	door_end_subscribe(stalled, "", 1); /* and reads nothing */
	durable(argv[2], pairs, ", a subscriber stalled");
	zmq_close(stalled);
	publish_all(1000000, "actor.started");
	durable(argv[2], pairs, ", 10^6 rows in the journal");
	zmq_ctx_term(context);
	return 0;
}
