/*
 * lops logs: the newest lines of what a deployment printed. The set says which files hold them;
 * they are read here, with the caller's rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/lops.h"

struct piece { /* one file of a stream */
	int fd;
	dev_t dev;
	ino_t ino;
	off_t from, size;
};

struct stream {
	const char *name;
	char goes_to[16];
	char *path;           /* malloc, NULL: it is in no file */
	struct piece *pieces; /* newest first; malloc */
	size_t n;
};

struct answer {
	struct stream streams[2];
};

static void take_part(void *arg, const struct api_answer *part)
{
	struct answer *w = arg;

	for (uint32_t i = 0; i < part->logs.count; i++) {
		const struct api_log *l = &part->logs.items[i];
		struct stream *s = &w->streams[strcmp(l->stream, "err") == 0];

		snprintf(s->goes_to, sizeof s->goes_to, "%s", l->goes_to);
		s->path = l->path ? strdup(l->path) : NULL;
	}
}

/* --- the files --- */

/* Its text in memory; -1: gzip could not. */
static int unzip(int fd)
{
	int out = memfd_create("lops-logs", MFD_CLOEXEC), status = -1;
	pid_t pid = out < 0 ? -1 : fork();

	if (pid == 0) {
		if (dup2(fd, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
			execlp("gzip", "gzip", "-dc", (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	close(fd);
	if (status == 0)
		return out;
	if (out >= 0)
		close(out);
	return -1;
}

/* 0, or -errno. A rotation meanwhile shows a file a second time, under its new name. */
static int add_piece(struct stream *s, const char *path, bool is_zipped, int flags)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->pieces[i].dev == st.st_dev && s->pieces[i].ino == st.st_ino) {
			close(fd);
			return 0;
		}
	s->pieces = reallocarray(s->pieces, s->n + 1, sizeof *s->pieces);
	if (!s->pieces)
		abort();
	s->pieces[s->n] = (struct piece){.fd = fd, .dev = st.st_dev, .ino = st.st_ino};
	if (is_zipped)
		s->pieces[s->n].fd = unzip(fd);
	if (s->pieces[s->n].fd < 0 || fstat(s->pieces[s->n].fd, &st) < 0)
		return -EIO;
	s->pieces[s->n].size = s->pieces[s->n].from = st.st_size;
	s->n++;
	return 0;
}

/* PATH.N, or PATH.N.gz. */
static int add_rotated(struct stream *s, int number)
{
	char path[4200];
	int err;

	snprintf(path, sizeof path, "%s.%d", s->path, number);
	err = add_piece(s, path, false, O_NOFOLLOW);
	if (err != -ENOENT)
		return err;
	snprintf(path, sizeof path, "%s.%d.gz", s->path, number);
	return add_piece(s, path, true, O_NOFOLLOW);
}

/* Where the last lines begin, reading backwards; what is left of them goes on in an older file. */
static void find_start(struct piece *p, long *lines)
{
	char block[8192];

	while (p->from > 0 && *lines > 0) {
		size_t want = p->from < (off_t)sizeof block ? (size_t)p->from : sizeof block;
		off_t begin = p->from - (off_t)want;

		if (pread(p->fd, block, want, begin) != (ssize_t)want)
			return;
		for (size_t i = want; i-- > 0;) {
			off_t after = begin + (off_t)i + 1;

			if (block[i] == '\n' && after < p->size && --*lines == 0) {
				p->from = after;
				return;
			}
		}
		p->from = begin;
	}
	if (p->size > 0)
		--*lines;
}

static int collect(struct stream *s, long lines)
{
	bool is_captured = strcmp(s->goes_to, "captured") == 0;
	int err = add_piece(s, s->path, false, is_captured ? O_NOFOLLOW : 0);
	size_t done = 0;

	for (int number = 1;; number++) {
		for (; done < s->n && lines > 0; done++)
			find_start(&s->pieces[done], &lines);
		if ((err && err != -ENOENT) || lines <= 0 || !is_captured)
			break;
		err = add_rotated(s, number);
		if (err == -ENOENT)
			break;
	}
	return err == -ENOENT ? 0 : err;
}

/* --- printing --- */

/* Bytes of a character that a terminal may get, 0: it is escaped. */
static size_t printable_at(const unsigned char *s, size_t left)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] == '\n' || s[0] == '\t' || (s[0] == '\r' && left > 1 && s[1] == '\n'))
		return 1;
	if (s[0] < 0x20 || s[0] == 0x7f || (s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return out_is_control(s, n) ? 0 : n;
}

/* How much was printed: a character cut in two waits for its rest, unless none comes. */
static size_t print_escaped(const unsigned char *s, size_t len, bool is_last)
{
	size_t at = 0;

	while (at < len && (is_last || at + 4 <= len)) {
		size_t n = printable_at(s + at, len - at);

		if (n)
			fwrite(s + at, 1, n, stdout);
		else
			printf("\\x%02x", s[at]);
		at += n ? n : 1;
	}
	return at;
}

static void print_piece(const struct piece *p)
{
	static unsigned char block[64 * 1024];
	bool raw = !isatty(STDOUT_FILENO);
	off_t at = p->from;

	while (at < p->size) {
		off_t left = p->size - at;
		ssize_t n = pread(p->fd, block,
				  left < (off_t)sizeof block ? (size_t)left : sizeof block, at);

		if (n <= 0)
			return;
		if (raw)
			fwrite(block, 1, (size_t)n, stdout);
		at += raw ? n : (off_t)print_escaped(block, (size_t)n, n == left);
	}
}

static void print_stream(const struct stream *s)
{
	for (size_t i = s->n; i-- > 0;)
		print_piece(&s->pieces[i]);
}

static bool has_lines(const struct stream *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->pieces[i].from < s->pieces[i].size)
			return true;
	return false;
}

/* --- the command --- */

static int fail_to_read(const struct stream *s, int err)
{
	if (err == -EACCES || err == -EPERM)
		return fail(
			EXIT_NOT_PERMITTED,
			"%s may be read by the owner of the set (or of the file) and by root only",
			s->path);
	return fail(EXIT_FAILED, "%s: %s", s->path,
		    err == -EINVAL ? "is not a regular file" : strerror(-err));
}

/* False: there is nothing to be read, and that was said. */
static bool is_readable(const struct answer *w, const struct stream *s, const char *id)
{
	if (strcmp(s->goes_to, "null") == 0)
		fprintf(stderr, "lops: what %s prints on %s is not kept (%s_log: null)\n", id,
			s->name, s == w->streams ? "stdout" : "stderr");
	if (strcmp(s->goes_to, "stdout") == 0)
		fprintf(stderr, "lops: what %s prints on err goes to out\n", id);
	return s->path != NULL;
}

static int show(struct answer *w, const char *only, const char *id, long lines)
{
	struct stream *out = &w->streams[0], *err = &w->streams[1];
	bool one_file = out->path && err->path && strcmp(out->path, err->path) == 0, both;

	for (struct stream *s = out; s <= err; s++) {
		int failed;

		if ((only && strcmp(only, s->name) != 0) || !is_readable(w, s, id) ||
		    (!only && one_file && s == err))
			continue;
		failed = collect(s, lines);
		if (failed)
			return fail_to_read(s, failed);
	}
	both = has_lines(out) && has_lines(err);
	for (struct stream *s = out; s <= err; s++) {
		if (both) { /* for people; what is captured is not mixed with it */
			fflush(stdout);
			fprintf(stderr, "==> %s %s <==\n", id, s->name);
		}
		print_stream(s);
	}
	return finish_output(EXIT_DONE);
}

static int run(const struct options *o)
{
	struct answer w = {.streams = {{.name = "out"}, {.name = "err"}}};
	const char *only = option_value(o, "stream");
	double lines = option_number(o, "lines", 50, 0, 1e9);
	struct api_call call;
	int err;

	if (o->n_words != 1)
		return fail(EXIT_USAGE, "logs takes one ID");
	if (lines != (double)(long)lines)
		return fail(EXIT_USAGE, "--lines: a whole number is expected");
	if (only && strcmp(only, "out") != 0 && strcmp(only, "err") != 0)
		return fail(EXIT_USAGE, "--stream: expected out or err, found '%.40s'", only);
	link_new_call(&call, "logs");
	call.targets = (struct msg_strs){.items = o->words, .count = 1};
	err = link_call(&call, take_part, &w);
	return err ? err : show(&w, only, o->words[0], (long)lines);
}

static const struct option_row options[] = {
	{"lines", 'n', OPTION_VALUE, "N", "of each stream (50)", NULL},
	{"stream", 0, OPTION_VALUE, "out|err", "only this one; else out, then err", NULL},
	{"follow", 'f', OPTION_FLAG, NULL, "", "is not there yet"},
	{"since", 0, OPTION_VALUE, "TIME", "", "is not there yet"},
	{"timestamps", 0, OPTION_FLAG, NULL, "", "is not there yet"},
	OPTION_END,
};
const struct verb verb_logs = {
	.name = "logs",
	.arguments = "ID",
	.help = "Captured output, the newest lines of it",
	.options = options,
	.run = run,
};
