/*
 * The journal's newest part in memory; see the header.
 */
#include "broker/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int tail_init(struct tail *t, uint64_t head_seq)
{
	*t = (struct tail){.first_seq = head_seq + 1};
	t->ring = calloc(TAIL_ENTRIES, sizeof *t->ring);
	return t->ring ? 0 : -ENOMEM;
}

static struct tail_entry *slot(const struct tail *t, uint64_t place)
{
	return &t->ring[place % TAIL_ENTRIES];
}

static void drop_first(struct tail *t)
{
	struct tail_entry *e = slot(t, t->first++);

	if (e->seq)
		t->first_seq = e->seq + 1;
	t->bytes -= e->len;
	free(e->rec);
	e->rec = NULL;
}

void tail_done(struct tail *t)
{
	while (t->first < t->next)
		drop_first(t);
	free(t->ring);
}

void tail_clear(struct tail *t, uint64_t head_seq)
{
	while (t->first < t->next)
		drop_first(t);
	t->first_seq = head_seq + 1;
}

int tail_put(struct tail *t, uint64_t seq, bool is_private, uint32_t topic_len, const uint8_t *rec,
	     uint32_t len)
{
	uint8_t *copy = malloc(len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, rec, len);
	while (t->first < t->next &&
	       (t->next - t->first == TAIL_ENTRIES || t->bytes + len > TAIL_BYTES))
		drop_first(t);
	*slot(t, t->next++) = (struct tail_entry){.seq = seq,
						  .is_private = is_private,
						  .topic_len = topic_len,
						  .len = len,
						  .rec = copy};
	t->bytes += len;
	return 0;
}

const struct tail_entry *tail_at(const struct tail *t, uint64_t place)
{
	return slot(t, place);
}

bool tail_place_after(const struct tail *t, uint64_t seq, uint64_t *ret_place)
{
	uint64_t low = t->first, high = t->next;

	if (seq + 1 < t->first_seq)
		return false;
	/* Binary search over places; an ephemeral entry counts with the durable one before it. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2, probe = middle;

		while (probe > low && tail_at(t, probe)->seq == 0)
			probe--;
		if (tail_at(t, probe)->seq == 0 || tail_at(t, probe)->seq <= seq)
			low = middle + 1;
		else
			high = probe;
	}
	*ret_place = low;
	return true;
}
