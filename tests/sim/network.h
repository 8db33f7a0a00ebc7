/*
 * The connections between the actors and the broker's core: in order while they last, slow at
 * times, lost with a death or a reset. Across connections nothing has an order.
 */
#ifndef LOPS_SIM_NETWORK_H
#define LOPS_SIM_NETWORK_H

#include "tests/sim/world.h"

void network_begin(void);
void network_end(void);
void network_broker_up(void);
void network_broker_down(void);
void network_attach(enum part p); /* an actor lives */
void network_detach(enum part p);
void network_send_up(enum part p, const void *packet, size_t len);
void network_reset(enum part p);
void network_slow(enum part p, uint64_t until_ns);
uint64_t network_next_ns(void);
void network_run(void);

#endif
