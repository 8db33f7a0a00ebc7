/*
 * lops logs: the newest lines of what was captured, read from the state folder itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/lops.h"
#include "lib/config/folders.h"

struct names {
	char id[80];
	uint32_t n;
};

static void take_part(void *arg, const struct api_answer *part)
{
	struct names *n = arg;

	n->n += part->processes.count;
	if (part->processes.count)
		snprintf(n->id, sizeof n->id, "%s", part->processes.items[0].deployment_id);
}

/* Where the last lines begin; reads backwards. */
static off_t start_of(int fd, off_t size, long lines)
{
	char block[8192];
	off_t at = size;

	while (at > 0) {
		size_t want = at < (off_t)sizeof block ? (size_t)at : sizeof block;
		ssize_t n = pread(fd, block, want, at - (off_t)want);

		if (n != (ssize_t)want)
			return at;
		for (size_t i = want; i-- > 0;)
			if (block[i] == '\n' && at - (off_t)want + (off_t)i + 1 < size &&
			    lines-- <= 1)
				return at - (off_t)want + (off_t)i + 1;
		at -= (off_t)want;
	}
	return 0;
}

static void copy_escaped(const char *data, size_t len)
{
	bool raw = !isatty(STDOUT_FILENO);

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (raw || c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f))
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

static int print_file(const char *path, long lines)
{
	char block[8192];
	struct stat st;
	ssize_t n;
	off_t at;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	at = lines ? start_of(fd, st.st_size, lines) : st.st_size;
	while (at < st.st_size && (n = pread(fd, block, sizeof block, at)) > 0) {
		if (n > st.st_size - at)
			n = (ssize_t)(st.st_size - at);
		copy_escaped(block, (size_t)n);
		at += n;
	}
	close(fd);
	return 0;
}

static int run(const struct options *o)
{
	static const char *const streams[] = {"out", "err"};
	const char *only = option_value(o, "stream");
	long lines = (long)option_number(o, "lines", 50, 0, 1e9);
	char path[FOLDER_MAX + 120], state[FOLDER_MAX];
	struct names n = {.n = 0};
	struct api_call call;
	int err;

	if (o->n_words != 1)
		return fail(EXIT_USAGE, "logs takes one ID");
	if (only && strcmp(only, "out") != 0 && strcmp(only, "err") != 0)
		return fail(EXIT_USAGE, "--stream: expected out or err, found '%.40s'", only);
	link_new_call(&call, "status");
	call.targets = (struct msg_strs){.items = o->words, .count = 1};
	err = link_call(&call, take_part, &n);
	if (err)
		return err;
	if (n.n != 1)
		return fail(EXIT_USAGE, "%.64s stands for %u deployments", o->words[0], n.n);
	folder_state(state, sizeof state);
	for (int i = 0; i < 2 && !err; i++) {
		if (only && strcmp(only, streams[i]) != 0)
			continue;
		snprintf(path, sizeof path, "%s/logs/%s/%s.log", state, n.id, streams[i]);
		err = print_file(path, lines);
	}
	if (err)
		return fail(EXIT_FAILED, "%s: %s", path, strerror(-err));
	return finish_output(EXIT_DONE);
}

static const struct option_row options[] = {
	{"lines", 'n', OPTION_VALUE, "N", "of each stream (50)", NULL},
	{"stream", 0, OPTION_VALUE, "out|err", "only this one", NULL},
	{"follow", 'f', OPTION_FLAG, NULL, "", "is not there yet"},
	{"since", 0, OPTION_VALUE, "TIME", "", "is not there yet"},
	{"timestamps", 0, OPTION_FLAG, NULL, "", "is not there yet"},
	OPTION_END,
};
const struct verb verb_logs = {
	.name = "logs",
	.arguments = "ID",
	.help = "Captured output",
	.options = options,
	.run = run,
};
