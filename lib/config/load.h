/*
 * What the files that fill a struct config share; for lib/config's own files.
 */
#ifndef LOPS_CONFIG_LOAD_H
#define LOPS_CONFIG_LOAD_H

#include "lib/config/config.h"
#include "lib/config/values.h"

void load_error_at(struct config *c, int line, int column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* At what the error points to, else at n. */
void load_error(struct config *c, const struct yaml_node *n, const struct value_error *e);

/* The part under deployments: */
void load_deployments(struct config *c, const struct yaml_node *all, const struct msg_strs *base);

#endif
