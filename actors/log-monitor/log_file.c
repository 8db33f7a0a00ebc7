/*
 * One captured stream's file; see the header.
 *
 * splice(2) takes from the pipe exactly what it wrote into the file, so a kill between two
 * instructions of ours neither loses nor doubles a byte. It needs a file without O_APPEND, hence
 * the explicit offset. On a file system that can't splice, the bytes are looked at through tee(2),
 * written, and only then taken from the pipe: a kill in between doubles that one piece (at most
 * 64 KiB), and loses none.
 */
#include "actors/log-monitor/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PIECE_BYTES = 65536,
	PEEK_BYTES = 4096,
	/* A file may be this much over its size while a line's end is looked for. */
	LINE_PATIENCE_BYTES = 1 << 20,
	KEEP_MAX = 1000,
	FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
};

int log_store_open(struct log_store *s, const char *state)
{
	s->state = state;
	s->logs_fd = -1;
	s->sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (s->sink < 0)
		return -errno;
	return pipe2(s->peek, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

void log_store_done(struct log_store *s)
{
	int fds[] = {s->logs_fd, s->sink, s->peek[0], s->peek[1]};

	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* A folder of ours below another one, made if missing. */
static int folder_below(int at, const char *name)
{
	int fd;

	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, name, FOLDER_FLAGS);
	return fd < 0 ? -errno : fd;
}

static int deployment_folder(struct log_store *s, const char *id)
{
	if (s->logs_fd < 0) {
		int state = open(s->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (state < 0)
			return -errno;
		s->logs_fd = folder_below(state, "logs");
		close(state);
		if (s->logs_fd < 0) {
			int err = s->logs_fd;

			s->logs_fd = -1;
			return err;
		}
	}
	return folder_below(s->logs_fd, id);
}

static int open_in(int folder, struct log_file *f)
{
	struct stat st;
	/* O_NONBLOCK: a FIFO in its place must not hang us. */
	int fd = openat(folder, f->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			0600);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EBADF;
	}
	f->fd = fd;
	f->size = st.st_size;
	return 0;
}

static int open_file(struct log_store *s, struct log_file *f, const char *id)
{
	int folder = deployment_folder(s, id), err;

	if (folder < 0)
		return folder;
	err = open_in(folder, f);
	close(folder);
	return err;
}

void log_file_close(struct log_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* --- rotation --- */

static void numbered(char *ret_name, size_t size, const char *name, uint32_t n)
{
	if (n == 0)
		snprintf(ret_name, size, "%s", name);
	else
		snprintf(ret_name, size, "%s.%u", name, n);
}

/* Older files move up by one. The first free number ends the moving, so that a rotation which a
 * kill cut short is finished by the next one and costs no file. */
static int move_up(int folder, const char *name, uint32_t keep)
{
	char from[64], to[64];
	uint32_t top = 1;

	keep = keep < KEEP_MAX ? keep : KEEP_MAX;
	if (keep == 0)
		return unlinkat(folder, name, 0) < 0 ? -errno : 0;
	for (; top < keep; top++) {
		numbered(to, sizeof to, name, top);
		if (faccessat(folder, to, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			break;
	}
	for (; top > 0; top--) {
		numbered(from, sizeof from, name, top - 1);
		numbered(to, sizeof to, name, top);
		if (renameat(folder, from, folder, to) < 0)
			return -errno;
	}
	return 0;
}

static int rotate(struct log_store *s, struct log_file *f, const char *id)
{
	int folder = deployment_folder(s, id), err;

	if (folder < 0)
		return folder;
	err = move_up(folder, f->name, s->limits.keep);
	close(folder);
	if (err == 0 || err == -ENOENT)
		log_file_close(f);
	return err;
}

/* --- moving bytes --- */

/* The first bytes of the pipe, which stay in it. */
static ssize_t peek(struct log_store *s, int pipe, char *ret_bytes, size_t max)
{
	ssize_t n = tee(pipe, s->peek[1], max, SPLICE_F_NONBLOCK);

	return n <= 0 ? (n < 0 ? -errno : 0) : read(s->peek[0], ret_bytes, (size_t)n);
}

/* What is still to be written to a full file: up to the end of the line that began in it. */
static ssize_t rest_of_line(struct log_store *s, struct log_file *f, int pipe)
{
	char bytes[PEEK_BYTES], last, *end;
	ssize_t n;

	if (f->size == 0 || (pread(f->fd, &last, 1, f->size - 1) == 1 && last == '\n') ||
	    (uint64_t)f->size > s->limits.size_bytes + LINE_PATIENCE_BYTES)
		return 0;
	n = peek(s, pipe, bytes, sizeof bytes);
	if (n <= 0)
		return n < 0 ? n : -EAGAIN;
	end = memchr(bytes, '\n', (size_t)n);
	return end ? end - bytes + 1 : n;
}

static ssize_t copy_piece(struct log_store *s, struct log_file *f, int pipe, size_t max)
{
	static char bytes[PIECE_BYTES];
	ssize_t n = peek(s, pipe, bytes, max < sizeof bytes ? max : sizeof bytes), done;

	if (n <= 0)
		return n;
	done = pwrite(f->fd, bytes, (size_t)n, f->size);
	if (done <= 0)
		return done < 0 ? -errno : -ENOSPC;
	return log_store_drop(s, pipe, (size_t)done);
}

static ssize_t move_piece(struct log_store *s, struct log_file *f, int pipe, size_t max)
{
	off_t at = f->size;
	ssize_t n;

	if (!f->no_splice) {
		n = splice(pipe, NULL, f->fd, &at, max, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (n >= 0 || errno != EINVAL)
			return n < 0 ? -errno : n;
		f->no_splice = true;
	}
	return copy_piece(s, f, pipe, max);
}

ssize_t log_file_pump(struct log_store *s, struct log_file *f, const char *id, int pipe, size_t max)
{
	ssize_t n = f->fd < 0 ? open_file(s, f, id) : 0;

	if (n < 0)
		return n;
	if (rotate_rule(s->limits, (uint64_t)f->size)) {
		ssize_t rest = rest_of_line(s, f, pipe);

		if (rest < 0)
			return rest;
		if (rest == 0) {
			n = rotate(s, f, id);
			n = n < 0 && n != -ENOENT ? n : open_file(s, f, id);
			if (n < 0)
				return n;
		} else {
			max = (size_t)rest;
		}
	}
	n = move_piece(s, f, pipe, max);
	if (n > 0)
		f->size += n;
	return n;
}

ssize_t log_store_drop(struct log_store *s, int pipe, size_t max)
{
	ssize_t n = splice(pipe, NULL, s->sink, NULL, max, SPLICE_F_NONBLOCK);

	return n < 0 ? -errno : n;
}

/* --- forgetting --- */

void log_store_forget(struct log_store *s, const char *id)
{
	static const char *const names[] = {"out.log", "err.log"};
	int folder = s->logs_fd < 0 ? -1 : openat(s->logs_fd, id, FOLDER_FLAGS);
	char name[64];

	if (folder < 0)
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (uint32_t n = 0; n <= KEEP_MAX; n++) {
			numbered(name, sizeof name, names[i], n);
			if (unlinkat(folder, name, 0) < 0 && n > 0)
				break;
		}
	close(folder);
	unlinkat(s->logs_fd, id, AT_REMOVEDIR);
}
