/*
 * The keys of a deployment: each one row with the function that checks a value and puts it into the
 * spec. The same rows serve the file and `set KEY=VALUE`.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config/config.h"
#include "lib/config/spec.h"
#include "lib/config/values.h"
#include "lib/policy/exit_rule.h"
#include "lib/policy/name_rule.h"

enum { TEXT_BYTES_MAX = 192 * 1024, STRING_BYTES_MAX = 131071 };

struct put {
	struct codec_arena *arena;
	struct deployment_spec *s;
	const struct yaml_node *n;
	const char *key; /* what follows the dot of limits.x, environment.x */
	const char *dir; /* folder of the file, NULL: none */
	char *why;
	size_t size;
};

static int no(struct put *p, const char *expected)
{
	const struct yaml_node *n = p->n;

	snprintf(p->why, p->size, "expected %s, found %s%.60s%s", expected,
		 n->kind == YAML_TEXT ? "'" : "",
		 n->kind == YAML_TEXT   ? n->text
		 : n->kind == YAML_LIST ? "a list"
					: "keys and values",
		 n->kind == YAML_TEXT ? "'" : "");
	return -EINVAL;
}

static char *keep(struct put *p, const char *text)
{
	char *copy = codec_arena_alloc(p->arena, strlen(text) + 1);

	if (!copy)
		abort();
	return memcpy(copy, text, strlen(text) + 1);
}

static int put_text(struct put *p, const char **place)
{
	if (p->n->kind != YAML_TEXT || !p->n->text[0])
		return no(p, "text");
	*place = keep(p, p->n->text);
	return 0;
}

static int put_path(struct put *p, const char **place)
{
	char *whole;

	if (p->n->kind != YAML_TEXT || !p->n->text[0])
		return no(p, "a path");
	if (p->n->text[0] == '/' || !p->dir) {
		*place = keep(p, p->n->text);
		return 0;
	}
	if (asprintf(&whole, "%s/%s", p->dir, p->n->text) < 0)
		abort();
	*place = keep(p, whole);
	free(whole);
	return 0;
}

static int put_bool(struct put *p, bool *place)
{
	return p->n->kind == YAML_TEXT && !p->n->quoted && values_is_bool(p->n->text, place)
		       ? 0
		       : no(p, "true or false");
}

static int put_int(struct put *p, int64_t *place, int64_t least, int64_t most)
{
	char range[80];
	int64_t v;

	snprintf(range, sizeof range, "a whole number, %lld to %lld", (long long)least,
		 (long long)most);
	if (p->n->kind != YAML_TEXT || !values_is_int(p->n->text, &v) || v < least || v > most)
		return no(p, range);
	*place = v;
	return 0;
}

static uint32_t count(const struct yaml_node *n)
{
	uint32_t k = 0;

	for (const struct yaml_node *c = n->first; c; c = c->next)
		k++;
	return k;
}

/* A list of texts, or one text. */
static int put_texts(struct put *p, struct msg_strs *place, const char *what)
{
	uint32_t n = p->n->kind == YAML_TEXT ? 1 : count(p->n), i = 0;
	const char **items;

	if (p->n->kind == YAML_PAIRS)
		return no(p, what);
	items = codec_arena_alloc(p->arena, (n + 1) * sizeof *items);
	if (!items)
		abort();
	for (const struct yaml_node *c = p->n->kind == YAML_TEXT ? p->n : p->n->first; c;
	     c = p->n->kind == YAML_TEXT ? NULL : c->next) {
		if (c->kind != YAML_TEXT)
			return no(p, what);
		items[i++] = keep(p, c->text);
	}
	*place = (struct msg_strs){.items = items, .count = n};
	return 0;
}

static int put_command_at(struct put *p, struct msg_strs *place)
{
	char why[160];

	if (p->n->kind == YAML_LIST)
		return count(p->n) ? put_texts(p, place, "a command") : no(p, "a command");
	if (p->n->kind != YAML_TEXT)
		return no(p, "a command");
	if (config_split(p->arena, p->n->text, place, why, sizeof why) < 0) {
		snprintf(p->why, p->size, "%s", why);
		return -EINVAL;
	}
	return 0;
}

static int put_command(struct put *p)
{
	return put_command_at(p, &p->s->command);
}
static int put_reload_command(struct put *p)
{
	return put_command_at(p, &p->s->reload_command);
}
static int put_folder(struct put *p)
{
	return put_path(p, &p->s->working_directory);
}

/* Adds or replaces one KEY=VALUE. */
static int add_pair(struct put *p, struct msg_strs *list, const char *pair)
{
	size_t key = strcspn(pair, "=") + 1;
	const char **items, *why = config_env_rule(pair);

	if (why || strlen(pair) > STRING_BYTES_MAX) {
		snprintf(p->why, p->size, "'%.40s' %s", pair,
			 why ? why : "is longer than 131071 bytes");
		return -EINVAL;
	}
	items = codec_arena_alloc(p->arena, (list->count + 1) * sizeof *items);
	if (!items)
		return -ENOMEM;
	if (list->count)
		memcpy(items, list->items, list->count * sizeof *items);
	list->items = items;
	for (uint32_t i = 0; i < list->count; i++)
		if (strncmp(items[i], pair, key) == 0) {
			items[i] = keep(p, pair);
			return 0;
		}
	items[list->count++] = keep(p, pair);
	return 0;
}

static int add_key_value(struct put *p, const char *key, const struct yaml_node *v)
{
	char *pair;
	int err;

	if (v->kind != YAML_TEXT)
		return no(p, "text for each variable");
	if (asprintf(&pair, "%s=%s", key, v->text) < 0)
		abort();
	err = add_pair(p, &p->s->environment, pair);
	free(pair);
	return err;
}

static int put_environment(struct put *p)
{
	int err = 0;

	if (p->key)
		return add_key_value(p, p->key, p->n);
	p->s->environment = (struct msg_strs){0};
	if (p->n->kind == YAML_TEXT)
		return p->n->text[0] ? no(p, "KEY: VALUE lines") : 0;
	for (const struct yaml_node *c = p->n->first; c && !err; c = c->next)
		err = p->n->kind == YAML_PAIRS ? add_key_value(p, c->key, c)
		      : c->kind == YAML_TEXT   ? add_pair(p, &p->s->environment, c->text)
					       : no(p, "KEY=VALUE");
	return err;
}

static int put_env_file(struct put *p)
{
	int err = put_path(p, &p->s->env_file);

	return err ? err
		   : config_env_file(p->arena, p->s->env_file, &p->s->file_environment, p->why,
				     p->size);
}

static int put_inherit(struct put *p)
{
	struct msg_strs ignored;

	return put_texts(p, &ignored, "true, false or a list of patterns");
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

static int put_choice(struct put *p, const char **place, const char *const *choices,
		      const char *expected)
{
	for (; p->n->kind == YAML_TEXT && *choices; choices++)
		if (strcmp(p->n->text, *choices) == 0) {
			*place = *choices;
			return 0;
		}
	return no(p, expected);
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
	uint32_t n = p->n->kind == YAML_TEXT ? 1 : count(p->n), i = 0;
	int64_t *items = codec_arena_alloc(p->arena, (n + 1) * sizeof *items);

	if (!items)
		abort();
	for (const struct yaml_node *c = p->n->kind == YAML_TEXT ? p->n : p->n->first; c;
	     c = p->n->kind == YAML_TEXT ? NULL : c->next)
		if (c->kind != YAML_TEXT || !values_is_int(c->text, &items[i]) || items[i] < 0 ||
		    items[i++] > 255)
			return no(p, "a list of exit codes, 0 to 255");
	p->s->success_exit_codes = (struct msg_i64s){.items = items, .count = n};
	return 0;
}

static int put_depends(struct put *p)
{
	static const char *const conditions[] = {"started", "ready", "healthy", "completed"};
	uint32_t n = p->n->kind == YAML_TEXT ? 0 : count(p->n), i = 0;
	const char **items = codec_arena_alloc(p->arena, (n + 1) * sizeof *items);

	if (!items)
		abort();
	if (p->n->kind == YAML_TEXT)
		return no(p, "NAME: condition lines");
	for (const struct yaml_node *c = p->n->first; c; c = c->next) {
		const char *name = p->n->kind == YAML_PAIRS ? c->key : c->text,
			   *condition = p->n->kind == YAML_PAIRS ? c->text : "ready";
		char *pair;
		bool known = false;

		for (size_t k = 0; condition && k < sizeof conditions / sizeof *conditions; k++)
			known |= strcmp(condition, conditions[k]) == 0;
		if (!known || !name || name_rule(name))
			return no(p, "NAME: started, ready, healthy or completed");
		if (asprintf(&pair, "%s:%s", name, condition) < 0)
			abort();
		items[i++] = keep(p, pair);
		free(pair);
	}
	p->s->depends_on = (struct msg_strs){.items = items, .count = n};
	return 0;
}

static int put_groups(struct put *p)
{
	int err = put_texts(p, &p->s->groups, "a list of groups");

	for (uint32_t i = 0; !err && i < p->s->groups.count; i++)
		if (name_rule(p->s->groups.items[i]))
			err = no(p, "names of groups");
	return err;
}

static int put_signal(struct put *p, int64_t *place)
{
	int signo = p->n->kind == YAML_TEXT ? exit_signal_number(p->n->text) : 0;

	if (!signo)
		return no(p, "a signal (TERM, SIGTERM or 15)");
	*place = signo;
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
static int put_stdout(struct put *p)
{
	return p->n->kind == YAML_TEXT && strcmp(p->n->text, "null") == 0
		       ? put_text(p, &p->s->stdout_log)
		       : put_path(p, &p->s->stdout_log);
}
static int put_stderr(struct put *p)
{
	bool word = p->n->kind == YAML_TEXT &&
		    (strcmp(p->n->text, "null") == 0 || strcmp(p->n->text, "stdout") == 0);

	return word ? put_text(p, &p->s->stderr_log) : put_path(p, &p->s->stderr_log);
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

	if (!*t || strlen(t) > 4 || strspn(t, "01234567") != strlen(t))
		return no(p, "an octal umask such as \"022\"");
	p->s->umask = strtol(t, NULL, 8) & 0777;
	return 0;
}

static int put_limit(struct put *p, const char *key)
{
	struct limits_record *l = &p->s->limits;
	const struct {
		const char *key;
		int64_t *place, least, most;
	} rows[] = {{"nofile", &l->nofile, 3, 1000000000},
		    {"nproc", &l->nproc, 1, 1000000000},
		    {"core", &l->core_bytes, 0, INT64_C(1) << 50},
		    {"address_space_mb", &l->address_space_mb, 1, 1000000000},
		    {"memory_max_mb", &l->memory_max_mb, 1, 1000000000},
		    {"cpu_percent", &l->cpu_percent, 1, 1000000},
		    {"pids_max", &l->pids_max, 1, 1000000000},
		    {"nice", &l->nice, -20, 19},
		    {"oom_score_adj", &l->oom_score_adj, -1000, 1000}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strcmp(rows[i].key, key) == 0)
			return put_int(p, rows[i].place, rows[i].least, rows[i].most);
	snprintf(p->why, p->size,
		 "there is no limit %.40s; there are nofile nproc core address_space_mb "
		 "memory_max_mb cpu_percent pids_max nice oom_score_adj",
		 key);
	return -EINVAL;
}

static int put_limits(struct put *p)
{
	const struct yaml_node *all = p->n;
	int err = 0;

	if (p->key)
		return put_limit(p, p->key);
	if (all->kind != YAML_PAIRS)
		return no(p, "limits such as nofile: 1024");
	for (const struct yaml_node *c = all->first; c && !err; c = c->next) {
		p->n = c;
		err = put_limit(p, c->key);
	}
	return err;
}

static const struct row {
	const char *key;
	int (*put)(struct put *p);
	bool live; /* no restart needed */
	bool dotted;
} rows[] = {
	{"command", put_command, false, false},
	{"working_directory", put_folder, false, false},
	{"environment", put_environment, false, true},
	{"env_file", put_env_file, false, false},
	{"inherit_environment", put_inherit, false, false},
	{"port", put_port, false, false},
	{"auto_find_port", put_auto_find, true, false},
	{"autostart", put_autostart, true, false},
	{"auto_restart", put_auto_restart, true, false},
	{"restart", put_restart, true, false},
	{"success_exit_codes", put_codes, true, false},
	{"ready", put_ready, false, false},
	{"depends_on", put_depends, true, false},
	{"groups", put_groups, true, false},
	{"stop_signal", put_stop_signal, true, false},
	{"stop_scope", put_stop_scope, true, false},
	{"reload_signal", put_reload_signal, true, false},
	{"reload_command", put_reload_command, true, false},
	{"log_file", put_log_file, true, false},
	{"stdout_log", put_stdout, false, false},
	{"stderr_log", put_stderr, false, false},
	{"user", put_user, false, false},
	{"group", put_group, false, false},
	{"supplementary_groups", put_more_groups, false, false},
	{"umask", put_umask, false, false},
	{"limits", put_limits, false, true},
	{"no_new_privs", put_no_new_privs, false, false},
};
enum { ROWS = sizeof rows / sizeof *rows };

static const struct row *row_of(const char *key, const char **ret_rest)
{
	size_t len = strcspn(key, ".");

	for (int i = 0; i < ROWS; i++)
		if (strlen(rows[i].key) == len && memcmp(rows[i].key, key, len) == 0 &&
		    (!key[len] || rows[i].dotted)) {
			*ret_rest = key[len] ? key + len + 1 : NULL;
			return &rows[i];
		}
	return NULL;
}

bool config_needs_restart(const char *key)
{
	const char *rest;
	const struct row *r = row_of(key, &rest);

	return r && !r->live;
}

/* section.key=value of the set's sections, for this deployment. */
static int put_setting(struct put *p, const char *key)
{
	size_t len = strcspn(key, ".");
	char section[64], *text = NULL, *pair;
	int at, err;

	snprintf(section, sizeof section, "%.*s", (int)(len < 63 ? len : 63), key);
	at = key[len] ? values_find(section, key + len + 1) : -1;
	if (at < 0 || strcmp(section, "journal") == 0 || strcmp(section, "security") == 0 ||
	    !*section)
		return -ENOENT;
	err = values_check(&config_keys[at], p->n, NULL, &text, p->why, p->size);
	if (err)
		return err;
	/* Two keys that act on the spec itself. */
	if (strcmp(key, "defaults.stop_timeout_seconds") == 0)
		p->s->stop_timeout_seconds = strtod(text, NULL);
	if (strcmp(key, "defaults.start_timeout_seconds") == 0)
		p->s->start_timeout_seconds = strtod(text, NULL);
	if (asprintf(&pair, "%s=%s", key, text) < 0)
		abort();
	free(text);
	err = -ENOMEM;
	if (pair) {
		const char **items =
			codec_arena_alloc(p->arena, (p->s->settings.count + 1) * sizeof *items);

		if (!items)
			abort();
		if (p->s->settings.count)
			memcpy(items, p->s->settings.items, p->s->settings.count * sizeof *items);
		items[p->s->settings.count] = keep(p, pair);
		p->s->settings.items = items;
		for (uint32_t i = 0; i < p->s->settings.count; i++)
			if (strncmp(items[i], pair, strlen(key) + 1) == 0) {
				items[i] = items[p->s->settings.count--];
				break;
			}
		p->s->settings.count++;
		err = 0;
	}
	free(pair);
	return err;
}

static int unknown_key(const char *key, char *why, size_t size)
{
	const char *names[ROWS + 8], *near;
	static const char *const sections[] = {"defaults", "restart_policy", "health_checks",
					       "stability", "log_monitoring"};
	size_t n = 0;

	for (; n < ROWS; n++)
		names[n] = rows[n].key;
	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
		names[n++] = sections[i];
	near = name_nearest(key, names, n);
	snprintf(why, size, "unknown key '%.60s' of a deployment%s%s%s", key,
		 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return -EINVAL;
}

int spec_put(struct codec_arena *arena, struct deployment_spec *s, const char *key,
	     const struct yaml_node *n, const char *dir, char *why, size_t size)
{
	struct put p = {.arena = arena, .s = s, .n = n, .dir = dir, .why = why, .size = size};
	const struct row *r = row_of(key, &p.key);
	int err;

	why[0] = 0;
	if (r) {
		err = r->put(&p);
		if (err && why[0]) {
			char copy[300];

			snprintf(copy, sizeof copy, "%.250s", why);
			snprintf(why, size, "%.60s: %s", key, copy);
		}
		return err;
	}
	err = put_setting(&p, key);
	return err == -ENOENT ? unknown_key(key, why, size) : err;
}

int config_spec_set(struct codec_arena *arena, struct deployment_spec *s, const char *key,
		    const char *value, char *ret_why, size_t size)
{
	struct yaml_node n = {.kind = YAML_TEXT}, items[64] = {0}, *last = NULL;
	char *copy = strdup(value), *rest = copy, *word;
	bool is_list = strcmp(key, "groups") == 0 || strcmp(key, "success_exit_codes") == 0 ||
		       strcmp(key, "depends_on") == 0 || strcmp(key, "supplementary_groups") == 0 ||
		       strcmp(key, "defaults.protected_ports") == 0 ||
		       strcmp(key, "log_monitoring.error_patterns") == 0;
	int err, i = 0;

	if (!copy)
		abort();
	n.text = copy;
	if (is_list) { /* a,b,c */
		n.kind = strcmp(key, "depends_on") == 0 ? YAML_PAIRS : YAML_LIST;
		while ((word = strsep(&rest, ",")) && i < 64 && *word) {
			char *colon = n.kind == YAML_PAIRS ? strchr(word, ':') : NULL;

			items[i] = (struct yaml_node){.kind = YAML_TEXT,
						      .text = colon ? colon + 1
							      : n.kind == YAML_PAIRS
								      ? (char[]){"ready"}
								      : word,
						      .key = word};
			if (colon)
				*colon = 0;
			if (last)
				last->next = &items[i];
			else
				n.first = &items[i];
			last = &items[i++];
		}
	}
	err = spec_put(arena, s, key, &n, NULL, ret_why, size);
	free(copy);
	return err;
}

const char *config_spec_rule(const struct deployment_spec *s)
{
	size_t bytes = 0;

	if (s->command.count == 0 || !s->command.items[0][0])
		return "the command is missing";
	for (uint32_t i = 0; i < s->command.count; i++)
		bytes += strlen(s->command.items[i]) + 1;
	for (uint32_t i = 0; i < s->environment.count; i++)
		bytes += strlen(s->environment.items[i]) + 1;
	for (uint32_t i = 0; i < s->base_environment.count; i++)
		bytes += strlen(s->base_environment.items[i]) + 1;
	for (uint32_t i = 0; i < s->file_environment.count; i++)
		bytes += strlen(s->file_environment.items[i]) + 1;
	return bytes > TEXT_BYTES_MAX ? "command and environment together are larger than 192 KiB"
				      : NULL;
}
