/*
 * The journal in SQLite: one connection, WAL, one transaction a turn, checkpoints in line.
 *
 * Durability. synchronous=NORMAL writes the WAL without syncing it, so a commit survives any kill
 * of this process (the kernel has the bytes) and a sync makes it survive a power cut. A turn that
 * asks for it is fdatasynced here through a descriptor of our own on the WAL before it is
 * acknowledged (fdatasync works on the file, whichever descriptor; SQLite takes its locks on the
 * database and -shm files, so closing ours drops none). Other turns are synced by a helper thread
 * within 20 ms (journal_sync.c).
 *
 * A failed write or sync ends the broker: memory and file may differ, and a repeated fsync proves
 * nothing. It is restarted and reads what is there.
 */
#include "broker/journal_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "broker/crc32c.h"

enum { CHECKPOINT_PAGES = 1000, SENDERS_MAX = 4096, OTHERS_CURSORS_MAX = 1024 };

int journal_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EAGAIN;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* What the last failed call on the log or the database said; sqlite3_system_errno() has forgotten
 * it by the time a commit was rolled back. */
static int last_errno(sqlite3 *db)
{
	static const int files[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
	int os = 0;

	for (size_t i = 0; i < sizeof files / sizeof *files && !os; i++) {
		sqlite3_file *f = NULL;

		sqlite3_file_control(db, "main", files[i], &f);
		if (f && f->pMethods)
			f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &os);
	}
	return os;
}

/* A write that the disk refused may pass; whatever else went wrong may not. */
static int refused_or_broken(sqlite3 *db, int rc)
{
	int err = journal_errno(rc), os;

	if (err != -EIO || sqlite3_extended_errcode(db) != SQLITE_IOERR_WRITE)
		return err;
	os = last_errno(db);
	return os == EROFS ? -EROFS : os == EDQUOT || os == ENOSPC ? -ENOSPC : err;
}

int journal_run(struct journal *j, const char *sql)
{
	return refused_or_broken(j->db, sqlite3_exec(j->db, sql, NULL, NULL, NULL));
}

sqlite3_stmt *journal_statement(struct journal *j, enum statement which)
{
	sqlite3_reset(j->st[which]);
	return j->st[which];
}

int journal_step(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s), err = refused_or_broken(sqlite3_db_handle(s), rc);

	sqlite3_reset(s);
	return err;
}

void journal_bind_u64(sqlite3_stmt *s, int at, uint64_t v)
{
	sqlite3_bind_int64(s, at, (sqlite3_int64)v);
}

void journal_bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

int journal_turn_begin(struct journal *j)
{
	int err = j->in_turn ? 0 : journal_run(j, "BEGIN IMMEDIATE");

	j->in_turn = j->in_turn || !err;
	return err;
}

/* The name's entry, with a row of its own if it is new. */
static struct name *name_of(struct journal *j, const char *text)
{
	struct name *n = names_find(&j->names, text);

	return n ? n : names_add(&j->names, text, 0, 0, false);
}

uint64_t journal_last_of(struct journal *j, const char *name)
{
	struct name *n = names_find(&j->names, name);

	return n ? n->last : 0;
}

static const char *deployment_name(const char *deployment, char *buffer, size_t size)
{
	snprintf(buffer, size, "/%s", deployment);
	return buffer;
}

int journal_append(struct journal *j, const struct journal_entry *e)
{
	char buffer[256];
	struct name *topic = name_of(j, e->topic), *dep;
	sqlite3_stmt *s;
	int err = journal_turn_begin(j);

	dep = name_of(j, deployment_name(e->deployment, buffer, sizeof buffer));
	if (err || !topic || !dep)
		return err ? err : -ENOMEM;
	s = journal_statement(j, S_APPEND);
	journal_bind_u64(s, 1, e->seq);
	journal_bind_u64(s, 2, topic->id);
	journal_bind_u64(s, 3, dep->id);
	journal_bind_u64(s, 4, e->time_ns);
	journal_bind_u64(s, 5, e->prev);
	journal_bind_u64(s, 6, e->dprev);
	journal_bind_u64(s, 7, e->cause);
	journal_bind_u64(s, 8, e->did);
	journal_bind_u64(s, 9, crc32c(e->rec, e->rec_len));
	sqlite3_bind_blob(s, 10, e->rec, (int)e->rec_len, SQLITE_STATIC);
	err = journal_step(s);
	if (err)
		return err;
	names_touch(&j->names, topic, e->seq);
	names_touch(&j->names, dep, e->seq);
	j->head = e->seq;
	return 0;
}

int journal_set_last(struct journal *j, const char *key, uint64_t seq, const uint8_t *rec,
		     uint32_t rec_len)
{
	const char *slash = strchr(key, '/');
	sqlite3_stmt *s = journal_statement(j, S_LAST_PUT);
	int err = journal_turn_begin(j);

	if (err)
		return err;
	journal_bind_text(s, 1, key);
	journal_bind_text(s, 2, slash ? slash + 1 : "");
	journal_bind_u64(s, 3, seq);
	journal_bind_u64(s, 4, crc32c(rec, rec_len));
	sqlite3_bind_blob(s, 5, rec, (int)rec_len, SQLITE_STATIC);
	return journal_step(s);
}

int journal_forget(struct journal *j, const char *deployment)
{
	sqlite3_stmt *s = journal_statement(j, S_FORGET);
	int err = journal_turn_begin(j);

	if (err)
		return err;
	journal_bind_text(s, 1, deployment);
	return journal_step(s);
}

int journal_set_sender(struct journal *j, const char *sender, uint64_t incarnation, uint64_t number)
{
	sqlite3_stmt *s = journal_statement(j, S_SENDER);
	int err = journal_turn_begin(j);

	if (err)
		return err;
	journal_bind_text(s, 1, sender);
	journal_bind_u64(s, 2, incarnation);
	journal_bind_u64(s, 3, number);
	return journal_step(s);
}

/* Strangers may name as many as they like: for a new one the one furthest behind goes. */
static int make_room_for_cursor(struct journal *j, const char *cursor)
{
	sqlite3_stmt *s = journal_statement(j, S_CURSORS_OF_OTHERS);
	uint64_t n = 0;
	bool known;

	journal_cursor(j, cursor, &known);
	if (!known && sqlite3_step(s) == SQLITE_ROW)
		n = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return n < OTHERS_CURSORS_MAX ? 0 : journal_step(journal_statement(j, S_CURSOR_FURTHEST));
}

int journal_set_cursor(struct journal *j, const char *cursor, uint64_t seq, bool own)
{
	sqlite3_stmt *s = journal_statement(j, S_CURSOR);
	int err = journal_turn_begin(j);

	if (!err && !own)
		err = make_room_for_cursor(j, cursor);
	if (err)
		return err;
	journal_bind_text(s, 1, cursor);
	journal_bind_u64(s, 2, seq);
	journal_bind_u64(s, 3, own);
	return journal_step(s);
}

static int write_names(struct journal *j)
{
	struct name *n, *next;

	for (n = j->names.dirty; n; n = next) {
		sqlite3_stmt *s = journal_statement(j, n->stored ? S_NAME_LAST : S_NAME_PUT);
		int err;

		next = n->next_dirty;
		journal_bind_u64(s, 1, n->id);
		if (n->stored) {
			journal_bind_u64(s, 2, n->last);
		} else {
			journal_bind_text(s, 2, n->text);
			journal_bind_u64(s, 3, n->last);
		}
		err = journal_step(s);
		if (err)
			return err;
		n->stored = true;
		n->dirty = false;
		j->names.dirty = next;
	}
	return 0;
}

/* Since the last turn; a look that found nothing to trim leaves nothing to sync. */
static bool has_written(struct journal *j)
{
	int64_t changes = sqlite3_total_changes64(j->db);
	bool written = changes != j->changes;

	j->changes = changes;
	return written;
}

int journal_commit(struct journal *j, bool sync)
{
	int err = 0;

	if (atomic_load(&j->sync_failed))
		return -EIO;
	if (!j->in_turn)
		return 0;
	err = write_names(j);
	if (!err)
		err = journal_run(j, "COMMIT");
	if (err)
		return err;
	j->in_turn = false;
	j->committed = j->head;
	if (!has_written(j))
		return 0;
	err = journal_open_wal(j);
	if (err)
		return err;
	journal_mark_commit(j);
	/* Whatever the reason: the turn is in the journal and may not be on the disk. */
	if (sync)
		return fdatasync(j->wal) < 0 ? -EIO : 0;
	return journal_sync_soon(j);
}

int journal_note_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	((struct journal *)arg)->wal_pages = pages;
	return SQLITE_OK;
}

uint64_t journal_pinned_bytes(const struct journal *j)
{
	return (uint64_t)j->pinned_pages * 4096;
}

int journal_checkpoint(struct journal *j)
{
	int err, pages = 0, done = 0;

	if (j->wal_pages < CHECKPOINT_PAGES)
		return 0;
	err = refused_or_broken(
		j->db,
		sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done));
	j->wal_pages = 0;
	j->pinned_pages = !err && done < pages ? pages : 0;
	return err == -EAGAIN ? 0 : err;
}

uint64_t journal_number(struct journal *j, const char *sql)
{
	sqlite3_stmt *s = NULL;
	uint64_t v = 0;

	if (sqlite3_prepare_v2(j->db, sql, -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		v = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return v;
}

int journal_trim(struct journal *j, uint64_t before_ns, uint64_t max_bytes, uint32_t limit)
{
	uint64_t pages =
		journal_number(j, "PRAGMA page_count") - journal_number(j, "PRAGMA freelist_count");
	bool too_large = pages * journal_number(j, "PRAGMA page_size") > max_bytes;
	sqlite3_stmt *s = journal_statement(j, S_TRIM);
	int err = journal_turn_begin(j);

	if (err)
		return err;
	journal_bind_u64(s, 1, j->head);
	journal_bind_u64(s, 2, before_ns);
	journal_bind_u64(s, 3, too_large);
	journal_bind_u64(s, 4, limit);
	err = journal_step(s);
	return err ? err : sqlite3_changes(j->db);
}

/* What names and senders only trimmed rows had. An incarnation of before the latest one of its
 * sender never comes again; where outsiders made up too many names, the older half of the time
 * goes. */
int journal_sweep(struct journal *j)
{
	uint64_t tail = journal_tail(j), now = 0;
	sqlite3_stmt *s = journal_statement(j, S_NAMES_TRIM);
	int err = tail ? journal_turn_begin(j) : 0;

	if (err || !tail || j->names.dirty)
		return err;
	journal_bind_u64(s, 1, tail);
	err = journal_step(s);
	if (err)
		return err;
	names_sweep(&j->names, tail);
	now = journal_number(j, "SELECT avg(incarnation) FROM senders");
	s = journal_statement(j, S_SENDERS_TRIM);
	journal_bind_u64(s, 1, SENDERS_MAX);
	journal_bind_u64(s, 2, now);
	return journal_step(s);
}

uint64_t journal_epoch(const struct journal *j)
{
	return j->epoch;
}

uint64_t journal_head(const struct journal *j)
{
	return j->committed;
}
