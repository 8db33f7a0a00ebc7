/*
 * Checking one value against its key; for lib/config's own files.
 */
#ifndef LOPS_CONFIG_VALUES_H
#define LOPS_CONFIG_VALUES_H

#include "lib/config/config.h"
#include "lib/config/yaml_tree.h"

/* Place in config_keys, or -1. */
int values_find(const char *section, const char *key);
/* 0, or -EINVAL with why. n may be NULL (text only). *ret_text: malloc'd normal form. */
int values_check(const struct config_key *k, const struct yaml_node *n, const char *text,
		 char **ret_text, char *ret_why, size_t size);
bool values_is_bool(const char *text, bool *ret);
bool values_is_int(const char *text, int64_t *ret);
bool values_is_real(const char *text, double *ret);

#endif
