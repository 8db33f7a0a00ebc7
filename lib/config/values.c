/*
 * One value against its row in the table of keys.
 */
#include "lib/config/values.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY(section_, key_, type_, fallback_, least_, most_, choices_, help_)                      \
	{.section = (section_),                                                                    \
	 .key = (key_),                                                                            \
	 .type = (type_),                                                                          \
	 .fallback = (fallback_),                                                                  \
	 .least = (least_),                                                                        \
	 .most = (most_),                                                                          \
	 .choices = (choices_),                                                                    \
	 .help = (help_)},
const struct config_key config_keys[] = {
#include "lib/config/keys.def"
};
#undef KEY
const size_t config_keys_count = sizeof config_keys / sizeof *config_keys;

int values_find(const char *section, const char *key)
{
	for (size_t i = 0; i < config_keys_count; i++)
		if (strcmp(config_keys[i].section, section) == 0 &&
		    strcmp(config_keys[i].key, key) == 0)
			return (int)i;
	return -1;
}

bool values_is_bool(const char *text, bool *ret)
{
	*ret = strcmp(text, "true") == 0;
	return *ret || strcmp(text, "false") == 0;
}

/* Decimal only: 010 and 0x10 mean different things to different people. */
bool values_is_int(const char *text, int64_t *ret)
{
	const char *digits = text + (*text == '-');
	char *end;

	if (!isdigit((unsigned char)*digits) || (*digits == '0' && digits[1]) ||
	    strlen(digits) > 18)
		return false;
	*ret = strtoll(text, &end, 10);
	return !*end;
}

bool values_is_real(const char *text, double *ret)
{
	char *end;

	if (!isdigit((unsigned char)text[*text == '-']) ||
	    (text[0] == '0' && isdigit((unsigned char)text[1])) ||
	    strspn(text, "0123456789.eE+-") != strlen(text))
		return false;
	errno = 0;
	*ret = strtod(text, &end);
	return !*end && errno == 0 && isfinite(*ret);
}

static bool is_among(const char *choices, const char *text)
{
	size_t len = strlen(text);

	for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		if (strncmp(at, text, len) == 0 && (at[len] == '|' || !at[len]))
			return true;
	return false;
}

static int check_number(const struct config_key *k, const char *text, char *why, size_t size)
{
	int64_t whole = 0;
	double v = 0;
	bool ok = k->type == KEY_REAL ? values_is_real(text, &v) : values_is_int(text, &whole);

	if (k->type != KEY_REAL)
		v = (double)whole;
	if (!ok) {
		snprintf(why, size, "%s is '%.40s', expected a %s", k->key, text,
			 k->type == KEY_REAL ? "number" : "whole number");
		return -EINVAL;
	}
	if (v < k->least || v > k->most) {
		snprintf(why, size, "%s is %.40s, allowed are %.12g to %.12g", k->key, text,
			 k->least, k->most);
		return -EINVAL;
	}
	return 0;
}

static int check_text(const struct config_key *k, const char *text, char *why, size_t size)
{
	bool b;

	switch (k->type) {
	case KEY_INT:
	case KEY_REAL:
		return check_number(k, text, why, size);
	case KEY_BOOL:
		if (values_is_bool(text, &b))
			return 0;
		snprintf(why, size, "%s is '%.40s', expected true or false", k->key, text);
		return -EINVAL;
	default:
		if (k->choices && !is_among(k->choices, text)) {
			snprintf(why, size, "%s is '%.40s', expected one of %s", k->key, text,
				 k->choices);
			return -EINVAL;
		}
		return 0;
	}
}

/* "a,b,c" of a list; each item checked where it has a range. */
static int check_list(const struct config_key *k, const struct yaml_node *n, char **ret_text,
		      char *why, size_t size)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	int err = 0;

	if (!f)
		abort();
	for (const struct yaml_node *c = n->first; c && !err; c = c->next) {
		const struct yaml_node *item = c;
		int64_t port;

		if (c->kind == YAML_PAIRS && k->type == KEY_PATTERNS)
			for (item = c->first; item && strcmp(item->key, "pattern") != 0;)
				item = item->next;
		if (!item || item->kind != YAML_TEXT)
			err = -EINVAL;
		else if (k->type == KEY_PORTS &&
			 (!values_is_int(item->text, &port) || port < 1 || port > 65535))
			err = -EINVAL;
		else
			fprintf(f, "%s%s", c == n->first ? "" : ",", item->text);
	}
	fclose(f);
	if (err) {
		snprintf(why, size, "%s: expected a list of %s", k->key,
			 k->type == KEY_PORTS ? "ports, 1 to 65535" : "regular expressions");
		free(out);
		return err;
	}
	*ret_text = out;
	return 0;
}

int values_check(const struct config_key *k, const struct yaml_node *n, const char *text,
		 char **ret_text, char *why, size_t size)
{
	bool takes_list = k->type == KEY_PORTS || k->type == KEY_PATTERNS || k->type == KEY_COMMAND;
	int err;

	*ret_text = NULL;
	if (n && n->kind == YAML_LIST && takes_list)
		return check_list(k, n, ret_text, why, size);
	if (n && n->kind == YAML_PAIRS && k->type == KEY_MAP) {
		*ret_text = strdup("");
		return 0;
	}
	if (n && n->kind != YAML_TEXT) {
		snprintf(why, size, "%s: expected %s, found %s", k->key,
			 takes_list ? "a list" : "a single value",
			 n->kind == YAML_LIST ? "a list" : "keys and values");
		return -EINVAL;
	}
	if (n && (k->type == KEY_PORTS || k->type == KEY_PATTERNS || k->type == KEY_MAP)) {
		snprintf(why, size, "%s: expected %s, found '%.40s'", k->key,
			 k->type == KEY_MAP ? "keys and values" : "a list", n->text);
		return -EINVAL;
	}
	text = n ? n->text : text;
	err = check_text(k, text, why, size);
	if (!err)
		*ret_text = strdup(text);
	return err;
}
