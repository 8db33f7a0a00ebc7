/*
 * The mark: a small file beside the journal that says what its log holds since the last commit.
 * SQLite ends its log at the first frame that is not whole, and by the frames alone a commit that a
 * death cut off can't be told from an acknowledged one that was damaged later. The mark can. It is
 * written after each commit and before any acknowledgement, is never synced, and serves within one
 * boot only. One that can't be read or written asks for less; it never asks for what was not there.
 */
#include "broker/journal_parts.h"

#include <endian.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "broker/crc32c.h"
#include "broker/leaf_rows.h"
#include "broker/salvage.h"
#include "lib/tree/boot.h"

struct mark {
	uint32_t crc; /* of what follows */
	uint32_t frames;
	uint64_t head;
	uint8_t salt[LEAF_WAL_SALT];
	char boot_id[40];
};

static uint32_t crc_of(const struct mark *m)
{
	size_t from = offsetof(struct mark, frames);

	return crc32c((const uint8_t *)m + from, sizeof *m - from);
}

static int open_in(const struct journal *j, const char *name, int flags)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof path, "%s/%s", j->dir, name);
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void journal_mark_open(struct journal *j)
{
	j->mark = open_in(j, JOURNAL_MARK, O_RDWR | O_CREAT);
}

void journal_mark_commit(const struct journal *j)
{
	struct mark m = {.frames = (uint32_t)j->wal_pages, .head = j->committed};

	if (j->mark < 0 || !leaf_wal_salt(j->wal, m.salt))
		return;
	snprintf(m.boot_id, sizeof m.boot_id, "%s", j->boot_id);
	m.crc = crc_of(&m);
	/* Where it fails, what stands there asks for less, or is none by its CRC. */
	(void)!pwrite(j->mark, &m, sizeof m, 0);
}

static bool read_mark(const struct journal *j, struct mark *m)
{
	int fd = open_in(j, JOURNAL_MARK, O_RDONLY);
	bool whole = fd >= 0 && read(fd, m, sizeof *m) == sizeof *m && m->crc == crc_of(m);

	if (fd >= 0)
		close(fd);
	return whole;
}

/* SQLite counts the first half up whenever the log begins anew. */
static bool is_next_generation(const uint8_t salt[LEAF_WAL_SALT], const struct mark *m)
{
	uint32_t now, then;

	memcpy(&now, salt, sizeof now);
	memcpy(&then, m->salt, sizeof then);
	return be32toh(now) == be32toh(then) + 1;
}

/* Nothing of a generation that was begun after the mark has been acknowledged. */
static uint32_t frames_due(int wal, const struct mark *m)
{
	uint8_t salt[LEAF_WAL_SALT];

	if (wal < 0 || !leaf_wal_salt(wal, salt))
		return 0;
	if (memcmp(salt, m->salt, sizeof salt) == 0)
		return m->frames;
	return is_next_generation(salt, m) ? 0 : leaf_wal_frames(wal);
}

struct journal_due journal_mark_due(const struct journal *j)
{
	int wal = open_in(j, "journal.db-wal", O_RDONLY);
	struct journal_due due = {0};
	char boot_id[40];
	struct mark m;

	boot_read_id(boot_id);
	if (!read_mark(j, &m))
		due.frames = wal < 0 ? 0 : leaf_wal_frames(wal);
	else if (strncmp(m.boot_id, boot_id, sizeof m.boot_id) == 0)
		due = (struct journal_due){.frames = frames_due(wal, &m), .head = m.head};
	if (wal >= 0)
		close(wal);
	return due;
}
