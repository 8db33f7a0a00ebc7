/*
 * Seeded mutations of a file that is accepted: each is accepted or refused with a place, and memory
 * does not grow. Run under the sanitizers for what they find.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config/config.h"

enum { TEXT_MAX = 64 * 1024, GROWTH_MAX = 256 * 1024 };

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16) % below;
}

static const char *const pieces[] = {"[",
				     "]",
				     "{",
				     "}",
				     ": ",
				     "\n",
				     "- ",
				     "&a ",
				     "*a",
				     "!!int ",
				     "<<: ",
				     "\t",
				     "\"",
				     "'",
				     "#",
				     "---\n",
				     "1e99",
				     "-1",
				     "~",
				     "\xff",
				     "\xc3",
				     "\xef\xbb\xbf",
				     "{{",
				     "}}",
				     "{{port}}",
				     "? ",
				     "| \n",
				     "null",
				     ".nan",
				     "\\",
				     "\r\n",
				     "% ",
				     "deployments:\n",
				     " a:",
				     "\x01",
				     "  ",
				     "command",
				     "[[[[[[",
				     "@",
				     "`",
				     ","};

static size_t mutate(char *text, size_t len)
{
	size_t at = draw((uint32_t)len + 1), n;
	const char *piece = pieces[draw(sizeof pieces / sizeof *pieces)];

	switch (draw(4)) {
	case 0: /* cut */
		n = draw(20);
		n = at + n > len ? len - at : n;
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 1: /* put in */
		n = strlen(piece);
		memmove(text + at + n, text + at, len - at);
		memcpy(text + at, piece, n);
		return len + n;
	case 2: /* another byte */
		if (at < len)
			text[at] = (char)draw(256);
		return len;
	default: /* a stretch once more, somewhere else */
		n = draw(60);
		n = at + n > len ? len - at : n;
		memmove(text + n, text, len);
		memmove(text, text + n + at, n);
		return len + n;
	}
}

static bool is_sound(const struct config *c, const char *text)
{
	for (size_t i = 0; i < c->n_errors; i++)
		if (!c->errors[i].text[0] || c->errors[i].line < 1 || c->errors[i].column < 1)
			return false;
	for (size_t i = 0; c->n_errors == 0 && i < c->n_deployments; i++)
		if (config_spec_rule(&c->deployments[i]) || !strstr(text, "command"))
			return false;
	return true;
}

static size_t read_seed(const char *path, char *ret_text)
{
	FILE *in = fopen(path, "r");
	size_t len = in ? fread(ret_text, 1, TEXT_MAX / 2, in) : 0;

	if (in)
		fclose(in);
	return len;
}

int main(int argc, char **argv)
{
	static char seed[TEXT_MAX], text[TEXT_MAX * 2];
	int rounds = getenv("LOPS_TEST_FULL") ? 200000 : 5000, accepted = 0;
	size_t seed_len = argc > 1 ? read_seed(argv[1], seed) : 0, before = 0, after;

	if (!seed_len)
		return 2;
	for (int i = 0; i < rounds; i++) {
		size_t len = seed_len;
		struct config *c;

		state = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
		memcpy(text, seed, len);
		for (uint32_t k = draw(8); k > 0; k--)
			len = mutate(text, len);
		text[len] = 0;
		c = config_parse(argv[1], text, len, NULL);
		if (!c || !is_sound(c, seed)) {
			printf("mutation %d: unsound answer\n", i);
			return 1;
		}
		accepted += c->n_errors == 0;
		config_free(c);
		if (i == 200)
			before = mallinfo2().uordblks;
	}
	after = mallinfo2().uordblks;
	printf("%d mutations, %d of them accepted\n", rounds, accepted);
	if (after > before + GROWTH_MAX)
		printf("grew from %zu to %zu bytes\n", before, after);
	/* Some of either kind, else the mutations are not worth much. */
	return after > before + GROWTH_MAX || accepted < 10 || accepted > rounds - 10;
}
