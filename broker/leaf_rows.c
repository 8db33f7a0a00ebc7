/*
 * Leaf pages of a table b-tree; see the header. The layout is that of "Database File Format" in
 * SQLite's documentation, sections 1.6 (b-tree pages), 2.1 (record format) and 4 (the WAL).
 */
#include "broker/leaf_rows.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "broker/crc32c.h"
#include "msgs/header.h"

enum {
	PAGE = LEAF_PAGE_BYTES,
	TABLE_LEAF = 0x0d,
	PAGE_HEADER = 8,
	COLUMNS = 10,
	AT_CRC = 8,
	AT_REC = 9,
	LOCAL_MAX = PAGE - 35,
	LOCAL_MIN = (PAGE - 12) * 32 / 255 - 23,
	WAL_HEADER = 32,
	FRAME_HEADER = 24,
};

struct span {
	const uint8_t *at, *end;
};

static uint32_t big32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool take_varint(struct span *s, uint64_t *ret_v)
{
	uint64_t v = 0;

	for (int i = 0; i < 9 && s->at < s->end; i++) {
		uint8_t byte = *s->at++;

		if (i == 8) {
			*ret_v = v << 8 | byte;
			return true;
		}
		v = v << 7 | (byte & 0x7f);
		if (!(byte & 0x80)) {
			*ret_v = v;
			return true;
		}
	}
	return false;
}

/* Bytes that a value of a serial type takes. */
static uint64_t width_of(uint64_t type)
{
	static const uint8_t widths[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};

	return type >= 12 ? (type - 12) / 2 : widths[type];
}

static uint64_t integer_of(const uint8_t *at, uint64_t type)
{
	uint64_t v = 0;

	if (type == 8 || type == 9)
		return type - 8;
	for (uint64_t i = 0; type <= 6 && i < width_of(type); i++)
		v = v << 8 | at[i];
	return v;
}

uint64_t leaf_seq_of(const uint8_t *rec, size_t len)
{
	size_t at;

	/* 93 d9 LEN topic c4 LEN header */
	if (len < 3 || rec[0] != 0x93 || rec[1] != 0xd9)
		return 0;
	at = 3 + (size_t)rec[2];
	if (len < at + 2 + MSG_AT_SENDER || rec[at] != 0xc4 || rec[at + 1] < MSG_AT_SENDER)
		return 0;
	return msg_header_peek(rec + at + 2, MSG_AT_SEQ);
}

/* The columns of one row; the record's CRC and seq are the proof that they were read rightly. */
static void take_payload(const uint8_t *payload, uint64_t len, uint64_t rowid, leaf_row_fn *fn,
			 void *arg)
{
	struct span head = {payload, payload + len};
	uint64_t head_len, types[COLUMNS], at, crc = 0;

	if (!take_varint(&head, &head_len) || head_len > len)
		return;
	head.end = payload + head_len;
	for (int i = 0; i < COLUMNS; i++)
		if (!take_varint(&head, &types[i]))
			return;
	at = head_len;
	for (int i = 0; i < AT_REC; i++) {
		if (width_of(types[i]) > len - at)
			return;
		if (i == AT_CRC)
			crc = integer_of(payload + at, types[i]);
		at += width_of(types[i]);
	}
	if (types[AT_REC] < 12 || types[AT_REC] % 2 || width_of(types[AT_REC]) > len - at)
		return;
	len = width_of(types[AT_REC]);
	if (leaf_seq_of(payload + at, len) == rowid && crc32c(payload + at, len) == (uint32_t)crc)
		fn(arg, rowid, payload + at, (uint32_t)len);
}

/* The payload's rest from its chain of overflow pages. */
static bool take_overflow(const struct leaf_pages *l, uint32_t next, uint64_t have, uint64_t len)
{
	uint8_t page[PAGE];

	while (have < len) {
		uint64_t n = len - have < PAGE - 4 ? len - have : PAGE - 4;

		if (next < 2 ||
		    pread(l->db, page, sizeof page, (off_t)(next - 1) * PAGE) != sizeof page)
			return false;
		memcpy(l->record + have, page + 4, n);
		have += n;
		next = big32(page);
	}
	return true;
}

static void take_cell(const struct leaf_pages *l, const uint8_t *page, size_t offset,
		      leaf_row_fn *fn, void *arg)
{
	struct span s = {page + offset, page + PAGE};
	uint64_t len, rowid, local;

	if (!take_varint(&s, &len) || !take_varint(&s, &rowid) || len > LEAF_RECORD_MAX || !rowid)
		return;
	local = len;
	if (len > LOCAL_MAX) {
		local = LOCAL_MIN + (len - LOCAL_MIN) % (PAGE - 4);
		local = local <= LOCAL_MAX ? local : LOCAL_MIN;
	}
	if (local + (local < len ? 4 : 0) > (uint64_t)(s.end - s.at))
		return;
	if (local == len) {
		take_payload(s.at, len, rowid, fn, arg);
		return;
	}
	memcpy(l->record, s.at, local);
	if (take_overflow(l, big32(s.at + local), local, len))
		take_payload(l->record, len, rowid, fn, arg);
}

void leaf_rows_of(const struct leaf_pages *l, const uint8_t page[LEAF_PAGE_BYTES], leaf_row_fn *fn,
		  void *arg)
{
	if (page[0] != TABLE_LEAF)
		return;
	/* The count of cells may be what is damaged: places are taken as long as they are some. */
	for (size_t at = PAGE_HEADER; at + 2 <= PAGE; at += 2) {
		size_t offset = (size_t)page[at] << 8 | page[at + 1];

		if (offset < PAGE_HEADER || offset > PAGE - 4)
			break;
		take_cell(l, page, offset, fn, arg);
	}
}

/* --- the write-ahead log --- */

static bool read_frame(int wal, uint32_t n, uint8_t frame[FRAME_HEADER + PAGE])
{
	size_t size = FRAME_HEADER + PAGE;

	return pread(wal, frame, size, WAL_HEADER + (off_t)(n * size)) == (ssize_t)size;
}

static bool header_is_whole(const uint8_t h[WAL_HEADER])
{
	bool big = h[3] & 1;
	uint32_t a = 0, b = 0;

	for (int i = 0; i < 24; i += 8) {
		uint32_t x = big32(h + i), y = big32(h + i + 4);

		a += (big ? x : __builtin_bswap32(x)) + b;
		b += (big ? y : __builtin_bswap32(y)) + a;
	}
	return big32(h + 24) == a && big32(h + 28) == b;
}

/* From the header, else from the first frame. */
bool leaf_wal_salt(int wal, uint8_t salt[LEAF_WAL_SALT])
{
	uint8_t head[WAL_HEADER + FRAME_HEADER];

	if (pread(wal, head, sizeof head, 0) != sizeof head)
		return false;
	memcpy(salt, head + (header_is_whole(head) ? 16 : WAL_HEADER + 8), LEAF_WAL_SALT);
	return true;
}

uint32_t leaf_wal_frames(int wal)
{
	uint8_t salt[LEAF_WAL_SALT], frame[FRAME_HEADER];
	off_t step = FRAME_HEADER + PAGE;
	uint32_t last = 0;
	struct stat st;

	if (!leaf_wal_salt(wal, salt) || fstat(wal, &st) < 0)
		return 0;
	/* Header and page are written apart: a header alone at the end is of a commit that a death
	 * cut off. */
	for (uint32_t n = 0;
	     WAL_HEADER + (n + 1) * step <= st.st_size &&
	     pread(wal, frame, sizeof frame, WAL_HEADER + n * step) == (ssize_t)sizeof frame;
	     n++)
		if (memcmp(frame + 8, salt, LEAF_WAL_SALT) == 0 && big32(frame + 4) != 0)
			last = n + 1;
	return last;
}

void leaf_rows_of_wal(const struct leaf_pages *l, int wal, leaf_row_fn *fn, void *arg)
{
	uint32_t last = leaf_wal_frames(wal);
	uint8_t salt[LEAF_WAL_SALT], frame[FRAME_HEADER + PAGE];

	if (!leaf_wal_salt(wal, salt))
		return;
	/* What lies after the last commit was never acknowledged. */
	for (uint32_t n = 0; n < last && read_frame(wal, n, frame); n++)
		if (memcmp(frame + 8, salt, LEAF_WAL_SALT) == 0)
			leaf_rows_of(l, frame + FRAME_HEADER, fn, arg);
}
