/*
 * YAML, strictly: a bounded tree with the place of every value. No anchors, aliases, tags, merge
 * keys or second document; no key twice. Over libyaml's events; knows no key.
 */
#ifndef LOPS_CONFIG_YAML_TREE_H
#define LOPS_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#define YAML_BYTES_MAX  (256 * 1024)
#define YAML_DEPTH_MAX  16
#define YAML_ERRORS_MAX 50

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_PAIRS };

struct yaml_node {
	struct yaml_node *next;         /* sibling */
	struct yaml_node *first, *last; /* children */
	char *key;                      /* in PAIRS */
	char *text;                     /* of TEXT */
	enum yaml_kind kind;
	bool quoted;
	int line, column;         /* of the value, from 1 */
	int key_line, key_column; /* of the key */
};

struct yaml_error {
	int line, column;
	char text[200];
};
struct yaml_errors {
	struct yaml_error items[YAML_ERRORS_MAX];
	size_t count;
};

/* The root (PAIRS, perhaps empty), NULL when it is no YAML at all. What is YAML but not accepted
 * leaves a root with errors, so that the rest can be checked too. free with yaml_tree_free (libyaml
 * has a yaml_free of its own, which ours must not stand in for). */
struct yaml_node *yaml_tree_parse(const char *data, size_t len, struct yaml_errors *ret_errors);
void yaml_tree_free(struct yaml_node *n);

/* `key:` with nothing behind it. */
bool yaml_is_empty(const struct yaml_node *n);
size_t yaml_count(const struct yaml_node *n);
const struct yaml_node *yaml_child(const struct yaml_node *n, const char *key);

#endif
