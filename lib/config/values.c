/*
 * One value against its row in the table of keys.
 */
#include "lib/config/values.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "lib/policy/name_rule.h"

#define ROW(section_, key_, type_, fallback_, least_, most_, choices_, help_, of_set_)             \
	{.section = (section_),                                                                    \
	 .key = (key_),                                                                            \
	 .type = (type_),                                                                          \
	 .fallback = (fallback_),                                                                  \
	 .least = (least_),                                                                        \
	 .most = (most_),                                                                          \
	 .choices = (choices_),                                                                    \
	 .help = (help_),                                                                          \
	 .of_set = (of_set_)},
#define KEY(...)        ROW(__VA_ARGS__, false)
#define KEY_OF_SET(...) ROW(__VA_ARGS__, true)
const struct config_key config_keys[] = {
#include "lib/config/keys.def"
};
#undef KEY
#undef KEY_OF_SET
const size_t config_keys_count = sizeof config_keys / sizeof *config_keys;

/* Bytes of the UTF-8 character at s, 0: it is none, or one that moves a cursor. */
static size_t printable_at(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] < 0x20 || s[0] == 0x7f || (s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4 ||
	    (s[0] == 0xc2 && s[1] < 0xa0))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void value_make_printable(char *text)
{
	while (*text) {
		size_t n = printable_at((unsigned char *)text);

		if (!n)
			*text = '?';
		text += n ? n : 1;
	}
}

int value_wrong(struct value_error *e, const struct yaml_node *at, const char *fmt, ...)
{
	va_list args;

	e->at = at;
	e->at_key = false;
	va_start(args, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, args);
	va_end(args);
	value_make_printable(e->text);
	return -EINVAL;
}

int value_expected(struct value_error *e, const struct yaml_node *n, const char *expected)
{
	if (n->kind != YAML_TEXT)
		return value_wrong(e, n, "expected %s, found %s", expected,
				   n->kind == YAML_LIST ? "a list" : "keys and values");
	if (yaml_is_empty(n))
		return value_wrong(e, n, "expected %s, found nothing", expected);
	return value_wrong(e, n, "expected %s, found '%.60s'%s", expected, n->text,
			   n->quoted ? " in quotes" : "");
}

int values_find(const char *section, const char *key)
{
	for (size_t i = 0; i < config_keys_count; i++)
		if (strcmp(config_keys[i].section, section) == 0 &&
		    strcmp(config_keys[i].key, key) == 0)
			return (int)i;
	return -1;
}

bool values_is_section(const char *name)
{
	for (size_t i = 0; i < config_keys_count; i++)
		if (*name && strcmp(config_keys[i].section, name) == 0)
			return true;
	return false;
}

/* "http" of http.path. */
static bool is_part(const char *section, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < config_keys_count; i++)
		if (strcmp(config_keys[i].section, section) == 0 &&
		    strncmp(config_keys[i].key, name, len) == 0 && config_keys[i].key[len] == '.')
			return true;
	return false;
}

/* Keys of the section, and the parts they lie in. */
static const char *nearest_key(const char *section, const char *key)
{
	static _Thread_local char part[64];
	const char *names[64], *near;
	size_t count = 0;

	for (size_t i = 0; i < config_keys_count && count < 64; i++)
		if (strcmp(config_keys[i].section, section) == 0)
			names[count++] = config_keys[i].key;
	near = name_nearest(key, names, count);
	for (size_t i = 0; !near && i < count; i++) {
		const char *one = part;

		snprintf(part, sizeof part, "%.*s", (int)strcspn(names[i], "."), names[i]);
		near = strchr(names[i], '.') ? name_nearest(key, &one, 1) : NULL;
	}
	return near;
}

int values_unknown(const char *section, const char *key, const struct yaml_node *n,
		   struct value_error *e)
{
	const char *near;

	if (is_part(section, key))
		return value_expected(e, n, "keys and values");
	near = nearest_key(section, key);
	value_wrong(e, n, "unknown key '%.60s' in %s%s%s%s", key, section,
		    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	e->at_key = true;
	return -EINVAL;
}

bool values_each(const struct yaml_node *section, values_take *take, void *arg)
{
	char whole[128];

	if (section->kind != YAML_PAIRS)
		return yaml_is_empty(section);
	for (const struct yaml_node *n = section->first; n; n = n->next) {
		bool is_key = values_find(section->key, n->key) >= 0;

		if (!is_key && is_part(section->key, n->key) && yaml_is_empty(n))
			continue;
		if (is_key || n->kind != YAML_PAIRS || !is_part(section->key, n->key)) {
			take(arg, section->key, n->key, n);
			continue;
		}
		for (const struct yaml_node *inner = n->first; inner; inner = inner->next) {
			snprintf(whole, sizeof whole, "%.50s.%.70s", n->key, inner->key);
			take(arg, section->key, whole, inner);
		}
	}
	return true;
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
	const char *digits = text + (*text == '-');
	char *end;

	if (!isdigit((unsigned char)digits[0]) ||
	    (digits[0] == '0' && isdigit((unsigned char)digits[1])) ||
	    strspn(text, "0123456789.eE+-") != strlen(text))
		return false;
	errno = 0;
	*ret = strtod(text, &end);
	return !*end && errno == 0 && isfinite(*ret);
}

static bool is_nearly(const char *word, size_t len, const char *name)
{
	size_t begin = 0;

	while (begin < len && word[begin] == ' ')
		begin++;
	while (len > begin && word[len - 1] == ' ')
		len--;
	return len - begin == strlen(name) && strncasecmp(word + begin, name, len - begin) == 0;
}

/* Other words in double braces are the program's own business ('{{.Names}}' of docker). */
const char *values_template_rule(const char *text)
{
	for (const char *at = strstr(text, "{{"); at; at = strstr(at + 2, "{{")) {
		size_t len = strcspn(at + 2, "{}");

		if (is_nearly(at + 2, len, "port") && strncmp(at, "{{port}}", 8) != 0)
			return "has a malformed {{port}}; write {{port}}";
		if (is_nearly(at + 2, len, "id") && strncmp(at, "{{id}}", 6) != 0)
			return "has a malformed {{id}}; write {{id}}";
	}
	return NULL;
}

static bool is_among(const char *choices, const char *text)
{
	size_t len = strlen(text);

	for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		if (strncmp(at, text, len) == 0 && (at[len] == '|' || !at[len]))
			return true;
	return false;
}

static int check_number(const struct config_key *k, const struct yaml_node *n,
			struct value_error *e)
{
	bool is_whole = k->type == KEY_INT;
	int64_t whole = 0;
	char expected[100];
	double v = 0;
	bool ok = !n->quoted &&
		  (is_whole ? values_is_int(n->text, &whole) : values_is_real(n->text, &v));

	if (is_whole)
		v = (double)whole;
	if (ok && v >= k->least && v <= k->most)
		return 0;
	snprintf(expected, sizeof expected, "a %s, %.12g to %.12g",
		 is_whole ? "whole number" : "number", k->least, k->most);
	return value_expected(e, n, expected);
}

static int check_choice(const struct config_key *k, const struct yaml_node *n,
			struct value_error *e)
{
	char expected[120] = "one of ";
	size_t at = strlen(expected);

	if (is_among(k->choices, n->text))
		return 0;
	for (const char *c = k->choices; *c && at < sizeof expected - 3; c++) {
		expected[at++] = *c == '|' ? ',' : *c;
		if (*c == '|')
			expected[at++] = ' ';
	}
	expected[at] = 0;
	return value_expected(e, n, expected);
}

static int check_free_text(const struct config_key *k, const struct yaml_node *n,
			   struct value_error *e)
{
	const char *why = values_template_rule(n->text);

	if (why)
		return value_wrong(e, n, "'%.60s' %s", n->text, why);
	for (const char *c = n->text; *c; c++)
		if (iscntrl((unsigned char)*c))
			return value_wrong(e, n, "has a control character");
	if (strcmp(k->key, "http.path") == 0 && n->text[0] != '/' &&
	    strncmp(n->text, "http://", 7) != 0 && strncmp(n->text, "https://", 8) != 0)
		return value_expected(e, n, "a path that begins with / or a URL of http or https");
	return 0;
}

static int check_text(const struct config_key *k, const struct yaml_node *n, struct value_error *e)
{
	bool b;

	if (n->kind != YAML_TEXT)
		return value_expected(e, n, "a single value");
	switch (k->type) {
	case KEY_INT:
	case KEY_REAL:
		return check_number(k, n, e);
	case KEY_BOOL:
		return !n->quoted && values_is_bool(n->text, &b)
			       ? 0
			       : value_expected(e, n, "true or false");
	default:
		return k->choices ? check_choice(k, n, e) : check_free_text(k, n, e);
	}
}

int values_check(const struct config_key *k, const struct yaml_node *n, char **ret_text,
		 struct value_error *e)
{
	int err;

	*ret_text = NULL;
	if (k->type >= KEY_PORTS)
		return lists_check(k, n, ret_text, e);
	err = check_text(k, n, e);
	if (err)
		return err;
	*ret_text = strdup(n->text);
	return *ret_text ? 0 : -ENOMEM;
}
