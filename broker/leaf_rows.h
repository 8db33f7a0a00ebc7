/*
 * Rows of the events table in the pages of a database, taken from the bytes alone: whatever the
 * tree above the leaves says, a row whose record has its CRC and its own number is whole. Reads
 * within bounds; decides nothing about what a row means.
 */
#ifndef LOPS_BROKER_LEAF_ROWS_H
#define LOPS_BROKER_LEAF_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAF_PAGE_BYTES 4096
#define LEAF_WAL_SALT   8
#define LEAF_RECORD_MAX (512 * 1024)

struct leaf_pages {
	int db;          /* where overflow pages are read from */
	uint8_t *record; /* room for LEAF_RECORD_MAX */
};

typedef void leaf_row_fn(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len);

/* Each whole row of one page's image; nothing if it is not such a page. rec is borrowed. */
void leaf_rows_of(const struct leaf_pages *l, const uint8_t page[LEAF_PAGE_BYTES], leaf_row_fn *fn,
		  void *arg);

/* What marks the frames of a write-ahead log's present generation; false: it can't be read. */
bool leaf_wal_salt(int wal, uint8_t ret_salt[LEAF_WAL_SALT]);
/* How many frames of a write-ahead log were written in its present generation up to the last one
 * that ends a transaction; 0 also when it can't be read. */
uint32_t leaf_wal_frames(int wal);
/* Each whole row in the frames up to there, damaged ones between them or not. */
void leaf_rows_of_wal(const struct leaf_pages *l, int wal, leaf_row_fn *fn, void *arg);

/* The seq that a record carries in its header, 0: it is not a record. */
uint64_t leaf_seq_of(const uint8_t *rec, size_t len);

#endif
