/*
 * Dependencies between the deployments of one file; for lib/config's own files.
 */
#ifndef LOPS_CONFIG_DEPENDS_H
#define LOPS_CONFIG_DEPENDS_H

#include <stddef.h>
#include "msgs/events.h"

/* Called for every fault; item: place in depends_on of deployment i, SIZE_MAX: a cycle through it.
 */
typedef void depends_fault(void *arg, size_t i, size_t item, const char *text);

/* Names that no deployment has, a deployment that waits for itself, cycles ("a -> b -> a"). In
 * time linear in the dependencies, whatever their shape. */
void depends_check(const struct deployment_spec *all, size_t n, depends_fault *fault, void *arg);

#endif
