/*
 * The journal: every durable event once, in order; the last value of every key; how far each sender
 * and each cursor has come. One transaction a turn. broker/journal_sqlite.c is the real one; the
 * simulator has a model behind the same functions. It knows topics and numbers, never a body.
 */
#ifndef LOPS_BROKER_JOURNAL_H
#define LOPS_BROKER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal;

/* A record as it goes on the wire (msgs/door.h), with what the journal files it under. */
struct journal_entry {
	uint64_t seq, prev, dprev, cause, did, time_ns;
	const char *topic;      /* whole, NUL-terminated */
	const char *deployment; /* "" when none */
	const uint8_t *rec;
	uint32_t rec_len;
};

/* Called for each row; return false to end early. Borrowed until it returns. */
typedef bool journal_row_fn(void *arg, uint64_t seq, const uint8_t *rec, uint32_t rec_len);

/* 0 or -errno: -EAGAIN another broker holds it, -ENOSPC, -EIO, -EROFS, -EACCES. *ret_said is set to
 * a sentence when something was wrong and is mended (a corrupt file set aside), else to NULL. alive
 * is called now and then while that takes its time. */
int journal_open(const char *state_dir, void (*alive)(void), struct journal **ret_j,
		 const char **ret_said);
void journal_close(struct journal *j);
/* The next one to open it is to salvage it first: something in it could not be read. */
int journal_distrust(struct journal *j);
/* Whether the lock that keeps a second broker out is still the one in the state folder. */
bool journal_is_ours(const struct journal *j);

uint64_t journal_epoch(const struct journal *j);
uint64_t journal_head(const struct journal *j); /* newest seq, committed */
uint64_t journal_tail(struct journal *j);       /* oldest seq kept, 0: empty */

/* Newest seq of a name (topic or "/deployment"), 0: none. Known for names of this turn too. */
uint64_t journal_last_of(struct journal *j, const char *name);

/* --- in a turn; the first call begins the transaction --- */
int journal_append(struct journal *j, const struct journal_entry *e);
int journal_set_last(struct journal *j, const char *key, uint64_t seq, const uint8_t *rec,
		     uint32_t rec_len);
int journal_forget(struct journal *j,
		   const char *deployment); /* all keys that end in /deployment */
int journal_set_sender(struct journal *j, const char *sender, uint64_t incarnation,
		       uint64_t number);
/* own: of an actor of the set, whose unhandled commands are not trimmed. */
int journal_set_cursor(struct journal *j, const char *cursor, uint64_t seq, bool own);
/* Ends the turn. sync: on disk before it returns. An error means nothing of the turn is kept. */
int journal_commit(struct journal *j, bool sync);

/* Nothing of the turn is kept, after an error or on purpose; the journal stays open. */
int journal_abandon(struct journal *j);

/* --- looking things up (never open over a turn) --- */
uint64_t journal_seq_of_did(struct journal *j, uint64_t did); /* 0: none */
/* By its publisher's own number: walks the rows from the newest on, 0: none. */
uint64_t journal_seq_of_id(struct journal *j, const char *sender, uint64_t incarnation,
			   uint64_t number);
uint64_t journal_sender_number(struct journal *j, const char *sender, uint64_t incarnation);
uint64_t journal_cursor(struct journal *j, const char *cursor, bool *ret_known);
int journal_read(struct journal *j, uint64_t after, uint32_t limit, journal_row_fn *fn, void *arg);
int journal_read_one(struct journal *j, uint64_t seq, journal_row_fn *fn, void *arg);
int journal_read_last(struct journal *j, const char *key_prefix, journal_row_fn *fn, void *arg);

/* Removes up to `limit` of the oldest rows that are older than before_ns, or while the file is
 * larger than max_bytes; never the newest. Returns how many, or -errno. */
int journal_trim(struct journal *j, uint64_t before_ns, uint64_t max_bytes, uint32_t limit);
/* Forgets names and senders that are only in trimmed rows; in a turn of its own. */
int journal_sweep(struct journal *j);
/* Bytes of the WAL that a reader keeps from being checkpointed, 0: none. */
uint64_t journal_pinned_bytes(const struct journal *j);
/* Checkpoints when the WAL has grown; call at the end of a turn. */
int journal_checkpoint(struct journal *j);

#endif
