/*
 * The journal in SQLite: one connection, WAL, one transaction a turn, checkpoints in line.
 *
 * Durability. synchronous=NORMAL writes the WAL without syncing it, so a commit survives any kill
 * of this process (the kernel has the bytes) and a sync makes it survive a power cut. A turn that
 * asks for it is fdatasynced here through a descriptor of our own on the WAL before it is
 * acknowledged (fdatasync works on the file, whichever descriptor; SQLite takes its locks on the
 * database and -shm files, so closing ours drops none). Other turns are synced by a helper thread
 * within 20 ms.
 *
 * A failed write or sync ends the broker: memory and file may differ, and a repeated fsync proves
 * nothing. It is restarted and reads what is there.
 */
#include "broker/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "broker/ballast.h"
#include "broker/crc32c.h"
#include "broker/names.h"
#include "broker/salvage.h"
#include "broker/schema.h"

enum { CHECKPOINT_PAGES = 1000, SYNC_EVERY_MS = 20 };

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
	S_READ,
	S_READ_ONE,
	S_READ_LAST,
	S_TRIM,
	S_BOUNDS,
	S_COUNT,
};

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
	[S_CURSOR] = "INSERT INTO cursors(name,seq) VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET "
		     "seq=?2",
	[S_NAME_PUT] = "INSERT INTO names(id,name,last) VALUES(?,?,?)",
	[S_NAME_LAST] = "UPDATE names SET last=?2 WHERE id=?1",
	[S_DID] = "SELECT seq FROM events WHERE did=?1 AND did<>0",
	[S_SENDER_OF] = "SELECT number FROM senders WHERE sender=? AND incarnation=?",
	[S_CURSOR_OF] = "SELECT seq FROM cursors WHERE name=?",
	[S_READ] = "SELECT seq,rec,crc FROM events WHERE seq>? ORDER BY seq LIMIT ?",
	[S_READ_ONE] = "SELECT seq,rec,crc FROM events WHERE seq=?",
	[S_READ_LAST] = "SELECT seq,rec,crc FROM last WHERE key>=?1 AND key<?2 ORDER BY key",
	[S_TRIM] = "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq<?1 AND "
		   "(time<?2 OR ?3) ORDER BY seq "
		   "LIMIT ?4)",
	[S_BOUNDS] = "SELECT min(seq) FROM events",
};

struct journal {
	sqlite3 *db;
	sqlite3_stmt *st[S_COUNT];
	struct names names;
	uint64_t epoch, head, committed;
	bool in_turn;
	int lock, wal, wal_pages;
	char dir[PATH_MAX];
	char said[256];
	pthread_t syncer;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool unsynced, ending, has_syncer;
	atomic_bool sync_failed;
};

static int to_errno(int rc)
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

static int run(struct journal *j, const char *sql)
{
	return to_errno(sqlite3_exec(j->db, sql, NULL, NULL, NULL));
}

static sqlite3_stmt *begin(struct journal *j, enum statement which)
{
	sqlite3_reset(j->st[which]);
	return j->st[which];
}

static int step(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	return to_errno(rc);
}

static void bind_u64(sqlite3_stmt *s, int at, uint64_t v)
{
	sqlite3_bind_int64(s, at, (sqlite3_int64)v);
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

static int turn_begin(struct journal *j)
{
	int err = j->in_turn ? 0 : run(j, "BEGIN IMMEDIATE");

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
	int err = turn_begin(j);

	dep = name_of(j, deployment_name(e->deployment, buffer, sizeof buffer));
	if (err || !topic || !dep)
		return err ? err : -ENOMEM;
	s = begin(j, S_APPEND);
	bind_u64(s, 1, e->seq);
	bind_u64(s, 2, topic->id);
	bind_u64(s, 3, dep->id);
	bind_u64(s, 4, e->time_ns);
	bind_u64(s, 5, e->prev);
	bind_u64(s, 6, e->dprev);
	bind_u64(s, 7, e->cause);
	bind_u64(s, 8, e->did);
	bind_u64(s, 9, crc32c(e->rec, e->rec_len));
	sqlite3_bind_blob(s, 10, e->rec, (int)e->rec_len, SQLITE_STATIC);
	err = step(s);
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
	sqlite3_stmt *s = begin(j, S_LAST_PUT);
	int err = turn_begin(j);

	if (err)
		return err;
	bind_text(s, 1, key);
	bind_text(s, 2, slash ? slash + 1 : "");
	bind_u64(s, 3, seq);
	bind_u64(s, 4, crc32c(rec, rec_len));
	sqlite3_bind_blob(s, 5, rec, (int)rec_len, SQLITE_STATIC);
	return step(s);
}

int journal_forget(struct journal *j, const char *deployment)
{
	sqlite3_stmt *s = begin(j, S_FORGET);
	int err = turn_begin(j);

	if (err)
		return err;
	bind_text(s, 1, deployment);
	return step(s);
}

int journal_set_sender(struct journal *j, const char *sender, uint64_t incarnation, uint64_t number)
{
	sqlite3_stmt *s = begin(j, S_SENDER);
	int err = turn_begin(j);

	if (err)
		return err;
	bind_text(s, 1, sender);
	bind_u64(s, 2, incarnation);
	bind_u64(s, 3, number);
	return step(s);
}

int journal_set_cursor(struct journal *j, const char *cursor, uint64_t seq)
{
	sqlite3_stmt *s = begin(j, S_CURSOR);
	int err = turn_begin(j);

	if (err)
		return err;
	bind_text(s, 1, cursor);
	bind_u64(s, 2, seq);
	return step(s);
}

static int write_names(struct journal *j)
{
	struct name *n, *next;

	for (n = j->names.dirty; n; n = next) {
		sqlite3_stmt *s = begin(j, n->stored ? S_NAME_LAST : S_NAME_PUT);
		int err;

		next = n->next_dirty;
		bind_u64(s, 1, n->id);
		if (n->stored) {
			bind_u64(s, 2, n->last);
		} else {
			bind_text(s, 2, n->text);
			bind_u64(s, 3, n->last);
		}
		err = step(s);
		if (err)
			return err;
		n->stored = true;
		n->dirty = false;
		j->names.dirty = next;
	}
	return 0;
}

/* --- the helper thread --- */

static void *sync_now_and_then(void *arg)
{
	struct journal *j = arg;

	pthread_mutex_lock(&j->mutex);
	while (!j->ending) {
		if (!j->unsynced) {
			pthread_cond_wait(&j->wake, &j->mutex);
			continue;
		}
		j->unsynced = false;
		pthread_mutex_unlock(&j->mutex);
		nanosleep(&(struct timespec){.tv_nsec = SYNC_EVERY_MS * 1000000L}, NULL);
		if (fdatasync(j->wal) < 0)
			atomic_store(&j->sync_failed, true);
		pthread_mutex_lock(&j->mutex);
	}
	pthread_mutex_unlock(&j->mutex);
	return NULL;
}

static void sync_soon(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
	if (!j->unsynced) {
		j->unsynced = true;
		pthread_cond_signal(&j->wake);
	}
	pthread_mutex_unlock(&j->mutex);
}

static int open_wal(struct journal *j)
{
	char path[PATH_MAX + 16];

	if (j->wal >= 0)
		return 0;
	snprintf(path, sizeof path, "%s/journal.db-wal", j->dir);
	j->wal = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return j->wal < 0 ? -errno : 0;
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
		err = run(j, "COMMIT");
	if (err) {
		run(j, "ROLLBACK");
		return err;
	}
	j->in_turn = false;
	j->committed = j->head;
	err = open_wal(j);
	if (err)
		return err;
	if (sync)
		return fdatasync(j->wal) < 0 ? -errno : 0;
	if (!j->has_syncer) {
		if (pthread_create(&j->syncer, NULL, sync_now_and_then, j) != 0)
			return fdatasync(j->wal) < 0 ? -errno : 0;
		j->has_syncer = true;
	}
	sync_soon(j);
	return 0;
}

static int note_wal_size(void *arg, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	((struct journal *)arg)->wal_pages = pages;
	return SQLITE_OK;
}

int journal_checkpoint(struct journal *j)
{
	int err;

	if (j->wal_pages < CHECKPOINT_PAGES)
		return 0;
	err = to_errno(
		sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
	j->wal_pages = 0;
	return err == -EAGAIN ? 0 : err;
}

/* --- looking things up --- */

uint64_t journal_seq_of_did(struct journal *j, uint64_t did)
{
	sqlite3_stmt *s = begin(j, S_DID);
	uint64_t seq = 0;

	bind_u64(s, 1, did);
	if (sqlite3_step(s) == SQLITE_ROW)
		seq = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return seq;
}

uint64_t journal_sender_number(struct journal *j, const char *sender, uint64_t incarnation)
{
	sqlite3_stmt *s = begin(j, S_SENDER_OF);
	uint64_t number = 0;

	bind_text(s, 1, sender);
	bind_u64(s, 2, incarnation);
	if (sqlite3_step(s) == SQLITE_ROW)
		number = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return number;
}

uint64_t journal_cursor(struct journal *j, const char *cursor, bool *ret_known)
{
	sqlite3_stmt *s = begin(j, S_CURSOR_OF);
	uint64_t seq = 0;

	bind_text(s, 1, cursor);
	*ret_known = sqlite3_step(s) == SQLITE_ROW;
	if (*ret_known)
		seq = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return seq;
}

static int each_row(sqlite3_stmt *s, journal_row_fn *fn, void *arg)
{
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		const uint8_t *rec = sqlite3_column_blob(s, 1);
		uint32_t len = (uint32_t)sqlite3_column_bytes(s, 1);

		if (!rec || crc32c(rec, len) != (uint32_t)sqlite3_column_int64(s, 2)) {
			rc = SQLITE_CORRUPT;
			break;
		}
		if (!fn(arg, (uint64_t)sqlite3_column_int64(s, 0), rec, len))
			break;
	}
	sqlite3_reset(s);
	return to_errno(rc);
}

int journal_read(struct journal *j, uint64_t after, uint32_t limit, journal_row_fn *fn, void *arg)
{
	sqlite3_stmt *s = begin(j, S_READ);

	bind_u64(s, 1, after);
	bind_u64(s, 2, limit);
	return each_row(s, fn, arg);
}

int journal_read_one(struct journal *j, uint64_t seq, journal_row_fn *fn, void *arg)
{
	sqlite3_stmt *s = begin(j, S_READ_ONE);

	bind_u64(s, 1, seq);
	return each_row(s, fn, arg);
}

int journal_read_last(struct journal *j, const char *key_prefix, journal_row_fn *fn, void *arg)
{
	sqlite3_stmt *s = begin(j, S_READ_LAST);
	char end[256];

	snprintf(end, sizeof end, "%s\xff", key_prefix);
	bind_text(s, 1, key_prefix);
	bind_text(s, 2, end);
	return each_row(s, fn, arg);
}

uint64_t journal_tail(struct journal *j)
{
	sqlite3_stmt *s = begin(j, S_BOUNDS);
	uint64_t seq = 0;

	if (sqlite3_step(s) == SQLITE_ROW)
		seq = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return seq;
}

static uint64_t pragma_number(struct journal *j, const char *sql)
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
		pragma_number(j, "PRAGMA page_count") - pragma_number(j, "PRAGMA freelist_count");
	bool too_large = pages * pragma_number(j, "PRAGMA page_size") > max_bytes;
	sqlite3_stmt *s = begin(j, S_TRIM);
	int err = turn_begin(j);

	if (err)
		return err;
	bind_u64(s, 1, j->head);
	bind_u64(s, 2, before_ns);
	bind_u64(s, 3, too_large);
	bind_u64(s, 4, limit);
	err = step(s);
	return err ? err : sqlite3_changes(j->db);
}

uint64_t journal_epoch(const struct journal *j)
{
	return j->epoch;
}

uint64_t journal_head(const struct journal *j)
{
	return j->committed;
}

/* --- opening --- */

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
		int err = to_errno(sqlite3_prepare_v3(j->db, statements[i], -1,
						      SQLITE_PREPARE_PERSISTENT, &j->st[i], NULL));

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
	return to_errno(rc);
}

static void read_boot_id(char boot_id[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, boot_id, 36);

	boot_id[n == 36 ? 36 : 0] = 0;
	if (fd >= 0)
		close(fd);
}

/* A new boot may have lost what was not synced: what others remember of this journal's numbers is
 * another journal's. The seq goes on above anything that can have been given out. */
static int settle_epoch(struct journal *j, bool renew)
{
	char boot_id[40], old[40] = "";
	sqlite3_stmt *s = NULL;
	int err;

	read_boot_id(boot_id);
	if (sqlite3_prepare_v2(j->db, "SELECT epoch,boot_id FROM meta", -1, &s, NULL) ==
		    SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW) {
		j->epoch = (uint64_t)sqlite3_column_int64(s, 0);
		snprintf(old, sizeof old, "%s", (const char *)sqlite3_column_text(s, 1));
	}
	sqlite3_finalize(s);
	if (j->epoch && !renew && strcmp(old, boot_id) == 0)
		return 0;
	while (getrandom(&j->epoch, sizeof j->epoch, 0) != sizeof j->epoch)
		;
	j->epoch = j->epoch >> 1 | 1;
	err = run(j, "DELETE FROM meta");
	if (err || sqlite3_prepare_v2(j->db, "INSERT INTO meta(epoch,boot_id) VALUES(?,?)", -1, &s,
				      NULL) != SQLITE_OK)
		return err ? err : -EIO;
	bind_u64(s, 1, j->epoch);
	bind_text(s, 2, boot_id);
	err = to_errno(sqlite3_step(s));
	sqlite3_finalize(s);
	return err;
}

static int open_db(struct journal *j, bool renew)
{
	char path[PATH_MAX + 16];
	int err;

	snprintf(path, sizeof path, "%s/journal.db", j->dir);
	err = to_errno(sqlite3_open_v2(
		path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
		NULL));
	if (err)
		return err;
	sqlite3_busy_timeout(j->db, 1000);
	err = run(j, JOURNAL_PRAGMAS);
	err = err ? err : run(j, JOURNAL_SCHEMA);
	err = err ? err : prepare(j);
	err = err ? err : load_names(j);
	err = err ? err : settle_epoch(j, renew);
	if (err)
		return err;
	j->head = j->committed = pragma_number(j, "SELECT max(seq) FROM events");
	sqlite3_wal_hook(j->db, note_wal_size, j);
	return 0;
}

static void close_db(struct journal *j)
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

/* Whether the rows at the head and the last values can be read back. */
static bool count_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	(void)seq;
	(void)rec;
	(void)len;
	(*(uint64_t *)arg)++;
	return true;
}

static int check(struct journal *j)
{
	uint64_t rows = 0, from = j->head > 2000 ? j->head - 2000 : 0;
	int err = journal_read(j, from, 2000, count_row, &rows);

	return err ? err : journal_read_last(j, "", count_row, &rows);
}

static int open_or_mend(struct journal *j)
{
	int err = open_db(j, false);

	if (!err)
		err = check(j);
	if (err == -ENOSPC && ballast_give_up(j->dir)) {
		close_db(j);
		err = open_db(j, false);
	}
	if (err != -EUCLEAN)
		return err;
	close_db(j);
	err = salvage(j->dir, j->said, sizeof j->said);
	return err ? err : open_db(j, true);
}

int journal_open(const char *state_dir, struct journal **ret_j, const char **ret_said)
{
	struct journal *j = calloc(1, sizeof *j);
	int err;

	if (!j)
		return -ENOMEM;
	j->wal = -1;
	snprintf(j->dir, sizeof j->dir, "%s", state_dir);
	pthread_mutex_init(&j->mutex, NULL);
	pthread_cond_init(&j->wake, NULL);
	err = take_lock(j);
	if (!err)
		err = open_or_mend(j);
	if (err) {
		journal_close(j);
		return err;
	}
	ballast_take(j->dir);
	if (ret_said)
		*ret_said = j->said[0] ? j->said : NULL;
	*ret_j = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->has_syncer) {
		pthread_mutex_lock(&j->mutex);
		j->ending = true;
		pthread_cond_signal(&j->wake);
		pthread_mutex_unlock(&j->mutex);
		pthread_join(j->syncer, NULL);
	}
	close_db(j);
	if (j->wal >= 0)
		close(j->wal);
	if (j->lock >= 0)
		close(j->lock);
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->mutex);
	free(j);
}
