/*
 * A whole configuration from a file: its sections against the table of keys, then what it deploys.
 * Errors are collected and sorted by place; nothing is half-applied.
 */
#include "lib/config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/policy/name_rule.h"

void load_error_at(struct config *c, int line, int column, const char *fmt, ...)
{
	struct config_error *e;
	va_list args;

	if (c->n_errors == CONFIG_ERRORS_MAX)
		return;
	e = &c->errors[c->n_errors++];
	e->line = line;
	e->column = column;
	va_start(args, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, args);
	va_end(args);
	value_make_printable(e->text);
}

void load_error(struct config *c, const struct yaml_node *n, const struct value_error *e)
{
	const struct yaml_node *at = e->at ? e->at : n;

	if (e->at_key) /* says the key itself */
		load_error_at(c, at->key_line, at->key_column, "%s", e->text);
	else
		load_error_at(c, at->line, at->column, "%.60s: %s", n->key, e->text);
}

static void *zeroed(size_t n, size_t size)
{
	void *at = calloc(n, size);

	if (!at)
		abort();
	return at;
}

static void settle_ports(struct config *c)
{
	c->protected_ports =
		config_ports(&c->arena, config_value(c, "defaults", "protected_ports"));
}

struct config *config_defaults(void)
{
	struct config *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->values = zeroed(config_keys_count, sizeof *c->values);
	c->lines = zeroed(config_keys_count, sizeof *c->lines);
	settle_ports(c);
	return c;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < config_keys_count; i++)
		free(c->values[i]);
	free(c->values);
	free(c->lines);
	free(c->deployments);
	for (size_t i = 0; i < c->n_arenas; i++)
		codec_arena_done(&c->arenas[i]);
	free(c->arenas);
	codec_arena_done(&c->arena);
	free(c->file);
	free(c);
}

const char *config_value(const struct config *c, const char *section, const char *key)
{
	int at = values_find(section, key);

	if (at < 0)
		abort();
	return c->values[at] ? c->values[at] : config_keys[at].fallback;
}

void config_spec_defaults(const struct config *c, struct deployment_spec *s)
{
	bool restarts = strcmp(config_value(c, "defaults", "auto_restart_enabled"), "true") == 0;

	msg_body_init(&REC_deployment_spec, s);
	s->auto_find_port = true;
	s->autostart = true;
	s->restart = restarts ? "always" : "never";
	s->ready = "exec";
	s->stop_signal = 15;
	s->stop_scope = "group";
	s->reload_signal = 1;
	s->stop_timeout_seconds = strtod(config_value(c, "defaults", "stop_timeout_seconds"), NULL);
	s->start_timeout_seconds =
		strtod(config_value(c, "defaults", "start_timeout_seconds"), NULL);
	s->protected_ports = c->protected_ports;
}

/* --- sections --- */

static void take_value(void *arg, const char *section, const char *key, const struct yaml_node *n)
{
	struct config *c = arg;
	int at = values_find(section, key), err;
	struct value_error e = {0};
	char *text = NULL;

	err = at < 0 ? values_unknown(section, key, n, &e)
		     : values_check(&config_keys[at], n, &text, &e);
	if (err) {
		load_error(c, n, &e);
		return;
	}
	free(c->values[at]);
	c->values[at] = text;
	c->lines[at] = n->key_line;
}

static void unknown_section(struct config *c, const struct yaml_node *n)
{
	const char *names[32] = {"version", "deployments"}, *near;
	size_t count = 2;

	for (size_t i = 0; i < config_keys_count && count < 32; i++)
		if (*config_keys[i].section &&
		    strcmp(names[count - 1], config_keys[i].section) != 0)
			names[count++] = config_keys[i].section;
	near = name_nearest(n->key, names, count);
	load_error_at(c, n->key_line, n->key_column, "unknown section '%.60s'%s%s%s", n->key,
		      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void not_pairs(struct config *c, const struct yaml_node *n, const char *expected)
{
	struct value_error e;

	value_expected(&e, n, expected);
	load_error(c, n, &e);
}

static void take_root(struct config *c, const struct yaml_node *root, const struct msg_strs *base)
{
	const struct yaml_node *deployments = yaml_child(root, "deployments");

	for (const struct yaml_node *n = root->first; n; n = n->next) {
		if (strcmp(n->key, "version") == 0)
			take_value(c, "", "version", n);
		else if (values_is_section(n->key) && !values_each(n, take_value, c))
			not_pairs(c, n, "keys and values");
		else if (!values_is_section(n->key) && strcmp(n->key, "deployments") != 0)
			unknown_section(c, n);
	}
	settle_ports(c);
	/* Last: they start from the file's own defaults. */
	if (deployments && deployments->kind == YAML_PAIRS)
		load_deployments(c, deployments, base);
	else if (deployments && !yaml_is_empty(deployments))
		not_pairs(c, deployments, "NAME: lines");
}

/* --- errors in order --- */

static int by_place(const void *a, const void *b)
{
	const struct config_error *x = a, *y = b;

	if (x->line != y->line)
		return (x->line > y->line) - (x->line < y->line);
	if (x->column != y->column)
		return (x->column > y->column) - (x->column < y->column);
	return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Of several errors of one place the first says it all. */
static void settle_errors(struct config *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n_errors; i++)
		c->errors[i].rank = (int)i;
	qsort(c->errors, c->n_errors, sizeof *c->errors, by_place);
	for (size_t i = 0; i < c->n_errors; i++)
		if (!kept || c->errors[kept - 1].line != c->errors[i].line ||
		    c->errors[kept - 1].column != c->errors[i].column)
			c->errors[kept++] = c->errors[i];
	c->n_errors = kept;
}

void config_print_errors(const struct config *c, FILE *out)
{
	for (size_t i = 0; i < c->n_errors; i++) {
		if (c->errors[i].line)
			fprintf(out, "%s:%d:%d: %s\n", c->file, c->errors[i].line,
				c->errors[i].column, c->errors[i].text);
		else
			fprintf(out, "%s: %s\n", c->file, c->errors[i].text);
	}
}

/* --- the file --- */

static char *read_whole(const char *path, size_t *ret_len, char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *data;
	ssize_t n = 1;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s", fd < 0 ? strerror(errno) : "is not a regular file");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	data = zeroed(YAML_BYTES_MAX + 2, 1);
	while (len <= YAML_BYTES_MAX && n > 0) {
		n = read(fd, data + len, YAML_BYTES_MAX + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0) {
		snprintf(why, size, "%s", strerror(errno));
		free(data);
		data = NULL;
	}
	close(fd);
	*ret_len = len;
	return data;
}

static void parse(struct config *c, const char *data, size_t len, const struct msg_strs *base)
{
	struct yaml_errors *bad = zeroed(1, sizeof *bad);
	struct yaml_node *root = yaml_tree_parse(data, len, bad);

	for (size_t i = 0; i < bad->count; i++)
		load_error_at(c, bad->items[i].line, bad->items[i].column, "%s",
			      bad->items[i].text);
	if (root)
		take_root(c, root, base);
	yaml_tree_free(root);
	free(bad);
	settle_errors(c);
}

struct config *config_parse(const char *path, const char *data, size_t len,
			    const struct msg_strs *base_environment)
{
	struct config *c = config_defaults();

	if (!c)
		return NULL;
	c->file = strdup(path);
	if (!c->file)
		abort();
	parse(c, data, len, base_environment);
	return c;
}

struct config *config_load(const char *path, const struct msg_strs *base_environment)
{
	struct config *c;
	char why[200], *data;
	size_t len = 0;

	data = read_whole(path, &len, why, sizeof why);
	if (data) {
		c = config_parse(path, data, len, base_environment);
		free(data);
		return c;
	}
	c = config_defaults();
	if (!c)
		return NULL;
	c->file = strdup(path);
	if (!c->file)
		abort();
	load_error_at(c, 0, 0, "%s", why);
	return c;
}
