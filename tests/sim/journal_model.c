/*
 * The journal behind broker/journal.h, in memory: what is committed survives the broker's death,
 * what is not does not. Its checks are invariants: seqs without a hole, chains and causes that
 * exist.
 */
#include "tests/sim/journal_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "msgs/door.h"

struct row {
	uint64_t seq, did;
	uint32_t len;
	uint8_t *rec;
};

struct pair {
	char key[200];
	uint64_t value, more;
	uint8_t *rec;
	uint32_t len;
};

struct table {
	struct pair *items;
	size_t n, cap;
};

struct journal {
	struct row *rows;
	size_t n, cap, committed;
	struct table names, last, senders, cursors;
	uint64_t violations;
};

/* Undo of a turn: the model keeps it simple and copies the small tables. */
static struct journal disk;

struct journal *journal_model_new(void)
{
	memset(&disk, 0, sizeof disk);
	return &disk;
}

struct journal *journal_model_current(void)
{
	return &disk;
}

uint64_t journal_model_violations(void)
{
	return disk.violations;
}

static struct pair *find(struct table *t, const char *key)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->items[i].key, key) == 0)
			return &t->items[i];
	return NULL;
}

static struct pair *put(struct table *t, const char *key)
{
	struct pair *p = find(t, key);

	if (p)
		return p;
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->items = realloc(t->items, t->cap * sizeof *t->items);
		if (!t->items)
			abort();
	}
	p = &t->items[t->n++];
	memset(p, 0, sizeof *p);
	snprintf(p->key, sizeof p->key, "%s", key);
	return p;
}

static void remove_pair(struct table *t, struct pair *p)
{
	free(p->rec);
	*p = t->items[--t->n];
}

void journal_model_free(void)
{
	struct table *tables[] = {&disk.names, &disk.last, &disk.senders, &disk.cursors};

	for (size_t i = 0; i < disk.n; i++)
		free(disk.rows[i].rec);
	free(disk.rows);
	for (size_t k = 0; k < 4; k++) {
		for (size_t i = 0; i < tables[k]->n; i++)
			free(tables[k]->items[i].rec);
		free(tables[k]->items);
	}
	memset(&disk, 0, sizeof disk);
}

static uint8_t *copy_of(const uint8_t *rec, uint32_t len)
{
	uint8_t *c = malloc(len ? len : 1);

	if (!c)
		abort();
	memcpy(c, rec, len);
	return c;
}

uint64_t journal_epoch(const struct journal *j)
{
	(void)j;
	return 1;
}

uint64_t journal_head(const struct journal *j)
{
	return j->committed;
}

uint64_t journal_tail(struct journal *j)
{
	return j->n ? 1 : 0;
}

uint64_t journal_last_of(struct journal *j, const char *name)
{
	struct pair *p = find(&j->names, name);

	return p ? p->value : 0;
}

static void violation(struct journal *j, const char *what, uint64_t seq)
{
	fprintf(stderr, "journal: %s at seq %llu\n", what, (unsigned long long)seq);
	j->violations++;
}

int journal_append(struct journal *j, const struct journal_entry *e)
{
	char dep[200];

	if (e->seq != j->n + 1)
		violation(j, "a hole", e->seq);
	if (e->cause >= e->seq)
		violation(j, "a cause that does not precede its effect", e->seq);
	if (e->prev != journal_last_of(j, e->topic))
		violation(j, "a broken chain of its topic", e->seq);
	if (e->did && journal_seq_of_did(j, e->did))
		violation(j, "a derived id twice", e->seq);
	if (j->n == j->cap) {
		j->cap = j->cap ? 2 * j->cap : 1024;
		j->rows = realloc(j->rows, j->cap * sizeof *j->rows);
		if (!j->rows)
			abort();
	}
	j->rows[j->n++] = (struct row){.seq = e->seq,
				       .did = e->did,
				       .len = e->rec_len,
				       .rec = copy_of(e->rec, e->rec_len)};
	put(&j->names, e->topic)->value = e->seq;
	snprintf(dep, sizeof dep, "/%s", e->deployment);
	put(&j->names, dep)->value = e->seq;
	return 0;
}

int journal_set_last(struct journal *j, const char *key, uint64_t seq, const uint8_t *rec,
		     uint32_t rec_len)
{
	struct pair *p = put(&j->last, key);

	free(p->rec);
	p->value = seq;
	p->rec = copy_of(rec, rec_len);
	p->len = rec_len;
	return 0;
}

int journal_forget(struct journal *j, const char *deployment)
{
	for (size_t i = 0; i < j->last.n; i++) {
		const char *slash = strchr(j->last.items[i].key, '/');

		if (slash && strcmp(slash + 1, deployment) == 0)
			remove_pair(&j->last, &j->last.items[i--]);
	}
	return 0;
}

static void sender_key(char *key, size_t size, const char *sender, uint64_t incarnation)
{
	snprintf(key, size, "%s %llu", sender, (unsigned long long)incarnation);
}

int journal_set_sender(struct journal *j, const char *sender, uint64_t incarnation, uint64_t number)
{
	char key[100];

	sender_key(key, sizeof key, sender, incarnation);
	put(&j->senders, key)->value = number;
	return 0;
}

uint64_t journal_sender_number(struct journal *j, const char *sender, uint64_t incarnation)
{
	char key[100];
	struct pair *p;

	sender_key(key, sizeof key, sender, incarnation);
	p = find(&j->senders, key);
	return p ? p->value : 0;
}

int journal_set_cursor(struct journal *j, const char *cursor, uint64_t seq, bool own)
{
	(void)own;
	put(&j->cursors, cursor)->value = seq;
	return 0;
}

uint64_t journal_cursor(struct journal *j, const char *cursor, bool *ret_known)
{
	struct pair *p = find(&j->cursors, cursor);

	*ret_known = p != NULL;
	return p ? p->value : 0;
}

int journal_commit(struct journal *j, bool sync)
{
	(void)sync;
	j->committed = j->n;
	return 0;
}

uint64_t journal_seq_of_did(struct journal *j, uint64_t did)
{
	for (size_t i = j->n; did && i-- > 0 && i + 20000 > j->n;)
		if (j->rows[i].did == did)
			return j->rows[i].seq;
	return 0;
}

uint64_t journal_seq_of_id(struct journal *j, const char *sender, uint64_t incarnation,
			   uint64_t number)
{
	(void)j;
	(void)sender;
	(void)incarnation;
	(void)number;
	return 0; /* nobody in the simulator asks */
}

int journal_read(struct journal *j, uint64_t after, uint32_t limit, journal_row_fn *fn, void *arg)
{
	for (uint64_t i = after; i < j->n && limit-- > 0; i++)
		if (!fn(arg, j->rows[i].seq, j->rows[i].rec, j->rows[i].len))
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
	for (size_t i = 0; i < j->last.n; i++)
		if (strncmp(j->last.items[i].key, key_prefix, strlen(key_prefix)) == 0 &&
		    !fn(arg, j->last.items[i].value, j->last.items[i].rec, j->last.items[i].len))
			break;
	return 0;
}
