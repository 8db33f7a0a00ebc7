/*
 * The parts that speak on the bus: their birth as processes, their actors, and their death at any
 * step. One that died in the middle of a handler is let finish it, but nothing that it does any
 * more reaches anybody; then it is freed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "actors/process-manager/shell.h"
#include "lib/actor/core.h"
#include "tests/sim/clients.h"
#include "tests/sim/journal_model.h"
#include "tests/sim/kernel.h"
#include "tests/sim/network.h"
#include "tests/sim/observer.h"
#include "tests/sim/oracle.h"

extern const struct actor_spec actor_spec_main; /* the process-manager's */
extern const struct actor_spec coordinator_spec_main;

static struct state {
	bool lives, booted, hangs, ends;
	int32_t pid;
	int status;
	uint64_t boot_ns;
	struct actor actor;
} states[PARTS];

static const char *const names[PARTS] = {"broker",   "process-manager", "coordinator",
					 "observer", "worker",          "guardian"};

static bool is_actor(enum part p)
{
	return p == PART_MANAGER || p == PART_COORDINATOR || p == PART_OBSERVER;
}

bool part_lives(enum part p)
{
	return states[p].lives;
}

const char *part_name(enum part p)
{
	return names[p];
}

int32_t part_pid(enum part p)
{
	return states[p].pid;
}

bool part_hangs(enum part p)
{
	return states[p].hangs;
}

struct actor *part_actor(enum part p)
{
	struct state *s = &states[p];

	return is_actor(p) && s->lives && s->booted && !s->ends ? &s->actor : NULL;
}

bool part_is_ready(enum part p)
{
	return states[p].lives && states[p].booted && (!is_actor(p) || states[p].actor.ready_said);
}

bool parts_can_rescue(void)
{
	struct actor *a = part_actor(PART_MANAGER);

	return a && !part_hangs(PART_MANAGER) && shell_of(a)->table;
}

/* --- death --- */

void part_killed(enum part p)
{
	if (!states[p].lives)
		return;
	states[p].lives = states[p].hangs = false;
	world.fuse[p] = 0;
	trace("%s is gone", names[p]);
}

static void end_process(enum part p, int status)
{
	struct proc *k = kernel_proc(states[p].pid);

	if (p == PART_OBSERVER || !k)
		part_killed(p);
	else
		kernel_finish(k, status);
}

bool part_step(enum part p)
{
	if (!states[p].lives)
		return true;
	if (!world.fuse[p] || --world.fuse[p])
		return false;
	world.crashes[p]++;
	end_process(p, 9);
	return true;
}

void part_hang(enum part p, bool hang)
{
	if (states[p].lives && states[p].hangs != hang)
		trace("%s %s", names[p], hang ? "hangs" : "goes on");
	states[p].hangs = hang && states[p].lives;
}

/* After the actor is done with its timers. */
static void forget_shell(struct shell *s)
{
	wire_ports_forget();
	if (!s)
		return;
	if (s->table)
		munmap(s->table, sizeof *s->table);
	if (s->arena)
		munmap(s->arena, TREE_ARENA_BYTES);
	for (int i = 0; i < 5; i++)
		if (s->fds[i] >= 0 && s->fds[i] < SIM_FD)
			close(s->fds[i]);
	free(s->pieces);
	free(s);
}

static void bury(enum part p)
{
	struct state *s = &states[p];
	struct shell *shell;

	s->booted = s->ends = false;
	if (p == PART_BROKER) {
		network_broker_down();
		journal_model_broker_died();
		oracle_broker_died();
		return;
	}
	network_detach(p);
	if (p == PART_COORDINATOR)
		clients_lost();
	shell = p == PART_MANAGER ? shell_of(&s->actor) : NULL;
	actor_done(&s->actor);
	if (p == PART_MANAGER)
		forget_shell(shell);
}

void parts_bury(void)
{
	for (int p = 0; p < PARTS; p++) {
		if (states[p].ends && states[p].lives)
			end_process((enum part)p, states[p].status << 8);
		if (!states[p].lives && states[p].booted)
			bury((enum part)p);
	}
}

/* --- the host of an actor --- */

static enum part part_of(const void *arg)
{
	return (enum part)((const struct state *)arg - states);
}

static uint64_t host_now(void *arg)
{
	(void)arg;
	return world.now_ns;
}

static uint64_t host_wall(void *arg)
{
	(void)arg;
	return world_wall_ns();
}

static uint64_t host_random(void *arg)
{
	(void)arg;
	return chance(0);
}

static void host_send(void *arg, const void *packet, size_t len)
{
	network_send_up(part_of(arg), packet, len);
}

static void host_log(void *arg, enum actor_level level, const char *text)
{
	trace("%s says: %s", names[part_of(arg)], text);
	if (level == ACTOR_ERROR)
		oracle_error(part_of(arg), text);
}

static void host_exit(void *arg, int status)
{
	struct state *s = arg;

	s->ends = true;
	s->status = status;
}

static int host_port_add(void *arg, int fd, uint32_t events, actor_port_fn *fn, void *port_arg)
{
	(void)arg;
	(void)events;
	return wire_port_add(fd, fn, port_arg);
}

static int host_port_change(void *arg, int fd, uint32_t events)
{
	(void)arg;
	(void)fd;
	(void)events;
	return 0;
}

static void host_port_remove(void *arg, int fd)
{
	(void)arg;
	wire_port_remove(fd);
}

/* --- birth --- */

void part_born(enum part p, int32_t pid, uint64_t boot_ns)
{
	states[p].lives = true;
	states[p].hangs = states[p].ends = false;
	states[p].pid = pid;
	states[p].boot_ns = world.now_ns + boot_ns;
	if (kernel_proc(pid))
		snprintf(kernel_proc(pid)->id, TREE_NAME_BYTES, "%s", names[p]);
	trace("%s is born, pid %d", names[p], (int)pid);
}

static void boot_actor(enum part p)
{
	static const uint8_t cookie[DOOR_COOKIE_BYTES];
	const struct actor_spec *spec = p == PART_MANAGER       ? &actor_spec_main
					: p == PART_COORDINATOR ? &coordinator_spec_main
								: &observer_spec;
	struct state *s = &states[p];
	struct actor_host host = {.arg = s,
				  .now_ns = host_now,
				  .wall_ns = host_wall,
				  .random = host_random,
				  .send = host_send,
				  .log = host_log,
				  .exit = host_exit,
				  .port_add = host_port_add,
				  .port_change = host_port_change,
				  .port_remove = host_port_remove,
				  .run_dir = "/run/sim",
				  .state_dir = "/state/sim"};

	if (actor_init(&s->actor, spec, &host, world_wall_ns(), cookie) < 0 ||
	    (p == PART_MANAGER && spec->open(&s->actor) < 0))
		abort();
	network_attach(p);
}

static void boot(enum part p)
{
	struct state *s = &states[p];

	s->booted = true;
	if (p == PART_BROKER)
		network_broker_up();
	else
		boot_actor(p);
}

void parts_begin(void)
{
	memset(states, 0, sizeof states);
}

void parts_end(void)
{
	for (int p = 0; p < PARTS; p++) {
		states[p].lives = false;
		if (states[p].booted)
			bury((enum part)p);
	}
}

/* --- time --- */

static uint64_t timer_ns(enum part p)
{
	struct actor *a = part_actor(p);
	uint64_t due = a && !states[p].hangs ? actor_next_timer_ms(a) : UINT64_MAX;

	return due == UINT64_MAX ? SIM_NEVER : due * SIM_MS;
}

uint64_t parts_next_ns(void)
{
	uint64_t next = SIM_NEVER, at;

	for (int p = 0; p < PARTS; p++) {
		at = states[p].lives && !states[p].booted && !states[p].hangs
			     ? states[p].boot_ns
			     : timer_ns((enum part)p);
		next = at < next ? at : next;
	}
	at = part_actor(PART_MANAGER) && !states[PART_MANAGER].hangs ? wire_next_ns() : SIM_NEVER;
	return at < next ? at : next;
}

static bool run_part(enum part p)
{
	struct state *s = &states[p];
	struct actor *a = part_actor(p);

	if (s->hangs)
		return false;
	if (s->lives && !s->booted && s->boot_ns <= world.now_ns) {
		boot(p);
		return true;
	}
	if (!a)
		return false;
	if (p == PART_MANAGER && one_in(2) && wire_ports_run(a))
		return true;
	if (timer_ns(p) > world.now_ns)
		return p == PART_MANAGER && wire_ports_run(a);
	actor_turn(a);
	actor_run_timers(a);
	actor_flush(a);
	return true;
}

void parts_run(void)
{
	int first = (int)chance(4);

	if (!states[PART_OBSERVER].lives)
		part_born(PART_OBSERVER, 0, chance(SIM_SECOND));
	for (int k = 0; k < 4; k++)
		if (run_part((enum part)((first + k) % 4)))
			return;
}
