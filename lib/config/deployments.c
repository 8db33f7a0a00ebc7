/*
 * What a file deploys: each entry into a spec, with the sections that it overrides, then what only
 * shows over all of them.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/config/depends.h"
#include "lib/config/load.h"
#include "lib/config/spec.h"
#include "lib/policy/name_rule.h"

struct loader {
	struct config *c;
	const char *dir; /* absolute: relative paths of the file begin here */
	const struct msg_strs *base;
	struct msg_strs usual_base;     /* of base, what everything inherits */
	const struct yaml_node **nodes; /* by deployment */
	struct codec_arena *arena;      /* of the deployment being read */
	struct deployment_spec *s;
};

static const char *keep(struct loader *l, const char *text)
{
	char *copy = codec_arena_alloc(l->arena, strlen(text) + 1);

	if (!copy)
		abort(); /* never: arenas are changed at half their bound */
	return memcpy(copy, text, strlen(text) + 1);
}

/* An arena is bounded as a message is; a file may come to more. */
static void choose_arena(struct config *c, struct loader *l)
{
	if (c->n_arenas && c->arenas[c->n_arenas - 1].held < CODEC_ARENA_MAX / 4) {
		l->arena = &c->arenas[c->n_arenas - 1];
		return;
	}
	c->arenas = reallocarray(c->arenas, c->n_arenas + 1, sizeof *c->arenas);
	if (!c->arenas)
		abort();
	l->arena = &c->arenas[c->n_arenas++];
	*l->arena = (struct codec_arena){0};
}

/* --- what is inherited --- */

static bool matches(const char *pair, const char *pattern)
{
	char name[256];
	size_t len = strcspn(pair, "=");

	if (len >= sizeof name)
		return false;
	memcpy(name, pair, len);
	name[len] = 0;
	return name_glob(pattern, name);
}

bool config_environment_is_usual(const char *pair)
{
	static const char *const names[] = {"PATH", "HOME", "USER", "LOGNAME", "SHELL",
					    "LANG", "LC_*", "TZ",   "TMPDIR"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (matches(pair, names[i]))
			return true;
	return false;
}

static bool is_wanted(const char *pair, const struct yaml_node *patterns)
{
	if (config_environment_is_usual(pair))
		return true;
	if (!patterns)
		return false;
	if (patterns->kind == YAML_TEXT)
		return strcmp(patterns->text, "true") == 0 ||
		       (strcmp(patterns->text, "false") != 0 && matches(pair, patterns->text));
	for (const struct yaml_node *n = patterns->first; n; n = n->next)
		if (n->kind == YAML_TEXT && matches(pair, n->text))
			return true;
	return false;
}

static struct msg_strs inherited(struct loader *l, const struct yaml_node *patterns)
{
	struct msg_strs list = {0};

	if (!l->base || l->base->count == 0)
		return list;
	list.items = codec_arena_alloc(l->arena, l->base->count * sizeof *list.items);
	for (uint32_t i = 0; list.items && i < l->base->count; i++)
		if (is_wanted(l->base->items[i], patterns))
			list.items[list.count++] = l->base->items[i];
	return list;
}

/* --- one deployment --- */

static void put(struct loader *l, const char *key, const struct yaml_node *n)
{
	struct value_error e;

	if (spec_put(l->arena, l->s, key, n, l->dir, &e) < 0)
		load_error(l->c, n, &e);
}

static void take_override(void *arg, const char *section, const char *key,
			  const struct yaml_node *n)
{
	char whole[200];

	snprintf(whole, sizeof whole, "%.60s.%.130s", section, key);
	put(arg, whole, n);
}

/* Sections first, so that the deployment's own keys have the last word. */
static void take_keys(struct loader *l, const struct yaml_node *d)
{
	struct value_error e;

	for (const struct yaml_node *n = d->first; n; n = n->next)
		if (values_is_section(n->key) && !values_each(n, take_override, l)) {
			value_expected(&e, n, "keys and values");
			load_error(l->c, n, &e);
		}
	for (const struct yaml_node *n = d->first; n; n = n->next)
		if (!values_is_section(n->key))
			put(l, n->key, n);
}

static void check_whole(struct loader *l, const struct yaml_node *d, size_t errors_before)
{
	const struct yaml_node *both = yaml_child(d, "auto_restart");
	const char *why;

	if (both && yaml_child(d, "restart"))
		load_error_at(l->c, both->key_line, both->key_column,
			      "auto_restart and restart say the same thing; keep one of them");
	if (!yaml_child(d, "command"))
		load_error_at(l->c, d->key_line, d->key_column, "%.64s: the command is missing",
			      d->key);
	else if (l->c->n_errors == errors_before && (why = config_spec_rule(l->s)))
		load_error_at(l->c, d->key_line, d->key_column, "%.64s: %s", d->key, why);
}

static void take_deployment(struct loader *l, const struct yaml_node *d)
{
	struct config *c = l->c;
	const char *why = name_rule(d->key);
	size_t errors = c->n_errors;
	char source[PATH_MAX + 32];
	struct value_error e;

	choose_arena(c, l);
	l->s = &c->deployments[c->n_deployments];
	config_spec_defaults(c, l->s);
	if (why)
		load_error_at(c, d->key_line, d->key_column, "the name '%.70s' %s", d->key, why);
	if (d->kind != YAML_PAIRS) {
		value_expected(&e, d, "keys and values such as command:");
		load_error(c, d, &e);
		return;
	}
	snprintf(source, sizeof source, "%s:%d", c->file, d->key_line);
	l->s->deployment_id = keep(l, d->key);
	l->s->source = keep(l, source);
	l->s->working_directory = l->dir;
	l->s->base_environment = yaml_child(d, "inherit_environment")
					 ? inherited(l, yaml_child(d, "inherit_environment"))
					 : l->usual_base;
	take_keys(l, d);
	check_whole(l, d, errors);
	l->nodes[c->n_deployments++] = d;
}

/* --- all of them --- */

static void on_fault(void *arg, size_t i, size_t item, const char *text)
{
	struct loader *l = arg;
	const struct yaml_node *d = l->nodes[i], *list = yaml_child(d, "depends_on"), *n;

	if (item == SIZE_MAX || !list) {
		load_error_at(l->c, d->key_line, d->key_column, "%s", text);
		return;
	}
	for (n = list->first; n && item; item--)
		n = n->next;
	if (n && list->kind == YAML_PAIRS)
		load_error_at(l->c, n->key_line, n->key_column, "%s", text);
	else if (n)
		load_error_at(l->c, n->line, n->column, "%s", text);
}

/* The folder of the file, absolute. Malloc'd. */
static char *folder_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	char *dir, *whole;

	dir = !slash ? strdup(".") : strndup(file, slash == file ? 1 : (size_t)(slash - file));
	if (!dir)
		abort();
	whole = realpath(dir, NULL);
	if (!whole)
		return dir;
	free(dir);
	return whole;
}

void load_deployments(struct config *c, const struct yaml_node *all, const struct msg_strs *base)
{
	struct loader l = {.c = c, .base = base, .arena = &c->arena};
	size_t n = yaml_count(all);
	char *dir = folder_of(c->file);

	l.dir = keep(&l, dir);
	free(dir);
	l.usual_base = inherited(&l, NULL);
	l.nodes = calloc(n + 1, sizeof(const struct yaml_node *));
	c->deployments = calloc(n + 1, sizeof *c->deployments);
	if (!l.nodes || !c->deployments)
		abort();
	for (const struct yaml_node *d = all->first; d; d = d->next)
		take_deployment(&l, d);
	depends_check(c->deployments, c->n_deployments, on_fault, &l);
	free(l.nodes);
}
