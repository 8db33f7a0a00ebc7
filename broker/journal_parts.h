/*
 * What the files of the SQLite journal share. Included by them only.
 */
#ifndef LOPS_BROKER_JOURNAL_PARTS_H
#define LOPS_BROKER_JOURNAL_PARTS_H

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include "broker/journal.h"
#include "broker/names.h"
#include "msgs/header.h"

enum statement {
	S_APPEND,
	S_LAST_PUT,
	S_FORGET,
	S_SENDER,
	S_CURSOR,
	S_NAME_PUT,
	S_NAME_LAST,
	S_DID,
	S_SENDER_OF,
	S_CURSOR_OF,
	S_CURSORS_OF_OTHERS,
	S_CURSOR_FURTHEST,
	S_READ,
	S_READ_ONE,
	S_READ_LAST,
	S_TRIM,
	S_BOUNDS,
	S_ID,
	S_NAMES_TRIM,
	S_SENDERS_TRIM,
	S_COUNT,
};

struct journal {
	sqlite3 *db;
	sqlite3_stmt *st[S_COUNT];
	struct names names;
	uint64_t epoch, head, committed;
	bool in_turn, is_new_boot;
	char boot_id[40];
	int64_t changes; /* rows ever changed by this connection, at the last commit */
	int lock, wal, mark;
	int wal_pages;    /* of the WAL at the last commit; 0 once they were checkpointed */
	int pinned_pages; /* of the WAL, that a reader kept from the last checkpoint */
	char dir[PATH_MAX];
	char said[256];
	pthread_t syncer;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool unsynced, ending, has_syncer;
	atomic_bool sync_failed;
};

/* --- journal_open.c --- */
/* A journal of its own in a folder that nobody else knows: no lock, nothing is mended. */
int journal_new_at(const char *dir, struct journal **ret_j);
int journal_db_open(struct journal *j, bool renew_epoch);
void journal_db_close(struct journal *j);

/* --- journal_mend.c --- */
int journal_open_or_mend(struct journal *j, void (*alive)(void));

/* --- journal_sqlite.c --- */
int journal_errno(int rc);
int journal_run(struct journal *j, const char *sql);
sqlite3_stmt *journal_statement(struct journal *j, enum statement which); /* reset, to be bound */
int journal_step(sqlite3_stmt *s); /* to its end, and reset */
void journal_bind_u64(sqlite3_stmt *s, int at, uint64_t v);
void journal_bind_text(sqlite3_stmt *s, int at, const char *text); /* borrowed until reset */
int journal_turn_begin(struct journal *j);
uint64_t journal_number(struct journal *j, const char *sql);
int journal_note_wal(void *arg, sqlite3 *db, const char *name, int pages); /* a WAL hook */

/* --- journal_mark.c --- */
struct journal_due {
	uint32_t frames; /* of the log */
	uint64_t head;
};
void journal_mark_open(struct journal *j);
void journal_mark_commit(const struct journal *j);
/* What has to be there; to be asked before the database is opened. */
struct journal_due journal_mark_due(const struct journal *j);

/* --- journal_sync.c: within 20 ms, by a helper thread --- */
int journal_open_wal(struct journal *j);
int journal_sync_soon(struct journal *j);
void journal_sync_end(struct journal *j);

#endif
