/*
 * A journal that can't be trusted: it is set aside as journal.db.corrupt-N, and every row of it
 * that is whole goes into a new one. Never an empty start in silence.
 *
 * Killed at any instant, it starts over from the untouched files, or goes on with the finished new
 * one. All of it is built in a folder of its own, and takes the journal's place by one rename.
 */
#ifndef LOPS_BROKER_SALVAGE_H
#define LOPS_BROKER_SALVAGE_H

#include <stdbool.h>
#include <stddef.h>

/* 0 or -errno; ret_said gets a sentence with what was set aside and what was saved. alive is called
 * now and then. */
int salvage(const char *state_dir, void (*alive)(void), char *ret_said, size_t size);

/* --- salvage_files.c --- */
/* Puts a new journal that is finished in the place of the old one, which is set aside; ret_said
 * (may be NULL) gets a sentence that ends in `saved`. Does nothing if there is none. */
int salvage_finish(const char *state_dir, const char *saved, char *ret_said, size_t size);
/* The journal is not to be opened again before it was salvaged. */
int salvage_order(const char *state_dir);
bool salvage_is_ordered(const char *state_dir);

#define SALVAGE_DIR  "salvage"      /* in the state folder: all drafts */
#define JOURNAL_MARK "journal.mark" /* see journal_mark.c */

/* An empty folder for drafts. */
int salvage_folder(const char *state_dir);
/* The journal as it is, into the folder as broken.db and broken.db-wal. */
int salvage_copy(const char *state_dir);
/* The first page holds the schema, which is the same in every journal: that of the draft serves. */
int salvage_lend_first_page(const char *state_dir);
/* The draft is finished and on the disk: it is the journal from now on. */
int salvage_done(const char *state_dir);
void salvage_clear(const char *state_dir);

/* --- salvage_replay.c --- */
struct journal;
struct sqlite3;
struct salvage_counts {
	unsigned long long events, keys, first, last;
};
/* rows(seq, rec) of the database `rows`, which also has a table forgotten(deployment, seq), in
 * order into a new journal; then what only the broken tables tell. `broken` may be NULL. */
int salvage_replay(struct sqlite3 *rows, struct sqlite3 *broken, struct journal *to,
		   void (*alive)(void), struct salvage_counts *ret_counts);

#endif
