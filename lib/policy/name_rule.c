/*
 * Names, globs and the nearest word; see the header.
 */
#include "lib/policy/name_rule.h"

#include <string.h>

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

const char *name_rule(const char *name)
{
	size_t len = strlen(name);

	if (len == 0)
		return "is empty";
	if (len > NAME_MAX_BYTES)
		return "is longer than 64 characters";
	if (!is_letter_or_digit(name[0]))
		return "does not begin with a letter or digit";
	for (const char *c = name; *c; c++)
		if (!is_letter_or_digit(*c) && *c != '_' && *c != '.' && *c != '-')
			return "has a character other than letters, digits, '_', '.' and '-'";
	return NULL;
}

bool name_is_glob(const char *word)
{
	return strpbrk(word, "*?") != NULL;
}

bool name_glob(const char *pattern, const char *text)
{
	const char *star = NULL, *back = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			back = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == 0;
}

enum { WORD_MAX = 64 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned name_distance(const char *a, const char *b, unsigned limit)
{
	unsigned rows[3][WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return limit + 1;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *two = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			row[j] = least(least(above[j], row[j - 1]) + 1,
				       above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], two[j - 2] + 1);
		}
	}
	return least(rows[la % 3][lb], limit + 1);
}

const char *name_nearest(const char *word, const char *const *candidates, size_t n)
{
	unsigned best = strlen(word) <= 4 ? 2 : 3;
	const char *nearest = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned d = name_distance(word, candidates[i], best);

		if (d < best) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}
