/*
 * lops-init alone: its members killed and stopped while children start and end, with standing
 * orders armed, revoked and taken. Each child says itself what it is and how it will end; at the
 * end the two accounts must agree.
 *
 *   tree_driver BIN_DIR CHILD kill|stop|both|marks|noinfo FAULTS SEED
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "lib/tree/client.h"
#include "tests/tree/oracle.h"

enum {
	DEPLOYMENTS = 24,
	INSTANCES = 400000,
	MARKS = 28,
	ANSWER_MS = 250,
	SPEC_BYTES = 4096,
	SETTLE_S = 60
};

struct instance {
	int recorded, status; /* as the table says; recorded counts */
	enum tree_how how;
	bool revoked, ran;
};

struct logical {
	uint64_t current, next; /* next: its standing order, 0 none */
};

static struct {
	char top[64], run[96], state[96], bin[512], child[512], log[96], init[600];
	struct tree_table *table;
	uint8_t *arena;
	int fds[5], socket;
	bool have_fds;
	uint32_t flags;
	const char *mode;
	uint64_t seed, faults, wanted, reboots, next_instance, marks_hit, answers, repeats;
	uint32_t last_id;
} d = {.socket = -1, .next_instance = 1};

static struct instance all[INSTANCES];
static struct logical logicals[DEPLOYMENTS];
static struct tree_message out, in;

static uint64_t chance(void)
{
	return d.seed = oracle_mix(d.seed + UINT64_C(0x9e3779b97f4a7c15));
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pause_us(long us)
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

static _Noreturn void fatal(const char *what)
{
	fprintf(stderr, "tree_driver: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the pair --- */

static void start_pair(void)
{
	char flags[16], adopt[80];
	const char *argv[20] = {d.init, "--run-dir", d.run, "--state-dir", d.state, "--libexec",
				d.bin,  "--tick-ms", "5",   "--flags",     flags};
	int n = 11;
	pid_t pid;

	snprintf(flags, sizeof flags, "%u", d.flags);
	if (d.have_fds) {
		argv[n++] = "--adopt";
		argv[n++] = adopt;
		d.reboots++;
	}
	pid = fork();
	if (pid != 0)
		return;
	if (d.have_fds) {
		int moved[5];

		for (int i = 0; i < 5; i++)
			moved[i] = fcntl(d.fds[i], F_DUPFD, 20);
		snprintf(adopt, sizeof adopt, "%d,%d,%d,%d,%d", moved[0], moved[1], moved[2],
			 moved[3], moved[4]);
	}
	execv(d.init, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static bool is_alive(int32_t pid)
{
	char path[40], text[256], *close_paren;
	ssize_t n;
	int fd;

	if (pid <= 0)
		return false;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	close_paren = strrchr(text, ')');
	return close_paren && close_paren[2] != 'Z' && close_paren[2] != 'X';
}

static int living_members(void)
{
	int n = 0;

	for (int k = 0; k < TREE_MEMBERS; k++)
		n += atomic_load(&d.table->members[k].state) != TREE_MEMBER_FREE &&
		     is_alive(atomic_load(&d.table->members[k].pid));
	return n;
}

/* The third watcher's part. */
static void look_after_pair(void)
{
	if (!d.table || living_members())
		return;
	pause_us(20000);
	if (!living_members())
		start_pair();
}

/* --- calls --- */

static void hang_up(void)
{
	if (d.socket >= 0)
		close(d.socket);
	d.socket = -1;
}

static bool take_answer(uint32_t op, uint32_t id, double until)
{
	while (now_s() < until) {
		int fds[TREE_FDS_MAX], n = TREE_FDS_MAX, got;

		if (!tree_wait(d.socket, (int)((until - now_s()) * 1000) + 1))
			continue;
		got = tree_receive(d.socket, &in, fds, &n);
		if (got != 1)
			return false;
		if (op == TREE_HELLO && in.op == TREE_HELLO && n == 5 && !d.have_fds) {
			memcpy(d.fds, fds, sizeof d.fds);
			d.have_fds = true;
		} else {
			for (int i = 0; i < n; i++)
				close(fds[i]);
		}
		if (in.op == op && in.id == id)
			return true;
	}
	return false;
}

static bool dial(void)
{
	static struct tree_message hello;

	d.socket = tree_connect(d.run);
	if (d.socket < 0)
		return false;
	hello.op = TREE_HELLO;
	hello.id = ++d.last_id;
	snprintf(hello.text, sizeof hello.text, "process-manager");
	return tree_send(d.socket, &hello) == 0 &&
	       take_answer(TREE_HELLO, hello.id, now_s() + ANSWER_MS / 1000.0);
}

/* Asked again, over a new connection, until it is answered: every operation is idempotent. */
static void call(enum tree_op op, uint32_t count)
{
	double until = now_s() + 30;

	out.op = op;
	out.count = count;
	while (now_s() < until) {
		if (d.socket < 0 && !dial()) {
			hang_up();
			look_after_pair();
			pause_us(500);
			continue;
		}
		out.id = ++d.last_id;
		if (tree_send(d.socket, &out) == 0 &&
		    take_answer(op, out.id, now_s() + ANSWER_MS / 1000.0)) {
			d.answers++;
			return;
		}
		d.repeats++;
		hang_up();
		look_after_pair();
		for (int k = 0; d.table && k < TREE_MEMBERS; k++) /* both may be stopped */
			if (atomic_load(&d.table->members[k].pid) > 0 &&
			    is_alive(atomic_load(&d.table->members[k].pid)))
				kill(atomic_load(&d.table->members[k].pid), SIGCONT);
	}
	fprintf(stderr, "VIOLATION: operation %d is never answered\n", (int)op);
	exit(1);
}

static void map_memory(void)
{
	void *table = mmap(NULL, sizeof *d.table, PROT_READ | PROT_WRITE, MAP_SHARED, d.fds[0], 0);
	void *arena = mmap(NULL, TREE_ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, d.fds[1], 0);

	if (table == MAP_FAILED || arena == MAP_FAILED)
		fatal("mmap");
	d.table = table;
	d.arena = arena;
	d.table->max_starts_per_second = 0;
}

/* --- specs: one place a deployment for its current instance, one for its order --- */

static uint32_t put(uint8_t *base, uint32_t *at, const void *data, uint32_t len, uint32_t align)
{
	uint32_t place = (*at + align - 1) / align * align;

	memcpy(base + place, data, len);
	*at = place + len;
	return place;
}

static uint64_t write_spec(uint64_t instance)
{
	uint64_t offset = 64 + instance % 4096 * SPEC_BYTES;
	uint8_t *base = d.arena + offset;
	struct tree_spec s = {.magic = TREE_SPEC_MAGIC,
			      .generation = 1,
			      .uid = UINT32_MAX,
			      .gid = UINT32_MAX,
			      .umask = 022,
			      .out = TREE_NULL,
			      .err = TREE_NULL,
			      .nofile = TREE_UNSET,
			      .nproc = TREE_UNSET,
			      .core_bytes = 0,
			      .address_space_bytes = TREE_UNSET,
			      .nice = TREE_UNSET,
			      .oom_score_adj = TREE_UNSET};
	char number[32];
	uint32_t at = sizeof s, argv[3], path, env;

	snprintf(number, sizeof number, "%llu", (unsigned long long)instance);
	snprintf(s.deployment, sizeof s.deployment, "d");
	path = argv[0] = put(base, &at, d.child, (uint32_t)strlen(d.child) + 1, 1);
	argv[1] = put(base, &at, number, (uint32_t)strlen(number) + 1, 1);
	argv[2] = put(base, &at, d.log, (uint32_t)strlen(d.log) + 1, 1);
	env = put(base, &at, "A=b", 4, 1);
	s.n_argv = 3;
	s.argv = put(base, &at, argv, sizeof argv, 8);
	s.n_paths = 1;
	s.paths = put(base, &at, &path, sizeof path, 8);
	s.n_envp = 1;
	s.envp = put(base, &at, &env, sizeof env, 8);
	s.length = (at + 7) / 8 * 8;
	memcpy(base, &s, sizeof s);
	return offset;
}

/* --- the logical deployments --- */

static struct tree_slot *slot_of(uint64_t instance)
{
	for (int i = 0; i < atomic_load(&d.table->high); i++)
		if (d.table->slots[i].instance == instance &&
		    tree_state_of(atomic_load(&d.table->slots[i].word)) > TREE_PROVISIONAL)
			return &d.table->slots[i];
	return NULL;
}

static void start_one(struct logical *l)
{
	l->current = d.next_instance++;
	l->next = 0;
	out.items[0] = (struct tree_item){.instance = l->current, .spec = write_spec(l->current)};
	call(TREE_START, 1);
}

static void arm_one(struct logical *l)
{
	uint64_t next = d.next_instance++;
	uint32_t delay = chance() % 4 ? 0 : (uint32_t)(chance() % 8);

	out.items[0] = (struct tree_item){.instance = l->current,
					  .next = next,
					  .spec = write_spec(next),
					  .delay_ms = delay,
					  .stable_delay_ms = delay};
	call(TREE_ARM, 1);
	if (in.items[0].error == 0 || in.items[0].error == EEXIST)
		l->next = next;
	else
		all[next].revoked = true;
}

/* true: it will never run. */
static bool revoke_one(uint64_t next)
{
	out.items[0] = (struct tree_item){.instance = next};
	call(TREE_REVOKE, 1);
	if (in.items[0].error == EALREADY)
		return false;
	all[next].revoked = true;
	return true;
}

static void take_exit(struct logical *l, const struct tree_slot *s)
{
	uint64_t word = atomic_load(&s->word);
	struct instance *x = &all[l->current];
	uint64_t next = l->next;

	x->recorded++;
	x->how = tree_how_of(word);
	x->status = tree_status_of(word);
	if (next && chance() % 6 == 0 && revoke_one(next))
		next = 0;
	out.items[0] = (struct tree_item){.instance = l->current};
	call(TREE_CONFIRM, 1);
	*l = (struct logical){.current = next};
}

static bool turn(bool stopping)
{
	bool any = false;

	for (int i = 0; i < DEPLOYMENTS && d.next_instance + 4 < INSTANCES; i++) {
		struct logical *l = &logicals[i];
		struct tree_slot *s;

		if (!l->current) {
			if (stopping)
				continue;
			start_one(l);
		}
		any = true;
		s = slot_of(l->current);
		if (!s) {
			fprintf(stderr, "VIOLATION: the slot of instance %llu is gone\n",
				(unsigned long long)l->current);
			all[l->current].revoked = true;
			*l = (struct logical){0};
		} else if (tree_state_of(atomic_load(&s->word)) == TREE_EXITED) {
			take_exit(l, s);
		} else if (stopping && l->next && revoke_one(l->next)) {
			l->next = 0;
		} else if (!stopping && !l->next && chance() % 4 == 0) {
			arm_one(l);
		}
	}
	return any;
}

/* --- faults --- */

static int32_t some_member(void)
{
	int32_t pids[TREE_MEMBERS];
	int n = 0;

	for (int k = 0; k < TREE_MEMBERS; k++)
		if (atomic_load(&d.table->members[k].state) == TREE_MEMBER_ACTIVE &&
		    atomic_load(&d.table->members[k].pid) > 0)
			pids[n++] = atomic_load(&d.table->members[k].pid);
	return n ? pids[chance() % (uint64_t)n] : 0;
}

static bool is_whole(void)
{
	int n = 0;

	for (int k = 0; k < TREE_MEMBERS; k++)
		n += atomic_load(&d.table->members[k].state) == TREE_MEMBER_ACTIVE;
	return n == 2 && atomic_load(&d.table->ready);
}

static void strike(void)
{
	int32_t pid = some_member();
	bool stop = strcmp(d.mode, "stop") == 0 || (strcmp(d.mode, "both") == 0 && chance() % 2);

	if (strcmp(d.mode, "marks") == 0) {
		uint32_t mark = 1 + (uint32_t)(d.faults % MARKS) + (chance() % 2 ? 100 : 0),
			 zero = mark;

		atomic_store(&d.table->mark, mark);
		for (int i = 0; i < 60 && atomic_load(&d.table->mark) == mark; i++) {
			turn(false);
			pause_us(200);
		}
		d.marks_hit += !atomic_compare_exchange_strong(&d.table->mark, &zero, 0);
		d.faults++;
		return;
	}
	if (!pid || !is_whole() || !is_alive(pid))
		return;
	kill(pid, stop ? SIGSTOP : SIGKILL);
	d.faults++;
}

/* --- the end --- */

static uint64_t read_log(uint64_t *ret_doubled, uint64_t *ret_bad)
{
	FILE *f = fopen(d.log, "re");
	unsigned long long instance;
	int pid, status;
	uint64_t ran = 0;

	while (f && fscanf(f, "%llu %d %d", &instance, &pid, &status) == 3) {
		if (instance >= INSTANCES)
			continue;
		*ret_doubled += all[instance].ran;
		all[instance].ran = true;
		ran++;
		*ret_bad += all[instance].recorded == 1 && all[instance].how != TREE_HOW_UNKNOWN &&
			    (all[instance].status & ~0x80) != status;
	}
	if (f)
		fclose(f);
	return ran;
}

static int report(void)
{
	uint64_t doubled = 0, bad = 0, unrecorded = 0, never_ran = 0, revoked_ran = 0, unknown = 0,
		 more = 0, ran = read_log(&doubled, &bad);

	for (uint64_t i = 1; i < d.next_instance; i++) {
		const struct instance *x = &all[i];

		unrecorded += x->ran && !x->recorded;
		never_ran += x->recorded && !x->ran;
		revoked_ran += x->revoked && x->ran;
		more += x->recorded > 1;
		unknown += x->recorded && x->how == TREE_HOW_UNKNOWN;
	}
	printf("%s: %llu faults (marks hit %llu), %llu instances ran, takeovers %llu, new pairs "
	       "%llu, hang kills %llu, orders taken %llu, sent again %llu; "
	       "unknown statuses %llu; violations: doubled %llu, unrecorded %llu, recorded but "
	       "never ran %llu, wrong status %llu, revoked ran %llu, "
	       "recorded twice %llu\n",
	       d.mode, (unsigned long long)d.faults, (unsigned long long)d.marks_hit,
	       (unsigned long long)ran, (unsigned long long)atomic_load(&d.table->n_takeovers),
	       (unsigned long long)d.reboots,
	       (unsigned long long)atomic_load(&d.table->n_hang_kills),
	       (unsigned long long)atomic_load(&d.table->n_orders_taken),
	       (unsigned long long)d.repeats, (unsigned long long)unknown,
	       (unsigned long long)doubled, (unsigned long long)unrecorded,
	       (unsigned long long)never_ran, (unsigned long long)bad,
	       (unsigned long long)revoked_ran, (unsigned long long)more);
	/* Without PIDFD_GET_INFO, or where both members died at once, an unknown status is the
	 * truth. */
	if (unknown && strcmp(d.mode, "noinfo") != 0 && !d.reboots)
		return 1;
	return doubled || unrecorded || never_ran || bad || revoked_ran || more || ran < 100;
}

static void clean_up(void)
{
	char command[700];

	snprintf(command, sizeof command, "%s/lock", d.state);
	unlink(command);
	for (int k = 0; k < 2; k++) {
		static const char *const sockets[] = {"init.sock", "notify.sock", "cookie"};

		for (int i = 0; i < 3 && k == 0; i++) {
			snprintf(command, sizeof command, "%s/%s", d.run, sockets[i]);
			unlink(command);
		}
		rmdir(k ? d.state : d.run);
	}
	unlink(d.log);
	rmdir(d.top);
}

static void prepare(char **argv)
{
	pthread_t thread;
	struct rlimit files;

	snprintf(d.top, sizeof d.top, "/tmp/lops-tree-XXXXXX");
	if (!mkdtemp(d.top) || !realpath(argv[1], d.bin) || !realpath(argv[2], d.child))
		fatal("folders");
	snprintf(d.run, sizeof d.run, "%s/r", d.top);
	snprintf(d.state, sizeof d.state, "%s/s", d.top);
	snprintf(d.log, sizeof d.log, "%s/log", d.top);
	snprintf(d.init, sizeof d.init, "%s/lops-init-marked", d.bin);
	mkdir(d.run, 0700);
	mkdir(d.state, 0700);
	close(open(d.log, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	d.mode = argv[3];
	d.wanted = strtoull(argv[4], NULL, 10);
	d.seed = strtoull(argv[5], NULL, 10);
	d.flags = TREE_FLAG_OPEN_DOOR | (strcmp(d.mode, "noinfo") == 0 ? TREE_FLAG_NO_INFO : 0);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pthread_create(&thread, NULL, reap, NULL);
	start_pair();
	for (int i = 0; i < 400 && !d.have_fds; i++) {
		if (!dial())
			hang_up();
		pause_us(5000);
	}
	if (!d.have_fds)
		fatal("lops-init does not answer");
	map_memory();
}

int main(int argc, char **argv)
{
	double next, until;
	int status;

	if (argc != 6)
		return 2;
	prepare(argv);
	next = now_s();
	while (d.faults < d.wanted) {
		turn(false);
		if (chance() % 64 == 0)
			call(TREE_PING, 0); /* both may be stopped with nothing else to ask them */
		if (now_s() >= next) {
			strike();
			next = now_s() + 0.0005 + (double)(chance() % 60000) / 1e6;
		}
		pause_us(150);
	}
	until = now_s() + SETTLE_S;
	while (turn(true)) {
		call(TREE_PING, 0);
		if (now_s() > until) {
			fprintf(stderr, "VIOLATION: instances that never end\n");
			return 1;
		}
		pause_us(200);
	}
	status = report();
	atomic_store(&d.table->stop, 1);
	for (int k = 0; k < TREE_MEMBERS; k++)
		if (atomic_load(&d.table->members[k].pid) > 0)
			kill(atomic_load(&d.table->members[k].pid), SIGCONT);
	for (int i = 0; i < 200 && living_members(); i++)
		pause_us(10000);
	clean_up();
	return status;
}
