/*
 * Checking one value against its key; for lib/config's own files.
 */
#ifndef LOPS_CONFIG_VALUES_H
#define LOPS_CONFIG_VALUES_H

#include "lib/config/config.h"
#include "lib/config/yaml_tree.h"

/* What is wrong, and with which node: its key or its value. */
struct value_error {
	const struct yaml_node *at; /* NULL: the value as a whole */
	bool at_key;
	char text[300];
};

/* Notes the error; always -EINVAL. */
int value_wrong(struct value_error *e, const struct yaml_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Texts of the file may be cut or hold anything: what is no character becomes '?'. */
void value_make_printable(char *text);
/* "expected X, found Y". */
int value_expected(struct value_error *e, const struct yaml_node *n, const char *expected);

/* Place in config_keys, or -1. */
int values_find(const char *section, const char *key);
bool values_is_section(const char *name);
/* -EINVAL: there is no such key; names the nearest. */
int values_unknown(const char *section, const char *key, const struct yaml_node *n,
		   struct value_error *e);
/* 0, or -EINVAL. *ret_text: malloc'd normal form, see config.h. */
int values_check(const struct config_key *k, const struct yaml_node *n, char **ret_text,
		 struct value_error *e);
/* The same for keys that are lists or maps. */
int lists_check(const struct config_key *k, const struct yaml_node *n, char **ret_text,
		struct value_error *e);
/* Every key of a section of the file, "path" of http: as "http.path"; false: it is no section. */
typedef void values_take(void *arg, const char *section, const char *key,
			 const struct yaml_node *n);
bool values_each(const struct yaml_node *section, values_take *take, void *arg);

bool values_is_bool(const char *text, bool *ret);
bool values_is_int(const char *text, int64_t *ret);
bool values_is_real(const char *text, double *ret);
/* NULL, or what is wrong with a {{word}} that is nearly one of ours. */
const char *values_template_rule(const char *text);

#endif
