/*
 * One end of the stream door; see the header.
 */
#include "bench/door_end.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include "msgs/door.h"

double door_end_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int door_end_by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void *door_end_dealer(void *context, const char *endpoint)
{
	void *s = zmq_socket(context, ZMQ_DEALER);
	int zero = 0;

	zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof zero);
	zmq_connect(s, endpoint);
	return s;
}

static void read_cookie(const char *run_dir, uint8_t cookie[DOOR_COOKIE_BYTES])
{
	char path[300];
	int fd;

	snprintf(path, sizeof path, "%s/cookie", run_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, cookie, DOOR_COOKIE_BYTES) != DOOR_COOKIE_BYTES) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static void hello(void *s, const char *run_dir, const char *name, uint64_t incarnation)
{
	uint8_t cookie[DOOR_COOKIE_BYTES];
	uint8_t data[128], answer[256];
	struct door_writer w = door_writer_over(data, sizeof data);

	read_cookie(run_dir, cookie);
	door_write_uint(&w, DOOR_HELLO);
	door_write_uint(&w, 1);
	door_write_uint(&w, 1);
	door_write_str(&w, name, strlen(name));
	door_write_uint(&w, incarnation);
	door_write_bin(&w, cookie, sizeof cookie);
	zmq_send(s, w.data, w.len, 0);
	zmq_recv(s, answer, sizeof answer, 0); /* welcome */
}

void *door_end_open(void *context, const char *run_dir, const char *name, uint64_t incarnation)
{
	char endpoint[300];
	void *s;

	snprintf(endpoint, sizeof endpoint, "ipc://%s/bus", run_dir);
	s = door_end_dealer(context, endpoint);
	hello(s, run_dir, name, incarnation);
	return s;
}

void door_end_subscribe(void *s, const char *topic, uint64_t credit)
{
	uint8_t data[128];
	struct door_writer w = door_writer_over(data, sizeof data);

	door_write_uint(&w, DOOR_SUBSCRIBE);
	door_write_uint(&w, 1);
	door_write_uint(&w, DOOR_LIVE);
	door_write_uint(&w, 0);
	door_write_str(&w, "", 0);
	door_write_uint(&w, credit);
	door_write_array(&w, 1);
	door_write_str(&w, topic, strlen(topic));
	door_write_array(&w, 0);
	zmq_send(s, w.data, w.len, 0);
}

void door_end_give_credit(void *s, uint64_t bytes)
{
	uint8_t data[32];
	struct door_writer w = door_writer_over(data, sizeof data);

	door_write_uint(&w, DOOR_CREDIT);
	door_write_uint(&w, 1);
	door_write_uint(&w, bytes);
	zmq_send(s, w.data, w.len, 0);
}
