/*
 * Memory of decoded bodies: blocks that are reset, not freed, between messages. Never beyond
 * CODEC_ARENA_MAX.
 */
#include "msgs/codec.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16 * 1024, ALIGN = 16 };

struct block {
	struct block *next;
	size_t cap, used;
	_Alignas(ALIGN) uint8_t data[];
};

void codec_arena_reset(struct codec_arena *a)
{
	struct block *first = a->blocks, *b, *next;

	a->used = 0;
	if (!first)
		return;
	for (b = first->next; b; b = next) {
		next = b->next;
		a->held -= b->cap;
		free(b);
	}
	first->next = NULL;
	first->used = 0;
}

void codec_arena_done(struct codec_arena *a)
{
	codec_arena_reset(a);
	free(a->blocks);
	*a = (struct codec_arena){0};
}

static struct block *block_new(struct codec_arena *a, size_t size)
{
	size_t cap = size > BLOCK_BYTES ? size : BLOCK_BYTES;
	struct block *b;

	if (a->held + cap > CODEC_ARENA_MAX)
		return NULL;
	b = malloc(sizeof *b + cap);
	if (b) {
		*b = (struct block){.cap = cap};
		a->held += cap;
	}
	return b;
}

/* The newest block stands second, so that the first one is kept at a reset. */
static struct block *block_with(struct codec_arena *a, size_t size)
{
	struct block *first = a->blocks, *b = first && first->next ? first->next : first;

	if (b && b->cap - b->used >= size)
		return b;
	b = block_new(a, size);
	if (!b)
		return NULL;
	if (first) {
		b->next = first->next;
		first->next = b;
	} else {
		a->blocks = b;
	}
	return b;
}

void *codec_arena_alloc(struct codec_arena *a, size_t size)
{
	size_t rounded = (size + ALIGN - 1) / ALIGN * ALIGN;
	struct block *b = size > CODEC_ARENA_MAX ? NULL : block_with(a, rounded);
	void *at;

	if (!b)
		return NULL;
	at = b->data + b->used;
	b->used += rounded;
	a->used += rounded;
	return memset(at, 0, rounded);
}
