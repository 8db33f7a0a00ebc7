/*
 * The broker's sockets: the stream door (ROUTER) and the tap (XPUB), both on unix sockets in the
 * run folder. They carry packets to and from broker/core.h and decide nothing.
 */
#ifndef LOPS_BROKER_DOORS_H
#define LOPS_BROKER_DOORS_H

#include <stdbool.h>
#include "broker/core.h"

struct doors {
	void *context, *router, *tap;
	struct core *core;
};

int doors_open(struct doors *d, const char *run_dir);
void doors_close(struct doors *d);
struct core_out doors_out(struct doors *d);
/* Reads until the turn is full or nothing waits. true: something was read. */
bool doors_read(struct doors *d);
/* Waits for a packet. */
void doors_wait(struct doors *d, int timeout_ms);

#endif
