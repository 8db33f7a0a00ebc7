/*
 * One key of a deployment from a YAML value; for lib/config's own files.
 */
#ifndef LOPS_CONFIG_SPEC_H
#define LOPS_CONFIG_SPEC_H

#include "lib/config/config.h"
#include "lib/config/values.h"

/* dir: where relative paths begin, NULL: as they are. 0 or -EINVAL with the error. */
int spec_put(struct codec_arena *arena, struct deployment_spec *s, const char *key,
	     const struct yaml_node *n, const char *dir, struct value_error *error);
/* A row of the reference: NULL past the last. */
const char *spec_key(size_t i, const char **ret_help, bool *ret_live);

#endif
