/*
 * lops-broker: takes events from the actors, journals them, and gives them to whoever subscribes.
 * It never opens a body and never knows what an event means.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "broker/ballast.h"
#include "broker/core.h"
#include "broker/doors.h"
#include "broker/journal.h"
#include "lib/actor/beat.h"

enum { BEAT_MS = 1000, TRIM_MS = 60000, TRIM_ROWS = 500 };

static volatile sig_atomic_t ended, reopen;

struct broker {
	struct journal *journal;
	struct core *core;
	struct doors doors;
	struct beat beat;
	const char *run_dir, *state_dir;
	uint64_t max_age_ns, max_bytes, next_trim_ms, next_beat_ms;
};

static void on_signal(int signo)
{
	if (signo == SIGUSR1)
		reopen = 1;
	else
		ended = 1;
}

static uint64_t clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void say(const char *level, const char *text, const char *more)
{
	fprintf(stderr, "%s broker[%d]: %s%s\n", level, (int)getpid(), text, more);
}

static void reopen_log(void)
{
	const char *path = getenv("LOPS_LOG");
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)
		      : -1;

	reopen = 0;
	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* The set's secret: whoever can read it is one of its own actors. Made once. */
static int load_cookie(const char *run_dir, uint8_t cookie[DOOR_COOKIE_BYTES])
{
	char path[4200], draft[4200];
	int fd;
	bool ok;

	snprintf(path, sizeof path, "%s/cookie", run_dir);
	snprintf(draft, sizeof draft, "%s/cookie.new", run_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		ok = read(fd, cookie, DOOR_COOKIE_BYTES) == DOOR_COOKIE_BYTES;
		close(fd);
		if (ok)
			return 0;
	}
	if (getrandom(cookie, DOOR_COOKIE_BYTES, 0) != DOOR_COOKIE_BYTES)
		return -EIO;
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	ok = fd >= 0 && write(fd, cookie, DOOR_COOKIE_BYTES) == DOOR_COOKIE_BYTES;
	if (fd >= 0)
		close(fd);
	return ok && rename(draft, path) == 0 ? 0 : -errno;
}

static void prepare_process(void)
{
	struct sigaction act = {.sa_handler = on_signal};
	struct rlimit files;

	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGUSR1, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (!getenv("LOPS_DEBUG")) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		prctl(PR_SET_DUMPABLE, 0);
	}
}

static int broker_open(struct broker *b)
{
	struct core_limits limits = {.own_uid = getuid()};
	struct core_out out;
	const char *said = NULL;
	int err = load_cookie(b->run_dir, limits.cookie);

	if (err) {
		say("error", "cannot keep the set's cookie: ", strerror(-err));
		return err;
	}
	err = journal_open(b->state_dir, &b->journal, &said);
	if (said)
		say("error", said, "");
	if (err == -EAGAIN)
		say("error", "another broker has this journal", "");
	else if (err)
		say("error", "cannot open the journal: ", strerror(-err));
	if (err)
		return err;
	out = doors_out(&b->doors);
	b->core = core_new(b->journal, &out, &limits);
	if (!b->core)
		return -ENOMEM;
	b->doors.core = b->core;
	err = doors_open(&b->doors, b->run_dir);
	if (err)
		say("error", "cannot open the doors: ", strerror(-err));
	return err;
}

static int upkeep(struct broker *b)
{
	uint64_t now = clock_ms(CLOCK_MONOTONIC);
	int err = journal_checkpoint(b->journal), trimmed = 0;

	if (now >= b->next_beat_ms) {
		beat_send(&b->beat, true);
		b->next_beat_ms = now + BEAT_MS;
		if (reopen)
			reopen_log();
	}
	if (!err && now >= b->next_trim_ms) {
		trimmed =
			journal_trim(b->journal, clock_ms(CLOCK_REALTIME) * 1000000 - b->max_age_ns,
				     b->max_bytes, TRIM_ROWS);
		b->next_trim_ms = trimmed == TRIM_ROWS ? now : now + TRIM_MS;
		err = trimmed < 0 ? trimmed : 0;
	}
	return err;
}

/* Runs until told to end, or until the journal fails. */
static int serve(struct broker *b)
{
	bool more = false;
	int err = 0;

	while (!ended && !err) {
		bool any = doors_read(&b->doors);

		err = core_turn_end(b->core, &more);
		if (!err)
			err = upkeep(b);
		if (!err && !any && !more)
			doors_wait(&b->doors, BEAT_MS);
	}
	return err;
}

static int journal_failed(struct broker *b, int err)
{
	if (err == -ENOSPC) {
		say("error",
		    "the disk of the journal is full; nothing is acknowledged until there is room",
		    "");
		if (ballast_give_up(b->state_dir) &&
		    journal_trim(b->journal, UINT64_MAX, 0, TRIM_ROWS) >= 0)
			journal_commit(b->journal, true);
	} else {
		say("error",
		    "the journal failed, starting anew from what is on disk: ", strerror(-err));
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct broker b = {.run_dir = getenv("LOPS_RUN_DIR"),
			   .state_dir = getenv("LOPS_STATE_DIR"),
			   .max_age_ns = UINT64_C(30) * 24 * 3600 * 1000000000u,
			   .max_bytes = UINT64_C(256) * 1024 * 1024};
	int err;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("lops-broker %s\n", LOPS_VERSION);
		return 0;
	}
	if (argc != 1 || !b.run_dir || !b.state_dir) {
		fprintf(stderr, "usage: LOPS_RUN_DIR=DIR LOPS_STATE_DIR=DIR lops-broker\nPart of a "
				"lops set; lops-init starts it.\n");
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
	}
	prepare_process();
	b.beat = (struct beat){.run_dir = b.run_dir, .name = "broker", .fd = -1};
	err = broker_open(&b);
	if (!err) {
		err = serve(&b);
		err = err ? journal_failed(&b, err) : 0;
	}
	beat_done(&b.beat);
	doors_close(&b.doors);
	core_free(b.core);
	journal_close(b.journal);
	return err ? 1 : 0;
}
