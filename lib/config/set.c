/*
 * Specs that come from no file: one key from text (`set ID KEY=VALUE`), and the rules for a spec as
 * a whole, wherever it came from.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config/config.h"
#include "lib/config/spec.h"
#include "lib/config/values.h"

struct msg_i64s config_ports(struct codec_arena *arena, const char *list)
{
	struct msg_i64s ports = {0};
	size_t n = *list ? 1 : 0;

	for (const char *c = list; *c; c++)
		n += *c == ',';
	ports.items = n ? codec_arena_alloc(arena, n * sizeof *ports.items) : NULL;
	while (ports.items && ports.count < n) {
		ports.items[ports.count++] = strtoll(list, NULL, 10);
		list += strcspn(list, ",") + 1;
	}
	return ports;
}

/* --- one key from text --- */

enum shape { SHAPE_TEXT, SHAPE_ITEMS, SHAPE_NAMED, SHAPE_WORDS };

/* How text stands for a list: a,b,c · name:value,… or name=value,… · a command. */
static const struct {
	const char *key;
	enum shape shape;
	char separator;
} shapes[] = {{"groups", SHAPE_ITEMS, 0},
	      {"success_exit_codes", SHAPE_ITEMS, 0},
	      {"supplementary_groups", SHAPE_ITEMS, 0},
	      {"inherit_environment", SHAPE_ITEMS, 0},
	      {"defaults.protected_ports", SHAPE_ITEMS, 0},
	      {"log_monitoring.error_patterns", SHAPE_ITEMS, 0},
	      {"depends_on", SHAPE_NAMED, ':'},
	      {"limits", SHAPE_NAMED, '='},
	      {"environment", SHAPE_NAMED, '='},
	      {"health_checks.http.headers", SHAPE_NAMED, '='},
	      {"health_checks.external", SHAPE_NAMED, '='},
	      {"command", SHAPE_WORDS, 0},
	      {"reload_command", SHAPE_WORDS, 0},
	      {"health_checks.command.run", SHAPE_WORDS, 0}};

static enum shape shape_of(const char *key, char *ret_separator)
{
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (strcmp(shapes[i].key, key) == 0) {
			*ret_separator = shapes[i].separator;
			return shapes[i].shape;
		}
	return SHAPE_TEXT;
}

static char *copy_of(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

static void add_item(struct yaml_node *list, const char *word, char separator)
{
	struct yaml_node *item = calloc(1, sizeof *item);
	const char *at = separator ? strchr(word, separator) : NULL;

	if (!item)
		abort();
	item->kind = YAML_TEXT;
	item->key = copy_of(word);
	if (at)
		item->key[at - word] = 0;
	item->text = copy_of(at ? at + 1 : separator ? "" : word);
	if (list->last)
		list->last->next = item;
	else
		list->first = item;
	list->last = item;
}

static struct yaml_node *node_of_items(const char *value, enum shape shape, char separator)
{
	struct yaml_node *list = calloc(1, sizeof *list);
	char *copy = copy_of(value), *rest = copy, *word;

	if (!list)
		abort();
	list->kind = shape == SHAPE_NAMED ? YAML_PAIRS : YAML_LIST;
	while (*value && (word = strsep(&rest, ",")))
		add_item(list, word, separator);
	free(copy);
	return list;
}

/* "[…]" and "{…}" as in the file. NULL: it is none, with why. */
static struct yaml_node *node_of_yaml(const char *value, char *why, size_t size)
{
	struct yaml_errors *errors = calloc(1, sizeof *errors);
	struct yaml_node *root;
	char *text;

	if (!errors || asprintf(&text, "v: %s", value) < 0)
		abort();
	root = yaml_tree_parse(text, strlen(text), errors);
	if (errors->count) {
		snprintf(why, size, "%s", errors->items[0].text);
		yaml_tree_free(root);
		root = NULL;
	}
	free(errors);
	free(text);
	return root;
}

static int put_node(struct codec_arena *arena, struct deployment_spec *s, const char *key,
		    const struct yaml_node *n, char *why, size_t size)
{
	struct value_error error;
	int err = spec_put(arena, s, key, n, NULL, &error);

	if (err && error.at_key) /* says the key itself */
		snprintf(why, size, "%s", error.text);
	else if (err)
		snprintf(why, size, "%s: %s", key, error.text);
	return err;
}

int config_spec_set(struct codec_arena *arena, struct deployment_spec *s, const char *key,
		    const char *value, char *ret_why, size_t size)
{
	char separator = 0;
	enum shape shape = shape_of(key, &separator);
	struct yaml_node plain = {.kind = YAML_TEXT}, *made = NULL;
	const struct yaml_node *n = &plain;
	bool is_yaml = shape == SHAPE_WORDS
			       ? strncmp(value, "[\"", 2) == 0
			       : shape != SHAPE_TEXT && (*value == '[' || *value == '{');
	int err;

	if (is_yaml) {
		made = node_of_yaml(value, ret_why, size);
		if (!made)
			return -EINVAL;
		n = made->first;
	} else if (shape == SHAPE_ITEMS || shape == SHAPE_NAMED) {
		n = made = node_of_items(value, shape, separator);
	} else {
		plain.text = copy_of(value);
	}
	err = put_node(arena, s, key, n, ret_why, size);
	free(plain.text);
	yaml_tree_free(made);
	return err;
}

/* --- a spec as a whole --- */

static size_t bytes_of(const struct msg_strs *list)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < list->count; i++)
		bytes += strlen(list->items[i]) + 1;
	return bytes;
}

static bool uses_port(const struct msg_strs *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (strstr(list->items[i], "{{port}}"))
			return true;
	return false;
}

static const char *too_long(const struct msg_strs *list, const char *what)
{
	static _Thread_local char text[120];

	for (uint32_t i = 0; i < list->count; i++) {
		const char *item = list->items[i];
		size_t name = strcspn(item, "= ");

		if (strlen(item) <= CONFIG_STRING_BYTES_MAX)
			continue;
		snprintf(text, sizeof text, "%s %.*s is longer than 131071 bytes", what,
			 (int)(name < 40 ? name : 40), item);
		return text;
	}
	return NULL;
}

const char *config_spec_rule(const struct deployment_spec *s)
{
	const struct msg_strs *lists[] = {&s->command, &s->base_environment, &s->file_environment,
					  &s->environment};
	const char *why = NULL;
	size_t bytes = 0;

	if (s->command.count == 0 || !s->command.items[0][0])
		return "the command is missing";
	for (size_t i = 0; i < sizeof lists / sizeof *lists && !why; i++) {
		bytes += bytes_of(lists[i]);
		why = too_long(lists[i], i ? "the variable" : "the word");
	}
	if (why)
		return why;
	if (bytes > CONFIG_COMMAND_BYTES_MAX)
		return "command and environment together are larger than 192 KiB";
	if (s->port == MSG_NONE && (uses_port(&s->command) || uses_port(&s->environment) ||
				    uses_port(&s->file_environment)))
		return "{{port}} is used, but there is no port";
	return NULL;
}
