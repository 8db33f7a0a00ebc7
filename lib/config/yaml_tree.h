/*
 * YAML, strictly: a bounded tree with the place of every value. No anchors, aliases, tags, merge
 * keys or second document; no key twice. Over libyaml's events; knows no key.
 */
#ifndef LOPS_CONFIG_YAML_TREE_H
#define LOPS_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#define YAML_BYTES_MAX (256 * 1024)
#define YAML_DEPTH_MAX 16

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_PAIRS };

struct yaml_node {
	struct yaml_node *next;  /* sibling */
	struct yaml_node *first; /* child */
	char *key;               /* in PAIRS */
	char *text;              /* of TEXT */
	enum yaml_kind kind;
	bool quoted;
	int line, column;         /* of the value, from 1 */
	int key_line, key_column; /* of the key */
};

struct yaml_error {
	int line, column;
	char text[200];
};

/* The root (PAIRS, perhaps empty), or NULL with *ret_error. free with yaml_tree_free. */
struct yaml_node *yaml_parse(const char *data, size_t len, struct yaml_error *ret_error);
void yaml_tree_free(struct yaml_node *n);

#endif
