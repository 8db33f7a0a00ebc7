/*
 * Values of a deployment's keys, by kind. Strings are copied into the arena of the spec.
 */
#include "lib/config/spec_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/policy/exit_rule.h"

/* Stands in for memory that is not there; nobody writes to it, and the put fails in the end. */
static const char *no_items[1] = {""};

const char *put_keep(struct put *p, const char *text)
{
	size_t len = strlen(text);
	char *copy = codec_arena_alloc(p->arena, len + 1);

	if (copy)
		return memcpy(copy, text, len + 1);
	p->is_full = true;
	return "";
}

const char **put_list(struct put *p, size_t count)
{
	const char **items = codec_arena_alloc(p->arena, (count + 1) * sizeof *items);

	if (items)
		return items;
	p->is_full = true;
	return no_items;
}

int put_text(struct put *p, const char **place)
{
	if (p->n->kind != YAML_TEXT || !p->n->text[0])
		return value_expected(p->error, p->n, "text");
	*place = put_keep(p, p->n->text);
	return 0;
}

int put_path(struct put *p, const char **place)
{
	size_t dir = p->dir ? strlen(p->dir) : 0;
	char *whole;

	if (p->n->kind != YAML_TEXT || !p->n->text[0])
		return value_expected(p->error, p->n, "a path");
	if (p->n->text[0] != '/' && !dir)
		return value_expected(p->error, p->n, "an absolute path");
	if (p->n->text[0] == '/') {
		*place = put_keep(p, p->n->text);
		return 0;
	}
	if (asprintf(&whole, "%s%s%s", p->dir, p->dir[dir - 1] == '/' ? "" : "/", p->n->text) < 0)
		abort();
	*place = put_keep(p, whole);
	free(whole);
	return 0;
}

int put_bool(struct put *p, bool *place)
{
	bool v;

	if (p->n->kind != YAML_TEXT || p->n->quoted || !values_is_bool(p->n->text, &v))
		return value_expected(p->error, p->n, "true or false");
	*place = v;
	return 0;
}

int put_int(struct put *p, int64_t *place, int64_t least, int64_t most)
{
	char expected[80];
	int64_t v;

	snprintf(expected, sizeof expected, "a whole number, %lld to %lld", (long long)least,
		 (long long)most);
	if (p->n->kind != YAML_TEXT || p->n->quoted || !values_is_int(p->n->text, &v) ||
	    v < least || v > most)
		return value_expected(p->error, p->n, expected);
	*place = v;
	return 0;
}

/* A list of texts, or one text. */
int put_texts(struct put *p, struct msg_strs *place, const char *expected)
{
	size_t n = p->n->kind == YAML_TEXT ? 1 : yaml_count(p->n), i = 0;
	const char **items;

	if (p->n->kind == YAML_PAIRS || yaml_is_empty(p->n))
		return value_expected(p->error, p->n, expected);
	items = put_list(p, n);
	for (const struct yaml_node *c = p->n->kind == YAML_TEXT ? p->n : p->n->first;
	     c && !p->is_full; c = p->n->kind == YAML_TEXT ? NULL : c->next) {
		if (c->kind != YAML_TEXT)
			return value_expected(p->error, c, expected);
		items[i++] = put_keep(p, c->text);
	}
	*place = (struct msg_strs){.items = items, .count = (uint32_t)i};
	return 0;
}

int put_choice(struct put *p, const char **place, const char *const *choices, const char *expected)
{
	for (; p->n->kind == YAML_TEXT && *choices; choices++)
		if (strcmp(p->n->text, *choices) == 0) {
			*place = *choices;
			return 0;
		}
	return value_expected(p->error, p->n, expected);
}

static int check_word(struct put *p, const struct yaml_node *n, const char *word)
{
	const char *why = values_template_rule(word);

	if (strlen(word) > CONFIG_STRING_BYTES_MAX)
		why = "is longer than 131071 bytes";
	return why ? value_wrong(p->error, n, "'%.40s' %s", word, why) : 0;
}

/* A list of words, or a string that is split as a shell splits it. */
int put_argv(struct put *p, struct msg_strs *place)
{
	const struct yaml_node *item = p->n->kind == YAML_LIST ? p->n->first : NULL;
	struct msg_strs words = {0};
	char why[160];
	int err = 0;

	if (p->n->kind == YAML_PAIRS || yaml_is_empty(p->n) || (p->n->kind == YAML_LIST && !item))
		return value_expected(p->error, p->n, "a command: text, or a list of words");
	if (item)
		err = put_texts(p, &words, "a word of the command");
	else if (config_split(p->arena, p->n->text, &words, why, sizeof why) < 0)
		err = value_wrong(p->error, p->n, "%s", why);
	for (uint32_t i = 0; !err && i < words.count; i++) {
		err = check_word(p, item ? item : p->n, words.items[i]);
		item = item ? item->next : NULL;
	}
	if (!err && !words.items[0][0] && !p->is_full)
		err = value_wrong(p->error, p->n, "the name of the program is empty");
	if (!err)
		*place = words;
	return err;
}

int put_signal(struct put *p, int64_t *place)
{
	int signo = p->n->kind == YAML_TEXT ? exit_signal_number(p->n->text) : 0;

	if (!signo)
		return value_expected(p->error, p->n, "a signal such as TERM, SIGTERM or 15");
	*place = signo;
	return 0;
}

static int add_pair(struct put *p, struct msg_strs *list, const struct yaml_node *n,
		    const char *pair)
{
	size_t key = strcspn(pair, "=") + 1;
	const char *why = config_env_rule(pair);

	why = why ? why : values_template_rule(pair + key);
	if (why) /* not its value, which may be a secret */
		return value_wrong(p->error, n, "'%.*s' %s", (int)(key - 1 < 40 ? key - 1 : 40),
				   pair, why);
	for (uint32_t i = 0; i < list->count; i++)
		if (strncmp(list->items[i], pair, key) == 0) {
			list->items[i] = put_keep(p, pair);
			return 0;
		}
	if (list->count >= CONFIG_VARIABLES_MAX)
		return value_wrong(p->error, n, "more than %d variables", CONFIG_VARIABLES_MAX);
	if (!p->is_full)
		list->items[list->count++] = put_keep(p, pair);
	return 0;
}

static int add_named(struct put *p, struct msg_strs *list, const char *name,
		     const struct yaml_node *n)
{
	char *pair;
	int err;

	if (n->kind != YAML_TEXT)
		return value_expected(p->error, n, "text for each variable");
	if (!*name || strchr(name, '='))
		return value_wrong(p->error, n, "'%.40s' is no name of a variable", name);
	if (asprintf(&pair, "%s=%s", name, n->text) < 0)
		abort();
	err = add_pair(p, list, n, pair);
	free(pair);
	return err;
}

int put_variables(struct put *p, struct msg_strs *place)
{
	struct msg_strs list = {.items = put_list(p, yaml_count(p->n))};
	int err = 0;

	if (p->n->kind == YAML_TEXT && !yaml_is_empty(p->n))
		return value_expected(p->error, p->n, "NAME: value lines");
	for (const struct yaml_node *c = p->n->first; c && !err && !p->is_full; c = c->next) {
		if (p->n->kind == YAML_PAIRS)
			err = add_named(p, &list, c->key, c);
		else if (c->kind == YAML_TEXT)
			err = add_pair(p, &list, c, c->text);
		else
			err = value_expected(p->error, c, "NAME=value");
	}
	if (!err)
		*place = list;
	return err;
}

/* The list may be borrowed from a decoded message: it is copied, never extended. */
int put_variable(struct put *p, struct msg_strs *place, const char *name)
{
	struct msg_strs list = {.items = put_list(p, place->count + 1u), .count = place->count};
	int err;

	if (p->is_full)
		return 0;
	if (place->count)
		memcpy(list.items, place->items, place->count * sizeof *list.items);
	err = add_named(p, &list, name, p->n);
	if (!err)
		*place = list;
	return err;
}
