/*
 * A command's text into words as a shell splits them: quotes and backslashes. No expansion, no
 * operators: what a shell would act on stays text.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config/config.h"

struct splitter {
	const char *at;
	char *out; /* where the next byte goes */
	char *why;
	size_t size;
	const char *text; /* the beginning, for columns */
};

static int wrong(struct splitter *s, const char *what, const char *at)
{
	snprintf(s->why, s->size, "%s at column %d of the command", what, (int)(at - s->text) + 1);
	return -EINVAL;
}

static int take_quoted(struct splitter *s)
{
	const char *begin = s->at;
	char quote = *s->at++;

	for (; *s->at && *s->at != quote; s->at++) {
		if (quote == '"' && *s->at == '\\' && s->at[1] && strchr("\"\\$`\n", s->at[1])) {
			if (*++s->at != '\n')
				*s->out++ = *s->at;
		} else {
			*s->out++ = *s->at;
		}
	}
	if (!*s->at)
		return wrong(s, "a quote that is not closed", begin);
	s->at++;
	return 0;
}

static int take_escaped(struct splitter *s)
{
	if (!s->at[1])
		return wrong(s, "a backslash with nothing behind it", s->at);
	if (s->at[1] != '\n')
		*s->out++ = s->at[1];
	s->at += 2;
	return 0;
}

static int take_word(struct splitter *s)
{
	int err = 0;

	while (!err && *s->at && !isspace((unsigned char)*s->at)) {
		if (*s->at == '\'' || *s->at == '"')
			err = take_quoted(s);
		else if (*s->at == '\\')
			err = take_escaped(s);
		else
			*s->out++ = *s->at++;
	}
	*s->out++ = 0;
	return err;
}

/* Blanks, and lines that are continued. */
static void skip_blanks(struct splitter *s)
{
	while (isspace((unsigned char)*s->at) || (s->at[0] == '\\' && s->at[1] == '\n'))
		s->at += *s->at == '\\' ? 2 : 1;
}

int config_split(struct codec_arena *arena, const char *text, struct msg_strs *ret_words,
		 char *ret_why, size_t size)
{
	/* A word and the blank that ends it give no fewer bytes than the word with its NUL. */
	size_t len = strlen(text), count = 0;
	struct splitter s = {.at = text, .text = text, .why = ret_why, .size = size};
	const char **words;
	int err = 0;

	if (len > CONFIG_COMMAND_BYTES_MAX)
		return snprintf(ret_why, size, "the command is longer than 192 KiB"), -EINVAL;
	s.out = codec_arena_alloc(arena, len + 2);
	words = codec_arena_alloc(arena, (len / 2 + 2) * sizeof *words);
	if (!s.out || !words)
		return snprintf(ret_why, size, "no memory for the command"), -ENOMEM;
	for (skip_blanks(&s); *s.at && !err; skip_blanks(&s)) {
		words[count++] = s.out;
		err = take_word(&s);
	}
	if (err)
		return err;
	if (count == 0)
		return snprintf(ret_why, size, "the command is empty"), -EINVAL;
	*ret_words = (struct msg_strs){.items = words, .count = (uint32_t)count};
	return 0;
}
