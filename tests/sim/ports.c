/*
 * Ports as the modelled kernel has them, in the place of the process-manager's ports.c.
 */
#include <stdio.h>
#include "actors/process-manager/shell.h"
#include "tests/sim/kernel.h"

bool port_occupied(struct actor *a, int port)
{
	(void)a;
	return kernel_port_is_taken(port);
}

void port_holder(struct actor *a, int port, char *ret_text, size_t size)
{
	(void)a;
	(void)port;
	snprintf(ret_text, size, "somebody");
}
