/*
 * One key of a deployment from a YAML value; for lib/config's own files.
 */
#ifndef LOPS_CONFIG_SPEC_H
#define LOPS_CONFIG_SPEC_H

#include "lib/config/config.h"
#include "lib/config/yaml_tree.h"

/* dir: where relative paths begin, NULL: as they are. 0 or -EINVAL with why. */
int spec_put(struct codec_arena *arena, struct deployment_spec *s, const char *key,
	     const struct yaml_node *n, const char *dir, char *why, size_t size);

#endif
