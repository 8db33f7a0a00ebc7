/*
 * Upkeep of the journal; see the header.
 *
 * A full disk: SQLite can't even delete rows without room in its WAL. So a ballast of 4 MB is given
 * up first, then the oldest rows go, and only when that is committed are events taken again; every
 * sender then sends what was not acknowledged. The ballast comes back when there is room for two.
 */
#include "broker/upkeep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "broker/ballast.h"
#include "broker/pinned.h"

enum {
	TRIM_MS = 1000,
	TRIM_ROWS = 500,
	ROOM_MS = 1000,
	BALLAST_MS = 5000,
	PIN_MS = 60000,
	SWEEP_MS = 3600 * 1000
};
#define PINNED_BYTES (UINT64_C(64) * 1024 * 1024)
#define KEEP_AGE_MS  (UINT64_C(30) * 24 * 3600 * 1000)
#define KEEP_BYTES   (UINT64_C(256) * 1024 * 1024)
#define NS_OF_MS(ms) ((ms)*UINT64_C(1000000))

static uint64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Also where nothing is old enough to go: each start of an actor leaves a sender. */
static int sweep(struct upkeep *u, uint64_t now_ms, bool trimmed)
{
	int err = 0;

	if (trimmed || now_ms >= u->next_sweep_ms) {
		err = journal_commit(u->journal, false);
		err = err ? err : journal_sweep(u->journal);
		u->next_sweep_ms = now_ms + SWEEP_MS;
	}
	return err ? err : journal_commit(u->journal, false);
}

/* Up to TRIM_ROWS a turn; when there were so many, the next turn goes on. */
static int trim(struct upkeep *u, uint64_t now_ms)
{
	struct core_retention keep = core_retention(u->core);
	uint64_t age_ns = NS_OF_MS(keep.age_ms ? keep.age_ms : KEEP_AGE_MS), wall = wall_ns();
	int n;

	if (keep.age_ms != u->kept.age_ms || keep.bytes != u->kept.bytes)
		u->next_trim_ms = now_ms;
	u->kept = keep;
	if (now_ms < u->next_trim_ms)
		return 0;
	n = journal_trim(u->journal, wall > age_ns ? wall - age_ns : 0,
			 keep.bytes ? keep.bytes : KEEP_BYTES, TRIM_ROWS);
	if (n < 0)
		return n;
	u->next_trim_ms = n == TRIM_ROWS ? now_ms : now_ms + TRIM_MS;
	return sweep(u, now_ms, n > 0);
}

/* --- a full disk --- */

static void say_full(struct upkeep *u, int err)
{
	char text[160];

	snprintf(text, sizeof text,
		 "the journal can't be written (%s); nothing is acknowledged until it can",
		 strerror(-err));
	u->say("error", text, "");
	core_say_degraded(u->core, "full", text);
}

static bool may_pass(int err)
{
	return err == -ENOSPC || err == -EROFS;
}

int upkeep_failed(struct upkeep *u, uint64_t now_ms, int err)
{
	int again;

	if (!may_pass(err))
		return err;
	again = journal_abandon(u->journal);
	if (again)
		return again;
	if (!u->full)
		say_full(u, err); /* while it is still known who follows */
	core_start_anew(u->core, true);
	u->full = true;
	if (ballast_give_up(u->state_dir))
		u->next_room_ms = now_ms;
	else
		u->next_room_ms = now_ms + ROOM_MS;
	u->has_ballast = false;
	u->next_ballast_ms = now_ms + BALLAST_MS;
	return 0;
}

/* The oldest rows go; that this can be committed is the proof of room. */
static int try_room(struct upkeep *u, uint64_t now_ms)
{
	int n = journal_trim(u->journal, UINT64_MAX, 0, TRIM_ROWS), err = n < 0 ? n : 0;

	err = err ? err : journal_commit(u->journal, true);
	err = err ? err : journal_checkpoint(u->journal);
	u->next_room_ms = now_ms + ROOM_MS;
	if (err && may_pass(err))
		return journal_abandon(u->journal);
	if (err)
		return err;
	u->full = false;
	u->say("warn", "the journal can be written again", "");
	core_start_anew(u->core, false);
	core_say_degraded(u->core, "ok", "the journal can be written again");
	return 0;
}

static void take_ballast(struct upkeep *u, uint64_t now_ms)
{
	if (u->has_ballast || now_ms < u->next_ballast_ms)
		return;
	u->has_ballast = ballast_take(u->state_dir);
	u->next_ballast_ms = now_ms + BALLAST_MS;
}

/* --- a reader that never ends --- */

static void watch_readers(struct upkeep *u, uint64_t now_ms)
{
	uint64_t bytes = journal_pinned_bytes(u->journal);
	char text[160];

	if (bytes < PINNED_BYTES) {
		if (u->pinned && bytes == 0) {
			core_say_degraded(u->core, "ok", "the journal's WAL is checkpointed again");
			u->pinned = false;
		}
		return;
	}
	if (now_ms < u->next_pin_ms)
		return;
	snprintf(text, sizeof text,
		 "process %d reads the journal and keeps %llu MiB of its WAL from being "
		 "checkpointed",
		 (int)pinned_by(u->state_dir), (unsigned long long)(bytes >> 20));
	u->say("warn", text, "");
	core_say_degraded(u->core, "pinned", text);
	u->pinned = true;
	u->next_pin_ms = now_ms + PIN_MS;
}

int upkeep_turn(struct upkeep *u, uint64_t now_ms)
{
	int err;

	if (u->full)
		return now_ms >= u->next_room_ms ? try_room(u, now_ms) : 0;
	err = journal_checkpoint(u->journal);
	err = err ? err : trim(u, now_ms);
	if (err)
		return upkeep_failed(u, now_ms, err);
	watch_readers(u, now_ms);
	take_ballast(u, now_ms);
	return 0;
}
