/*
 * The keys of a deployment: each one row with the function that checks a value and puts it into the
 * spec. The same rows serve the file and `set KEY=VALUE`.
 */
#include "lib/config/spec.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config/spec_values.h"
#include "lib/policy/name_rule.h"

static int put_command(struct put *p)
{
	return put_argv(p, &p->s->command);
}

static int put_reload_command(struct put *p)
{
	return put_argv(p, &p->s->reload_command);
}

static int put_folder(struct put *p)
{
	return put_path(p, &p->s->working_directory);
}

static int put_environment(struct put *p)
{
	return p->key ? put_variable(p, &p->s->environment, p->key)
		      : put_variables(p, &p->s->environment);
}

static int put_env_file(struct put *p)
{
	struct msg_strs pairs;
	const char *path = NULL;
	char why[PATH_MAX + 200];
	int err = put_path(p, &path);

	if (err || p->is_full)
		return err;
	if (config_env_file(p->arena, path, &pairs, why, sizeof why) < 0) /* as it was written */
		return value_wrong(p->error, p->n, "%s", why + strlen(path) - strlen(p->n->text));
	p->s->env_file = path;
	p->s->file_environment = pairs;
	return 0;
}

/* Acts on the base environment when a deployment of a file is made (load.c). */
static int put_inherit(struct put *p)
{
	struct msg_strs patterns;

	if (!p->dir)
		return value_wrong(p->error, p->n,
				   "is settled when a deployment is made; delete it and start it "
				   "with --inherit-env");
	return put_texts(p, &patterns, "true, false or a list of patterns");
}

static int put_port(struct put *p)
{
	return put_int(p, &p->s->port, 1, 65535);
}

static int put_auto_find(struct put *p)
{
	return put_bool(p, &p->s->auto_find_port);
}

static int put_autostart(struct put *p)
{
	return put_bool(p, &p->s->autostart);
}

static int put_no_new_privs(struct put *p)
{
	return put_bool(p, &p->s->no_new_privs);
}

static int put_auto_restart(struct put *p)
{
	bool on;
	int err = put_bool(p, &on);

	if (!err)
		p->s->restart = on ? "always" : "never";
	return err;
}

static int put_restart(struct put *p)
{
	static const char *const choices[] = {"never", "on-failure", "always", NULL};

	return put_choice(p, &p->s->restart, choices, "never, on-failure or always");
}

static int put_ready(struct put *p)
{
	static const char *const choices[] = {"exec", "healthy", "notify", NULL};

	return put_choice(p, &p->s->ready, choices, "exec, healthy or notify");
}

static int put_stop_scope(struct put *p)
{
	static const char *const choices[] = {"group", "main", NULL};

	return put_choice(p, &p->s->stop_scope, choices, "group or main");
}

static int put_codes(struct put *p)
{
	static const char expected[] = "a list of exit codes, 0 to 255";
	bool is_one = p->n->kind == YAML_TEXT;
	size_t n = is_one ? 1 : yaml_count(p->n), i = 0;
	int64_t *items = codec_arena_alloc(p->arena, (n + 1) * sizeof *items);

	p->is_full |= !items;
	if (p->n->kind == YAML_PAIRS || yaml_is_empty(p->n))
		return value_expected(p->error, p->n, expected);
	for (const struct yaml_node *c = is_one ? p->n : p->n->first; c && items;
	     c = is_one ? NULL : c->next, i++)
		if (c->kind != YAML_TEXT || c->quoted || !values_is_int(c->text, &items[i]) ||
		    items[i] < 0 || items[i] > 255)
			return value_expected(p->error, c, expected);
	p->s->success_exit_codes = (struct msg_i64s){.items = items, .count = (uint32_t)i};
	return 0;
}

/* "NAME:condition" of one line, or of one name of a list. */
static int take_dependency(struct put *p, const struct yaml_node *c, const char **ret_pair)
{
	static const char *const conditions[] = {"started", "ready", "healthy", "completed", NULL};
	struct put one = *p;
	bool is_pair = p->n->kind == YAML_PAIRS;
	const char *name = is_pair ? c->key : c->text, *condition = "ready", *why;
	char *pair;
	int err = 0;

	if (!is_pair && c->kind != YAML_TEXT)
		return value_expected(p->error, c, "the name of a deployment");
	one.n = c;
	if (is_pair && !yaml_is_empty(c))
		err = put_choice(&one, &condition, conditions,
				 "started, ready, healthy or completed");
	why = name_rule(name);
	if (!err && why) {
		err = value_wrong(p->error, c, "the name '%.70s' %s", name, why);
		p->error->at_key = is_pair;
	}
	if (err)
		return err;
	if (asprintf(&pair, "%s:%s", name, condition) < 0)
		abort();
	*ret_pair = put_keep(p, pair);
	free(pair);
	return 0;
}

static int put_depends(struct put *p)
{
	const char **items;
	size_t i = 0;

	if (p->n->kind == YAML_TEXT && !yaml_is_empty(p->n))
		return value_expected(p->error, p->n, "NAME: condition lines, or a list of names");
	items = put_list(p, yaml_count(p->n));
	for (const struct yaml_node *c = p->n->first; c && !p->is_full; c = c->next, i++) {
		int err = take_dependency(p, c, &items[i]);

		if (err)
			return err;
	}
	p->s->depends_on = (struct msg_strs){.items = items, .count = (uint32_t)i};
	return 0;
}

static int put_groups(struct put *p)
{
	struct msg_strs groups;
	int err = put_texts(p, &groups, "a list of groups");
	const char *why;

	if (err)
		return err;
	for (uint32_t i = 0; i < groups.count; i++)
		if ((why = name_rule(groups.items[i])))
			return value_wrong(p->error, p->n, "the name '%.70s' of a group %s",
					   groups.items[i], why);
	p->s->groups = groups;
	return 0;
}

static int put_stop_signal(struct put *p)
{
	return put_signal(p, &p->s->stop_signal);
}

static int put_reload_signal(struct put *p)
{
	return put_signal(p, &p->s->reload_signal);
}

static int put_log_file(struct put *p)
{
	return put_path(p, &p->s->log_file);
}

static bool is_word(const struct yaml_node *n, const char *word)
{
	return n->kind == YAML_TEXT && !n->quoted && strcmp(n->text, word) == 0;
}

static int put_stdout(struct put *p)
{
	return is_word(p->n, "null") ? put_text(p, &p->s->stdout_log)
				     : put_path(p, &p->s->stdout_log);
}

static int put_stderr(struct put *p)
{
	return is_word(p->n, "null") || is_word(p->n, "stdout") ? put_text(p, &p->s->stderr_log)
								: put_path(p, &p->s->stderr_log);
}

static int put_user(struct put *p)
{
	return put_text(p, &p->s->user);
}

static int put_group(struct put *p)
{
	return put_text(p, &p->s->group);
}

static int put_more_groups(struct put *p)
{
	return put_texts(p, &p->s->supplementary_groups, "a list of groups");
}

static int put_umask(struct put *p)
{
	const char *t = p->n->kind == YAML_TEXT ? p->n->text : "";
	size_t len = strlen(t);

	if (len < 1 || len > 4 || strspn(t, "01234567") != len || (len == 4 && t[0] != '0'))
		return value_expected(p->error, p->n, "an octal umask, \"000\" to \"777\"");
	p->s->umask = strtol(t, NULL, 8);
	return 0;
}

static int unknown_limit(struct put *p, const char *key, const char *const *names, size_t n)
{
	const char *near = name_nearest(key, names, n);

	value_wrong(p->error, p->n,
		    "unknown limit '%.40s'%s%s%s; there are nofile, nproc, core, address_space_mb, "
		    "memory_max_mb, cpu_percent, pids_max, nice, oom_score_adj",
		    key, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	p->error->at_key = true;
	return -EINVAL;
}

static int put_limit(struct put *p, const char *key)
{
	struct limits_record *l = &p->s->limits;
	const struct {
		const char *key;
		int64_t *place, least, most;
	} limits[] = {{"nofile", &l->nofile, 3, 1000000000},
		      {"nproc", &l->nproc, 1, 1000000000},
		      {"core", &l->core_bytes, 0, INT64_C(1) << 50},
		      {"address_space_mb", &l->address_space_mb, 1, 1000000000},
		      {"memory_max_mb", &l->memory_max_mb, 1, 1000000000},
		      {"cpu_percent", &l->cpu_percent, 1, 1000000},
		      {"pids_max", &l->pids_max, 1, 1000000000},
		      {"nice", &l->nice, -20, 19},
		      {"oom_score_adj", &l->oom_score_adj, -1000, 1000}};
	const char *names[sizeof limits / sizeof *limits];

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		names[i] = limits[i].key;
		if (strcmp(limits[i].key, key) == 0 && yaml_is_empty(p->n)) {
			*limits[i].place = MSG_NONE;
			return 0;
		}
		if (strcmp(limits[i].key, key) == 0)
			return put_int(p, limits[i].place, limits[i].least, limits[i].most);
	}
	return unknown_limit(p, key, names, sizeof names / sizeof *names);
}

static int put_limits(struct put *p)
{
	const struct yaml_node *all = p->n;
	int err = 0;

	if (p->key)
		return put_limit(p, p->key);
	if (all->kind != YAML_PAIRS && !yaml_is_empty(all))
		return value_expected(p->error, all, "limits such as nofile: 1024");
	for (const struct yaml_node *c = all->first; c && !err; c = c->next) {
		p->n = c;
		err = put_limit(p, c->key);
	}
	return err;
}

static const struct row {
	const char *key;
	int (*put)(struct put *p);
	bool is_live;   /* no restart needed */
	bool is_dotted; /* KEY.NAME sets one of several */
	const char *help;
} rows[] = {
	{"command", put_command, false, false, "text, split as a shell splits words, or a list"},
	{"working_directory", put_folder, false, false, "relative: to the file"},
	{"environment", put_environment, false, true, "NAME: value"},
	{"env_file", put_env_file, false, false, "NAME=value lines, read when the spec is made"},
	{"inherit_environment", put_inherit, false, false, "false, true, or patterns of names"},
	{"port", put_port, false, false, "1 to 65535; given as PORT and {{port}}"},
	{"auto_find_port", put_auto_find, true, false, "take the next free one (true)"},
	{"autostart", put_autostart, true, false, "start it with the set (true)"},
	{"auto_restart", put_auto_restart, true, false, "true: restart: always"},
	{"restart", put_restart, true, false, "never, on-failure, always"},
	{"success_exit_codes", put_codes, true, false, "a list, 0 to 255 ([0])"},
	{"ready", put_ready, false, false, "exec, healthy, notify"},
	{"depends_on", put_depends, true, false, "NAME: started, ready, healthy, completed"},
	{"groups", put_groups, true, false, "a list of names, for @group"},
	{"stop_signal", put_stop_signal, true, false, "name or number (TERM)"},
	{"stop_scope", put_stop_scope, true, false, "group, main"},
	{"reload_signal", put_reload_signal, true, false, "name or number (HUP)"},
	{"reload_command", put_reload_command, true, false, "instead of the signal"},
	{"log_file", put_log_file, true, false, "a further file to watch for patterns"},
	{"stdout_log", put_stdout, false, false, "a file, or null; else it is captured"},
	{"stderr_log", put_stderr, false, false, "a file, null or stdout; else it is captured"},
	{"user", put_user, false, false, "name or number"},
	{"group", put_group, false, false, "name or number"},
	{"supplementary_groups", put_more_groups, false, false, "a list of names or numbers"},
	{"umask", put_umask, false, false, "octal, \"022\""},
	{"limits", put_limits, false, true,
	 "nofile, nproc, core, address_space_mb, memory_max_mb, cpu_percent, pids_max, nice, "
	 "oom_score_adj; without a value: no limit"},
	{"no_new_privs", put_no_new_privs, false, false, "setuid programs gain nothing"},
};
enum { ROWS = sizeof rows / sizeof *rows };

const char *spec_key(size_t i, const char **ret_help, bool *ret_live)
{
	if (i >= ROWS)
		return NULL;
	*ret_help = rows[i].help;
	*ret_live = rows[i].is_live;
	return rows[i].key;
}

static const struct row *row_of(const char *key, const char **ret_rest)
{
	size_t len = strcspn(key, ".");

	for (int i = 0; i < ROWS; i++)
		if (strlen(rows[i].key) == len && memcmp(rows[i].key, key, len) == 0 &&
		    (!key[len] || (rows[i].is_dotted && key[len + 1]))) {
			*ret_rest = key[len] ? key + len + 1 : NULL;
			return &rows[i];
		}
	return NULL;
}

bool config_needs_restart(const char *key)
{
	const char *rest;
	const struct row *r = row_of(key, &rest);

	return r && !r->is_live;
}

static int unknown_key(const char *key, struct value_error *e)
{
	const char *names[ROWS + 64], *near;
	size_t n = 0;

	for (; n < ROWS; n++)
		names[n] = rows[n].key;
	for (size_t i = 0; i < config_keys_count && n < ROWS + 64; i++)
		if (!config_keys[i].of_set &&
		    (n == ROWS || strcmp(names[n - 1], config_keys[i].section) != 0))
			names[n++] = config_keys[i].section;
	near = name_nearest(key, names, n);
	value_wrong(e, NULL, "unknown key '%.60s' of a deployment%s%s%s", key,
		    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	e->at_key = true;
	return -EINVAL;
}

/* Sections that act on the spec itself. */
static void apply_setting(struct put *p, const char *key, const char *text)
{
	if (strcmp(key, "stop_timeout_seconds") == 0)
		p->s->stop_timeout_seconds = strtod(text, NULL);
	else if (strcmp(key, "start_timeout_seconds") == 0)
		p->s->start_timeout_seconds = strtod(text, NULL);
	else if (strcmp(key, "auto_restart_enabled") == 0)
		p->s->restart = strcmp(text, "true") == 0 ? "always" : "never";
	else if (strcmp(key, "protected_ports") == 0)
		p->s->protected_ports = config_ports(p->arena, text);
}

/* Adds or replaces one section.key=value; the list may be borrowed, so it is copied. */
static void keep_setting(struct put *p, const char *pair)
{
	struct msg_strs *all = &p->s->settings;
	const char **items = put_list(p, all->count + 1u);
	size_t key = strcspn(pair, "=") + 1;
	uint32_t n = 0;

	if (p->is_full)
		return;
	for (uint32_t i = 0; i < all->count; i++)
		if (strncmp(all->items[i], pair, key) != 0)
			items[n++] = all->items[i];
	items[n++] = put_keep(p, pair);
	*all = (struct msg_strs){.items = items, .count = n};
}

/* section.key=value of the set's sections, for this deployment. */
static int put_setting(struct put *p, const char *section, const char *key)
{
	int at = values_find(section, key), err;
	char *text = NULL, *pair;

	if (at < 0)
		return values_unknown(section, key, p->n, p->error);
	if (config_keys[at].of_set) {
		value_wrong(p->error, NULL, "%s.%s holds for the whole set, not for one deployment",
			    section, key);
		p->error->at_key = true;
		return -EINVAL;
	}
	err = values_check(&config_keys[at], p->n, &text, p->error);
	if (err)
		return err;
	if (strcmp(section, "defaults") == 0)
		apply_setting(p, key, text);
	if (asprintf(&pair, "%s.%s=%s", section, key, text) < 0)
		abort();
	keep_setting(p, pair);
	free(text);
	free(pair);
	return 0;
}

int spec_put(struct codec_arena *arena, struct deployment_spec *s, const char *key,
	     const struct yaml_node *n, const char *dir, struct value_error *error)
{
	struct put p = {.arena = arena, .s = s, .n = n, .dir = dir, .error = error};
	const struct row *r = row_of(key, &p.key);
	char section[64];
	size_t len = strcspn(key, ".");
	int err;

	*error = (struct value_error){0};
	snprintf(section, sizeof section, "%.*s", (int)(len < 63 ? len : 63), key);
	if (r)
		err = r->put(&p);
	else if (values_is_section(section) && key[len])
		err = put_setting(&p, section, key + len + 1);
	else
		err = unknown_key(key, error);
	if (!err && p.is_full)
		err = value_wrong(error, n, "takes more memory than a deployment may");
	return err;
}
