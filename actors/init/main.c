/*
 * lops-init: the parent of every program and of every actor, as a pair of processes that watch and
 * replace each other. It links no ZeroMQ, msgpack or YAML, decides nothing about restarts, looks up
 * no user and no PATH, and allocates nothing after start.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "actors/init/ctl.h"
#include "actors/init/pair.h"
#include "lib/tree/boot.h"

enum { TICK_MS = 250, MISS_MAX = 8, BACKLOG = 128 };

struct pair pair;

struct options {
	const char *actors[TREE_ACTORS];
	int n_actors, timeout_s, force;
	const char *ctl, *ctl_dir;
	int adopt[5]; /* table, arena, lock, listen, notify of a pair that is dead */
	int n_adopt;
	uint32_t tick_ms, flags;
};

uint64_t pair_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t pair_wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pair_say(const char *text, const char *more, long number)
{
	char line[512];
	int len = snprintf(line, sizeof line, "warn lops-init[%d]: %.200s%.200s %ld\n",
			   (int)getpid(), text, more, number);

	if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}

void pair_ring(int slot)
{
	uint64_t one = 1;

	if (slot >= 0)
		atomic_fetch_or(&pair.table->dirty[slot / 64], UINT64_C(1) << (slot % 64));
	MARK(19);
	if (write(pair.bell_fd, &one, sizeof one) < 0)
		return;
}

#ifdef LOPS_MARKS
void pair_mark(uint32_t n)
{
	uint32_t wanted = atomic_load(&pair.table->mark);

	if (wanted % 100 != n || !wanted ||
	    !atomic_compare_exchange_strong(&pair.table->mark, &wanted, 0))
		return;
	kill(getpid(), wanted >= 100 ? SIGSTOP : SIGKILL);
	while (wanted < 100)
		pause();
}
#endif

static _Noreturn void die(int status, const char *what, const char *more)
{
	fprintf(stderr, "lops-init: %s%s%s\n", what, more ? ": " : "", more ? more : "");
	exit(status);
}

static int path_in(char *buffer, size_t size, const char *dir, const char *name)
{
	int len = snprintf(buffer, size, "%s/%s", dir, name);

	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

/* A folder that is ours alone. */
static void check_folder(const char *dir)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		die(1, dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		die(1, dir, "is not a folder (a symbolic link is not followed)");
	if (st.st_uid != geteuid())
		die(9, dir, "belongs to another user");
	if (st.st_mode & 022)
		die(9, dir, "can be written by others; chmod go-w it");
}

static void take_lock(void)
{
	char path[4096], text[32] = "";
	int len;

	if (path_in(path, sizeof path, pair.state_dir, "lock") < 0)
		die(1, pair.state_dir, "name too long");
	pair.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (pair.lock_fd < 0)
		die(1, path, strerror(errno));
	if (flock(pair.lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (read(pair.lock_fd, text, sizeof text - 1) < 0)
			text[0] = 0;
		fprintf(stderr, "lops-init: another set has this state folder, pid %s",
			text[0] ? text : "unknown\n");
		exit(6);
	}
	len = snprintf(text, sizeof text, "%d\n", (int)getpid());
	if (ftruncate(pair.lock_fd, 0) < 0 || pwrite(pair.lock_fd, text, (size_t)len, 0) < 0)
		die(1, path, strerror(errno));
}

static int bind_socket(const char *name, int type)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || path_in(a.sun_path, sizeof a.sun_path, pair.run_dir, name) < 0)
		die(1, name,
		    fd < 0 ? strerror(errno) : "the run folder's name is too long for a socket");
	unlink(a.sun_path); /* we hold the lock: it is a dead set's */
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die(1, a.sun_path, strerror(errno));
	return fd;
}

static void make_notify_socket(void)
{
	int on = 1;

	pair.notify_fd = bind_socket("notify.sock", SOCK_DGRAM);
	setsockopt(pair.notify_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

/* What the set's own actors know each other by. Made before the first of them starts, for one that
 * is quicker than the broker would have none to show. */
static void make_cookie(void)
{
	uint8_t cookie[32];
	char path[4096], draft[4096];
	int fd;

	if (path_in(path, sizeof path, pair.run_dir, "cookie") < 0 ||
	    path_in(draft, sizeof draft, pair.run_dir, "cookie.new") < 0)
		die(1, pair.run_dir, "name too long");
	if (access(path, F_OK) == 0)
		return;
	unlink(draft);
	fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || getrandom(cookie, sizeof cookie, 0) != sizeof cookie ||
	    write(fd, cookie, sizeof cookie) != sizeof cookie || rename(draft, path) < 0)
		die(1, path, strerror(errno));
	close(fd);
}

static void *map(int fd, size_t size, int protection)
{
	void *at = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		die(1, "mmap", strerror(errno));
	return at;
}

static int make_memory(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		die(1, name, strerror(errno));
	return fd;
}

static void fill_table(const struct options *o, uint64_t base_nofile)
{
	struct tree_table *t = pair.table;

	t->magic = TREE_MAGIC;
	t->version = TREE_VERSION;
	t->size = sizeof *t;
	t->tick_ms = o->tick_ms ? o->tick_ms : TICK_MS;
	t->miss_max = MISS_MAX;
	t->base_nofile = base_nofile;
	t->max_starts_per_second = 100;
	atomic_store(&t->flags, o->flags);
	boot_read_id(t->boot_id);
	for (int i = 0; i < o->n_actors; i++) {
		snprintf(t->actors[i].name, sizeof t->actors[i].name, "%s", o->actors[i]);
		t->actors[i].slot.pidfd = t->actors[i].slot.order = -1;
	}
	atomic_store(&t->n_actors, o->n_actors);
}

static void adopt(void)
{
	struct tree_table *t = pair.table;

	if (t->magic != TREE_MAGIC || t->version != TREE_VERSION || t->size != sizeof *t)
		die(1, "the table to adopt is not one of this version", NULL);
	atomic_store(&t->verdict, 0);
	atomic_store(&t->ready, 0);
	for (int k = 0; k < TREE_MEMBERS; k++) {
		atomic_store(&t->members[k].state, TREE_MEMBER_FREE);
		atomic_store(&t->members[k].pid, 0);
	}
	for (int i = 0; i < atomic_load(&t->high); i++)
		adopt_slot(&t->slots[i]);
	for (int i = 0; i < atomic_load(&t->n_actors); i++)
		adopt_slot(&t->actors[i].slot);
	adopt_streams();
}

static int at_high_place(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, 16);

	if (moved < 0)
		die(1, "descriptors", strerror(errno));
	close(fd);
	return moved;
}

/* Nothing of ours may lie at 3, 4 or 5, where children find their stdio. */
static void keep_places(void)
{
	int *fds[] = {&pair.table_fd,  &pair.arena_fd, &pair.lock_fd, &pair.listen_fd,
		      &pair.notify_fd, &pair.bell_fd,  &pair.null_fd};

	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		*fds[i] = at_high_place(*fds[i]);
	for (int i = 0; i < 3; i++)
		dup3(pair.null_fd, PAIR_SPAWN_FD + i, O_CLOEXEC);
}

static void open_all(const struct options *o, uint64_t base_nofile)
{
	pair.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	pair.bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pair.null_fd < 0 || pair.bell_fd < 0)
		die(1, "/dev/null", strerror(errno));
	if (o->n_adopt == 5) {
		pair.table_fd = o->adopt[0];
		pair.arena_fd = o->adopt[1];
		pair.lock_fd = o->adopt[2];
		pair.listen_fd = o->adopt[3];
		pair.notify_fd = o->adopt[4];
	} else {
		take_lock();
		pair.table_fd = make_memory("lops-table", sizeof *pair.table);
		pair.arena_fd = make_memory("lops-arena", TREE_ARENA_BYTES);
		pair.listen_fd = bind_socket("init.sock", SOCK_SEQPACKET);
		if (listen(pair.listen_fd, BACKLOG) < 0)
			die(1, "init.sock", strerror(errno));
		make_notify_socket();
		make_cookie();
	}
	keep_places();
	pair.table = map(pair.table_fd, sizeof *pair.table, PROT_READ | PROT_WRITE);
	pair.arena = map(pair.arena_fd, TREE_ARENA_BYTES, PROT_READ);
	if (o->n_adopt == 5)
		adopt();
	else
		fill_table(o, base_nofile);
}

static uint64_t prepare_process(void)
{
	struct rlimit files = {0};
	uint64_t base;

	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			exit(1);
	getrlimit(RLIMIT_NOFILE, &files);
	base = files.rlim_cur;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	setsid();
	umask(0077);
	if (!getenv("LOPS_DEBUG"))
		prctl(PR_SET_DUMPABLE, 0);
	sigemptyset(&pair.signals);
	for (int s = 1; s < 32; s++)
		if (s == SIGCHLD || s == SIGHUP || s == SIGUSR1 || s == SIGUSR2 || s == SIGTERM ||
		    s == SIGINT)
			sigaddset(&pair.signals, s);
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	return base;
}

static void first_member(void)
{
	struct tree_member *m = &pair.table->members[0];

	pair.me = 0;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	atomic_store(&m->pid, getpid());
	atomic_store(&m->upper, -1);
	atomic_store(&m->beat, 0);
	atomic_store(&m->state, TREE_MEMBER_ACTIVE);
}

static int usage(FILE *out, int status)
{
	fputs("usage: lops-init --run-dir DIR --state-dir DIR --libexec DIR --actor NAME...\n"
	      "       lops-init --status|--wait-ready|--shutdown|--keep|--resume RUN_DIR "
	      "[--timeout S] [--force]\n"
	      "The parent of a lops set; lops-launch starts it.\n",
	      out);
	return status;
}

static const char *next_argument(char **argv, int *at)
{
	if (!argv[*at + 1])
		exit(usage(stderr, 2));
	return argv[++*at];
}

static void parse_adopt(struct options *o, const char *text)
{
	char *end;

	for (o->n_adopt = 0; o->n_adopt < 5; o->n_adopt++) {
		o->adopt[o->n_adopt] = (int)strtol(text, &end, 10);
		if (end == text)
			exit(usage(stderr, 2));
		text = *end ? end + 1 : end;
	}
}

static struct options parse(char **argv)
{
	struct options o = {.timeout_s = 30};

	for (int i = 1; argv[i]; i++) {
		const char *a = argv[i];

		if (strcmp(a, "--run-dir") == 0)
			pair.run_dir = next_argument(argv, &i);
		else if (strcmp(a, "--state-dir") == 0)
			pair.state_dir = next_argument(argv, &i);
		else if (strcmp(a, "--libexec") == 0)
			pair.libexec = next_argument(argv, &i);
		else if (strcmp(a, "--actor") == 0 && o.n_actors < TREE_ACTORS)
			o.actors[o.n_actors++] = next_argument(argv, &i);
		else if (strcmp(a, "--adopt") == 0)
			parse_adopt(&o, next_argument(argv, &i));
		else if (strcmp(a, "--timeout") == 0)
			o.timeout_s = atoi(next_argument(argv, &i));
		else if (strcmp(a, "--force") == 0)
			o.force = 1;
		else if (strcmp(a, "--tick-ms") == 0)
			o.tick_ms = (uint32_t)atoi(next_argument(argv, &i));
		else if (strcmp(a, "--flags") == 0)
			o.flags = (uint32_t)atoi(next_argument(argv, &i));
		else if (strcmp(a, "--help") == 0)
			exit(usage(stdout, 0));
		else if (strcmp(a, "--version") == 0)
			exit(printf("lops-init %s\n", LOPS_VERSION) < 0);
		else if (strncmp(a, "--", 2) == 0 && !o.ctl) {
			o.ctl = a;
			o.ctl_dir = next_argument(argv, &i);
		} else
			exit(usage(stderr, 2));
	}
	return o;
}

int main(int argc, char **argv)
{
	struct options o = parse(argv);
	enum pair_next next = PAIR_WORK;
	uint64_t base_nofile;

	if (o.ctl) {
		int status = ctl_run(o.ctl, o.ctl_dir, o.timeout_s, o.force);

		return status == 2 ? usage(stderr, 2) : status;
	}
	if (argc < 2 || !pair.run_dir || !pair.state_dir || !pair.libexec)
		return usage(stderr, 2);
	if (o.n_adopt != 5) /* the caller's: a pipe held here would never end for its reader */
		syscall(SYS_close_range, 3u, ~0u, 0);
	base_nofile = prepare_process();
	check_folder(pair.run_dir);
	check_folder(pair.state_dir);
	setenv("LOPS_RUN_DIR", pair.run_dir, 1);
	setenv("LOPS_STATE_DIR", pair.state_dir, 1);
	pair.environment = environ;
	open_all(&o, base_nofile);
	first_member();
	for (;;) {
		if (next == PAIR_WORK)
			next = worker_run();
		else if (next == PAIR_GUARD)
			next = guardian_run();
		else
			return 0;
	}
}
