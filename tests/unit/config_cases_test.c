/*
 * Every NAME.yaml of a folder is loaded and what it is told compared with NAME.expected, byte for
 * byte; a file that is accepted has an empty one. A file without the other fails too.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/config/config.h"

/* The folder's own path out of the text: it differs from machine to machine. */
static void cut_folder(char *text)
{
	char here[4096];
	size_t len;

	if (!getcwd(here, sizeof here - 1))
		abort();
	strcat(here, "/");
	len = strlen(here);
	while ((text = strstr(text, here)))
		memmove(text, text + len, strlen(text + len) + 1);
}

static char *told(const char *file)
{
	struct config *c = config_load(file, NULL);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!c || !out)
		abort();
	config_print_errors(c, out);
	fclose(out);
	config_free(c);
	cut_folder(text);
	return text;
}

static char *expected(const char *name)
{
	char path[300], *text = calloc(1, 64 * 1024);
	FILE *in;

	snprintf(path, sizeof path, "%s.expected", name);
	in = fopen(path, "r");
	if (!in) {
		free(text);
		return NULL;
	}
	if (!text || fread(text, 1, 64 * 1024 - 1, in) == 64 * 1024 - 1)
		abort();
	fclose(in);
	return text;
}

static int write_expected(const char *name)
{
	char yaml[300], path[300], *text;
	FILE *out;

	snprintf(yaml, sizeof yaml, "%s.yaml", name);
	snprintf(path, sizeof path, "%s.expected", name);
	text = told(yaml);
	out = fopen(path, "w");
	if (!out || fputs(text, out) < 0 || fclose(out) != 0)
		return 1;
	fputs(text, stdout);
	free(text);
	return 0;
}

static bool is_as_expected(const char *file)
{
	char name[256], *want, *got;
	bool same;

	snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - 5), file);
	want = expected(name);
	got = told(file);
	same = want && strcmp(want, got) == 0;
	if (!same)
		printf("%s: expected\n%s--- told\n%s", file, want ? want : "(nothing is written)\n",
		       got);
	/* The names of the ok_ files say what they are for. */
	if (same && (strncmp(file, "ok_", 3) == 0) != (*got == 0)) {
		printf("%s: is accepted, or refused, against its name\n", file);
		same = false;
	}
	free(want);
	free(got);
	return same;
}

int main(int argc, char **argv)
{
	int files = 0, wrong = 0;
	struct dirent *e;
	DIR *d;

	if (argc < 2 || chdir(argv[1]) < 0)
		return 2;
	if (argc == 4 && strcmp(argv[2], "--write") == 0)
		return write_expected(argv[3]);
	d = opendir(".");
	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len <= 5 || strcmp(e->d_name + len - 5, ".yaml") != 0)
			continue;
		files++;
		wrong += !is_as_expected(e->d_name);
	}
	if (d)
		closedir(d);
	printf("%d files, %d wrong\n", files, wrong);
	return files < 80 || wrong;
}
