/*
 * Connections beyond what the descriptors allow; see the source. Defines accept4.
 */
#ifndef LOPS_BROKER_ACCEPT_H
#define LOPS_BROKER_ACCEPT_H

#include <stdint.h>

void accept_prepare(void); /* before anything is bound */
uint64_t accept_turned_away(void);

#endif
