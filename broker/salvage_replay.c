/*
 * Saved rows in order into a new journal, by the journal's own functions: names, chains and last
 * values come out as if the events had just been published. See broker/salvage.h.
 */
#include "broker/salvage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "broker/crc32c.h"
#include "broker/journal_parts.h"
#include "broker/leaf_rows.h"
#include "msgs/door.h"
#include "msgs/type.h"

enum { TURN_ROWS = 1000 };

/* A record taken apart, with the strings that the journal files it under. */
struct parts {
	struct door_record rec;
	struct msg_header header;
	const struct msg_type *type; /* NULL: not a known one */
	char topic[MSG_TOPIC_MAX + 1], key[2 * MSG_TOPIC_MAX];
	const char *deployment;
};

static bool take_apart(const void *rec, size_t len, struct parts *ret_p)
{
	static uint8_t copy[LEAF_RECORD_MAX];
	struct door_reader r;
	const char *slash;

	*ret_p = (struct parts){0};
	if (!rec || len > sizeof copy)
		return false;
	memcpy(copy, rec, len);
	r = door_reader_over(copy, len);
	if (!door_read_record(&r, &ret_p->rec) ||
	    msg_header_decode(ret_p->rec.header, ret_p->rec.header_len, &ret_p->header) < 0)
		return false;
	memcpy(ret_p->topic, ret_p->rec.topic.at, ret_p->rec.topic.len);
	slash = strchr(ret_p->topic, '/');
	ret_p->deployment = slash ? slash + 1 : "";
	ret_p->type = msg_type_of(ret_p->topic, ret_p->rec.topic.len);
	if (ret_p->type && ret_p->type->key && !(ret_p->type->flags & FORGETS))
		snprintf(ret_p->key, sizeof ret_p->key, "%s/%s", ret_p->type->key,
			 ret_p->deployment);
	return true;
}

/* Where a deployment was forgotten last: its older values are not to come back. */
static int note_forgotten(sqlite3 *rows, const char *deployment, uint64_t seq)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(rows, "INSERT OR REPLACE INTO forgotten VALUES(?,?)", -1, &s,
				    NULL);

	if (rc == SQLITE_OK) {
		journal_bind_text(s, 1, deployment);
		journal_bind_u64(s, 2, seq);
		rc = sqlite3_step(s);
	}
	sqlite3_finalize(s);
	return journal_errno(rc);
}

static uint64_t forgotten_at(sqlite3 *rows, const char *deployment)
{
	sqlite3_stmt *s = NULL;
	uint64_t seq = 0;

	if (sqlite3_prepare_v2(rows, "SELECT seq FROM forgotten WHERE deployment=?", -1, &s,
			       NULL) != SQLITE_OK)
		return 0;
	journal_bind_text(s, 1, deployment);
	if (sqlite3_step(s) == SQLITE_ROW)
		seq = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return seq;
}

static int put_last_value(sqlite3 *rows, struct journal *to, const struct parts *p)
{
	int err = 0;

	if (p->type && (p->type->flags & FORGETS)) {
		err = journal_forget(to, p->deployment);
		err = err ? err : note_forgotten(rows, p->deployment, p->header.seq);
	}
	if (!err && p->key[0])
		err = journal_set_last(to, p->key, p->header.seq, p->rec.whole, p->rec.whole_len);
	return err;
}

static int put_event(sqlite3 *rows, struct journal *to, const struct parts *p)
{
	const struct msg_header *h = &p->header;
	struct journal_entry e = {.seq = h->seq,
				  .prev = h->prev,
				  .dprev = h->dprev,
				  .cause = h->cause,
				  .did = h->did && !journal_seq_of_did(to, h->did) ? h->did : 0,
				  .time_ns = h->time_ns,
				  .topic = p->topic,
				  .deployment = p->deployment,
				  .rec = p->rec.whole,
				  .rec_len = p->rec.whole_len};
	int err = journal_append(to, &e);

	err = err ? err : put_last_value(rows, to, p);
	if (!err && h->number > journal_sender_number(to, h->sender, h->incarnation))
		err = journal_set_sender(to, h->sender, h->incarnation, h->number);
	return err;
}

static int turn(struct journal *to, void (*alive)(void))
{
	int err = journal_commit(to, true);

	alive();
	return err ? err : journal_checkpoint(to);
}

static int replay_rows(sqlite3 *rows, struct journal *to, void (*alive)(void),
		       struct salvage_counts *n)
{
	sqlite3_stmt *s = NULL;
	int err = 0;

	if (sqlite3_prepare_v2(rows, "SELECT rec FROM rows ORDER BY seq", -1, &s, NULL) !=
	    SQLITE_OK)
		return -EIO;
	while (!err && sqlite3_step(s) == SQLITE_ROW) {
		struct parts p;

		if (!take_apart(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0), &p))
			continue;
		err = put_event(rows, to, &p);
		n->first = n->first ? n->first : p.header.seq;
		n->last = p.header.seq;
		if (!err && ++n->events % TURN_ROWS == 0)
			err = turn(to, alive);
	}
	sqlite3_finalize(s);
	return err;
}

static bool note_newest(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	uint64_t *newest = arg;

	(void)rec;
	(void)len;
	*newest = seq > *newest ? seq : *newest;
	return true;
}

/* A last value whose event is trimmed or lost is in its own table only. */
static int merge_value(sqlite3 *rows, struct journal *to, sqlite3_stmt *s)
{
	const void *rec = sqlite3_column_blob(s, 0);
	size_t len = (size_t)sqlite3_column_bytes(s, 0);
	uint64_t have = 0;
	struct parts p;

	if (!rec || crc32c(rec, len) != (uint32_t)sqlite3_column_int64(s, 1) ||
	    !take_apart(rec, len, &p) || !p.key[0])
		return 0;
	journal_read_last(to, p.key, note_newest, &have);
	if (have >= p.header.seq || forgotten_at(rows, p.deployment) > p.header.seq)
		return 0;
	return journal_set_last(to, p.key, p.header.seq, p.rec.whole, p.rec.whole_len);
}

/* As far as the table can be read: from its start, and from its end. */
static int merge_last(sqlite3 *rows, sqlite3 *broken, struct journal *to)
{
	static const char *const ways[] = {"SELECT rec,crc FROM last ORDER BY key",
					   "SELECT rec,crc FROM last ORDER BY key DESC"};
	int err = 0;

	for (size_t i = 0; i < sizeof ways / sizeof *ways && !err; i++) {
		sqlite3_stmt *s = NULL;

		if (sqlite3_prepare_v2(broken, ways[i], -1, &s, NULL) != SQLITE_OK)
			continue;
		while (!err && sqlite3_step(s) == SQLITE_ROW)
			err = merge_value(rows, to, s);
		sqlite3_finalize(s);
	}
	return err;
}

static int copy_cursors(sqlite3 *broken, struct journal *to)
{
	sqlite3_stmt *s = NULL;
	int err = 0;

	if (sqlite3_prepare_v2(broken, "SELECT name,seq,own FROM cursors", -1, &s, NULL) !=
	    SQLITE_OK)
		return 0;
	while (!err && sqlite3_step(s) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0);
		uint64_t seq = (uint64_t)sqlite3_column_int64(s, 1);

		if (name && strlen(name) <= DOOR_NAME_MAX)
			err = journal_set_cursor(to, name, seq, sqlite3_column_int(s, 2) != 0);
	}
	sqlite3_finalize(s);
	return err;
}

static bool count_key(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	(void)seq;
	(void)rec;
	(void)len;
	(*(unsigned long long *)arg)++;
	return true;
}

int salvage_replay(sqlite3 *rows, sqlite3 *broken, struct journal *to, void (*alive)(void),
		   struct salvage_counts *ret_counts)
{
	int err = replay_rows(rows, to, alive, ret_counts);

	if (!err && broken) {
		err = merge_last(rows, broken, to);
		err = err ? err : copy_cursors(broken, to);
	}
	err = err ? err : turn(to, alive);
	if (!err)
		journal_read_last(to, "", count_key, &ret_counts->keys);
	return err;
}
