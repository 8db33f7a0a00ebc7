/*
 * Opening a journal: the lock, the tables, the names, the epoch.
 */
#include "broker/journal_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/salvage.h"
#include "broker/schema.h"
#include "lib/tree/boot.h"

static const char *const statements[S_COUNT] = {
	[S_APPEND] = "INSERT INTO events(seq,type,dep,time,prev,dprev,cause,did,crc,rec) "
		     "VALUES(?,?,?,?,?,?,?,?,?,?)",
	[S_LAST_PUT] = "INSERT INTO last(key,dep,seq,crc,rec) VALUES(?1,?2,?3,?4,?5) ON "
		       "CONFLICT(key) DO UPDATE SET "
		       "dep=?2,seq=?3,crc=?4,rec=?5",
	[S_FORGET] = "DELETE FROM last WHERE dep=?",
	[S_SENDER] = "INSERT INTO senders(sender,incarnation,number) VALUES(?1,?2,?3) ON "
		     "CONFLICT(sender,incarnation) DO "
		     "UPDATE SET number=?3",
	[S_CURSOR] = "INSERT INTO cursors(name,seq,own) VALUES(?1,?2,?3) ON CONFLICT(name) DO "
		     "UPDATE SET seq=?2,own=?3",
	[S_NAME_PUT] = "INSERT INTO names(id,name,last) VALUES(?,?,?)",
	[S_NAME_LAST] = "UPDATE names SET last=?2 WHERE id=?1",
	[S_DID] = "SELECT seq FROM events WHERE did=?1 AND did<>0",
	[S_SENDER_OF] = "SELECT number FROM senders WHERE sender=? AND incarnation=?",
	[S_CURSOR_OF] = "SELECT seq FROM cursors WHERE name=?",
	[S_CURSORS_OF_OTHERS] = "SELECT count(*) FROM cursors WHERE NOT own",
	[S_CURSOR_FURTHEST] = "DELETE FROM cursors WHERE name=(SELECT name FROM cursors WHERE NOT "
			      "own ORDER BY seq LIMIT 1)",
	[S_READ] = "SELECT seq,rec,crc FROM events WHERE seq>? ORDER BY seq LIMIT ?",
	[S_READ_ONE] = "SELECT seq,rec,crc FROM events WHERE seq=?",
	[S_READ_LAST] = "SELECT seq,rec,crc FROM last WHERE key>=?1 AND key<?2 ORDER BY key",
	/* Only the oldest are looked at (one bound, for SQLite uses one): times rise with seq but
	 * for steps of the clock. A command that an actor of the set has not handled yet was
	 * acknowledged, and stays. */
	[S_TRIM] = "DELETE FROM events WHERE seq<min(?1,(SELECT min(seq) FROM events)+?4) AND "
		   "(time<?2 OR ?3) AND NOT (seq>(SELECT coalesce(min(seq),0) FROM cursors WHERE "
		   "own) AND type IN (SELECT id FROM names WHERE name LIKE 'do.%'))",
	[S_BOUNDS] = "SELECT min(seq) FROM events",
	/* The bytes of a header that only this event has; the newest first, for those are asked
	 * for. */
	[S_ID] = "SELECT seq FROM events WHERE instr(rec,?1)>0 ORDER BY seq DESC LIMIT 1",
	[S_NAMES_TRIM] = "DELETE FROM names WHERE last<?1",
	[S_SENDERS_TRIM] = "DELETE FROM senders WHERE incarnation<(SELECT max(incarnation) FROM "
			   "senders AS s WHERE s.sender=senders.sender) OR (SELECT count(*) FROM "
			   "senders)>?1 AND incarnation<?2",
};

static int take_lock(struct journal *j)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof path, "%s/broker.lock", j->dir);
	j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->lock < 0)
		return -errno;
	return flock(j->lock, LOCK_EX | LOCK_NB) < 0 ? -EAGAIN : 0;
}

static int prepare(struct journal *j)
{
	for (int i = 0; i < S_COUNT; i++) {
		int err = journal_errno(sqlite3_prepare_v3(
			j->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &j->st[i], NULL));

		if (err)
			return err;
	}
	return 0;
}

static int load_names(struct journal *j)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(j->db, "SELECT id,name,last FROM names", -1, &s, NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(s);
		if (rc == SQLITE_ROW &&
		    !names_add(&j->names, (const char *)sqlite3_column_text(s, 1),
			       (uint32_t)sqlite3_column_int64(s, 0),
			       (uint64_t)sqlite3_column_int64(s, 2), true))
			rc = SQLITE_NOMEM;
	}
	sqlite3_finalize(s);
	return journal_errno(rc);
}

/* A new boot may have lost what was not synced: what others remember of this journal's numbers is
 * another journal's. The seq goes on above anything that can have been given out. */
static int settle_epoch(struct journal *j, bool renew)
{
	char old[40] = "";
	sqlite3_stmt *s = NULL;
	int err;

	boot_read_id(j->boot_id);
	if (sqlite3_prepare_v2(j->db, "SELECT epoch,boot_id FROM meta", -1, &s, NULL) ==
		    SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW) {
		j->epoch = (uint64_t)sqlite3_column_int64(s, 0);
		snprintf(old, sizeof old, "%s", (const char *)sqlite3_column_text(s, 1));
	}
	sqlite3_finalize(s);
	j->is_new_boot = strcmp(old, j->boot_id) != 0;
	if (j->epoch && !renew && !j->is_new_boot)
		return 0;
	while (getrandom(&j->epoch, sizeof j->epoch, 0) != sizeof j->epoch)
		;
	j->epoch = j->epoch >> 1 | 1;
	err = journal_run(j, "DELETE FROM meta");
	if (err || sqlite3_prepare_v2(j->db, "INSERT INTO meta(epoch,boot_id) VALUES(?,?)", -1, &s,
				      NULL) != SQLITE_OK)
		return err ? err : -EIO;
	journal_bind_u64(s, 1, j->epoch);
	journal_bind_text(s, 2, j->boot_id);
	err = journal_errno(sqlite3_step(s));
	sqlite3_finalize(s);
	return err;
}

int journal_abandon(struct journal *j)
{
	int err = j->in_turn ? journal_run(j, "ROLLBACK") : 0;

	/* A turn that found the disk full may have been rolled back already. */
	if (err && sqlite3_get_autocommit(j->db))
		err = 0;
	j->in_turn = false;
	j->head = j->committed;
	names_done(&j->names);
	j->names = (struct names){0};
	return err ? err : load_names(j);
}

int journal_db_open(struct journal *j, bool renew)
{
	char path[PATH_MAX + 16];
	int err;

	snprintf(path, sizeof path, "%s/journal.db", j->dir);
	err = journal_errno(sqlite3_open_v2(
		path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
		NULL));
	if (err)
		return err;
	sqlite3_busy_timeout(j->db, 1000);
	err = journal_run(j, JOURNAL_PRAGMAS);
	err = err ? err : journal_run(j, JOURNAL_SCHEMA);
	err = err ? err : prepare(j);
	err = err ? err : load_names(j);
	err = err ? err : settle_epoch(j, renew);
	if (err)
		return err;
	/* After damage a last value may be newer than the newest row: no number is given twice. */
	j->head = j->committed =
		journal_number(j, "SELECT max(coalesce((SELECT max(seq) FROM events),0),"
				  "coalesce((SELECT max(seq) FROM last),0))");
	sqlite3_wal_hook(j->db, journal_note_wal, j);
	return 0;
}

void journal_db_close(struct journal *j)
{
	for (int i = 0; i < S_COUNT; i++) {
		sqlite3_finalize(j->st[i]);
		j->st[i] = NULL;
	}
	sqlite3_close(j->db);
	j->db = NULL;
	names_done(&j->names);
	j->names = (struct names){0};
}

/* A turn that the last broker committed and did not sync is taken for settled by who reads it here:
 * a sender whose number it holds is told so. */
static int sync_found(struct journal *j)
{
	int err = journal_open_wal(j);

	if (err == -ENOENT)
		return 0; /* nothing was written since the last checkpoint */
	return err ? err : fdatasync(j->wal) < 0 ? -errno : 0;
}

static struct journal *journal_alloc(const char *dir)
{
	struct journal *j = calloc(1, sizeof *j);

	if (!j)
		return NULL;
	j->wal = j->lock = j->mark = -1;
	snprintf(j->dir, sizeof j->dir, "%s", dir);
	pthread_mutex_init(&j->mutex, NULL);
	pthread_cond_init(&j->wake, NULL);
	return j;
}

int journal_new_at(const char *dir, struct journal **ret_j)
{
	struct journal *j = journal_alloc(dir);
	int err = j ? journal_db_open(j, false) : -ENOMEM;

	if (err) {
		journal_close(j);
		return err;
	}
	*ret_j = j;
	return 0;
}

/* One thread of this process uses SQLite, and nobody asks how much memory it has. */
static void use_one_thread(void)
{
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int journal_open(const char *state_dir, void (*alive)(void), struct journal **ret_j,
		 const char **ret_said)
{
	struct journal *j = journal_alloc(state_dir);
	int err = j ? take_lock(j) : -ENOMEM;

	use_one_thread();
	err = err ? err : journal_open_or_mend(j, alive);
	err = err ? err : sync_found(j);
	if (err) {
		journal_close(j);
		return err;
	}
	journal_mark_open(j);
	*ret_said = j->said[0] ? j->said : NULL;
	*ret_j = j;
	return 0;
}

int journal_distrust(struct journal *j)
{
	return salvage_order(j->dir);
}

bool journal_is_ours(const struct journal *j)
{
	char path[PATH_MAX + 16];
	struct stat mine, there;

	snprintf(path, sizeof path, "%s/broker.lock", j->dir);
	return fstat(j->lock, &mine) == 0 && lstat(path, &there) == 0 &&
	       mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	journal_sync_end(j);
	journal_db_close(j);
	if (j->wal >= 0)
		close(j->wal);
	if (j->mark >= 0)
		close(j->mark);
	if (j->lock >= 0)
		close(j->lock);
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->mutex);
	free(j);
}
