/*
 * libyaml's events into a bounded tree; see the header. libyaml is quadratic in the nesting of
 * brackets, but looks ahead no further than a line's 1,024 characters: stopping at the event that
 * is nested too deep bounds it.
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
	struct yaml_errors *errors;
	int documents;
	bool failed, ended;
};

static void note(struct builder *b, int line, int column, const char *text)
{
	struct yaml_error *e = &b->errors->items[b->errors->count];

	if (b->errors->count == YAML_ERRORS_MAX)
		return;
	b->errors->count++;
	e->line = line;
	e->column = column;
	snprintf(e->text, sizeof e->text, "%s", text);
}

static void note_at(struct builder *b, const yaml_event_t *e, const char *text)
{
	note(b, (int)e->start_mark.line + 1, (int)e->start_mark.column + 1, text);
}

static void fail_at(struct builder *b, const yaml_event_t *e, const char *text)
{
	note_at(b, e, text);
	b->failed = true;
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

bool yaml_is_empty(const struct yaml_node *n)
{
	return n->kind == YAML_TEXT && !n->text[0] && !n->quoted;
}

size_t yaml_count(const struct yaml_node *n)
{
	size_t k = 0;

	for (const struct yaml_node *c = n->first; c; c = c->next)
		k++;
	return k;
}

const struct yaml_node *yaml_child(const struct yaml_node *n, const char *key)
{
	const struct yaml_node *c = n->kind == YAML_PAIRS ? n->first : NULL;

	while (c && strcmp(c->key, key) != 0)
		c = c->next;
	return c;
}

/* Appends the node to the container at the top of the stack. */
static void attach(struct builder *b, struct yaml_node *n)
{
	struct yaml_node *parent = b->depth ? b->stack[b->depth - 1] : NULL;

	if (!parent) {
		b->root = n;
		return;
	}
	n->key = b->key;
	n->key_line = b->key_line;
	n->key_column = b->key_column;
	b->key = NULL;
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
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

static char *copy_of(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

/* A key, or a value of its own. */
static void put_text(struct builder *b, const yaml_event_t *e, const char *text, bool quoted)
{
	struct yaml_node *n;

	if (wants_key(b)) {
		b->key = copy_of(text);
		b->key_line = (int)e->start_mark.line + 1;
		b->key_column = (int)e->start_mark.column + 1;
		return;
	}
	n = node_new(e, YAML_TEXT);
	n->text = copy_of(text);
	n->quoted = quoted;
	attach(b, n);
}

static void on_scalar(struct builder *b, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	bool quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;

	if (e->data.scalar.anchor)
		note_at(b, e, "anchors (&name) are not accepted");
	else if (e->data.scalar.tag)
		note_at(b, e, "tags (!name) are not accepted");
	else if (strlen(text) != e->data.scalar.length)
		note_at(b, e, "a NUL character in a text");
	else if (wants_key(b) && !quoted && strcmp(text, "<<") == 0)
		note_at(b, e, "merge keys (<<) are not accepted");
	put_text(b, e, text, quoted);
}

static void on_open(struct builder *b, const yaml_event_t *e, enum yaml_kind kind, bool anchored,
		    bool tagged)
{
	struct yaml_node *n;

	if (anchored)
		note_at(b, e, "anchors (&name) are not accepted");
	else if (tagged)
		note_at(b, e, "tags (!name) are not accepted");
	if (wants_key(b)) {
		fail_at(b, e, "a key must be a single word, not a list or keys and values");
	} else if (b->depth == YAML_DEPTH_MAX) {
		fail_at(b, e, "nested deeper than 16 levels");
	} else {
		n = node_new(e, kind);
		attach(b, n);
		b->stack[b->depth++] = n;
	}
}

static int by_key(const void *a, const void *b)
{
	const struct yaml_node *const *x = a, *const *y = b;
	int order = strcmp((*x)->key, (*y)->key);

	if (order == 0)
		order = (*x)->key_line - (*y)->key_line;
	return order ? order : (*x)->key_column - (*y)->key_column;
}

/* By sorting: the file may consist of nothing but keys. */
static void find_doubles(struct builder *b, const struct yaml_node *map)
{
	size_t n = yaml_count(map), i = 0;
	const struct yaml_node **sorted = calloc(n + 1, sizeof(const struct yaml_node *));
	char text[200];

	if (!sorted)
		abort();
	for (const struct yaml_node *c = map->first; c; c = c->next)
		sorted[i++] = c;
	if (n > 1)
		qsort(sorted, n, sizeof(const struct yaml_node *), by_key);
	for (i = 1; i < n; i++) {
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) != 0)
			continue;
		snprintf(text, sizeof text, "the key '%.60s' is there twice, first in line %d",
			 sorted[i]->key, sorted[i - 1]->key_line);
		note(b, sorted[i]->key_line, sorted[i]->key_column, text);
	}
	free(sorted);
}

static void on_close(struct builder *b)
{
	struct yaml_node *n = b->stack[--b->depth];

	if (n->kind == YAML_PAIRS)
		find_doubles(b, n);
}

static void on_document(struct builder *b, const yaml_event_t *e)
{
	if (++b->documents > 1)
		fail_at(b, e, "a second document is not accepted");
	else if (e->data.document_start.tag_directives.start !=
		 e->data.document_start.tag_directives.end)
		note_at(b, e, "tags (%TAG) are not accepted");
}

static void on_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		on_document(b, e);
		break;
	case YAML_ALIAS_EVENT:
		note_at(b, e, "aliases (*name) are not accepted");
		put_text(b, e, "", false);
		break;
	case YAML_SCALAR_EVENT:
		on_scalar(b, e);
		break;
	case YAML_SEQUENCE_START_EVENT:
		on_open(b, e, YAML_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		on_open(b, e, YAML_PAIRS, e->data.mapping_start.anchor, e->data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_close(b);
		break;
	case YAML_STREAM_END_EVENT:
		b->ended = true;
		break;
	default:
		break;
	}
}

static void place_step(char c, int *line, int *column)
{
	if (c == '\n') {
		++*line;
		*column = 1;
	} else if (((unsigned char)c & 0xc0) != 0x80) {
		++*column;
	}
}

/* Line and column of a byte: libyaml's reader knows the offset only. */
static void place_of(const char *data, size_t offset, int *ret_line, int *ret_column)
{
	*ret_line = *ret_column = 1;
	for (size_t i = 0; i < offset; i++)
		place_step(data[i], ret_line, ret_column);
}

static bool is_tab(const char *data, size_t len, int line, int column)
{
	int l = 1, c = 1;

	for (size_t i = 0; i < len && l <= line; i++) {
		if (l == line && c == column)
			return data[i] == '\t';
		place_step(data[i], &l, &c);
	}
	return false;
}

static void no_yaml(struct builder *b, const yaml_parser_t *parser, const char *data, size_t len)
{
	int line = (int)parser->problem_mark.line + 1,
	    column = (int)parser->problem_mark.column + 1;
	const char *problem = parser->problem ? parser->problem : "not YAML";
	char text[200];

	b->failed = true;
	if (parser->error == YAML_READER_ERROR) {
		place_of(data, parser->problem_offset < len ? parser->problem_offset : len, &line,
			 &column);
		snprintf(text, sizeof text, "not text in UTF-8: %s", problem);
	} else if (strstr(problem, "unexpected end of stream") && parser->context) {
		line = (int)parser->context_mark.line + 1; /* where it was opened */
		column = (int)parser->context_mark.column + 1;
		snprintf(text, sizeof text, "not closed before the end of the file: %s",
			 strstr(parser->context, "quoted") ? "a quoted text" : "a block");
	} else if (is_tab(data, len, line, column)) {
		snprintf(text, sizeof text, "a tab; indent with spaces");
	} else {
		snprintf(text, sizeof text, "%s%s%s", problem, parser->context ? " " : "",
			 parser->context ? parser->context : "");
	}
	note(b, line, column, text);
}

static void parse_events(struct builder *b, const char *data, size_t len)
{
	yaml_parser_t parser;
	yaml_event_t e;

	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)data, len);
	while (!b->ended && !b->failed) {
		if (!yaml_parser_parse(&parser, &e)) {
			no_yaml(b, &parser, data, len);
			break;
		}
		on_event(b, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
}

static struct yaml_node *root_of(struct builder *b)
{
	struct yaml_node *empty;

	if (b->root && b->root->kind == YAML_PAIRS)
		return b->root;
	if (b->root && !yaml_is_empty(b->root))
		note(b, b->root->line, b->root->column, "expected keys and values");
	yaml_tree_free(b->root);
	empty = calloc(1, sizeof *empty);
	if (!empty)
		abort();
	empty->kind = YAML_PAIRS;
	return empty;
}

struct yaml_node *yaml_tree_parse(const char *data, size_t len, struct yaml_errors *ret_errors)
{
	struct builder b = {.errors = ret_errors};

	ret_errors->count = 0;
	if (len > YAML_BYTES_MAX) {
		note(&b, 1, 1, "the file is larger than 256 KiB");
		return NULL;
	}
	if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
		data += 3;
		len -= 3;
	}
	parse_events(&b, data, len);
	free(b.key);
	if (!b.failed)
		return root_of(&b);
	yaml_tree_free(b.root);
	return NULL;
}
