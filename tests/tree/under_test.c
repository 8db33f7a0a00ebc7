/*
 * A pair of lops-init under test; see the header.
 */
#include "tests/tree/under_test.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "lib/tree/client.h"
#include "lib/tree/proc_stat.h"

enum { ANSWER_MS = 250, SPEC_BYTES = 4096 };

struct under_test t = {.socket = -1};
static char top[64], run[96], state[96], init[600], bin[512];
static uint32_t last_id;

double now_s(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

void pause_us(long us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* What a pid 1 does. */
static void *reap(void *arg)
{
	(void)arg;
	for (;;) {
		siginfo_t si;

		if (waitid(P_ALL, 0, &si, WEXITED) < 0)
			pause_us(300);
	}
	return NULL;
}

_Noreturn void fatal(const char *what)
{
	fprintf(stderr, "tree test: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the pair --- */

void pair_start(void)
{
	char flags[16], adopt[80];
	const char *argv[20] = {init, "--run-dir", run, "--state-dir", state, "--libexec",
				bin,  "--tick-ms", "5", "--flags",     flags};
	int n = 11;
	pid_t pid;

	snprintf(flags, sizeof flags, "%u", t.flags);
	if (t.have_fds) {
		argv[n++] = "--adopt";
		argv[n++] = adopt;
		t.reboots++;
	}
	pid = fork();
	if (pid != 0)
		return;
	if (t.have_fds) {
		int moved[5];

		for (int i = 0; i < 5; i++)
			moved[i] = fcntl(t.fds[i], F_DUPFD, 20);
		snprintf(adopt, sizeof adopt, "%d,%d,%d,%d,%d", moved[0], moved[1], moved[2],
			 moved[3], moved[4]);
	}
	execv(init, (char *const *)(uintptr_t)argv);
	_exit(127);
}

bool process_lives(int32_t pid)
{
	struct proc_stat p;

	return pid > 0 && proc_stat(pid, &p) == 1 && p.state != 'Z' && p.state != 'X';
}

int pair_living(void)
{
	int n = 0;

	for (int k = 0; k < TREE_MEMBERS; k++)
		n += atomic_load(&t.table->members[k].state) != TREE_MEMBER_FREE &&
		     process_lives(atomic_load(&t.table->members[k].pid));
	return n;
}

/* The third watcher's part. */
static void look_after_pair(void)
{
	if (!t.table || pair_living())
		return;
	pause_us(20000);
	if (!pair_living())
		pair_start();
}

/* Both may be stopped. */
static void wake_pair(void)
{
	for (int k = 0; t.table && k < TREE_MEMBERS; k++)
		if (process_lives(atomic_load(&t.table->members[k].pid)))
			kill(atomic_load(&t.table->members[k].pid), SIGCONT);
}

/* --- calls --- */

static void hang_up(void)
{
	if (t.socket >= 0)
		close(t.socket);
	t.socket = -1;
}

static bool take_answer(uint32_t op, uint32_t id, double until)
{
	while (now_s() < until) {
		int fds[TREE_FDS_MAX], n = TREE_FDS_MAX, got;

		if (!tree_wait(t.socket, (int)((until - now_s()) * 1000) + 1))
			continue;
		got = tree_receive(t.socket, &t.in, fds, &n);
		if (got != 1)
			return false;
		if (op == TREE_HELLO && t.in.op == TREE_HELLO && n == 5 && !t.have_fds) {
			memcpy(t.fds, fds, sizeof t.fds);
			t.have_fds = true;
		} else {
			for (int i = 0; i < n; i++)
				close(fds[i]);
		}
		if (t.in.op == op && t.in.id == id)
			return true;
	}
	return false;
}

static bool dial(void)
{
	static struct tree_message hello;

	t.socket = tree_connect(run);
	if (t.socket < 0)
		return false;
	hello.op = TREE_HELLO;
	hello.id = ++last_id;
	snprintf(hello.text, sizeof hello.text, "process-manager");
	return tree_send(t.socket, &hello) == 0 &&
	       take_answer(TREE_HELLO, hello.id, now_s() + ANSWER_MS / 1000.0);
}

/* Asked again, over a new connection, until it is answered: every operation is idempotent. */
void call(enum tree_op op, uint32_t count)
{
	double until = now_s() + 30;

	t.out.op = op;
	t.out.count = count;
	while (now_s() < until) {
		if (t.socket < 0 && !dial()) {
			hang_up();
			look_after_pair();
			wake_pair();
			pause_us(500);
			continue;
		}
		t.out.id = ++last_id;
		if (tree_send(t.socket, &t.out) == 0 &&
		    take_answer(op, t.out.id, now_s() + ANSWER_MS / 1000.0)) {
			t.answers++;
			return;
		}
		t.repeats++;
		hang_up();
		look_after_pair();
		wake_pair();
	}
	fprintf(stderr, "VIOLATION: operation %d is never answered; mark %u, %d members live\n",
		(int)op, atomic_load(&t.table->mark), pair_living());
	for (int k = 0; k < TREE_MEMBERS; k++)
		fprintf(stderr, "member %d: state %u, pid %d, beat %llu\n", k,
			atomic_load(&t.table->members[k].state),
			atomic_load(&t.table->members[k].pid),
			(unsigned long long)atomic_load(&t.table->members[k].beat));
	exit(1);
}

static void map_memory(void)
{
	void *table = mmap(NULL, sizeof *t.table, PROT_READ | PROT_WRITE, MAP_SHARED, t.fds[0], 0);
	void *arena = mmap(NULL, TREE_ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, t.fds[1], 0);

	if (table == MAP_FAILED || arena == MAP_FAILED)
		fatal("mmap");
	t.table = table;
	t.arena = arena;
	t.table->max_starts_per_second = 0;
}

static uint32_t put(uint8_t *base, uint32_t *at, const void *data, uint32_t len, uint32_t align)
{
	uint32_t place = (*at + align - 1) / align * align;

	memcpy(base + place, data, len);
	*at = place + len;
	return place;
}

uint64_t spec_write(uint64_t place, const struct spec_given *given)
{
	uint64_t offset = 64 + place * SPEC_BYTES;
	uint8_t *base = t.arena + offset;
	struct tree_spec s = {.magic = TREE_SPEC_MAGIC,
			      .generation = 1,
			      .uid = UINT32_MAX,
			      .gid = UINT32_MAX,
			      .umask = 022,
			      .out = given->captured ? TREE_CAPTURE : TREE_NULL,
			      .err = given->captured ? TREE_CAPTURE : TREE_NULL,
			      .nofile = TREE_UNSET,
			      .nproc = TREE_UNSET,
			      .core_bytes = given->core ? TREE_UNSET : 0,
			      .address_space_bytes = TREE_UNSET,
			      .nice = TREE_UNSET,
			      .oom_score_adj = TREE_UNSET};
	uint32_t at = sizeof s, argv[SPEC_WORDS], env;

	snprintf(s.deployment, sizeof s.deployment, "d");
	for (; given->argv[s.n_argv]; s.n_argv++)
		argv[s.n_argv] = put(base, &at, given->argv[s.n_argv],
				     (uint32_t)strlen(given->argv[s.n_argv]) + 1, 1);
	env = put(base, &at, "A=b", 4, 1);
	s.folder = put(base, &at, top, (uint32_t)strlen(top) + 1, 1);
	s.argv = put(base, &at, argv, s.n_argv * 4, 8);
	s.n_paths = 1;
	s.paths = put(base, &at, argv, 4, 8);
	s.n_envp = 1;
	s.envp = put(base, &at, &env, sizeof env, 8);
	s.length = (at + 7) / 8 * 8;
	memcpy(base, &s, sizeof s);
	return offset;
}

struct tree_slot *slot_of(uint64_t instance)
{
	for (int i = 0; i < atomic_load(&t.table->high); i++)
		if (t.table->slots[i].instance == instance &&
		    tree_state_of(atomic_load(&t.table->slots[i].word)) > TREE_PROVISIONAL)
			return &t.table->slots[i];
	return NULL;
}

/* A core that the machine's pattern lays beside the program. */
static void remove_cores(void)
{
	glob_t found;
	char pattern[80];

	snprintf(pattern, sizeof pattern, "%s/core*", top);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
	globfree(&found);
}

static void clean_up(void)
{
	char command[700];

	snprintf(command, sizeof command, "%s/lock", state);
	unlink(command);
	for (int k = 0; k < 2; k++) {
		static const char *const sockets[] = {"init.sock", "notify.sock", "cookie"};

		for (int i = 0; i < 3 && k == 0; i++) {
			snprintf(command, sizeof command, "%s/%s", run, sockets[i]);
			unlink(command);
		}
		rmdir(k ? state : run);
	}
	unlink(t.log);
	remove_cores();
	rmdir(top);
}

/* At every exit: who is left behind would hold open what the test's output goes to. */
static void pair_end(void)
{
	if (t.table)
		atomic_store(&t.table->stop, 1);
	wake_pair();
	for (int i = 0; t.table && i < 1000 && pair_living(); i++)
		pause_us(10000);
	clean_up();
}

void pair_prepare(const char *bin_dir, uint32_t flags)
{
	pthread_t thread;
	struct rlimit files;

	snprintf(top, sizeof top, "/tmp/lops-tree-XXXXXX");
	if (!realpath(bin_dir, bin) || !mkdtemp(top) || chdir(top) < 0)
		fatal("folders");
	snprintf(run, sizeof run, "%s/r", top);
	snprintf(state, sizeof state, "%s/s", top);
	snprintf(t.log, sizeof t.log, "%s/log", top);
	snprintf(init, sizeof init, "%s/lops-init-marked", bin);
	mkdir(run, 0700);
	mkdir(state, 0700);
	close(open(t.log, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	t.flags = TREE_FLAG_OPEN_DOOR | flags;
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pthread_create(&thread, NULL, reap, NULL);
	atexit(pair_end);
	pair_start();
	for (int i = 0; i < 4000 && !t.have_fds; i++) {
		if (!dial())
			hang_up();
		pause_us(5000);
	}
	if (!t.have_fds)
		fatal("lops-init does not answer");
	map_memory();
}
