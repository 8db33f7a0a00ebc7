/*
 * Which port a deployment gets: the one it has, the one it asks for, or the next free one. Pure:
 * what is occupied is asked through a function.
 */
#ifndef LOPS_POLICY_PORT_RULE_H
#define LOPS_POLICY_PORT_RULE_H

#include <stdbool.h>
#include <stdint.h>

#define PORT_TRIES 10

typedef bool port_occupied_fn(void *arg, int port);

struct port_wish {
	int port;
	bool auto_find;
	const int64_t *protected_ports; /* skipped, not counted */
	uint32_t n_protected;
};

/* The port, or 0 when none is to be had. */
int port_rule(const struct port_wish *w, port_occupied_fn *is_occupied, void *arg);

#endif
