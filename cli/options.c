/*
 * Options by table: short and long, --name=VALUE, bundles of letters, -- as the end.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "cli/lops.h"
#include "lib/policy/name_rule.h"

static const struct option_row *row_named(const struct option_row *rows, const char *name,
					  size_t len)
{
	for (; rows && rows->name; rows++)
		if (strlen(rows->name) == len && memcmp(rows->name, name, len) == 0)
			return rows;
	return NULL;
}

static const struct option_row *row_lettered(const struct option_row *rows, char letter)
{
	for (; rows && rows->name; rows++)
		if (rows->letter == letter)
			return rows;
	return NULL;
}

static int unknown(const struct option_row *rows, const char *word, char *why, size_t size)
{
	const char *names[64], *near;
	char bare[64];
	size_t n = 0;

	for (; rows && rows->name && n < 62; rows++)
		names[n++] = rows->name;
	names[n++] = "help";
	names[n++] = "system";
	snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
	near = name_nearest(bare, names, n);
	snprintf(why, size, "unknown option --%.50s%s%s%s", bare, near ? "; did you mean --" : "",
		 near ? near : "", near ? "?" : "");
	return -1;
}

static int give(struct options *o, const struct option_row *row, const char *value, char *why,
		size_t size)
{
	if (row->not_yet) {
		snprintf(why, size, "--%s %s", row->name, row->not_yet);
		return -1;
	}
	if (o->n_given == GIVEN_MAX) {
		snprintf(why, size, "more than %d options", GIVEN_MAX);
		return -1;
	}
	o->given[o->n_given].row = row;
	o->given[o->n_given++].value = value;
	return 0;
}

static int needs_value(const struct option_row *row, char *why, size_t size)
{
	snprintf(why, size, "--%s needs a value (%s)", row->name, row->value);
	return -1;
}

static int parse_long(struct options *o, char **argv, int *at, char *why, size_t size)
{
	const char *word = argv[*at] + 2, *eq = strchr(word, '=');
	const struct option_row *row =
		row_named(o->rows, word, eq ? (size_t)(eq - word) : strlen(word));

	if (!row)
		return unknown(o->rows, word, why, size);
	if (row->kind == OPTION_FLAG && eq) {
		snprintf(why, size, "--%s takes no value", row->name);
		return -1;
	}
	if (row->kind == OPTION_VALUE && !eq) {
		if (!argv[*at + 1])
			return needs_value(row, why, size);
		return give(o, row, argv[++*at], why, size);
	}
	return give(o, row, eq ? eq + 1 : NULL, why, size);
}

static int parse_short(struct options *o, char **argv, int *at, char *why, size_t size)
{
	for (const char *letter = argv[*at] + 1; *letter; letter++) {
		const struct option_row *row = row_lettered(o->rows, *letter);

		if (!row) {
			snprintf(why, size, "unknown option -%c", *letter);
			return -1;
		}
		if (row->kind == OPTION_VALUE) {
			const char *value = letter[1] ? letter + 1 : argv[++*at];

			return value ? give(o, row, value, why, size) : needs_value(row, why, size);
		}
		if (give(o, row, NULL, why, size) < 0)
			return -1;
	}
	return 0;
}

int options_parse(struct options *ret_o, const struct option_row *rows, int argc, char **argv,
		  char *ret_why, size_t size)
{
	struct options *o = ret_o;
	int err = 0;

	*o = (struct options){.rows = rows};
	o->words = calloc((size_t)argc + 1, sizeof *o->words);
	if (!o->words)
		abort();
	for (int i = 0; i < argc && !err; i++) {
		if (strcmp(argv[i], "--") == 0) {
			o->rest = (const char **)(void *)&argv[i + 1];
			o->n_rest = argc - i - 1;
			break;
		}
		if (strcmp(argv[i], "--system") == 0)
			o->system = true;
		else if (strncmp(argv[i], "--", 2) == 0)
			err = parse_long(o, argv, &i, ret_why, size);
		else if (argv[i][0] == '-' && argv[i][1])
			err = parse_short(o, argv, &i, ret_why, size);
		else
			o->words[o->n_words++] = argv[i];
	}
	return err;
}

void options_join_rest(struct options *o)
{
	for (int i = 0; i < o->n_rest; i++) /* there is room: it has one for each argument */
		o->words[o->n_words++] = o->rest[i];
	o->rest = NULL;
	o->n_rest = 0;
}

bool option_given(const struct options *o, const char *name)
{
	for (int i = 0; i < o->n_given; i++)
		if (strcmp(o->given[i].row->name, name) == 0)
			return true;
	return false;
}

const char *option_value(const struct options *o, const char *name)
{
	const char *value = NULL;

	for (int i = 0; i < o->n_given; i++)
		if (strcmp(o->given[i].row->name, name) == 0)
			value = o->given[i].value;
	return value;
}

double option_number(const struct options *o, const char *name, double fallback, double least,
		     double most)
{
	const char *text = option_value(o, name);
	char *end;
	double n;

	if (!text)
		return fallback;
	n = strtod(text, &end);
	if (end == text || *end || !(n >= least && n <= most))
		exit(fail(EXIT_USAGE, "--%s: expected a number from %g to %g, found '%.40s'", name,
			  least, most, text));
	return n;
}
