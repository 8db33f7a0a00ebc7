/*
 * An open hash of texts; see the header.
 */
#include "tests/sim/map.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_of(const char *key)
{
	uint32_t h = 2166136261u;

	for (const char *c = key; *c; c++)
		h = (h ^ (uint8_t)*c) * 16777619u;
	return h;
}

static uint32_t *slot_of(const struct map *m, const char *key)
{
	uint32_t i = hash_of(key) & (m->cap - 1);

	while (m->slots[i] && strcmp(m->items[m->slots[i] - 1].key, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static void grow(struct map *m)
{
	m->cap = m->cap ? 2 * m->cap : 64;
	free(m->slots);
	m->slots = calloc(m->cap, sizeof *m->slots);
	m->items = realloc(m->items, m->cap / 2 * sizeof *m->items);
	if (!m->slots || !m->items)
		abort();
	for (uint32_t i = 0; i < m->n; i++)
		*slot_of(m, m->items[i].key) = i + 1;
}

uint32_t map_place(struct map *m, const char *key)
{
	uint32_t *slot;

	if (m->n >= m->cap / 2)
		grow(m);
	slot = slot_of(m, key);
	if (*slot)
		return *slot - 1;
	m->items[m->n] = (struct map_item){.key = strdup(key)};
	if (!m->items[m->n].key)
		abort();
	*slot = ++m->n;
	return m->n - 1;
}

struct map_value *map_at(struct map *m, const char *key)
{
	uint32_t at = map_place(m, key);

	return &m->items[at].value;
}

const struct map_value *map_find(struct map *m, const char *key)
{
	uint32_t *slot = m->cap ? slot_of(m, key) : NULL;

	return slot && *slot && m->items[*slot - 1].value.there ? &m->items[*slot - 1].value : NULL;
}

void map_done(struct map *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		free(m->items[i].key);
		free(m->items[i].value.rec);
	}
	free(m->items);
	free(m->slots);
	*m = (struct map){0};
}
