/*
 * A subscriber to everything, through a cursor of its own: it must see each event of the journal in
 * order, or be told of the gap (I7).
 */
#ifndef LOPS_SIM_OBSERVER_H
#define LOPS_SIM_OBSERVER_H

#include "lib/actor/actor.h"

extern const struct actor_spec observer_spec;
void observer_begin(void);
void observer_fell_back(uint64_t head); /* after a power cut */
uint64_t observer_seen(void);           /* everything up to here */

#endif
