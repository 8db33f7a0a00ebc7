/*
 * libyaml's events into a bounded tree; see the header.
 */
#include "lib/config/yaml_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct builder {
	struct yaml_node *stack[YAML_DEPTH_MAX];
	int depth;
	struct yaml_node *root;
	char *key; /* waiting for its value */
	int key_line, key_column;
	struct yaml_error *error;
	bool failed, ended;
};

static void fail(struct builder *b, int line, int column, const char *text)
{
	if (b->failed)
		return;
	b->failed = true;
	b->error->line = line;
	b->error->column = column;
	snprintf(b->error->text, sizeof b->error->text, "%s", text);
}

static void fail_at(struct builder *b, const yaml_event_t *e, const char *text)
{
	fail(b, (int)e->start_mark.line + 1, (int)e->start_mark.column + 1, text);
}

void yaml_tree_free(struct yaml_node *n)
{
	while (n) {
		struct yaml_node *next = n->next;

		yaml_tree_free(n->first); /* depth is bounded by YAML_DEPTH_MAX */
		free(n->key);
		free(n->text);
		free(n);
		n = next;
	}
}

static bool has_key(const struct yaml_node *map, const char *key)
{
	for (const struct yaml_node *c = map->first; c; c = c->next)
		if (c->key && strcmp(c->key, key) == 0)
			return true;
	return false;
}

/* Appends the node to the container at the top of the stack. */
static void attach(struct builder *b, struct yaml_node *n)
{
	struct yaml_node *parent = b->depth ? b->stack[b->depth - 1] : NULL, **at;

	if (!parent) {
		b->root = n;
		return;
	}
	n->key = b->key;
	n->key_line = b->key_line;
	n->key_column = b->key_column;
	b->key = NULL;
	for (at = &parent->first; *at; at = &(*at)->next)
		;
	*at = n;
}

static struct yaml_node *node_new(const yaml_event_t *e, enum yaml_kind kind)
{
	struct yaml_node *n = calloc(1, sizeof *n);

	if (!n)
		abort();
	n->kind = kind;
	n->line = (int)e->start_mark.line + 1;
	n->column = (int)e->start_mark.column + 1;
	return n;
}

static bool wants_key(const struct builder *b)
{
	return b->depth && b->stack[b->depth - 1]->kind == YAML_PAIRS && !b->key;
}

static void on_scalar(struct builder *b, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	struct yaml_node *n;

	if (e->data.scalar.anchor) {
		fail_at(b, e, "anchors (&name) are not accepted");
	} else if (e->data.scalar.tag) {
		fail_at(b, e, "tags (!name) are not accepted");
	} else if (strlen(text) != e->data.scalar.length) {
		fail_at(b, e, "a NUL character");
	} else if (wants_key(b)) {
		if (strcmp(text, "<<") == 0)
			fail_at(b, e, "merge keys (<<) are not accepted");
		else if (has_key(b->stack[b->depth - 1], text))
			fail_at(b, e, "this key is there twice");
		b->key = strdup(text);
		b->key_line = (int)e->start_mark.line + 1;
		b->key_column = (int)e->start_mark.column + 1;
	} else {
		n = node_new(e, YAML_TEXT);
		n->text = strdup(text);
		n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		attach(b, n);
	}
}

static void on_open(struct builder *b, const yaml_event_t *e, enum yaml_kind kind, bool decorated)
{
	struct yaml_node *n;

	if (decorated) {
		fail_at(b, e, "anchors and tags are not accepted");
	} else if (wants_key(b)) {
		fail_at(b, e, "a key must be a word");
	} else if (b->depth == YAML_DEPTH_MAX) {
		fail_at(b, e, "nested deeper than 16 levels");
	} else {
		n = node_new(e, kind);
		attach(b, n);
		b->stack[b->depth++] = n;
	}
}

static void on_event(struct builder *b, const yaml_event_t *e, int *documents)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++*documents > 1)
			fail_at(b, e, "a second document");
		break;
	case YAML_ALIAS_EVENT:
		fail_at(b, e, "aliases (*name) are not accepted");
		break;
	case YAML_SCALAR_EVENT:
		on_scalar(b, e);
		break;
	case YAML_SEQUENCE_START_EVENT:
		on_open(b, e, YAML_LIST,
			e->data.sequence_start.anchor || e->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		on_open(b, e, YAML_PAIRS,
			e->data.mapping_start.anchor || e->data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		break;
	case YAML_STREAM_END_EVENT:
		b->ended = true;
		break;
	default:
		break;
	}
}

/* libyaml is quadratic in the nesting of [ and {: looked at before it sees a byte. */
static bool is_too_deep(const char *data, size_t len)
{
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '[' || data[i] == '{')
			depth++;
		else if ((data[i] == ']' || data[i] == '}') && depth > 0)
			depth--;
		if (depth > 4 * YAML_DEPTH_MAX)
			return true;
	}
	return false;
}

static void parse_events(struct builder *b, yaml_parser_t *parser)
{
	int documents = 0;

	while (!b->ended && !b->failed) {
		yaml_event_t e;
		char text[200];

		if (!yaml_parser_parse(parser, &e)) {
			snprintf(text, sizeof text, "%s%s%s",
				 parser->problem ? parser->problem : "not YAML",
				 parser->context ? " " : "",
				 parser->context ? parser->context : "");
			fail(b, (int)parser->problem_mark.line + 1,
			     (int)parser->problem_mark.column + 1, text);
			return;
		}
		on_event(b, &e, &documents);
		yaml_event_delete(&e);
	}
}

struct yaml_node *yaml_parse(const char *data, size_t len, struct yaml_error *ret_error)
{
	struct builder b = {.error = ret_error};
	yaml_parser_t parser;

	if (len > YAML_BYTES_MAX) {
		fail(&b, 1, 1, "the file is larger than 256 KiB");
		return NULL;
	}
	if (is_too_deep(data, len)) {
		fail(&b, 1, 1, "brackets are nested deeper than can be meant");
		return NULL;
	}
	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_input_string(&parser, (const unsigned char *)data, len);
	parse_events(&b, &parser);
	yaml_parser_delete(&parser);
	free(b.key);
	if (!b.failed && b.root && b.root->kind != YAML_PAIRS &&
	    !(b.root->kind == YAML_TEXT && !b.root->text[0]))
		fail(&b, b.root->line, b.root->column, "expected keys and values");
	if (b.failed) {
		yaml_tree_free(b.root);
		return NULL;
	}
	if (!b.root || b.root->kind != YAML_PAIRS) {
		yaml_tree_free(b.root);
		b.root = calloc(1, sizeof *b.root);
		if (!b.root)
			abort();
		b.root->kind = YAML_PAIRS;
	}
	return b.root;
}
