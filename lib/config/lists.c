/*
 * Values that are lists or maps, against their row in the table of keys, and their normal form:
 * lines, so that who reads them needs no YAML.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config/values.h"
#include "lib/policy/name_rule.h"

static config_check_pattern *check_regex;

void config_use_pattern_check(config_check_pattern *check)
{
	check_regex = check;
}

static int take_port(FILE *out, const struct yaml_node *n, struct value_error *e)
{
	int64_t port;

	if (n->kind != YAML_TEXT || n->quoted || !values_is_int(n->text, &port) || port < 1 ||
	    port > 65535)
		return value_expected(e, n, "a port, 1 to 65535");
	fprintf(out, "%s", n->text);
	return 0;
}

static int check_pattern_text(const struct yaml_node *n, struct value_error *e)
{
	const char *why;

	if (n->kind != YAML_TEXT || !n->text[0])
		return value_expected(e, n, "a regular expression");
	for (const char *c = n->text; *c; c++)
		if (iscntrl((unsigned char)*c))
			return value_wrong(e, n,
					   "a regular expression with a control character; write "
					   "it as an escape such as \\t");
	why = check_regex ? check_regex(n->text) : NULL;
	return why ? value_wrong(e, n, "'%.60s' is no regular expression: %s", n->text, why) : 0;
}

static int take_word(const struct yaml_node *n, const char *const *words, const char *expected,
		     const char **ret_word, struct value_error *e)
{
	for (; n->kind == YAML_TEXT && *words; words++)
		if (strcmp(*words, n->text) == 0) {
			*ret_word = *words;
			return 0;
		}
	return value_expected(e, n, expected);
}

static int pattern_key(const struct yaml_node *n, const struct yaml_node **pattern,
		       const char **severity, const char **action, struct value_error *e)
{
	static const char *const severities[] = {"warning", "error", "critical", NULL},
				 *const actions[] = {"none", "restart", NULL};

	if (strcmp(n->key, "pattern") == 0) {
		*pattern = n;
		return 0;
	}
	if (strcmp(n->key, "severity") == 0)
		return take_word(n, severities, "warning, error or critical", severity, e);
	if (strcmp(n->key, "action") == 0)
		return take_word(n, actions, "none or restart", action, e);
	value_wrong(e, n,
		    "unknown key '%.60s' of a pattern; there are pattern, severity and action",
		    n->key);
	e->at_key = true;
	return -EINVAL;
}

static int take_pattern(FILE *out, const struct yaml_node *n, struct value_error *e)
{
	const char *severity = "error", *action = "none";
	const struct yaml_node *pattern = n->kind == YAML_PAIRS ? NULL : n;
	int err = 0;

	for (const struct yaml_node *c = n->kind == YAML_PAIRS ? n->first : NULL; c && !err;
	     c = c->next)
		err = pattern_key(c, &pattern, &severity, &action, e);
	if (!err && !pattern)
		return value_wrong(e, n, "the key 'pattern' is missing");
	err = err ? err : check_pattern_text(pattern, e);
	if (!err)
		fprintf(out, "%s %s %s", severity, action, pattern->text);
	return err;
}

/* Words may hold anything: newline and backslash are written \n and \\. */
static int take_argument(FILE *out, const struct yaml_node *n, struct value_error *e)
{
	if (n->kind != YAML_TEXT)
		return value_expected(e, n, "a word of the command");
	for (const char *c = n->text; *c; c++)
		if (*c == '\n' || *c == '\\')
			fputs(*c == '\n' ? "\\n" : "\\\\", out);
		else
			fputc(*c, out);
	return 0;
}

static int take_header(FILE *out, const struct yaml_node *n, struct value_error *e)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	if (!n->key[0] || n->key[strspn(n->key, token)]) {
		value_wrong(e, n, "'%.60s' is no name of a header", n->key);
		e->at_key = true;
		return -EINVAL;
	}
	if (n->kind != YAML_TEXT)
		return value_expected(e, n, "a header's text");
	for (const char *c = n->text; *c; c++)
		if (iscntrl((unsigned char)*c))
			return value_wrong(e, n, "a control character in a header");
	fprintf(out, "%s=%s", n->key, n->text);
	return 0;
}

static int take_outside_check(FILE *out, const struct config_key *k, const struct yaml_node *n,
			      struct value_error *e)
{
	const char *why = name_rule(n->key), *text = "90";
	char expected[80];
	double v;

	if (why) {
		value_wrong(e, n, "the name '%.70s' of a check %s", n->key, why);
		e->at_key = true;
		return -EINVAL;
	}
	if (n->kind != YAML_PAIRS && !yaml_is_empty(n))
		return value_expected(e, n, "stale_after_seconds: and a number");
	for (const struct yaml_node *c = n->first; c; c = c->next) {
		if (strcmp(c->key, "stale_after_seconds") != 0) {
			value_wrong(e, c,
				    "unknown key '%.60s' of a check; there is "
				    "stale_after_seconds",
				    c->key);
			e->at_key = true;
			return -EINVAL;
		}
		snprintf(expected, sizeof expected, "a number, %.12g to %.12g", k->least, k->most);
		if (c->kind != YAML_TEXT || c->quoted || !values_is_real(c->text, &v) ||
		    v < k->least || v > k->most)
			return value_expected(e, c, expected);
		text = c->text;
	}
	fprintf(out, "%s=%s", n->key, text);
	return 0;
}

static int take_item(FILE *out, const struct config_key *k, const struct yaml_node *n,
		     struct value_error *e)
{
	switch (k->type) {
	case KEY_PORTS:
		return take_port(out, n, e);
	case KEY_PATTERNS:
		return take_pattern(out, n, e);
	case KEY_COMMAND:
		return take_argument(out, n, e);
	case KEY_MAP:
		return take_header(out, n, e);
	default:
		return take_outside_check(out, k, n, e);
	}
}

/* The words of a command string stand in for a list. */
static int check_command_string(const struct config_key *k, const struct yaml_node *n,
				char **ret_text, struct value_error *e)
{
	struct codec_arena arena = {0};
	struct yaml_node *words, list = {.kind = YAML_LIST};
	struct msg_strs split;
	char why[200];
	int err = config_split(&arena, n->text, &split, why, sizeof why);

	if (err) {
		codec_arena_done(&arena);
		return value_wrong(e, n, "%s", why);
	}
	words = calloc(split.count, sizeof *words);
	if (!words)
		abort();
	for (uint32_t i = 0; i < split.count; i++) {
		words[i].text = (char *)(uintptr_t)split.items[i];
		words[i].next = i + 1 < split.count ? &words[i + 1] : NULL;
	}
	list.first = words;
	err = lists_check(k, &list, ret_text, e);
	free(words);
	codec_arena_done(&arena);
	return err;
}

int lists_check(const struct config_key *k, const struct yaml_node *n, char **ret_text,
		struct value_error *e)
{
	enum yaml_kind kind = k->type == KEY_MAP || k->type == KEY_CHECKS ? YAML_PAIRS : YAML_LIST;
	FILE *out;
	size_t len;
	int err = 0;

	if (k->type == KEY_COMMAND && n->kind == YAML_TEXT && !yaml_is_empty(n))
		return check_command_string(k, n, ret_text, e);
	if (n->kind != kind && !yaml_is_empty(n))
		return value_expected(e, n, kind == YAML_LIST ? "a list" : "keys and values");
	out = open_memstream(ret_text, &len);
	if (!out)
		abort();
	for (const struct yaml_node *c = n->first; c && !err; c = c->next) {
		if (c != n->first)
			fputc(k->type == KEY_PORTS ? ',' : '\n', out);
		err = take_item(out, k, c, e);
	}
	if (fclose(out) != 0)
		abort();
	if (err) {
		free(*ret_text);
		*ret_text = NULL;
	}
	return err;
}
