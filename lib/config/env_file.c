/*
 * Environment files: KEY=VALUE lines, '#' comments, `export` in front, quotes around a value.
 * Nothing is expanded. And the rule for one KEY=VALUE.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/config/config.h"
#include "msgs/wire.h"

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
	if (strlen(pair) > CONFIG_STRING_BYTES_MAX)
		return "is longer than 131071 bytes";
	return NULL;
}

/* The quotes of a value off, in place. NULL, or what is wrong. */
static const char *unquote(char *value)
{
	char quote = *value, *in = value + 1, *out = value;

	if (quote != '"' && quote != '\'')
		return NULL;
	for (; *in && *in != quote; in++) {
		if (quote == '"' && *in == '\\' && in[1] && strchr("\"\\$`", in[1]))
			in++;
		*out++ = *in;
	}
	if (!*in)
		return "has a quote that is not closed";
	in++;
	in += strspn(in, " \t");
	*out = 0;
	return *in && *in != '#' ? "has text behind the closing quote" : NULL;
}

static void trim_end(char *line)
{
	size_t len = strlen(line);

	while (len && isspace((unsigned char)line[len - 1]))
		line[--len] = 0;
}

/* NULL, or what is wrong. *ret_pair: NULL for a blank line. */
static const char *take_line(char *line, char **ret_pair)
{
	const char *why;

	trim_end(line);
	line += strspn(line, " \t");
	*ret_pair = NULL;
	if (!*line || *line == '#')
		return NULL;
	if (strncmp(line, "export", 6) == 0 && (line[6] == ' ' || line[6] == '\t'))
		line += 6 + strspn(line + 6, " \t");
	why = config_env_rule(line);
	*ret_pair = line;
	return why ? why : unquote(strchr(line, '=') + 1);
}

/* A later line of the same name replaces the earlier. */
static const char *put_pair(struct msg_strs *pairs, const char *pair)
{
	size_t key = strcspn(pair, "=") + 1;

	for (uint32_t i = 0; i < pairs->count; i++)
		if (strncmp(pairs->items[i], pair, key) == 0) {
			pairs->items[i] = pair;
			return NULL;
		}
	if (pairs->count == CONFIG_VARIABLES_MAX)
		return "is one variable too many: at most 4000";
	pairs->items[pairs->count++] = pair;
	return NULL;
}

/* The name is cut at the '=': a value may be a secret. */
static int wrong(const char *path, int line, const char *pair, const char *what, char *why,
		 size_t size)
{
	snprintf(why, size, "%s:%d:1: '%.*s' %s", path, line,
		 (int)(strcspn(pair, "=") < 40 ? strcspn(pair, "=") : 40), pair, what);
	return -EINVAL;
}

static int take_text(struct codec_arena *arena, char *text, const char *path,
		     struct msg_strs *pairs, char *why, size_t size)
{
	size_t lines = 1;
	char *line, *pair;
	const char *bad;

	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	pairs->items = codec_arena_alloc(arena, lines * sizeof *pairs->items);
	if (!pairs->items)
		return snprintf(why, size, "%s: no memory", path), -ENOMEM;
	for (int number = 1; (line = strsep(&text, "\n")); number++) {
		bad = take_line(line, &pair);
		if (!bad && pair)
			bad = put_pair(pairs, pair);
		if (bad)
			return wrong(path, number, pair, bad, why, size);
	}
	return 0;
}

/* At most limit bytes of a regular file; a FIFO or device would never end. */
static int read_text(struct codec_arena *arena, const char *path, char **ret_text, char *why,
		     size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *text = NULL;
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return snprintf(why, size, "%s: %s", path, strerror(errno)), -EINVAL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		snprintf(why, size, "%s: is not a regular file", path);
	else if (st.st_size > CONFIG_COMMAND_BYTES_MAX)
		snprintf(why, size, "%s: is larger than 192 KiB", path);
	else if (!(text = codec_arena_alloc(arena, (size_t)st.st_size + 1)))
		snprintf(why, size, "%s: no memory", path);
	while (text && len < (size_t)st.st_size && n > 0) {
		n = read(fd, text + len, (size_t)st.st_size - len);
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	if (!text)
		return -EINVAL;
	if (n < 0 || strlen(text) != len || !wire_utf8_ok((const uint8_t *)text, len)) {
		snprintf(why, size, "%s: %s", path,
			 n < 0 ? strerror(errno) : "is not text in UTF-8");
		return -EINVAL;
	}
	*ret_text = text;
	return 0;
}

int config_env_file(struct codec_arena *arena, const char *path, struct msg_strs *ret_pairs,
		    char *ret_why, size_t size)
{
	struct msg_strs pairs = {0};
	char *text;
	int err = read_text(arena, path, &text, ret_why, size);

	if (err)
		return err;
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	err = take_text(arena, text, path, &pairs, ret_why, size);
	if (!err)
		*ret_pairs = pairs;
	return err;
}
