/*
 * Clients of the API door, some of them impatient: they hang up and ask again with the same id, or
 * ask twice at once. In the place of the coordinator's api_door.c.
 */
#ifndef LOPS_SIM_CLIENTS_H
#define LOPS_SIM_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

void clients_begin(void);
void clients_end(void);
void clients_lost(void);     /* the coordinator died: every connection is gone */
void clients_bring_up(void); /* as `up` does, once the coordinator serves */
bool clients_rest(void);     /* every request is answered */
void clients_check(void);
void clients_check_survivors(void); /* after a power cut: what was answered is still commanded */
uint64_t clients_next_ns(void);
void clients_run(void);

#endif
