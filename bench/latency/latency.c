/*
 * How long a set takes from a request to a running program, and from a program's end to its event
 * at a subscriber, against bare system calls in the same run. It talks to a set that is up through
 * the API door and the stream door, and starts nothing of the set itself.
 *
 *   latency TICK RUN_DIR STATE_DIR ROUNDS
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>
#include "bench/door_end.h"
#include "msgs/api.h"
#include "msgs/codec.h"
#include "msgs/door.h"
#include "msgs/events.h"

enum { PATIENCE_MS = 20000, DISK_BYTES = 4096 };

static const char *tick, *run_dir, *state_dir;
static char fifo_path[300];
static void *bus;
static int api, fifo;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* --- what the program says --- */

struct said {
	double at_s;
	pid_t pid;
};

static struct said program_said(void)
{
	uint64_t said[2];
	struct pollfd p = {.fd = fifo, .events = POLLIN};

	if (poll(&p, 1, PATIENCE_MS) != 1 || read(fifo, said, sizeof said) != sizeof said)
		die("the program says nothing");
	return (struct said){.at_s = (double)said[0] / 1e9, .pid = (pid_t)said[1]};
}

/* --- the API door --- */

static void send_all(const struct codec_buffer *b)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = send(api, b->data + at, b->len - at, MSG_NOSIGNAL);

		if (n <= 0)
			die("api.sock");
		at += (size_t)n;
	}
}

static void read_all(uint8_t *to, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = recv(api, to + at, len - at, 0);

		if (n <= 0)
			die("api.sock");
		at += (size_t)n;
	}
}

static void take_answer(void)
{
	static uint8_t data[API_FRAME_MAX];
	static struct codec_arena arena;
	struct api_answer answer = {.more = true};

	while (answer.more) {
		size_t len;

		read_all(data, API_HEAD_BYTES);
		len = api_frame_length(data);
		if (len > sizeof data)
			die("too long an answer");
		read_all(data, len);
		codec_arena_reset(&arena);
		if (msg_body_decode(&REC_api_answer, data, len, &arena, &answer, NULL) < 0 ||
		    answer.status) {
			fprintf(stderr, "latency: status %d: %s\n", (int)answer.status,
				answer.message ? answer.message : "");
			exit(1);
		}
	}
}

static void ask(struct api_call *call)
{
	struct codec_buffer b = {0};
	uint64_t bytes[2];
	char id[33];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		die("getrandom");
	snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)bytes[0],
		 (unsigned long long)bytes[1]);
	call->request = id;
	if (api_frame_append(&REC_api_call, call, &b) < 0)
		die("encode");
	send_all(&b);
	codec_buffer_done(&b);
}

static void create(void)
{
	const char *argv[] = {tick, fifo_path};
	struct deployment_spec spec;
	struct api_call call;

	msg_body_init(&REC_deployment_spec, &spec);
	spec.deployment_id = "one";
	spec.command = (struct msg_strs){.items = argv, .count = 2};
	msg_body_init(&REC_api_call, &call);
	call.verb = "create";
	call.specs.items = &spec;
	call.specs.count = 1;
	ask(&call);
	take_answer();
}

static void ask_start(void)
{
	const char *ids[] = {"one"};
	struct api_call call;

	msg_body_init(&REC_api_call, &call);
	call.verb = "start";
	call.targets = (struct msg_strs){.items = ids, .count = 1};
	ask(&call);
}

/* --- the subscriber --- */

/* When the next event of this topic came. */
static double event_came(const char *topic)
{
	static uint8_t packet[2 * DOOR_BATCH_BYTES];

	for (;;) {
		zmq_pollitem_t p = {.socket = bus, .events = ZMQ_POLLIN};
		struct door_reader r;
		struct door_record rec;
		bool found = false;
		double now;
		int n;

		if (zmq_poll(&p, 1, PATIENCE_MS) != 1)
			die(topic);
		n = zmq_recv(bus, packet, sizeof packet, 0);
		now = door_end_now_s();
		if (n <= 0 || (size_t)n > sizeof packet)
			die("bus");
		r = door_reader_over(packet, (size_t)n);
		if (door_read_uint(&r) != DOOR_DELIVER)
			continue;
		door_read_uint(&r);
		door_read_uint(&r);
		while (door_read_record(&r, &rec))
			found |= rec.topic.len == strlen(topic) &&
				 memcmp(rec.topic.at, topic, rec.topic.len) == 0;
		door_end_give_credit(bus, (uint64_t)n);
		if (found)
			return now;
	}
}

/* --- the floors --- */

static pid_t spawn(void)
{
	char *const argv[] = {(char[]){"tick"}, fifo_path, NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		execv(tick, argv);
		_exit(127);
	}
	return pid;
}

static double bare_start(struct said *ret_said)
{
	double t = door_end_now_s();

	spawn();
	*ret_said = program_said();
	return ret_said->at_s - t;
}

static double bare_end(pid_t pid)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	double t = door_end_now_s();

	kill(pid, SIGKILL);
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	waitpid(pid, NULL, 0);
	t = door_end_now_s() - t;
	close(p.fd);
	return t;
}

/* What one durable word costs: written and on the disk. */
static double disk(void)
{
	static const uint8_t block[DISK_BYTES];
	static int fd = -1;
	char path[300];
	double t;

	if (fd < 0) {
		snprintf(path, sizeof path, "%s/latency.floor", state_dir);
		fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	}
	t = door_end_now_s();
	if (write(fd, block, sizeof block) != sizeof block || fdatasync(fd) < 0)
		die("the disk");
	return door_end_now_s() - t;
}

/* --- */

struct series {
	const char *what;
	double *us;
	int n;
};

static void add(struct series *s, double seconds)
{
	s->us[s->n++] = seconds * 1e6;
}

static double at(struct series *s, int percent)
{
	qsort(s->us, (size_t)s->n, sizeof *s->us, door_end_by_size);
	return s->us[(s->n - 1) * percent / 100];
}

static void row(struct series *s, struct series *bare, struct series *synced, double n_disk)
{
	for (int i = 0; i < 2; i++) {
		int percent = i ? 99 : 50;
		double got = at(s, percent), floor = at(bare, percent),
		       with = floor + n_disk * at(synced, percent);

		printf("| %s, p%d | %.0f µs | %.0f µs bare; %.0f µs with the disk's share (%.0f "
		       "fdatasync) | %.1f; %.2f |\n",
		       s->what, percent, got, floor, with, n_disk, got / floor, got / with);
	}
}

static void open_all(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(fifo_path, sizeof fifo_path, "%s/latency.fifo", state_dir);
	if (mkfifo(fifo_path, 0600) < 0)
		die(fifo_path);
	fifo = open(fifo_path, O_RDWR | O_CLOEXEC);
	snprintf(at.sun_path, sizeof at.sun_path, "%s/api.sock", run_dir);
	api = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(api, (struct sockaddr *)&at, sizeof at) < 0)
		die(at.sun_path);
	bus = door_end_open(zmq_ctx_new(), run_dir, "latency", (uint64_t)getpid());
	door_end_subscribe(bus, "process.", 1 << 20);
}

int main(int argc, char **argv)
{
	int rounds = argc == 5 ? atoi(argv[4]) : 0;
	struct series begun = {.what = "a start asked for → the program runs"};
	struct series told = {.what = "... → `process.started` at a subscriber"};
	struct series ended = {.what = "kill -9 → `process.exited` at a subscriber"};
	struct series bare_begun = {0}, bare_ended = {0}, synced = {0};
	struct series *all[] = {&begun, &told, &ended, &bare_begun, &bare_ended, &synced};

	if (rounds <= 0) {
		fprintf(stderr, "usage: latency TICK RUN_DIR STATE_DIR ROUNDS\n");
		return 2;
	}
	tick = argv[1];
	run_dir = argv[2];
	state_dir = argv[3];
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		all[i]->us = calloc((size_t)rounds, sizeof(double));
	open_all();
	create();
	for (int i = 0; i < rounds; i++) {
		struct said said;
		double t = door_end_now_s();

		ask_start();
		said = program_said();
		add(&begun, said.at_s - t);
		add(&told, event_came("process.started/one") - t);
		take_answer();
		t = door_end_now_s();
		kill(said.pid, SIGKILL);
		add(&ended, event_came("process.exited/one") - t);
		add(&bare_begun, bare_start(&said));
		add(&bare_ended, bare_end(said.pid));
		add(&synced, disk());
	}
	row(&begun, &bare_begun, &synced, 2);
	row(&told, &bare_begun, &synced, 3);
	row(&ended, &bare_ended, &synced, 1);
	return 0;
}
