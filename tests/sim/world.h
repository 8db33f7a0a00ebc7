/*
 * The simulated world: one clock, one source of chance, a kernel with processes and lops-init's
 * real table, a broker's real core over a modelled journal, the real process-manager and a client.
 * All in one process; the same seed gives the same run.
 */
#ifndef LOPS_SIM_WORLD_H
#define LOPS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/actor/core.h"
#include "msgs/tree.h"

struct world {
	uint64_t now_ns, seed, steps, violations;
	uint64_t spawned, exits, commands, finished, crashes[4];
	bool quiet; /* no new faults and commands */
};
extern struct world world;

enum crash { CRASH_BROKER, CRASH_MANAGER, CRASH_CLIENT, CRASH_INIT };

uint64_t chance(void); /* next random number */
bool one_in(uint64_t n);
void violated(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- kernel_model.c: processes, and lops-init between them and the process-manager --- */
struct tree_table *kernel_new(void);
void kernel_free(void);
extern const struct tree_os kernel_os;
void kernel_step(
	struct actor *manager); /* what is due: exits, pushes, sweeps; manager NULL: it is dead */
uint64_t kernel_next_ns(void);
void kernel_crash_init(void); /* one member dies; the other takes over */
/* How many main processes of a deployment live; *ret_instance of one of them. */
int kernel_living(const char *deployment, uint64_t *ret_instance);
void kernel_each_living(void (*fn)(void *arg, const char *deployment, uint64_t instance),
			void *arg);
uint64_t kernel_unconfirmed(void);

/* --- network.c: the connections of the two actors to the broker --- */
enum end { END_MANAGER, END_CLIENT, ENDS };
void network_begin(void);
void network_send_up(enum end e, const void *packet, size_t len); /* to the broker */
void network_reset(enum end e); /* what was on the way is lost; connected again after a while */
bool network_step(void);        /* one packet, or one reconnect; false: nothing to do */
void network_broker_start(void);
void network_broker_crash(void);
bool network_broker_lives(void);
struct actor *network_actor(enum end e);
void network_attach(enum end e, struct actor *a); /* NULL: it died */
void network_free(void);

#endif
