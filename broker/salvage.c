/*
 * Saving what is whole of a broken journal; see the header. Rows are taken from the pages
 * themselves, so that a damaged page costs what lies on it and never what hangs below it.
 */
#include "broker/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "broker/journal_parts.h"
#include "broker/leaf_rows.h"

enum { PAGES_BETWEEN_BEATS = 4096 };

struct rescue {
	const char *dir;
	void (*alive)(void);
	sqlite3 *broken, *rows;
	sqlite3_stmt *put;
	struct journal *to;
	struct leaf_pages pages;
	uint64_t oldest; /* rows of before it lie on pages that are free */
	int error;
};

static sqlite3 *open_in(const struct rescue *r, const char *name)
{
	char path[PATH_MAX + 32];
	sqlite3 *db = NULL;

	snprintf(path, sizeof path, "%s/" SALVAGE_DIR "/%s", r->dir, name);
	if (sqlite3_open_v2(path, &db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
			    NULL) == SQLITE_OK)
		return db;
	sqlite3_close(db);
	return NULL;
}

static int make_drafts(struct rescue *r)
{
	static const char tables[] = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
				     "CREATE TABLE rows(seq INTEGER PRIMARY KEY, rec BLOB);"
				     "CREATE TABLE forgotten(deployment TEXT PRIMARY KEY, seq);"
				     "BEGIN";
	char dir[PATH_MAX + 32];
	int err = salvage_folder(r->dir);

	snprintf(dir, sizeof dir, "%s/" SALVAGE_DIR, r->dir);
	err = err ? err : salvage_copy(r->dir);
	err = err ? err : journal_new_at(dir, &r->to);
	/* All of the draft's first page in its file. */
	err = err ? err
		  : journal_errno(sqlite3_wal_checkpoint_v2(
			    r->to->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
	if (err)
		return err;
	r->rows = open_in(r, "rows.db");
	if (!r->rows)
		return -EIO;
	if (sqlite3_exec(r->rows, tables, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(r->rows, "INSERT OR IGNORE INTO rows VALUES(?,?)", -1, &r->put,
			       NULL) != SQLITE_OK)
		return journal_errno(sqlite3_errcode(r->rows));
	return 0;
}

/* The copy's log into the copy: pages are moved, nothing is understood. */
static bool fold(struct rescue *r)
{
	sqlite3_close(r->broken);
	r->broken = open_in(r, "broken.db");
	return r->broken && sqlite3_wal_checkpoint_v2(r->broken, NULL, SQLITE_CHECKPOINT_TRUNCATE,
						      NULL, NULL) == SQLITE_OK;
}

/* With the schema of the draft the small tables can be read, whatever the first page was. */
static void make_readable(struct rescue *r)
{
	sqlite3_stmt *s = NULL;

	if (!fold(r) && salvage_lend_first_page(r->dir) == 0)
		fold(r);
	sqlite3_close(r->broken);
	salvage_lend_first_page(r->dir);
	r->broken = open_in(r, "broken.db");
	if (r->broken &&
	    sqlite3_prepare_v2(r->broken, "SELECT min(seq) FROM events", -1, &s, NULL) ==
		    SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		r->oldest = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
}

static void keep_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	struct rescue *r = arg;

	if (seq < r->oldest || r->error)
		return;
	journal_bind_u64(r->put, 1, seq);
	sqlite3_bind_blob(r->put, 2, rec, (int)len, SQLITE_STATIC);
	r->error = journal_step(r->put);
}

static void collect_pages(struct rescue *r)
{
	uint8_t page[LEAF_PAGE_BYTES];

	for (off_t n = 0;
	     pread(r->pages.db, page, sizeof page, n * LEAF_PAGE_BYTES) == (ssize_t)sizeof page &&
	     !r->error;
	     n++) {
		leaf_rows_of(&r->pages, page, keep_row, r);
		if (n % PAGES_BETWEEN_BEATS == 0)
			r->alive();
	}
}

/* First the log as it was written: what its damage cuts off is not in the folded copy. */
static int collect(struct rescue *r)
{
	char path[PATH_MAX + 32];
	int wal;

	snprintf(path, sizeof path, "%s/" SALVAGE_DIR "/broken.db", r->dir);
	r->pages.db = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r->pages.record = malloc(LEAF_RECORD_MAX);
	if (r->pages.db < 0 || !r->pages.record)
		return r->pages.db < 0 ? -errno : -ENOMEM;
	snprintf(path, sizeof path, "%s/journal.db-wal", r->dir);
	wal = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (wal >= 0) {
		leaf_rows_of_wal(&r->pages, wal, keep_row, r);
		close(wal);
	}
	collect_pages(r);
	return r->error;
}

static void describe(const struct salvage_counts *n, char *text, size_t size)
{
	unsigned long long span = n->events ? n->last - n->first + 1 : 0;

	snprintf(text, size,
		 "%llu events (%llu to %llu, %llu of these are not there) and %llu last values "
		 "were saved",
		 n->events, n->first, n->last, span - n->events, n->keys);
}

static void rescue_done(struct rescue *r)
{
	sqlite3_finalize(r->put);
	sqlite3_close(r->rows);
	sqlite3_close(r->broken);
	journal_close(r->to);
	if (r->pages.db >= 0)
		close(r->pages.db);
	free(r->pages.record);
}

int salvage(const char *state_dir, void (*alive)(void), char *ret_said, size_t size)
{
	struct rescue r = {.dir = state_dir, .alive = alive, .pages.db = -1};
	struct salvage_counts n = {0};
	char saved[160];
	int err = make_drafts(&r);

	if (!err) {
		make_readable(&r);
		err = collect(&r);
	}
	err = err ? err : salvage_replay(r.rows, r.broken, r.to, alive, &n);
	rescue_done(&r);
	err = err ? err : salvage_done(state_dir);
	describe(&n, saved, sizeof saved);
	err = err ? err : salvage_finish(state_dir, saved, ret_said, size);
	salvage_clear(state_dir);
	return err;
}
