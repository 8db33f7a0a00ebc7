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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "broker/accept.h"
#include "broker/core.h"
#include "broker/doors.h"
#include "broker/journal.h"
#include "broker/upkeep.h"
#include "lib/actor/beat.h"

enum { BEAT_MS = 1000 };

static volatile sig_atomic_t ended, reopen;
static struct beat heart = {.name = "broker", .fd = -1};

struct broker {
	struct journal *journal;
	struct core *core;
	struct doors doors;
	struct upkeep upkeep;
	const char *run_dir, *state_dir;
	uint64_t next_beat_ms;
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

	umask(0077); /* the sockets and the journal follow it */
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

/* Mending takes its time, and lops-init is to know that this is not hanging. */
static void busy(void)
{
	beat_send(&heart, false);
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
	err = journal_open(b->state_dir, busy, &b->journal, &said);
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
	b->upkeep = (struct upkeep){
		.journal = b->journal, .core = b->core, .state_dir = b->state_dir, .say = say};
	if (said)
		core_say_degraded(b->core, "salvaged", said);
	accept_prepare();
	err = doors_open(&b->doors, b->run_dir);
	if (err)
		say("error", "cannot open the doors: ", strerror(-err));
	return err;
}

/* 0, or -ESTALE: the lock file was taken away, and would not keep a second broker out. */
static int beat(struct broker *b)
{
	uint64_t now = clock_ms(CLOCK_MONOTONIC);

	if (now < b->next_beat_ms)
		return 0;
	beat_send(&heart, true);
	b->next_beat_ms = now + BEAT_MS;
	if (reopen)
		reopen_log();
	return journal_is_ours(b->journal) ? 0 : -ESTALE;
}

/* Runs until told to end, or until the journal fails. */
static int serve(struct broker *b)
{
	bool more = false;
	int err = 0;

	while (!ended && !err) {
		bool any = doors_read(&b->doors);
		uint64_t now = clock_ms(CLOCK_BOOTTIME);

		err = core_turn_end(b->core, &more);
		err = err ? upkeep_failed(&b->upkeep, now, err) : upkeep_turn(&b->upkeep, now);
		err = err ? err : beat(b);
		if (!err && !any && !more)
			doors_wait(&b->doors, BEAT_MS);
	}
	return err;
}

static void say_why(const struct broker *b, int err)
{
	if (err == -ESTALE) {
		say("error",
		    "broker.lock in the state folder was taken away; ending before another "
		    "broker has the journal too",
		    "");
		return;
	}
	if (err == -EUCLEAN)
		journal_distrust(b->journal);
	say("error", "the journal failed, starting anew from what is on disk: ", strerror(-err));
}

int main(int argc, char **argv)
{
	struct broker b = {.run_dir = getenv("LOPS_RUN_DIR"),
			   .state_dir = getenv("LOPS_STATE_DIR")};
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
	heart.run_dir = b.run_dir;
	err = broker_open(&b);
	if (!err) {
		err = serve(&b);
		if (err)
			say_why(&b, err);
	}
	beat_done(&heart);
	doors_close(&b.doors);
	core_free(b.core);
	journal_close(b.journal);
	return err ? 1 : 0;
}
