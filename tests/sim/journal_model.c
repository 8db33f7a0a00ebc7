/*
 * The journal behind broker/journal.h, in memory, with two horizons: what is committed survives the
 * broker's death, what is synced survives a power cut. Whatever is written is checked: a seq
 * without a hole, causes and chains that exist, a derived id once.
 */
#include "tests/sim/journal_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "msgs/door.h"
#include "tests/sim/map.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

enum { SYNC_SOON_MS = 20, TURNS = 4096 };

struct row {
	uint64_t did, prev, dprev, cause;
	uint32_t len;
	uint8_t *rec;
};

struct mark { /* a place to fall back to */
	size_t rows;
	uint32_t undo;
};

struct undo {
	struct map *map;
	uint32_t at;
	struct map_value was;
};

struct journal {
	struct row *rows;
	size_t n, cap;
	struct map names, last, senders, cursors, dids;
	struct undo *undo; /* since the last sync */
	uint32_t n_undo, cap_undo;
	struct mark turns[TURNS]; /* commits since the last sync; turns[0] is the sync itself */
	uint32_t n_turns;
	uint64_t sync_due_ns;
};

static struct journal disk;

struct journal *journal_model(void)
{
	return &disk;
}

struct journal *journal_model_begin(void)
{
	memset(&disk, 0, sizeof disk);
	disk.n_turns = 1;
	disk.sync_due_ns = SIM_NEVER;
	return &disk;
}

void journal_model_end(void)
{
	for (size_t i = 0; i < disk.n; i++)
		free(disk.rows[i].rec);
	for (uint32_t i = 0; i < disk.n_undo; i++)
		free(disk.undo[i].was.rec);
	free(disk.rows);
	free(disk.undo);
	map_done(&disk.names);
	map_done(&disk.last);
	map_done(&disk.senders);
	map_done(&disk.cursors);
	map_done(&disk.dids);
	memset(&disk, 0, sizeof disk);
}

/* --- horizons --- */

static struct mark here(void)
{
	return (struct mark){.rows = disk.n, .undo = disk.n_undo};
}

static const struct mark *committed(void)
{
	return &disk.turns[disk.n_turns - 1];
}

uint64_t journal_model_committed(void)
{
	return committed()->rows;
}

uint64_t journal_model_synced(void)
{
	return disk.turns[0].rows;
}

static void synced(void)
{
	for (uint32_t i = 0; i < committed()->undo; i++)
		free(disk.undo[i].was.rec);
	if (disk.n_undo > committed()->undo)
		memmove(disk.undo, disk.undo + committed()->undo,
			(disk.n_undo - committed()->undo) * sizeof *disk.undo);
	disk.n_undo -= committed()->undo;
	disk.turns[0] = (struct mark){.rows = committed()->rows};
	disk.n_turns = 1;
	disk.sync_due_ns = SIM_NEVER;
}

static void fall_back_to(struct mark m)
{
	while (disk.n_undo > m.undo) {
		struct undo *u = &disk.undo[--disk.n_undo];

		free(u->map->items[u->at].value.rec);
		u->map->items[u->at].value = u->was;
	}
	while (disk.n > m.rows)
		free(disk.rows[--disk.n].rec);
}

void journal_model_opened(void)
{
	synced();
}

void journal_model_broker_died(void)
{
	fall_back_to(*committed());
}

void journal_model_power_cut(void)
{
	uint64_t was = committed()->rows;

	/* Turns reach the disk in order: any number of the newest may be missing. */
	disk.n_turns = 1 + (uint32_t)chance(disk.n_turns);
	fall_back_to(*committed());
	trace("power cut: %llu events of %llu are gone", (unsigned long long)(was - disk.n),
	      (unsigned long long)was);
	synced();
}

uint64_t journal_model_next_ns(void)
{
	return disk.sync_due_ns;
}

void journal_model_run(void)
{
	if (world.now_ns >= disk.sync_due_ns)
		synced();
}

/* --- writing --- */

static void put(struct map *map, const char *key, struct map_value value)
{
	uint32_t at = map_place(map, key);

	if (disk.n_undo == disk.cap_undo) {
		disk.cap_undo = disk.cap_undo ? 2 * disk.cap_undo : 256;
		disk.undo = realloc(disk.undo, disk.cap_undo * sizeof *disk.undo);
		if (!disk.undo)
			abort();
	}
	disk.undo[disk.n_undo++] = (struct undo){map, at, map->items[at].value};
	map->items[at].value = value;
}

static void put_number(struct map *map, const char *key, uint64_t n)
{
	put(map, key, (struct map_value){.n = n, .there = true});
}

static uint64_t number(struct map *map, const char *key)
{
	const struct map_value *v = map_find(map, key);

	return v ? v->n : 0;
}

static uint8_t *copy_of(const uint8_t *rec, uint32_t len)
{
	uint8_t *c = malloc(len + 1u);

	if (!c)
		abort();
	memcpy(c, rec, len);
	return c;
}

static void did_key(char key[24], uint64_t did)
{
	snprintf(key, 24, "%llx", (unsigned long long)did);
}

uint64_t journal_epoch(const struct journal *j)
{
	(void)j;
	return world.boots + 1;
}

uint64_t journal_head(const struct journal *j)
{
	(void)j;
	return committed()->rows;
}

uint64_t journal_tail(struct journal *j)
{
	return j->n ? 1 : 0;
}

uint64_t journal_last_of(struct journal *j, const char *name)
{
	return number(&j->names, name);
}

static void check_entry(struct journal *j, const struct journal_entry *e, const char *dep)
{
	if (e->seq != j->n + 1)
		violated("I12 journal", "seq %llu follows %zu", (unsigned long long)e->seq, j->n);
	if (e->cause >= e->seq)
		violated("I5 cause", "seq %llu is said to come of %llu", (unsigned long long)e->seq,
			 (unsigned long long)e->cause);
	if (e->prev != number(&j->names, e->topic))
		violated("I12 journal", "prev of seq %llu (%s) is %llu", (unsigned long long)e->seq,
			 e->topic, (unsigned long long)e->prev);
	if (e->deployment[0] && e->dprev != number(&j->names, dep))
		violated("I12 journal", "dprev of seq %llu (%s) is %llu",
			 (unsigned long long)e->seq, e->topic, (unsigned long long)e->dprev);
	if (e->did && journal_seq_of_did(j, e->did))
		violated("I8 once", "seq %llu (%s) has the derived id of seq %llu",
			 (unsigned long long)e->seq, e->topic,
			 (unsigned long long)journal_seq_of_did(j, e->did));
}

int journal_append(struct journal *j, const struct journal_entry *e)
{
	char dep[200], did[24];

	if (part_step(PART_BROKER))
		return -EIO;
	snprintf(dep, sizeof dep, "/%s", e->deployment);
	check_entry(j, e, dep);
	if (j->n == j->cap) {
		j->cap = j->cap ? 2 * j->cap : 1024;
		j->rows = realloc(j->rows, j->cap * sizeof *j->rows);
		if (!j->rows)
			abort();
	}
	j->rows[j->n++] = (struct row){.did = e->did,
				       .prev = e->prev,
				       .dprev = e->dprev,
				       .cause = e->cause,
				       .len = e->rec_len,
				       .rec = copy_of(e->rec, e->rec_len)};
	put_number(&j->names, e->topic, e->seq);
	if (e->deployment[0])
		put_number(&j->names, dep, e->seq);
	did_key(did, e->did);
	if (e->did)
		put_number(&j->dids, did, e->seq);
	return 0;
}

int journal_set_last(struct journal *j, const char *key, uint64_t seq, const uint8_t *rec,
		     uint32_t rec_len)
{
	if (part_step(PART_BROKER))
		return -EIO;
	put(&j->last, key,
	    (struct map_value){
		    .n = seq, .there = true, .rec = copy_of(rec, rec_len), .len = rec_len});
	return 0;
}

int journal_forget(struct journal *j, const char *deployment)
{
	if (part_step(PART_BROKER))
		return -EIO;
	for (uint32_t i = 0; i < j->last.n; i++) {
		const char *slash = strchr(j->last.items[i].key, '/');

		if (slash && strcmp(slash + 1, deployment) == 0 && j->last.items[i].value.there)
			put(&j->last, j->last.items[i].key, (struct map_value){0});
	}
	return 0;
}

static void sender_key(char key[100], const char *sender, uint64_t incarnation)
{
	snprintf(key, 100, "%s %llu", sender, (unsigned long long)incarnation);
}

int journal_set_sender(struct journal *j, const char *sender, uint64_t incarnation, uint64_t n)
{
	char key[100];

	if (part_step(PART_BROKER))
		return -EIO;
	sender_key(key, sender, incarnation);
	put_number(&j->senders, key, n);
	return 0;
}

uint64_t journal_sender_number(struct journal *j, const char *sender, uint64_t incarnation)
{
	char key[100];

	sender_key(key, sender, incarnation);
	return number(&j->senders, key);
}

int journal_set_cursor(struct journal *j, const char *cursor, uint64_t seq, bool own)
{
	(void)own;
	if (part_step(PART_BROKER))
		return -EIO;
	put_number(&j->cursors, cursor, seq);
	return 0;
}

uint64_t journal_cursor(struct journal *j, const char *cursor, bool *ret_known)
{
	const struct map_value *v = map_find(&j->cursors, cursor);

	*ret_known = v != NULL;
	return v ? v->n : 0;
}

int journal_commit(struct journal *j, bool sync)
{
	size_t before = committed()->rows;

	if (j->n_undo == committed()->undo && j->n == before)
		return 0;
	if (part_step(PART_BROKER))
		return -EIO;
	if (j->n_turns == TURNS)
		synced();
	j->turns[j->n_turns++] = here();
	for (size_t i = before; i < j->n; i++)
		oracle_committed(i + 1, j->rows[i].rec, j->rows[i].len);
	if (part_step(PART_BROKER)) /* between the commit and the fdatasync */
		return -EIO;
	if (sync)
		synced();
	else if (j->sync_due_ns == SIM_NEVER)
		j->sync_due_ns = world.now_ns + SYNC_SOON_MS * SIM_MS;
	part_step(PART_BROKER); /* before anybody is told */
	return 0;
}

/* --- looking things up --- */

uint64_t journal_seq_of_did(struct journal *j, uint64_t did)
{
	char key[24];

	did_key(key, did);
	return did ? number(&j->dids, key) : 0;
}

uint64_t journal_seq_of_id(struct journal *j, const char *sender, uint64_t incarnation,
			   uint64_t number_unused)
{
	(void)j;
	(void)sender;
	(void)incarnation;
	(void)number_unused;
	return 0; /* nobody in the simulator asks */
}

int journal_read(struct journal *j, uint64_t after, uint32_t limit, journal_row_fn *fn, void *arg)
{
	for (uint64_t i = after; i < j->n && limit-- > 0; i++)
		if (!fn(arg, i + 1, j->rows[i].rec, j->rows[i].len))
			break;
	return 0;
}

int journal_read_one(struct journal *j, uint64_t seq, journal_row_fn *fn, void *arg)
{
	if (seq >= 1 && seq <= j->n)
		fn(arg, seq, j->rows[seq - 1].rec, j->rows[seq - 1].len);
	return 0;
}

int journal_read_last(struct journal *j, const char *key_prefix, journal_row_fn *fn, void *arg)
{
	for (uint32_t i = 0; i < j->last.n; i++) {
		const struct map_item *p = &j->last.items[i];

		if (p->value.there && strncmp(p->key, key_prefix, strlen(key_prefix)) == 0 &&
		    !fn(arg, p->value.n, p->value.rec, p->value.len))
			break;
	}
	return 0;
}

/* --- for the oracle --- */

uint64_t journal_model_last(const char *key, const uint8_t **ret_rec, uint32_t *ret_len)
{
	const struct map_value *v = map_find(&disk.last, key);

	*ret_rec = v ? v->rec : NULL;
	*ret_len = v ? v->len : 0;
	return v ? v->n : 0;
}

void journal_model_each_last(void (*fn)(const char *key, uint64_t seq, const uint8_t *rec,
					uint32_t len))
{
	for (uint32_t i = 0; i < disk.last.n; i++) {
		const struct map_item *p = &disk.last.items[i];

		if (p->value.there)
			fn(p->key, p->value.n, p->value.rec, p->value.len);
	}
}

/* The chains, from the rows alone. */
void journal_model_check(void)
{
	struct map newest = {0};

	for (size_t i = 0; i < disk.n; i++) {
		struct row *w = &disk.rows[i];
		uint8_t *copy = copy_of(w->rec, w->len);
		struct door_reader r = door_reader_over(copy, w->len);
		struct door_record parts;
		char topic[MSG_TOPIC_MAX + 1];
		uint32_t at;

		if (!door_read_record(&r, &parts) ||
		    msg_header_peek(parts.header, MSG_AT_SEQ) != i + 1 ||
		    msg_header_peek(parts.header, MSG_AT_CAUSE) != w->cause) {
			violated("I12 journal", "row %zu does not say what it is filed under",
				 i + 1);
		} else {
			snprintf(topic, sizeof topic, "%.*s", (int)parts.topic.len, parts.topic.at);
			at = map_place(&newest, topic);
			if (msg_header_peek(parts.header, MSG_AT_PREV) != newest.items[at].value.n)
				violated("I12 journal", "the chain of %s is broken at %zu", topic,
					 i + 1);
			newest.items[at].value.n = i + 1;
		}
		free(copy);
	}
	map_done(&newest);
}
