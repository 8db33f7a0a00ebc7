/*
 * The view: the newest record of each deployment, sorted by id. An older one never overwrites a
 * newer one.
 */
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"

uint32_t view_lower_bound(const struct coordinator *c, const char *id)
{
	uint32_t low = 0, high = c->n_rows;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (strcmp(c->rows[mid].record->deployment_id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct view_row *row_of(const struct coordinator *c, const char *id)
{
	uint32_t at = view_lower_bound(c, id);

	if (at < c->n_rows && strcmp(c->rows[at].record->deployment_id, id) == 0)
		return &c->rows[at];
	return NULL;
}

struct process_record *view_find(const struct coordinator *c, const char *id)
{
	struct view_row *row = row_of(c, id);

	return row ? row->record : NULL;
}

static struct view_row *insert(struct coordinator *c, const char *id)
{
	uint32_t at = view_lower_bound(c, id);

	if (c->n_rows == c->cap_rows) {
		c->cap_rows = c->cap_rows ? 2 * c->cap_rows : 64;
		c->rows = realloc(c->rows, c->cap_rows * sizeof *c->rows);
		if (!c->rows)
			abort();
	}
	memmove(&c->rows[at + 1], &c->rows[at], (c->n_rows - at) * sizeof *c->rows);
	c->n_rows++;
	c->rows[at] = (struct view_row){0};
	return &c->rows[at];
}

void view_take(struct coordinator *c, const struct process_record *r, uint64_t seq)
{
	struct process_record *copy;
	struct view_row *row = row_of(c, r->deployment_id);

	if (row && row->seq > seq)
		return;
	copy = msg_body_copy(&REC_process_record, r);
	if (!copy)
		abort();
	row = row ? row : insert(c, r->deployment_id);
	free(row->record);
	*row = (struct view_row){.record = copy, .seq = seq};
}

void view_drop(struct coordinator *c, const char *id)
{
	struct view_row *row = row_of(c, id);
	uint32_t at;

	if (!row)
		return;
	at = (uint32_t)(row - c->rows);
	free(row->record);
	c->n_rows--;
	memmove(row, row + 1, (c->n_rows - at) * sizeof *row);
}

void view_done(struct coordinator *c)
{
	for (uint32_t i = 0; i < c->n_rows; i++)
		free(c->rows[i].record);
	free(c->rows);
}
