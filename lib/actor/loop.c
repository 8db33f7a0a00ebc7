/*
 * The real host of an actor: one epoll loop over the DEALER socket, the actor's own ports, signals
 * and the timers' next due time. ZeroMQ's descriptor is edge-like, so the socket is drained before
 * every wait; a socket that used up its share makes the next wait return at once.
 */
#include "lib/actor/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include "lib/actor/beat.h"
#include "lib/actor/core.h"

enum { DRAIN_BUDGET = 256, BEAT_MS = 1000, PING_MS = 5000, EVENTS = 64 };

struct port {
	struct port *next;
	actor_port_fn *fn;
	void *arg;
	int fd;
	bool removed; /* freed after the turn: an event of this turn may still name it */
};

struct loop {
	struct actor actor;
	struct beat beat;
	void *context, *socket, *monitor;
	struct port *ports;
	int epoll, signals, status;
	bool ended;
	uint64_t next_beat_ms, next_ping_ms;
	uint64_t trimmed_at; /* events handled when memory was last given back */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t host_now(void *arg)
{
	(void)arg;
	return clock_ns(CLOCK_BOOTTIME);
}

static uint64_t host_wall(void *arg)
{
	(void)arg;
	return clock_ns(CLOCK_REALTIME);
}

static uint64_t host_random(void *arg)
{
	uint64_t v = 0;

	(void)arg;
	while (getrandom(&v, sizeof v, 0) != sizeof v)
		;
	return v;
}

static void host_send(void *arg, const void *packet, size_t len)
{
	struct loop *l = arg;

	while (zmq_send(l->socket, packet, len, ZMQ_DONTWAIT) < 0 && errno == EINTR)
		;
	/* EAGAIN: not connected. The hello after the reconnect sends again what matters. */
}

static void host_log(void *arg, enum actor_level level, const char *text)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	const struct loop *l = arg;
	uint64_t wall = clock_ns(CLOCK_REALTIME);
	time_t seconds = (time_t)(wall / 1000000000u);
	struct tm tm;
	char when[32], line[2304];
	int len;

	gmtime_r(&seconds, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	len = snprintf(line, sizeof line, "%s.%03uZ %s %s[%d]: %s\n", when,
		       (unsigned)(wall / 1000000u % 1000u), names[level], l->actor.spec->name,
		       (int)getpid(), text);
	if (len > 0 && write(STDERR_FILENO, line,
			     (size_t)len < sizeof line ? (size_t)len : sizeof line - 1) < 0)
		return;
}

static void host_exit(void *arg, int status)
{
	struct loop *l = arg;

	l->ended = true;
	l->status = status;
}

static struct port *port_of(struct loop *l, int fd)
{
	for (struct port *p = l->ports; p; p = p->next)
		if (p->fd == fd && !p->removed)
			return p;
	return NULL;
}

static int host_port_add(void *arg, int fd, uint32_t events, actor_port_fn *fn, void *port_arg)
{
	struct loop *l = arg;
	struct port *p = calloc(1, sizeof *p);
	struct epoll_event e = {.events = events, .data.ptr = p};

	if (!p)
		return -ENOMEM;
	*p = (struct port){.next = l->ports, .fn = fn, .arg = port_arg, .fd = fd};
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0) {
		int err = -errno;

		free(p);
		return err;
	}
	l->ports = p;
	return 0;
}

static int host_port_change(void *arg, int fd, uint32_t events)
{
	struct loop *l = arg;
	struct port *p = port_of(l, fd);
	struct epoll_event e = {.events = events, .data.ptr = p};

	return p && epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &e) == 0 ? 0 : -ENOENT;
}

static void host_port_remove(void *arg, int fd)
{
	struct loop *l = arg;
	struct port *p = port_of(l, fd);

	if (!p)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
	p->removed = true;
}

static void ports_sweep(struct loop *l)
{
	for (struct port **at = &l->ports; *at;) {
		struct port *p = *at;

		if (p->removed) {
			*at = p->next;
			free(p);
		} else {
			at = &p->next;
		}
	}
}

/* --- the socket --- */

static void read_cookie(const char *run_dir, uint8_t cookie[DOOR_COOKIE_BYTES])
{
	char path[4096];
	int fd;

	memset(cookie, 0, DOOR_COOKIE_BYTES);
	snprintf(path, sizeof path, "%s/cookie", run_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (read(fd, cookie, DOOR_COOKIE_BYTES) != DOOR_COOKIE_BYTES)
		memset(cookie, 0, DOOR_COOKIE_BYTES);
	close(fd);
}

static void set_option(void *socket, int option, int value)
{
	zmq_setsockopt(socket, option, &value, sizeof value);
}

static int socket_open(struct loop *l, const char *run_dir)
{
	static const char watch[] = "inproc://bus-monitor";
	char endpoint[4200];

	snprintf(endpoint, sizeof endpoint, "ipc://%s/bus", run_dir);
	l->context = zmq_ctx_new();
	l->socket = l->context ? zmq_socket(l->context, ZMQ_DEALER) : NULL;
	l->monitor = l->context ? zmq_socket(l->context, ZMQ_PAIR) : NULL;
	if (!l->socket || !l->monitor)
		return -ENOMEM;
	set_option(l->socket, ZMQ_LINGER, 200);
	set_option(l->socket, ZMQ_IMMEDIATE, 1);
	set_option(l->socket, ZMQ_SNDHWM, 0); /* bounded by the outbox */
	set_option(l->socket, ZMQ_RCVHWM, 0); /* bounded by credit */
	set_option(l->socket, ZMQ_RECONNECT_IVL, 20);
	set_option(l->socket, ZMQ_RECONNECT_IVL_MAX, 500);
	set_option(l->socket, ZMQ_HANDSHAKE_IVL, 2000);
	zmq_setsockopt(l->socket, ZMQ_MAXMSGSIZE, &(int64_t){MSG_FRAME_MAX + 1024},
		       sizeof(int64_t));
	set_option(l->monitor, ZMQ_LINGER, 0);
	if (zmq_socket_monitor(l->socket, watch,
			       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) < 0 ||
	    zmq_connect(l->monitor, watch) < 0 || zmq_connect(l->socket, endpoint) < 0)
		return -errno;
	return 0;
}

/* One event of the monitor; false: none is waiting. */
static bool take_monitor(struct loop *l)
{
	zmq_msg_t m;
	uint16_t what;
	bool got;

	zmq_msg_init(&m);
	got = zmq_msg_recv(&m, l->monitor, ZMQ_DONTWAIT) >= 0;
	if (got && zmq_msg_size(&m) >= sizeof what) {
		memcpy(&what, zmq_msg_data(&m), sizeof what);
		if (what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
			actor_connected(&l->actor);
		else if (what == ZMQ_EVENT_DISCONNECTED)
			actor_disconnected(&l->actor);
		while (zmq_msg_more(&m) && zmq_msg_recv(&m, l->monitor, ZMQ_DONTWAIT) >= 0)
			;
	}
	zmq_msg_close(&m);
	return got;
}

static bool take_packet(struct loop *l)
{
	zmq_msg_t m;
	bool got;

	zmq_msg_init(&m);
	got = zmq_msg_recv(&m, l->socket, ZMQ_DONTWAIT) >= 0;
	if (got)
		actor_receive(&l->actor, zmq_msg_data(&m), zmq_msg_size(&m));
	zmq_msg_close(&m);
	return got;
}

/* true: more may be waiting. */
static bool drain(struct loop *l)
{
	int n = 0;

	while (!l->ended && take_monitor(l))
		;
	while (!l->ended && n < DRAIN_BUDGET && take_packet(l))
		n++;
	return n == DRAIN_BUDGET;
}

static bool is_waiting(void *socket)
{
	int events = 0;
	size_t size = sizeof events;

	return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

/* --- signals --- */

static void reopen_log(void)
{
	const char *path = getenv("LOPS_LOG");
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)
		      : -1;

	if (fd >= 0) {
		dup2(fd, STDERR_FILENO);
		close(fd);
	}
}

static void reopen_logs(struct loop *l)
{
	reopen_log();
	if (l->actor.spec->reopen)
		l->actor.spec->reopen(&l->actor);
}

static void take_signals(struct loop *l)
{
	struct signalfd_siginfo s;

	while (read(l->signals, &s, sizeof s) == sizeof s) {
		if (s.ssi_signo == SIGUSR1)
			reopen_logs(l);
		else if (s.ssi_signo == SIGUSR2)
			l->actor.tracing = !l->actor.tracing;
		else if (l->actor.spec->signalled)
			l->actor.spec->signalled(&l->actor, (int)s.ssi_signo);
		else if (s.ssi_signo != SIGHUP)
			host_exit(l, 0);
	}
}

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* --- the loop --- */

static void prepare_process(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (!getenv("LOPS_DEBUG")) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		prctl(PR_SET_DUMPABLE, 0);
	}
}

static int loop_open(struct loop *l, const struct actor_spec *spec, const char *run_dir,
		     const char *state_dir)
{
	struct actor_host host = {.arg = l,
				  .now_ns = host_now,
				  .wall_ns = host_wall,
				  .random = host_random,
				  .send = host_send,
				  .log = host_log,
				  .exit = host_exit,
				  .port_add = host_port_add,
				  .port_change = host_port_change,
				  .port_remove = host_port_remove,
				  .run_dir = run_dir,
				  .state_dir = state_dir,
				  .is_real = true};
	uint8_t cookie[DOOR_COOKIE_BYTES];
	int err;

	l->beat = (struct beat){.run_dir = run_dir, .name = spec->name, .fd = -1};
	l->signals = signals_open();
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0 || l->signals < 0)
		return -errno;
	read_cookie(run_dir, cookie);
	err = actor_init(&l->actor, spec, &host, clock_ns(CLOCK_REALTIME), cookie);
	if (err)
		return err;
	l->actor.tracing = getenv("LOPS_TRACE") != NULL;
	err = socket_open(l, run_dir);
	return !err && spec->open ? spec->open(&l->actor) : err;
}

static int watch_zmq(struct loop *l, void *socket)
{
	int fd = -1;
	size_t size = sizeof fd;
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};

	if (zmq_getsockopt(socket, ZMQ_FD, &fd, &size) < 0)
		return -errno;
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static void every_second(struct loop *l)
{
	uint64_t now = actor_now_ms(&l->actor);

	if (now >= l->next_beat_ms) {
		beat_send(&l->beat, l->actor.ready_said);
		l->next_beat_ms = now + BEAT_MS;
	}
	if (now >= l->next_ping_ms && l->actor.bus_up) {
		bus_client_ping(&l->actor.bus, now);
		l->next_ping_ms = now + PING_MS;
		/* After a burst: what it needed goes back to the system. */
		if (l->actor.handled != l->trimmed_at)
			malloc_trim(0);
		l->trimmed_at = l->actor.handled;
	}
}

static int wait_ms(struct loop *l, bool more)
{
	uint64_t now = actor_now_ms(&l->actor), due = actor_next_timer_ms(&l->actor);

	if (more || is_waiting(l->socket) || is_waiting(l->monitor))
		return 0;
	if (due > l->next_beat_ms)
		due = l->next_beat_ms;
	return due <= now ? 0 : (int)(due - now);
}

static void turn(struct loop *l)
{
	struct epoll_event events[EVENTS];
	bool more = drain(l), was_ready = l->actor.ready_said;
	int n;

	actor_run_timers(&l->actor);
	every_second(l);
	actor_flush(&l->actor);
	if (l->ended)
		return;
	n = epoll_wait(l->epoll, events, EVENTS, wait_ms(l, more));
	actor_turn(&l->actor);
	for (int i = 0; i < n && !l->ended; i++) {
		struct port *p = events[i].data.ptr;

		if (p == (struct port *)l)
			take_signals(l);
		else if (p && !p->removed)
			p->fn(&l->actor, p->fd, events[i].events, p->arg);
	}
	ports_sweep(l);
	drain(l);
	actor_flush(&l->actor);
	if (l->actor.ready_said != was_ready)
		l->next_beat_ms = 0;
}

static void say_started(struct loop *l)
{
	struct actor_started s = {
		.actor = l->actor.spec->name, .pid = getpid(), .version = LOPS_VERSION};

	publish_actor_started(&l->actor, &(struct publish){.root = true, .uid = MSG_UID_NONE}, &s);
}

int loop_run(const struct actor_spec *spec, const char *run_dir, const char *state_dir)
{
	struct loop *l = calloc(1, sizeof *l);
	int err;

	if (!l)
		return 1;
	prepare_process();
	err = loop_open(l, spec, run_dir, state_dir);
	if (!err)
		err = watch_zmq(l, l->socket);
	if (!err)
		err = watch_zmq(l, l->monitor);
	if (!err && epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->signals,
			      &(struct epoll_event){.events = EPOLLIN, .data.ptr = l}) < 0)
		err = -errno;
	if (err) {
		fprintf(stderr, "lops-%s: cannot start: %s\n", spec->name, strerror(-err));
		return 1;
	}
	actor_turn(&l->actor);
	say_started(l);
	while (!l->ended)
		turn(l);
	actor_flush(&l->actor);
	beat_done(&l->beat);
	zmq_close(l->monitor);
	zmq_close(l->socket);
	zmq_ctx_term(l->context);
	actor_done(&l->actor);
	while (l->ports) {
		l->ports->removed = true;
		ports_sweep(l);
	}
	close(l->epoll);
	close(l->signals);
	err = l->status;
	free(l);
	return err;
}
