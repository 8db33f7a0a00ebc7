/*
 * A whole configuration from a file: sections against the table of keys, deployments against
 * theirs, then what only shows over all of them (dependencies). Errors are collected, sorted by
 * place.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/config/config.h"
#include "lib/config/spec.h"
#include "lib/config/values.h"
#include "lib/policy/name_rule.h"

static void error_at(struct config *c, int line, int column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void error_at(struct config *c, int line, int column, const char *fmt, ...)
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
}

static char *keep(struct codec_arena *arena, const char *text)
{
	char *copy = codec_arena_alloc(arena, strlen(text) + 1);

	if (!copy)
		abort();
	return memcpy(copy, text, strlen(text) + 1);
}

struct config *config_defaults(void)
{
	struct config *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->values = calloc(config_keys_count, sizeof *c->values);
	c->lines = calloc(config_keys_count, sizeof *c->lines);
	if (!c->values || !c->lines)
		abort();
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

/* --- sections --- */

static void unknown_key(struct config *c, const char *section, const struct yaml_node *n,
			const char *key)
{
	const char *names[64], *near;
	size_t count = 0;

	for (size_t i = 0; i < config_keys_count && count < 64; i++)
		if (strcmp(config_keys[i].section, section) == 0)
			names[count++] = config_keys[i].key;
	near = name_nearest(key, names, count);
	error_at(c, n->key_line, n->key_column, "unknown key '%.60s' in %s%s%s%s", key, section,
		 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void take_value(struct config *c, const char *section, const struct yaml_node *n,
		       const char *key)
{
	int at = values_find(section, key);
	char why[300], *text = NULL;

	if (at < 0) {
		unknown_key(c, section, n, key);
		return;
	}
	if (values_check(&config_keys[at], n, NULL, &text, why, sizeof why) < 0) {
		error_at(c, n->line, n->column, "%s", why);
		return;
	}
	free(c->values[at]);
	c->values[at] = text;
	c->lines[at] = n->line;
}

static bool is_empty(const struct yaml_node *n)
{
	return n->kind == YAML_TEXT && !n->text[0] && !n->quoted;
}

static void take_section(struct config *c, const struct yaml_node *section)
{
	if (is_empty(section))
		return;
	if (section->kind != YAML_PAIRS) {
		error_at(c, section->line, section->column, "%s: expected keys and values",
			 section->key);
		return;
	}
	for (const struct yaml_node *n = section->first; n; n = n->next) {
		char whole[128];

		if (values_find(section->key, n->key) >= 0 || n->kind != YAML_PAIRS) {
			take_value(c, section->key, n, n->key);
			continue;
		}
		for (const struct yaml_node *inner = n->first; inner; inner = inner->next) {
			snprintf(whole, sizeof whole, "%.50s.%.50s", n->key, inner->key);
			take_value(c, section->key, inner, whole);
		}
	}
}

static bool is_section(const char *name)
{
	for (size_t i = 0; i < config_keys_count; i++)
		if (*name && strcmp(config_keys[i].section, name) == 0)
			return true;
	return false;
}

/* --- deployments --- */

void config_spec_defaults(const struct config *c, struct deployment_spec *s)
{
	static int64_t ports[256];
	const char *list = config_value(c, "defaults", "protected_ports");
	uint32_t n = 0;

	msg_body_init(&REC_deployment_spec, s);
	s->auto_find_port = true;
	s->autostart = true;
	s->restart = strcmp(config_value(c, "defaults", "auto_restart_enabled"), "true") == 0
			     ? "always"
			     : "never";
	s->ready = "exec";
	s->stop_signal = 15;
	s->stop_scope = "group";
	s->reload_signal = 1;
	s->stop_timeout_seconds = strtod(config_value(c, "defaults", "stop_timeout_seconds"), NULL);
	s->start_timeout_seconds =
		strtod(config_value(c, "defaults", "start_timeout_seconds"), NULL);
	for (const char *at = list; *at && n < 256; at += strspn(at, ",")) {
		char *end;

		ports[n++] = strtoll(at, &end, 10);
		at = end;
	}
	s->protected_ports = (struct msg_i64s){.items = ports, .count = n};
}

static void take_override(struct config *c, struct deployment_spec *s,
			  const struct yaml_node *section, const char *dir)
{
	char key[160], why[300];

	for (const struct yaml_node *n = section->first; n; n = n->next) {
		bool nested = n->kind == YAML_PAIRS && values_find(section->key, n->key) < 0;

		for (const struct yaml_node *v = nested ? n->first : n; v;
		     v = nested ? v->next : NULL) {
			snprintf(key, sizeof key, "%.40s.%.50s%s%.50s", section->key, n->key,
				 nested ? "." : "", nested ? v->key : "");
			if (spec_put(&c->arena, s, key, v, dir, why, sizeof why) < 0)
				error_at(c, v->key_line, v->key_column, "%s", why);
		}
	}
}

static void take_deployment(struct config *c, const struct yaml_node *d, const char *dir,
			    const struct msg_strs *base)
{
	struct deployment_spec *s = &c->deployments[c->n_deployments];
	const char *why = name_rule(d->key);
	const struct yaml_node *auto_restart = NULL, *restart = NULL;
	char text[400], source[PATH_MAX + 32];

	config_spec_defaults(c, s);
	s->deployment_id = keep(&c->arena, d->key);
	if (base)
		s->base_environment = *base;
	s->working_directory = dir;
	if (why)
		error_at(c, d->key_line, d->key_column, "the name '%.70s' %s", d->key, why);
	if (d->kind != YAML_PAIRS) {
		error_at(c, d->line, d->column,
			 "%s: expected keys and values such as command:", d->key);
		return;
	}
	for (const struct yaml_node *n = d->first; n; n = n->next) {
		if (strcmp(n->key, "auto_restart") == 0)
			auto_restart = n;
		if (strcmp(n->key, "restart") == 0)
			restart = n;
		if (is_section(n->key) && n->kind == YAML_PAIRS)
			take_override(c, s, n, dir);
		else if (spec_put(&c->arena, s, n->key, n, dir, text, sizeof text) < 0)
			error_at(c, strncmp(text, "unknown", 7) == 0 ? n->key_line : n->line,
				 strncmp(text, "unknown", 7) == 0 ? n->key_column : n->column, "%s",
				 text);
	}
	if (auto_restart && restart)
		error_at(c, auto_restart->key_line, auto_restart->key_column,
			 "auto_restart and restart say the same thing: keep one of them");
	if (s->command.count == 0 || config_spec_rule(s))
		error_at(c, d->key_line, d->key_column, "%s: %s", d->key, config_spec_rule(s));
	snprintf(source, sizeof source, "%s:%d", c->file, d->key_line);
	s->source = keep(&c->arena, source);
	c->n_deployments++;
}

static struct deployment_spec *named(struct config *c, const char *pair)
{
	size_t len = strcspn(pair, ":");

	for (size_t i = 0; i < c->n_deployments; i++)
		if (strlen(c->deployments[i].deployment_id) == len &&
		    memcmp(c->deployments[i].deployment_id, pair, len) == 0)
			return &c->deployments[i];
	return NULL;
}

/* Follows dependencies from s; a way back to `start` is printed. Bounded by depth. */
static bool finds_cycle(struct config *c, struct deployment_spec *start, struct deployment_spec *s,
			int depth, char *trail, size_t size)
{
	size_t used = strlen(trail);

	snprintf(trail + used, size - used, "%s%s", used ? " -> " : "", s->deployment_id);
	if (depth && s == start)
		return true;
	for (uint32_t i = 0; depth < 64 && i < s->depends_on.count; i++) {
		struct deployment_spec *next = named(c, s->depends_on.items[i]);
		size_t mark = strlen(trail);

		if (next && finds_cycle(c, start, next, depth + 1, trail, size))
			return true;
		trail[mark] = 0;
	}
	trail[used] = 0;
	return false;
}

static void check_dependencies(struct config *c, const struct yaml_node *all)
{
	const struct yaml_node *n = all->first;

	for (size_t i = 0; i < c->n_deployments && n; i++, n = n->next) {
		struct deployment_spec *s = &c->deployments[i];
		char trail[300] = "";

		for (uint32_t k = 0; k < s->depends_on.count; k++)
			if (!named(c, s->depends_on.items[k]))
				error_at(c, n->key_line, n->key_column,
					 "%s depends on %.64s, which no deployment of this file is "
					 "named",
					 s->deployment_id, s->depends_on.items[k]);
		if (finds_cycle(c, s, s, 0, trail, sizeof trail)) {
			error_at(c, n->key_line, n->key_column, "a cycle of dependencies: %s",
				 trail);
			return;
		}
	}
}

static void take_deployments(struct config *c, const struct yaml_node *all,
			     const struct msg_strs *base)
{
	char *slash, *dir = keep(&c->arena, c->file);
	size_t n = 0;

	slash = strrchr(dir, '/');
	if (slash)
		*(slash == dir ? slash + 1 : slash) = 0;
	for (const struct yaml_node *d = all->first; d; d = d->next)
		n++;
	c->deployments = calloc(n + 1, sizeof *c->deployments);
	if (!c->deployments)
		abort();
	for (struct yaml_node *d = all->first; d; d = d->next) {
		take_deployment(c, d, slash ? dir : NULL, base);
	}
	if (c->n_errors == 0)
		check_dependencies(c, all);
}

/* --- the file --- */

static char *read_whole(const char *path, size_t *ret_len, char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *data;
	ssize_t n;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s", fd < 0 ? strerror(errno) : "is not a regular file");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	data = malloc(YAML_BYTES_MAX + 2);
	if (!data)
		abort();
	while (len <= YAML_BYTES_MAX && (n = read(fd, data + len, YAML_BYTES_MAX + 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	*ret_len = len;
	return data;
}

static int by_place(const void *a, const void *b)
{
	const struct config_error *x = a, *y = b;

	return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
				  : (x->column > y->column) - (x->column < y->column);
}

static void take_root(struct config *c, struct yaml_node *root, const struct msg_strs *base)
{
	static const char *const sections[] = {"version",       "defaults",  "restart_policy",
					       "health_checks", "stability", "log_monitoring",
					       "journal",       "security",  "deployments"};
	struct yaml_node *deployments = NULL;

	for (struct yaml_node *n = root->first; n; n = n->next) {
		if (strcmp(n->key, "version") == 0) {
			take_value(c, "", n, "version");
		} else if (strcmp(n->key, "deployments") == 0) {
			deployments = n;
		} else if (is_section(n->key)) {
			take_section(c, n);
		} else {
			const char *near =
				name_nearest(n->key, sections, sizeof sections / sizeof *sections);

			error_at(c, n->key_line, n->key_column, "unknown section '%.60s'%s%s%s",
				 n->key, near ? "; did you mean '" : "", near ? near : "",
				 near ? "'?" : "");
		}
	}
	/* Last: they start from the file's own defaults. */
	if (deployments && deployments->kind == YAML_PAIRS)
		take_deployments(c, deployments, base);
	else if (deployments && !is_empty(deployments))
		error_at(c, deployments->line, deployments->column,
			 "deployments: expected NAME: lines");
}

struct config *config_load(const char *path, const struct msg_strs *base_environment)
{
	struct config *c = config_defaults();
	struct yaml_error bad = {0};
	struct yaml_node *root;
	char why[200], *data;
	size_t len = 0;

	if (!c)
		return NULL;
	c->file = strdup(path);
	data = read_whole(path, &len, why, sizeof why);
	if (!data) {
		error_at(c, 0, 0, "%s", why);
		return c;
	}
	root = yaml_parse(data, len, &bad);
	free(data);
	if (root)
		take_root(c, root, base_environment);
	else
		error_at(c, bad.line, bad.column, "%s", bad.text);
	yaml_tree_free(root);
	qsort(c->errors, c->n_errors, sizeof *c->errors, by_place);
	return c;
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

/* --- which file --- */

static char *if_there(char *path)
{
	if (path && access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static char *joined(const char *dir, const char *name)
{
	char *path = NULL;

	if (dir && *dir && asprintf(&path, "%s/%s", dir, name) < 0)
		abort();
	return path;
}

char *config_find(const char *given)
{
	const char *home = getenv("HOME");
	char *path;

	if (given)
		return strdup(given);
	if (getenv("LOPS_CONFIG") && *getenv("LOPS_CONFIG"))
		return strdup(getenv("LOPS_CONFIG"));
	path = if_there(strdup("lops.yaml"));
	path = path ? path : if_there(strdup(".claude-mpm/local-ops-config.yaml"));
	path = path ? path : if_there(joined(getenv("XDG_CONFIG_HOME"), "lops/lops.yaml"));
	path = path ? path : if_there(joined(home, ".config/lops/lops.yaml"));
	return path ? path : if_there(strdup("/etc/lops/lops.yaml"));
}
