/*
 * lops-sim: hours of a set in seconds. Commands, exits, and the death of any part at any step; then
 * the invariants of oracle.h. One line says what was done.
 *
 *   lops-sim [--hours N] [--seed S] [--seeds K] [--faults 0|1]
 *
 * The same seed gives the same run: its trace's hash is printed. LOPS_SIM_TRACE=1 prints the trace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/clients.h"
#include "tests/sim/journal_model.h"
#include "tests/sim/kernel.h"
#include "tests/sim/network.h"
#include "tests/sim/observer.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"
#include "tests/sim/wrap.h"

/* A part that dies leaves what it held, as its process would to the kernel. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

enum { REST_EVERY_S = 900, REST_WITHIN_S = 240, FUSE_STEPS = 60 };

static bool with_faults = true;
static uint64_t next_fault_ns, up_ns;

/* --- faults --- */

static void power_cut(void)
{
	trace("the power is cut");
	parts_end();
	pair_die(true, true);
	pair_end();
	wire_open(false);
	kernel_power_cut();
	journal_model_power_cut();
	world.boots++;
	oracle_power_cut();
	up_ns = world.now_ns + SIM_SECOND;
}

/* Every process of the set dies; the programs do not. */
static void set_dies(void)
{
	trace("the whole set dies");
	oracle_nobody_watched(false);
	for (int p = PART_BROKER; p <= PART_OBSERVER; p++)
		if (part_lives((enum part)p)) {
			world.fuse[p] = 1;
			part_step((enum part)p);
		}
	parts_bury();
	pair_die(true, true);
	pair_end();
	wire_open(false);
	up_ns = world.now_ns + chance(10 * SIM_SECOND);
}

/* Without the pair and without one who holds its table and can act, nothing goes on by itself: a
 * person brings the set up again. */
static void watch_set(void)
{
	if (up_ns == SIM_NEVER && !pair_lives() && !parts_can_rescue())
		set_dies();
}

static void hang(enum part p)
{
	if (part_lives(p))
		part_hang(p, true);
}

static const struct {
	enum fault fault;
	unsigned weight;
} faults[] = {{FAULT_CRASH, 60}, {FAULT_HANG, 3}, {FAULT_RESET, 14}, {FAULT_DELAY, 12},
	      {FAULT_PAIR, 3},   {FAULT_SET, 1},  {FAULT_POWER, 2},  {FAULT_CLOCK, 5}};

static enum fault some_fault(void)
{
	uint64_t x = chance(100);
	size_t i = 0;

	while (x >= faults[i].weight)
		x -= faults[i++].weight;
	return faults[i].fault;
}

static void inject(void)
{
	enum fault f = some_fault();
	enum part p = (enum part)(PART_MANAGER + chance(3)); /* one with a connection */

	if (up_ns != SIM_NEVER)
		return; /* the set is down */
	world.faults[f]++;
	switch (f) {
	case FAULT_CRASH:
		/* At the n-th step from now, wherever that is. */
		world.fuse[chance(PARTS)] = 1 + chance(FUSE_STEPS);
		break;
	case FAULT_HANG:
		hang((enum part)chance(PARTS_OF_INIT));
		break;
	case FAULT_RESET:
		network_reset(p);
		break;
	case FAULT_DELAY:
		network_slow(p, world.now_ns + chance(5 * SIM_SECOND));
		break;
	case FAULT_PAIR:
		pair_die(true, true);
		break;
	case FAULT_SET:
		set_dies();
		break;
	case FAULT_POWER:
		power_cut();
		break;
	case FAULT_CLOCK:
		/* Forwards only: numbers of instances come from it. */
		world.wall_offset_ns += (int64_t)chance(3600 * SIM_SECOND);
		break;
	default:
		break;
	}
}

static void plan_fault(void)
{
	next_fault_ns = world.now_ns + (one_in(3)   ? chance(20 * SIM_MS)
					: one_in(2) ? chance(2 * SIM_SECOND)
						    : chance(60 * SIM_SECOND));
}

/* --- steps --- */

static uint64_t pair_and_up_ns(void)
{
	uint64_t next = pair_next_ns();

	return up_ns < next ? up_ns : next;
}

static void run_pair_and_up(void)
{
	if (up_ns <= world.now_ns) {
		up_ns = SIM_NEVER;
		pair_boot(true);
		clients_bring_up();
		return;
	}
	pair_run();
}

static const struct {
	uint64_t (*next_ns)(void);
	void (*run)(void);
} sources[] = {{network_next_ns, network_run},    {kernel_next_ns, kernel_run},
	       {pair_and_up_ns, run_pair_and_up}, {parts_next_ns, parts_run},
	       {clients_next_ns, clients_run},    {journal_model_next_ns, journal_model_run}};
enum { SOURCES = sizeof sources / sizeof *sources };

/* One thing happens: any of those that are due, or else the clock goes on to the next. */
static void step(void)
{
	int due[SOURCES], n = 0;
	uint64_t next = SIM_NEVER;

	world.steps++;
	for (int i = 0; i < SOURCES; i++) {
		uint64_t at = sources[i].next_ns();

		if (at <= world.now_ns)
			due[n++] = i;
		next = at < next ? at : next;
	}
	if (n) {
		sources[due[chance((uint64_t)n)]].run();
		world.now_ns += 1000 + chance(30000);
	} else {
		world.now_ns = next < world.now_ns + SIM_SECOND ? next : world.now_ns + SIM_SECOND;
	}
	parts_bury();
	watch_set();
}

static void faults_cease(void)
{
	world.quiet = true;
	memset(world.fuse, 0, sizeof world.fuse);
}

static void settle(void)
{
	uint64_t until = world.now_ns + REST_WITHIN_S * SIM_SECOND, since = world.now_ns;

	faults_cease();
	/* Reached for a moment is not enough: what is on its way arrives within a second. */
	while (world.now_ns < until && !world.violations && world.now_ns < since + SIM_SECOND) {
		step();
		if (!rest_is_reached())
			since = world.now_ns;
	}
	if (!world.violations)
		rest_check();
	world.quiet = false;
}

/* --- a run --- */

static void begin(uint64_t seed)
{
	world = (struct world){.seed = seed, .random = seed, .now_ns = SIM_SECOND};
	trace_begin();
	oracle_begin();
	journal_model_begin();
	kernel_begin();
	fds_begin();
	wire_begin();
	network_begin();
	parts_begin();
	observer_begin();
	clients_begin();
	up_ns = SIM_NEVER;
	pair_boot(true);
	plan_fault();
}

static void end(void)
{
	parts_end();
	pair_close();
	network_end();
	wire_end();
	fds_end();
	kernel_end();
	clients_end();
	journal_model_end();
	oracle_end();
}

static void say_what_was_done(double hours)
{
	const uint64_t *c = world.crashes, *f = world.faults;

#define N(x) (unsigned long long)(x)
	printf("seed %llu: %.1f h, %llu steps, %llu commands (%llu asked again), %llu events, "
	       "%llu programs started, %llu ended; crashes: broker %llu, process-manager %llu, "
	       "coordinator %llu, observer %llu, worker %llu, guardian %llu; faults: hang %llu, "
	       "reset %llu, duplicate %llu, delay %llu, pair %llu, set %llu, power %llu, no fork "
	       "%llu, clock %llu; trace %016llx; %llu violations\n",
	       N(world.seed), hours, N(world.steps), N(world.commands), N(world.again),
	       N(journal_model_committed()), N(world.spawned), N(world.exits), N(c[PART_BROKER]),
	       N(c[PART_MANAGER]), N(c[PART_COORDINATOR]), N(c[PART_OBSERVER]), N(c[PART_WORKER]),
	       N(c[PART_GUARDIAN]), N(f[FAULT_HANG]), N(f[FAULT_RESET]), N(f[FAULT_DUPLICATE]),
	       N(f[FAULT_DELAY]), N(f[FAULT_PAIR]), N(f[FAULT_SET]), N(f[FAULT_POWER]),
	       N(f[FAULT_NO_FORK]), N(f[FAULT_CLOCK]), N(world.hash), N(world.violations));
#undef N
	fflush(stdout);
}

static uint64_t run(uint64_t seed, double hours)
{
	uint64_t until, next_rest;

	begin(seed);
	until = world.now_ns + (uint64_t)(hours * 3600e9);
	next_rest = world.now_ns + REST_EVERY_S * SIM_SECOND;
	while (world.now_ns < until && !world.violations) {
		if (with_faults && world.now_ns >= next_fault_ns) {
			inject();
			plan_fault();
		}
		step();
		if (world.now_ns >= next_rest) {
			settle();
			next_rest = world.now_ns + REST_EVERY_S * SIM_SECOND;
		}
	}
	if (!world.violations)
		settle();
	if (!world.violations)
		journal_model_check();
	say_what_was_done(hours);
	end();
	return world.violations;
}

/* In a process of its own: the product's statics are as new in each. */
static bool run_apart(uint64_t seed, double hours)
{
	pid_t pid = __real_fork();
	int status = 1;

	if (pid == 0)
		exit(run(seed, hours) != 0);
	if (pid < 0 || __real_waitpid(pid, &status, 0) < 0 || WIFSIGNALED(status))
		printf("seed %llu: the run ended with %x\n", (unsigned long long)seed,
		       (unsigned)status);
	return status == 0;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, seeds = 1, bad = 0;
	double hours = 1;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--hours") == 0)
			hours = strtod(argv[i + 1], NULL);
		else if (strcmp(argv[i], "--faults") == 0)
			with_faults = strcmp(argv[i + 1], "0") != 0;
		else
			return 2;
	}
	for (uint64_t k = 0; k < seeds; k++)
		bad += !run_apart(seed + k, hours);
	printf("%llu of %llu runs with violations\n", (unsigned long long)bad,
	       (unsigned long long)seeds);
	return bad != 0;
}
