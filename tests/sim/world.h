/*
 * The simulated world: one clock, one source of chance, one trace. Everything that happens in a run
 * follows from its seed.
 *
 * Real: the broker's core, the process-manager whole but for ports.c, the coordinator whole but for
 * its socket, the runtime of actors, lops-init's worker, door, spawn, reap and slots. Modelled: the
 * kernel (processes, descriptors, /proc), the connections, the journal's storage, the pair's watch,
 * programs and clients.
 */
#ifndef LOPS_SIM_WORLD_H
#define LOPS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_MS     UINT64_C(1000000)
#define SIM_SECOND UINT64_C(1000000000)
#define SIM_NEVER  UINT64_MAX

/* Who can die. The first three are children of lops-init, which starts them again. */
enum part {
	PART_BROKER,
	PART_MANAGER,
	PART_COORDINATOR,
	PART_OBSERVER,
	PART_WORKER,
	PART_GUARDIAN,
	PARTS,
};
enum { PARTS_OF_INIT = 3 };

enum fault {
	FAULT_CRASH,     /* at any step of a part */
	FAULT_HANG,      /* a part stands still until it is woken or killed */
	FAULT_RESET,     /* a connection to the broker, with what is on it */
	FAULT_DUPLICATE, /* a packet comes twice */
	FAULT_DELAY,     /* a connection is slow for a while */
	FAULT_PAIR,      /* both members of lops-init at once */
	FAULT_SET,       /* all of the set's processes at once; the programs live on */
	FAULT_POWER,     /* everything, and what was not on the disk */
	FAULT_NO_FORK,   /* clone fails for want of resources */
	FAULT_CLOCK,     /* the wall clock jumps */
	FAULTS,
};

struct world {
	uint64_t now_ns, random, seed, steps, violations, hash;
	int64_t wall_offset_ns;
	uint64_t boots;       /* power cuts so far */
	bool quiet;           /* no new faults */
	uint64_t fuse[PARTS]; /* steps until the part dies, 0: it is not to */
	uint64_t crashes[PARTS], faults[FAULTS];
	uint64_t commands, answers, again, spawned, exits, signals;
};
extern struct world world;

uint64_t world_wall_ns(void);

/* --- chance.c: numbers, the trace, and what is wrong --- */
uint64_t chance(uint64_t below); /* 0 ... below - 1 */
bool one_in(uint64_t n);
void trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void trace_begin(void);
/* invariant: "I6 ...". The first violation ends the run. */
void violated(const char *invariant, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- parts.c: life and death --- */
void parts_begin(void);
void parts_end(void);
bool part_lives(enum part p);
int32_t part_pid(enum part p);
const char *part_name(enum part p);
/* One step of the part, before an effect. True: it is dead, and the effect does not happen. */
bool part_step(enum part p);
/* Its process runs; it acts after boot_ns. */
void part_born(enum part p, int32_t pid, uint64_t boot_ns);
void part_killed(enum part p); /* by the kernel: what it was doing ends here */
void part_hang(enum part p, bool hang);
bool part_hangs(enum part p);
void parts_bury(void);                 /* frees those that died; between steps only */
struct actor *part_actor(enum part p); /* NULL: not alive, or no actor */
bool part_is_ready(enum part p);
bool parts_can_rescue(void); /* the process-manager acts and holds lops-init's table */
uint64_t parts_next_ns(void);
void parts_run(void); /* births, timers */

#endif
