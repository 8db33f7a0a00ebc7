/*
 * What a journal has to show before it is trusted, and what is done when it can't: see
 * broker/salvage.h. It never goes on with less than there was in silence.
 */
#include "broker/journal_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "broker/ballast.h"
#include "broker/salvage.h"

static bool count_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	(void)seq;
	(void)rec;
	(void)len;
	(*(uint64_t *)arg)++;
	return true;
}

static bool is_sound(struct journal *j, const char *table)
{
	char sql[64];
	sqlite3_stmt *s = NULL;
	bool sound;

	snprintf(sql, sizeof sql, "PRAGMA quick_check(%s)", table);
	sound = sqlite3_prepare_v2(j->db, sql, -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW &&
		strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0;
	sqlite3_finalize(s);
	return sound;
}

/* After a power cut part of the log may never have been written, so only within one boot is a
 * shorter one damage. */
static int check_due(struct journal *j, struct journal_due due)
{
	int found = 0;

	if (sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &found, NULL) !=
	    SQLITE_OK)
		return 0; /* found out by whoever writes next */
	if (j->is_new_boot)
		return 0;
	return j->head < due.head || (found >= 0 && (uint32_t)found < due.frames) ? -EUCLEAN : 0;
}

/* Whether the rows at the head and the small tables can be read back. What is damaged further back
 * is found when it is read. */
static int check(struct journal *j, struct journal_due due)
{
	static const char *const small[] = {"last", "names", "senders", "cursors", "meta"};
	uint64_t rows = 0, from = j->head > 2000 ? j->head - 2000 : 0;
	int err = check_due(j, due);

	err = err ? err : journal_read(j, from, 2000, count_row, &rows);
	err = err ? err : journal_read_last(j, "", count_row, &rows);
	for (size_t i = 0; i < sizeof small / sizeof *small && !err; i++)
		err = is_sound(j, small[i]) ? 0 : -EUCLEAN;
	return err;
}

static int make(struct journal *j)
{
	char path[PATH_MAX + 32];
	struct journal *draft;
	int err = salvage_folder(j->dir);

	snprintf(path, sizeof path, "%s/" SALVAGE_DIR, j->dir);
	err = err ? err : journal_new_at(path, &draft);
	if (err)
		return err;
	journal_close(draft);
	err = salvage_done(j->dir);
	salvage_clear(j->dir);
	return err ? err : salvage_finish(j->dir, "", NULL, 0);
}

/* A database that is there is whole from its first instant: one that is empty was emptied. */
static int make_if_missing(struct journal *j)
{
	char path[PATH_MAX + 32];
	struct stat st;

	snprintf(path, sizeof path, "%s/journal.db", j->dir);
	if (lstat(path, &st) == 0)
		return st.st_size == 0 ? -EUCLEAN : 0;
	if (errno != ENOENT)
		return -errno;
	snprintf(path, sizeof path, "%s/journal.db-wal", j->dir);
	return lstat(path, &st) == 0 || journal_mark_due(j).head ? -EUCLEAN : make(j);
}

static int open_and_check(struct journal *j)
{
	struct journal_due due = journal_mark_due(j);
	int err = journal_db_open(j, false);

	/* What is damaged stays as it is: closing would fold the log and remove it. */
	if (j->db)
		sqlite3_db_config(j->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	err = err ? err : check(j, due);
	if (err == -ENOSPC && ballast_give_up(j->dir)) {
		journal_db_close(j);
		err = journal_db_open(j, false);
	}
	if (!err)
		sqlite3_db_config(j->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return err;
}

int journal_open_or_mend(struct journal *j, void (*alive)(void))
{
	int err = salvage_finish(j->dir, "what was whole of it was saved", j->said, sizeof j->said);

	err = err ? err : make_if_missing(j);
	err = err ? err : salvage_is_ordered(j->dir) ? -EUCLEAN : open_and_check(j);
	if (err != -EUCLEAN)
		return err;
	journal_db_close(j);
	err = salvage(j->dir, alive, j->said, sizeof j->said);
	return err ? err : journal_db_open(j, true);
}
