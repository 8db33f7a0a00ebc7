/*
 * lops-init at its bounds: every way in which a process can end, under each of its three possible
 * parents; thousands of ends at once; a table that is full; no descriptors left. What a status must
 * be is what the same program ends with when it is run here.
 *
 *   extremes BIN_DIR CHILD statuses|storm|slots|descriptors
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/tree/under_test.h"

enum { SETTLE_S = 60, WAYS_MAX = 400 };

static char child[512], gate[128];
static uint64_t next_instance = 1;
static int wrong;

/* One way of ending: an exit code, or a signal with or without leave for a core. */
struct way {
	char how[8], number[8];
	bool core;
	uint64_t instance;
	int status; /* what it is to be */
};
static struct way ways[WAYS_MAX];
static int n_ways;

static void expect(bool holds, const char *what, long long number)
{
	if (holds)
		return;
	wrong++;
	fprintf(stderr, "VIOLATION: %s (%lld)\n", what, number);
}

/* --- the programs --- */

static void gate_make(const char *name)
{
	snprintf(gate, sizeof gate, "%s.%s", t.log, name);
	if (mkfifo(gate, 0600) < 0)
		fatal(gate);
}

/* All that wait at the gate go on, and whoever comes later. */
static int gate_open(void)
{
	int fd = open(gate, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fatal(gate);
	return fd;
}

static void start_held(struct way *w)
{
	w->instance = next_instance++;
	t.out.items[0] = (struct tree_item){
		.instance = w->instance,
		.spec = spec_write(w->instance % SPEC_PLACES,
				   &(struct spec_given){.argv = {child, w->how, w->number, gate},
							.core = w->core})};
	call(TREE_START, 1);
	expect(t.in.items[0].error == 0, "a start is refused", t.in.items[0].error);
}

static enum tree_state state_of(uint64_t instance)
{
	struct tree_slot *s = slot_of(instance);

	return s ? tree_state_of(atomic_load(&s->word)) : TREE_FREE;
}

static void wait_for(uint64_t instance, enum tree_state state)
{
	double until = now_s() + SETTLE_S;

	while (state_of(instance) != state && now_s() < until) {
		call(TREE_PING, 0);
		pause_us(500);
	}
	expect(state_of(instance) == state, "an instance does not come so far",
	       (long long)instance);
}

static void confirm(uint64_t instance)
{
	t.out.items[0] = (struct tree_item){.instance = instance};
	call(TREE_CONFIRM, 1);
	expect(t.in.items[0].error == 0, "a confirmation is refused", t.in.items[0].error);
}

/* --- every status, under every parent --- */

static void way_add(const char *how, int number, bool core)
{
	struct way *w = &ways[n_ways++];

	snprintf(w->how, sizeof w->how, "%s", how);
	snprintf(w->number, sizeof w->number, "%d", number);
	w->core = core;
}

static bool ends_a_process(int signo)
{
	return signo != SIGSTOP && signo != SIGTSTP && signo != SIGTTIN && signo != SIGTTOU &&
	       signo != SIGCONT && signo != SIGCHLD && signo != SIGURG && signo != SIGWINCH &&
	       signo != 32 && signo != 33;
}

/* The same program run by us, from the same folder; its parent is a process apart, for here a
 * thread reaps whatever ends. */
static int status_here(const struct way *w)
{
	int ends[2], status = 0;
	pid_t pid;

	if (pipe(ends) < 0)
		fatal("pipe");
	pid = fork();
	if (pid == 0) {
		pid_t it = fork();

		if (it == 0) {
			struct rlimit none = {0};

			if (!w->core)
				setrlimit(RLIMIT_CORE, &none);
			execl(child, child, w->how, w->number, "/dev/null", (char *)NULL);
			_exit(127);
		}
		waitpid(it, &status, 0);
		_exit(write(ends[1], &status, sizeof status) != sizeof status);
	}
	close(ends[1]);
	if (read(ends[0], &status, sizeof status) != sizeof status)
		fatal("no status of our own");
	close(ends[0]);
	return status;
}

static int32_t member_below(void)
{
	for (int k = 0; k < TREE_MEMBERS; k++)
		if (atomic_load(&t.table->members[k].state) == TREE_MEMBER_ACTIVE &&
		    atomic_load(&t.table->members[k].upper) >= 0)
			return atomic_load(&t.table->members[k].pid);
	return 0;
}

/* There may be none for an instant: a busy one was taken for silent, and is being replaced. */
static int32_t worker(void)
{
	double until = now_s() + SETTLE_S;
	int32_t pid;

	while ((pid = member_below()) <= 0 && now_s() < until)
		call(TREE_PING, 0);
	if (pid <= 0)
		fatal("there is no worker");
	return pid;
}

static void kill_worker(void)
{
	int32_t pid = worker();
	double until = now_s() + SETTLE_S;

	kill(pid, SIGKILL);
	while ((member_below() == pid || member_below() == 0) && now_s() < until)
		pause_us(500);
	call(TREE_PING, 0);
}

static void kill_pair(void)
{
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < TREE_MEMBERS; k++)
			if (atomic_load(&t.table->members[k].pid) > 0)
				kill(atomic_load(&t.table->members[k].pid), i ? SIGKILL : SIGSTOP);
	while (pair_living())
		pause_us(500);
	call(TREE_PING, 0); /* makes a new one */
}

static void statuses_under(const char *parent, void (*orphan)(void), bool told)
{
	int fd, unknown = 0;

	gate_make(parent);
	for (int i = 0; i < n_ways; i++)
		start_held(&ways[i]);
	for (int i = 0; i < n_ways; i++)
		wait_for(ways[i].instance, TREE_RUNNING);
	if (orphan)
		orphan();
	fd = gate_open();
	for (int i = 0; i < n_ways; i++) {
		struct way *w = &ways[i];
		uint64_t word;

		wait_for(w->instance, TREE_EXITED);
		if (!slot_of(w->instance))
			continue;
		word = atomic_load(&slot_of(w->instance)->word);
		if (tree_how_of(word) == TREE_HOW_UNKNOWN) {
			unknown++;
		} else if (tree_status_of(word) != w->status) {
			fprintf(stderr, "VIOLATION: %s %s (core %d): %x, and not %x\n", w->how,
				w->number, w->core, (unsigned)tree_status_of(word),
				(unsigned)w->status);
			wrong++;
		}
		confirm(w->instance);
	}
	close(fd);
	unlink(gate);
	expect(!unknown || !told, "statuses are unknown", unknown);
	printf("%d ends under %s: %d unknown\n", n_ways, parent, unknown);
}

/* From 6.15 on it tells what a process that is nobody's child ended with. */
static bool kernel_tells(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	return uname(&u) == 0 && sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 15));
}

static void statuses(void)
{
	for (int code = 0; code < 256; code++)
		way_add("exit", code, false);
	for (int signo = 1; signo <= 64; signo++)
		for (int core = 0; core < 2 && ends_a_process(signo); core++)
			way_add("signal", signo, core);
	for (int i = 0; i < n_ways; i++)
		ways[i].status = status_here(&ways[i]);
	statuses_under("worker", NULL, true);
	statuses_under("guardian", kill_worker, true);
	statuses_under("pid-1", kill_pair, kernel_tells());
}

/* --- many --- */

static void start_many(uint64_t first, uint32_t n, uint64_t spec)
{
	for (uint32_t at = 0; at < n; at += TREE_BATCH) {
		uint32_t count = n - at < TREE_BATCH ? n - at : TREE_BATCH;

		for (uint32_t i = 0; i < count; i++)
			t.out.items[i] =
				(struct tree_item){.instance = first + at + i, .spec = spec};
		call(TREE_START, count);
	}
}

static uint32_t in_state(enum tree_state state)
{
	uint32_t n = 0;

	for (int i = 0; i < atomic_load(&t.table->high); i++)
		n += tree_state_of(atomic_load(&t.table->slots[i].word)) == state;
	return n;
}

static void wait_for_all(uint32_t n, enum tree_state state)
{
	double until = now_s() + SETTLE_S;

	while (in_state(state) != n && now_s() < until) {
		call(TREE_PING, 0);
		pause_us(2000);
	}
	expect(in_state(state) == n, "so many did not come so far", in_state(state));
}

static void confirm_many(uint64_t first, uint32_t n, int status)
{
	for (uint32_t i = 0; i < n; i++) {
		struct tree_slot *s = slot_of(first + i);

		expect(s && tree_status_of(atomic_load(&s->word)) == status, "a status is wrong",
		       (long long)(first + i));
	}
	for (uint32_t at = 0; at < n; at += TREE_BATCH) {
		uint32_t count = n - at < TREE_BATCH ? n - at : TREE_BATCH;

		for (uint32_t i = 0; i < count; i++)
			t.out.items[i] = (struct tree_item){.instance = first + at + i};
		call(TREE_CONFIRM, count);
	}
	wait_for_all(0, TREE_EXITED);
	expect(in_state(TREE_FREE) == (uint32_t)atomic_load(&t.table->high),
	       "slots are not free again", in_state(TREE_FREE));
}

/* All end in one instant, and the worker dies in the middle of it; then all slots serve again. */
static void storm(void)
{
	uint32_t n = getenv("LOPS_TEST_FULL") ? 6000 : 1500;

	for (int round = 0; round < 2; round++) {
		char name[8];
		uint64_t spec;
		int fd;

		snprintf(name, sizeof name, "%d", round);
		gate_make(name);
		spec = spec_write(0, &(struct spec_given){.argv = {child, "exit", "7", gate}});
		start_many(next_instance, n, spec);
		wait_for_all(n, TREE_RUNNING);
		fd = gate_open();
		if (round == 0)
			kill_worker();
		wait_for_all(n, TREE_EXITED);
		close(fd);
		unlink(gate);
		confirm_many(next_instance, n, 7 << 8);
		next_instance += n;
	}
	printf("2 x %u ends at once\n", n);
}

/* --- full --- */

static void slots(void)
{
	uint64_t spec =
		spec_write(0, &(struct spec_given){.argv = {child, "exit", "3", "/dev/null"}});

	start_many(1, TREE_SLOTS, spec);
	wait_for_all(TREE_SLOTS, TREE_EXITED);
	t.out.items[0] = (struct tree_item){.instance = TREE_SLOTS + 1, .spec = spec};
	call(TREE_START, 1);
	expect(t.in.items[0].error == ENOSPC && t.in.items[0].slot == -1, "one too many is begun",
	       t.in.items[0].error);
	confirm(17);
	call(TREE_PING, 0);
	t.out.items[0] = (struct tree_item){.instance = TREE_SLOTS + 1, .spec = spec};
	call(TREE_START, 1);
	expect(t.in.items[0].error == 0, "the free slot is not used", t.in.items[0].error);
	wait_for(TREE_SLOTS + 1, TREE_EXITED);
	confirm(TREE_SLOTS + 1);
	for (uint64_t i = 1; i <= TREE_SLOTS; i++)
		expect(i == 17 || state_of(i) == TREE_EXITED, "one is lost", (long long)i);
	printf("%d slots full, refused and used again\n", TREE_SLOTS);
}

/* Some are refused for want of descriptors, by name; what runs goes on, and room is used again. */
static void descriptors(void)
{
	enum { N = 60 };
	uint64_t spec;
	int refused = 0, run = 0, fd;

	gate_make("few");
	spec = spec_write(
		0, &(struct spec_given){.argv = {child, "exit", "5", gate}, .captured = true});
	for (uint64_t i = 1; i <= N; i++) {
		t.out.items[0] =
			(struct tree_item){.instance = i, .spec = spec, .streams = 1000 + i};
		call(TREE_START, 1);
	}
	for (uint64_t i = 1; i <= N; i++) {
		struct tree_slot *s = slot_of(i);
		uint32_t stage_error = s ? atomic_load(&s->stage_error) : 0;

		expect(s != NULL, "one is lost", (long long)i);
		if (state_of(i) == TREE_RUNNING)
			run++;
		else if (stage_error == ((uint32_t)TREE_STAGE_PIPES << 16 | EMFILE))
			refused++;
	}
	expect(run > 0 && refused > 0 && run + refused == N, "neither run nor refused by name",
	       run);
	fd = gate_open();
	for (uint64_t i = 1; i <= N; i++) {
		wait_for(i, TREE_EXITED);
		confirm(i);
		t.out.items[0] = (struct tree_item){.streams = 1000 + i};
		call(TREE_RELEASE, 1);
	}
	t.out.items[0] = (struct tree_item){.instance = N + 1, .spec = spec, .streams = 5000};
	call(TREE_START, 1);
	wait_for(N + 1, TREE_EXITED);
	expect(tree_status_of(atomic_load(&slot_of(N + 1)->word)) == 5 << 8,
	       "room is not used again", 0);
	close(fd);
	unlink(gate);
	printf("few descriptors: %d ran, %d were refused by name\n", run, refused);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} tests[] = {{"statuses", statuses},
		     {"storm", storm},
		     {"slots", slots},
		     {"descriptors", descriptors}};

	if (argc != 4 || !realpath(argv[2], child))
		return 2;
	if (strcmp(argv[3], "descriptors") == 0) {
		struct rlimit few = {.rlim_cur = 120, .rlim_max = 120};

		setrlimit(RLIMIT_NOFILE, &few);
	}
	pair_prepare(argv[1], 0);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		if (strcmp(tests[i].name, argv[3]) == 0) {
			tests[i].fn();
			return wrong != 0;
		}
	return 2;
}
