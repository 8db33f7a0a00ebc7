/*
 * The choice of a port; see the header.
 */
#include "lib/policy/port_rule.h"

static bool is_protected(const struct port_wish *w, int port)
{
	for (uint32_t i = 0; i < w->n_protected; i++)
		if (w->protected_ports[i] == port)
			return true;
	return false;
}

int port_rule(const struct port_wish *w, port_occupied_fn *is_occupied, void *arg)
{
	int port = w->port;

	if (!is_occupied(arg, port))
		return port;
	if (!w->auto_find)
		return 0;
	for (int tries = 1; tries < PORT_TRIES && ++port <= 65535;) {
		if (is_protected(w, port))
			continue;
		if (!is_occupied(arg, port))
			return port;
		tries++;
	}
	return 0;
}
