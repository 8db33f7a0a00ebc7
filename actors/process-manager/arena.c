/*
 * Places in the arena of specs: first fit among the pieces in use, which are rebuilt from the slots
 * after a crash of ours.
 */
#include <stdlib.h>
#include <string.h>
#include "actors/process-manager/shell.h"

enum { ALIGN = 64 };

static void insert(struct shell *s, uint32_t i, uint64_t at, uint32_t length)
{
	if (s->n_pieces == s->cap_pieces) {
		uint32_t cap = s->cap_pieces ? 2 * s->cap_pieces : 256;
		struct arena_piece *more = realloc(s->pieces, cap * sizeof *more);

		if (!more)
			abort();
		s->pieces = more;
		s->cap_pieces = cap;
	}
	memmove(s->pieces + i + 1, s->pieces + i, (s->n_pieces - i) * sizeof *s->pieces);
	s->pieces[i] = (struct arena_piece){.at = at, .length = length};
	s->n_pieces++;
}

uint64_t arena_take(struct shell *s, uint32_t length)
{
	uint64_t at = ALIGN, end;
	uint32_t i = s->n_pieces;

	length = (length + ALIGN - 1) / ALIGN * ALIGN;
	/* After the last one while there is room: no search. */
	if (s->n_pieces)
		at = s->pieces[i - 1].at + s->pieces[i - 1].length;
	end = at + length;
	if (end > TREE_ARENA_BYTES) {
		at = ALIGN;
		for (i = 0; i < s->n_pieces && s->pieces[i].at < at + length; i++)
			at = s->pieces[i].at + s->pieces[i].length;
		if (at + length > TREE_ARENA_BYTES)
			return 0;
	}
	insert(s, i, at, length);
	return at;
}

static uint32_t find(const struct shell *s, uint64_t at)
{
	uint32_t low = 0, high = s->n_pieces;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (s->pieces[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void arena_give(struct shell *s, uint64_t at)
{
	uint32_t i = find(s, at);

	if (i == s->n_pieces || s->pieces[i].at != at)
		return;
	memmove(s->pieces + i, s->pieces + i + 1, (s->n_pieces - i - 1) * sizeof *s->pieces);
	s->n_pieces--;
}

void arena_note(struct shell *s, uint64_t at, uint32_t length)
{
	uint32_t i = find(s, at);

	if (i < s->n_pieces && s->pieces[i].at == at)
		return;
	insert(s, i, at, (length + ALIGN - 1) / ALIGN * ALIGN);
}
