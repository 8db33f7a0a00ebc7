/*
 * lops-init --status, --wait-ready, --shutdown, --keep, --resume; see the header.
 */
#include "actors/init/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lib/tree/client.h"

static struct tree_message m;

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Sends and waits for the answer, over again after a takeover. 1 answered, 0 timed out, negative.
 */
static int ask(const char *run_dir, enum tree_op op, uint32_t value, long deadline)
{
	while (now_ms() < deadline) {
		int fd = tree_connect(run_dir), got = 0;

		if (fd < 0)
			return fd;
		memset(&m, 0, TREE_MESSAGE_HEAD);
		m.op = TREE_HELLO;
		snprintf(m.text, sizeof m.text, "control");
		tree_send(fd, &m);
		m.op = op;
		m.id = 1;
		m.value = value;
		tree_send(fd, &m);
		while (now_ms() < deadline && tree_wait(fd, (int)(deadline - now_ms()))) {
			got = tree_receive(fd, &m, NULL, NULL);
			if (got == 1 && m.op == op) {
				close(fd);
				return 1;
			}
			if (got <= 0 && got != -EAGAIN)
				break;
		}
		close(fd);
	}
	return 0;
}

static int print_status(void)
{
	static const char *const names[] = {"down",     "down",    "down", "down",
					    "starting", "running", "down"};

	for (uint32_t i = 0; i < m.count; i++)
		printf("%-18s %-8d %-9s %-6s %u\n", m.actors[i].name, m.actors[i].pid,
		       m.actors[i].state <= TREE_EXITED ? names[m.actors[i].state] : "?",
		       m.actors[i].ready ? "ready" : "-", m.actors[i].respawns);
	if (m.value & TREE_FLAG_KEPT)
		puts("kept: the programs run on, the actors are down");
	return 0;
}

/* The pair is gone when its socket answers no more. */
static int wait_gone(const char *run_dir, long deadline)
{
	while (now_ms() < deadline) {
		int fd = tree_connect(run_dir);

		if (fd < 0)
			return 0;
		tree_wait(fd, 100);
		close(fd);
	}
	return 7;
}

int ctl_run(const char *verb, const char *run_dir, int timeout_s, int force)
{
	static const struct {
		const char *verb;
		enum tree_op op;
	} verbs[] = {{"--status", TREE_STATUS},
		     {"--wait-ready", TREE_WAIT_READY},
		     {"--shutdown", TREE_SHUTDOWN},
		     {"--keep", TREE_KEEP},
		     {"--resume", TREE_RESUME}};
	long deadline = now_ms() + 1000L * timeout_s;

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		int got;

		if (strcmp(verb, verbs[i].verb) != 0)
			continue;
		got = ask(run_dir, verbs[i].op, (uint32_t)force, deadline);
		if (got < 0)
			return 5;
		if (got == 0)
			return 7;
		if (m.error == EBUSY) {
			fprintf(stderr, "lops-init: %u processes still run\n", m.value);
			return 6;
		}
		if (verbs[i].op == TREE_STATUS)
			return print_status();
		return verbs[i].op == TREE_SHUTDOWN ? wait_gone(run_dir, deadline) : m.error != 0;
	}
	return 2;
}
