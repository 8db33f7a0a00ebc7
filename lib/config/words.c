/*
 * Text into words and pairs: command strings as a shell splits them, environment files. No
 * expansion.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config/config.h"

enum { WORDS_MAX = 4000, FILE_MAX = 192 * 1024 };

static int add(struct codec_arena *arena, struct msg_strs *list, const char *word)
{
	/* Room grows by doubling: full at every power of two. */
	if ((list->count & (list->count - 1)) == 0) {
		const char **items = codec_arena_alloc(arena, (list->count ? 2 * list->count : 1) *
								      sizeof *items);

		if (!items)
			return -ENOMEM;
		if (list->count)
			memcpy(items, list->items, list->count * sizeof *items);
		list->items = items;
	}
	if (!word)
		return -ENOMEM;
	list->items[list->count++] = word;
	return 0;
}

/* One word from *at; NULL: a quote is not closed. */
static char *take_word(struct codec_arena *arena, const char **at)
{
	char *word = codec_arena_alloc(arena, strlen(*at) + 1), quote = 0;
	size_t n = 0;
	const char *p = *at;

	if (!word)
		return NULL;
	for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
		if (quote ? *p == quote : *p == '\'' || *p == '"')
			quote = quote ? 0 : *p;
		else if (*p == '\\' && p[1] && (!quote || (quote == '"' && strchr("\"\\$`", p[1]))))
			word[n++] = *++p;
		else
			word[n++] = *p;
	}
	word[n] = 0;
	*at = p;
	return quote ? NULL : word;
}

int config_split(struct codec_arena *arena, const char *text, struct msg_strs *ret_words,
		 char *ret_why, size_t size)
{
	struct msg_strs words = {0};
	const char *at = text;

	for (;;) {
		const char *begin;
		char *word;

		while (isspace((unsigned char)*at))
			at++;
		if (!*at)
			break;
		begin = at;
		word = words.count < WORDS_MAX ? take_word(arena, &at) : NULL;
		if (!word) {
			snprintf(ret_why, size, "a quote is not closed in the word at column %d",
				 (int)(begin - text) + 1);
			return -EINVAL;
		}
		if (add(arena, &words, word) < 0)
			return -ENOMEM;
	}
	if (words.count == 0) {
		snprintf(ret_why, size, "the command is empty");
		return -EINVAL;
	}
	*ret_words = words;
	return 0;
}

const char *config_env_rule(const char *pair)
{
	const char *eq = strchr(pair, '=');

	if (!eq)
		return "has no '='; expected KEY=VALUE";
	if (eq == pair)
		return "has no name before the '='";
	if (isdigit((unsigned char)pair[0]))
		return "has a name that begins with a digit";
	for (const char *c = pair; c < eq; c++)
		if (!isalnum((unsigned char)*c) && *c != '_')
			return "has a name with a character other than letters, digits and '_'";
	return NULL;
}

static char *unquoted(char *pair)
{
	char *value = strchr(pair, '=') + 1;
	size_t len = strlen(value);

	if (len >= 2 && (*value == '"' || *value == '\'') && value[len - 1] == *value) {
		memmove(value, value + 1, len - 2);
		value[len - 2] = 0;
	}
	return pair;
}

static int take_line(struct codec_arena *arena, char *line, int number, const char *path,
		     struct msg_strs *pairs, char *ret_why, size_t size)
{
	const char *why;
	char *copy;

	line[strcspn(line, "\r\n")] = 0;
	while (isspace((unsigned char)*line))
		line++;
	if (!*line || *line == '#')
		return 0;
	if (strncmp(line, "export ", 7) == 0)
		line += 7;
	why = config_env_rule(line);
	if (why) {
		snprintf(ret_why, size, "%s:%d:1: '%.40s' %s", path, number, line, why);
		return -EINVAL;
	}
	copy = codec_arena_alloc(arena, strlen(line) + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, line, strlen(line));
	return add(arena, pairs, unquoted(copy));
}

int config_env_file(struct codec_arena *arena, const char *path, struct msg_strs *ret_pairs,
		    char *ret_why, size_t size)
{
	FILE *f = fopen(path, "re");
	struct msg_strs pairs = {0};
	char *line = NULL;
	size_t cap = 0, total = 0;
	int number = 0, err = 0;
	ssize_t n;

	if (!f) {
		snprintf(ret_why, size, "%s: %s", path, strerror(errno));
		return -EINVAL;
	}
	while (!err && (n = getline(&line, &cap, f)) >= 0) {
		total += (size_t)n;
		if (total > FILE_MAX || strlen(line) != (size_t)n) {
			snprintf(ret_why, size, "%s:%d:1: larger than 192 KiB, or not text", path,
				 number + 1);
			err = -EINVAL;
		} else {
			err = take_line(arena, line, ++number, path, &pairs, ret_why, size);
		}
	}
	free(line);
	fclose(f);
	if (!err)
		*ret_pairs = pairs;
	return err;
}
