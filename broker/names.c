/*
 * An open hash of names; see the header.
 */
#include "broker/names.h"

#include <stdlib.h>
#include <string.h>

static uint32_t place(const struct names *t, const char *text)
{
	uint32_t hash = 2166136261u;

	for (const char *c = text; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	hash &= t->cap - 1;
	while (t->slots[hash] && strcmp(t->slots[hash]->text, text) != 0)
		hash = (hash + 1) & (t->cap - 1);
	return hash;
}

struct name *names_find(const struct names *t, const char *text)
{
	return t->cap ? t->slots[place(t, text)] : NULL;
}

static bool grow(struct names *t)
{
	struct names bigger = {.cap = t->cap ? 2 * t->cap : 256};

	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (!bigger.slots)
		return false;
	for (uint32_t i = 0; i < t->cap; i++)
		if (t->slots[i])
			bigger.slots[place(&bigger, t->slots[i]->text)] = t->slots[i];
	free(t->slots);
	t->slots = bigger.slots;
	t->cap = bigger.cap;
	return true;
}

struct name *names_add(struct names *t, const char *text, uint32_t id, uint64_t last, bool stored)
{
	size_t len = strlen(text) + 1;
	struct name *n;

	if (4 * (t->n + 1) > 3 * t->cap && !grow(t))
		return NULL;
	n = calloc(1, sizeof *n + len);
	if (!n)
		return NULL;
	n->id = id ? id : t->max_id + 1;
	n->last = last;
	n->stored = stored;
	memcpy(n->text, text, len);
	t->max_id = n->id > t->max_id ? n->id : t->max_id;
	t->slots[place(t, text)] = n;
	t->n++;
	return n;
}

void names_touch(struct names *t, struct name *n, uint64_t seq)
{
	n->last = seq;
	if (n->dirty)
		return;
	n->dirty = true;
	n->next_dirty = t->dirty;
	t->dirty = n;
}

void names_sweep(struct names *t, uint64_t tail)
{
	struct names kept = {.max_id = t->max_id};

	for (uint32_t i = 0; i < t->cap; i++) {
		struct name *n = t->slots[i];

		if (!n)
			continue;
		if (n->last < tail && !n->dirty) {
			free(n);
		} else if (4 * (kept.n + 1) <= 3 * kept.cap || grow(&kept)) {
			kept.slots[place(&kept, n->text)] = n;
			kept.n++;
		} else {
			abort();
		}
	}
	kept.dirty = t->dirty;
	free(t->slots);
	*t = kept;
}

void names_done(struct names *t)
{
	for (uint32_t i = 0; i < t->cap; i++)
		free(t->slots[i]);
	free(t->slots);
}
