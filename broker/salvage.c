/*
 * Saving what is whole of a broken journal; see the header. Ranges of seq that fail to read are
 * halved until single rows are left out.
 */
#include "broker/salvage.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "broker/crc32c.h"
#include "broker/schema.h"
#include "msgs/door.h"
#include "msgs/type.h"

struct rescue {
	sqlite3 *from, *to;
	sqlite3_stmt *read, *put, *put_last;
	uint64_t saved, lost, keys;
};

static int set_aside(const char *dir, const char *suffix, unsigned n)
{
	char from[PATH_MAX], to[PATH_MAX];

	snprintf(from, sizeof from, "%s/journal.db%s", dir, suffix);
	snprintf(to, sizeof to, "%s/journal.db.corrupt-%u%s", dir, n, suffix);
	if (rename(from, to) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static unsigned free_number(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;
	unsigned n = 1;

	for (;; n++) {
		snprintf(path, sizeof path, "%s/journal.db.corrupt-%u", dir, n);
		if (lstat(path, &st) < 0)
			return n;
	}
}

/* The last value that this record is, if its type has a key. */
static void put_key(struct rescue *r, uint64_t seq, const uint8_t *rec, int len)
{
	struct door_record parts;
	struct door_reader reader;
	uint8_t copy[MSG_FRAME_MAX];
	const struct msg_type *type;
	const char *slash;
	char key[2 * MSG_TOPIC_MAX];

	if (len < 0 || (size_t)len > sizeof copy)
		return;
	memcpy(copy, rec, (size_t)len);
	reader = door_reader_over(copy, (size_t)len);
	if (!door_read_record(&reader, &parts))
		return;
	type = msg_type_of(parts.topic.at, parts.topic.len);
	slash = memchr(parts.topic.at, '/', parts.topic.len);
	if (!type || !type->key || !slash || (type->flags & FORGETS))
		return;
	snprintf(key, sizeof key, "%s%.*s", type->key,
		 (int)(parts.topic.at + parts.topic.len - slash), slash);
	sqlite3_reset(r->put_last);
	sqlite3_bind_text(r->put_last, 1, key, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(r->put_last, 2, strchr(key, '/') + 1, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(r->put_last, 3, (sqlite3_int64)seq);
	sqlite3_bind_int64(r->put_last, 4, (sqlite3_int64)crc32c(rec, (size_t)len));
	sqlite3_bind_blob(r->put_last, 5, rec, len, SQLITE_STATIC);
	sqlite3_step(r->put_last);
	r->keys++;
}

static void put_row(struct rescue *r)
{
	sqlite3_reset(r->put);
	for (int i = 0; i < 10; i++)
		sqlite3_bind_value(r->put, i + 1, sqlite3_column_value(r->read, i));
	if (sqlite3_step(r->put) == SQLITE_DONE) {
		r->saved++;
		put_key(r, (uint64_t)sqlite3_column_int64(r->read, 0),
			sqlite3_column_blob(r->read, 9), sqlite3_column_bytes(r->read, 9));
	}
}

/* Copies rows low <= seq < high; false: the range can't be read as a whole. */
static int copy_range(struct rescue *r, uint64_t low, uint64_t high)
{
	int rc;

	sqlite3_reset(r->read);
	sqlite3_bind_int64(r->read, 1, (sqlite3_int64)low);
	sqlite3_bind_int64(r->read, 2, (sqlite3_int64)high);
	while ((rc = sqlite3_step(r->read)) == SQLITE_ROW) {
		const void *rec = sqlite3_column_blob(r->read, 9);
		size_t len = (size_t)sqlite3_column_bytes(r->read, 9);

		if (rec && crc32c(rec, len) == (uint32_t)sqlite3_column_int64(r->read, 8))
			put_row(r);
		else
			r->lost++;
	}
	sqlite3_reset(r->read);
	return rc == SQLITE_DONE;
}

/* Depth is the logarithm of the range: at most 63. */
static void save_range(struct rescue *r, uint64_t low, uint64_t high)
{
	if (low >= high || copy_range(r, low, high))
		return;
	if (high - low == 1) {
		r->lost++;
		return;
	}
	save_range(r, low, low + (high - low) / 2);
	save_range(r, low + (high - low) / 2, high);
}

static uint64_t highest_seq(sqlite3 *db)
{
	static const char *const ways[] = {
		"SELECT max(seq) FROM events", "SELECT max(last) FROM names",
		"SELECT max(seq) FROM last", "SELECT max(seq) FROM cursors"};
	uint64_t highest = 0;

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		sqlite3_stmt *s = NULL;

		if (sqlite3_prepare_v2(db, ways[i], -1, &s, NULL) == SQLITE_OK &&
		    sqlite3_step(s) == SQLITE_ROW && (uint64_t)sqlite3_column_int64(s, 0) > highest)
			highest = (uint64_t)sqlite3_column_int64(s, 0);
		sqlite3_finalize(s);
	}
	return highest;
}

/* Last values that events no longer tell: their rows are copied where they are whole. */
static void copy_last(struct rescue *r)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(r->from, "SELECT key,dep,seq,crc,rec FROM last", -1, &s, NULL) !=
	    SQLITE_OK)
		return;
	while (sqlite3_step(s) == SQLITE_ROW) {
		const void *rec = sqlite3_column_blob(s, 4);
		size_t len = (size_t)sqlite3_column_bytes(s, 4);

		if (!rec || crc32c(rec, len) != (uint32_t)sqlite3_column_int64(s, 3))
			continue;
		sqlite3_reset(r->put_last);
		for (int i = 0; i < 5; i++)
			sqlite3_bind_value(r->put_last, i + 1, sqlite3_column_value(s, i));
		sqlite3_step(r->put_last);
		r->keys++;
	}
	sqlite3_finalize(s);
}

static void copy_small(struct rescue *r, const char *select, const char *insert)
{
	sqlite3_stmt *from = NULL, *to = NULL;

	if (sqlite3_prepare_v2(r->from, select, -1, &from, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(r->to, insert, -1, &to, NULL) == SQLITE_OK)
		while (sqlite3_step(from) == SQLITE_ROW) {
			sqlite3_reset(to);
			for (int i = 0; i < sqlite3_column_count(from); i++)
				sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));
			sqlite3_step(to);
		}
	sqlite3_finalize(from);
	sqlite3_finalize(to);
}

static void copy_all(struct rescue *r)
{
	save_range(r, 0, highest_seq(r->from) + 1);
	copy_last(r);
	copy_small(r, "SELECT id,name,last FROM names",
		   "INSERT OR IGNORE INTO names VALUES(?,?,?)");
	copy_small(r, "SELECT sender,incarnation,number FROM senders",
		   "INSERT OR IGNORE INTO senders VALUES(?,?,?)");
	copy_small(r, "SELECT name,seq,own FROM cursors",
		   "INSERT OR IGNORE INTO cursors VALUES(?,?,?)");
}

static int open_both(struct rescue *r, const char *dir, unsigned n)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/journal.db.corrupt-%u", dir, n);
	if (sqlite3_open_v2(path, &r->from, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		return 0; /* nothing of it can be read */
	snprintf(path, sizeof path, "%s/journal.db", dir);
	if (sqlite3_open_v2(path, &r->to,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
			    NULL) != SQLITE_OK ||
	    sqlite3_exec(r->to, JOURNAL_PRAGMAS JOURNAL_SCHEMA "BEGIN", NULL, NULL, NULL) !=
		    SQLITE_OK)
		return -EIO;
	if (sqlite3_prepare_v2(r->from,
			       "SELECT seq,type,dep,time,prev,dprev,cause,did,crc,rec FROM events "
			       "WHERE seq>=? AND seq<?",
			       -1, &r->read, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(r->to, "INSERT OR IGNORE INTO events VALUES(?,?,?,?,?,?,?,?,?,?)",
			       -1, &r->put, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(r->to,
			       "INSERT INTO last(key,dep,seq,crc,rec) VALUES(?1,?2,?3,?4,?5) ON "
			       "CONFLICT(key) DO UPDATE SET "
			       "seq=?3,crc=?4,rec=?5 WHERE ?3>seq",
			       -1, &r->put_last, NULL) != SQLITE_OK)
		return 0;
	copy_all(r);
	return 0;
}

int salvage(const char *state_dir, char *ret_said, size_t size)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	struct rescue r = {0};
	unsigned n = free_number(state_dir);
	int err = 0;

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes && !err; i++)
		err = set_aside(state_dir, suffixes[i], n);
	if (!err)
		err = open_both(&r, state_dir, n);
	sqlite3_finalize(r.read);
	sqlite3_finalize(r.put);
	sqlite3_finalize(r.put_last);
	if (r.to && sqlite3_exec(r.to, "COMMIT", NULL, NULL, NULL) != SQLITE_OK && !err)
		err = -EIO;
	sqlite3_close(r.from);
	sqlite3_close(r.to);
	snprintf(ret_said, size,
		 "the journal was damaged; it is kept as journal.db.corrupt-%u, %" PRIu64
		 " events and %" PRIu64 " last values were saved, %" PRIu64 " events lost",
		 n, r.saved, r.keys, r.lost);
	return err;
}
