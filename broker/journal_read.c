/*
 * Looking things up in the journal. Each record that is handed out has shown that it is whole; no
 * statement stays open.
 */
#include "broker/journal_parts.h"

#include <stdio.h>
#include "broker/crc32c.h"
#include "broker/leaf_rows.h"

uint64_t journal_seq_of_did(struct journal *j, uint64_t did)
{
	sqlite3_stmt *s = journal_statement(j, S_DID);
	uint64_t seq = 0;

	journal_bind_u64(s, 1, did);
	if (sqlite3_step(s) == SQLITE_ROW)
		seq = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return seq;
}

uint64_t journal_seq_of_id(struct journal *j, const char *sender, uint64_t incarnation,
			   uint64_t number)
{
	sqlite3_stmt *s = journal_statement(j, S_ID);
	uint8_t bytes[MSG_ID_BYTES_MAX];
	uint64_t seq = 0;

	sqlite3_bind_blob(s, 1, bytes, (int)msg_header_id(sender, incarnation, number, bytes),
			  SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW)
		seq = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return seq;
}

uint64_t journal_sender_number(struct journal *j, const char *sender, uint64_t incarnation)
{
	sqlite3_stmt *s = journal_statement(j, S_SENDER_OF);
	uint64_t number = 0;

	journal_bind_text(s, 1, sender);
	journal_bind_u64(s, 2, incarnation);
	if (sqlite3_step(s) == SQLITE_ROW)
		number = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return number;
}

uint64_t journal_cursor(struct journal *j, const char *cursor, bool *ret_known)
{
	sqlite3_stmt *s = journal_statement(j, S_CURSOR_OF);
	uint64_t seq = 0;

	journal_bind_text(s, 1, cursor);
	*ret_known = sqlite3_step(s) == SQLITE_ROW;
	if (*ret_known)
		seq = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return seq;
}

static bool is_whole(const uint8_t *rec, uint32_t len, uint64_t seq, uint32_t crc)
{
	return rec && crc32c(rec, len) == crc && leaf_seq_of(rec, len) == seq;
}

/* above: rows rise from there (NULL: in any order); a page in the wrong place shows by that. */
static int each_row(sqlite3_stmt *s, uint64_t *above, journal_row_fn *fn, void *arg)
{
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t seq = (uint64_t)sqlite3_column_int64(s, 0);
		const uint8_t *rec = sqlite3_column_blob(s, 1);
		uint32_t len = (uint32_t)sqlite3_column_bytes(s, 1);

		if (!is_whole(rec, len, seq, (uint32_t)sqlite3_column_int64(s, 2)) ||
		    (above && seq <= *above)) {
			rc = SQLITE_CORRUPT;
			break;
		}
		if (above)
			*above = seq;
		if (!fn(arg, seq, rec, len))
			break;
	}
	sqlite3_reset(s);
	return journal_errno(rc);
}

int journal_read(struct journal *j, uint64_t after, uint32_t limit, journal_row_fn *fn, void *arg)
{
	sqlite3_stmt *s = journal_statement(j, S_READ);

	journal_bind_u64(s, 1, after);
	journal_bind_u64(s, 2, limit);
	return each_row(s, &after, fn, arg);
}

int journal_read_one(struct journal *j, uint64_t seq, journal_row_fn *fn, void *arg)
{
	sqlite3_stmt *s = journal_statement(j, S_READ_ONE);

	journal_bind_u64(s, 1, seq);
	return each_row(s, NULL, fn, arg);
}

int journal_read_last(struct journal *j, const char *key_prefix, journal_row_fn *fn, void *arg)
{
	sqlite3_stmt *s = journal_statement(j, S_READ_LAST);
	char end[256];

	snprintf(end, sizeof end, "%s\xff", key_prefix);
	journal_bind_text(s, 1, key_prefix);
	journal_bind_text(s, 2, end);
	return each_row(s, NULL, fn, arg);
}

uint64_t journal_tail(struct journal *j)
{
	sqlite3_stmt *s = journal_statement(j, S_BOUNDS);
	uint64_t seq = 0;

	if (sqlite3_step(s) == SQLITE_ROW)
		seq = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return seq;
}
