/*
 * The view: the newest record of each deployment, sorted by id, encoded once when it changes. An
 * older one never overwrites a newer one.
 */
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"

uint32_t view_lower_bound(const struct coordinator *c, const char *id)
{
	uint32_t low = 0, high = c->n_rows;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (strcmp(c->rows[mid].id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct view_row *row_of(const struct coordinator *c, const char *id)
{
	uint32_t at = view_lower_bound(c, id);

	if (at < c->n_rows && strcmp(c->rows[at].id, id) == 0)
		return &c->rows[at];
	return NULL;
}

const struct view_row *view_find(const struct coordinator *c, const char *id)
{
	return row_of(c, id);
}

const uint8_t *view_brief(const struct view_row *row)
{
	return (const uint8_t *)row->id + strlen(row->id) + 1;
}

const uint8_t *view_whole(const struct view_row *row)
{
	return view_brief(row) + row->brief_len;
}

bool view_is_in_group(struct coordinator *c, const struct view_row *row, const char *group)
{
	struct process_record r;
	bool found = false;

	if (msg_body_decode(&REC_process_record, view_whole(row), row->whole_len, &c->scratch, &r,
			    NULL) == 0)
		for (uint32_t i = 0; i < r.groups.count && !found; i++)
			found = strcmp(r.groups.items[i], group) == 0;
	codec_arena_reset(&c->scratch);
	return found;
}

/* --- encoding --- */

static void put_brief(struct process_record *to, const struct process_record *from)
{
	msg_body_init(&REC_process_record, to);
	to->deployment_id = from->deployment_id;
	to->status = from->status;
	to->intent = from->intent;
	to->generation = from->generation;
	to->pid = from->pid;
	to->port = from->port;
	to->restarts = from->restarts;
	to->start_time = from->start_time;
	to->pending = from->pending;
	to->paused = from->paused;
}

/* At most: every field's name and value, and what the lists hold. */
static uint32_t nodes_of(const struct process_record *r)
{
	uint32_t nodes = 1;

	for (uint32_t i = 0; i < REC_process_record.n_fields; i++)
		nodes += msg_field_is_known(REC_process_record.fields() + i,
					    (const char *)r +
						    REC_process_record.fields()[i].offset) ||
					 REC_process_record.fields()[i].required
				 ? 2
				 : 0;
	return nodes + r->command.count + r->groups.count + r->depends_on.count;
}

static char *encode(const struct process_record *r, struct view_row *ret_row)
{
	struct codec_buffer b = {0};
	struct process_record brief;
	size_t id = strlen(r->deployment_id) + 1;
	char *block = NULL;

	put_brief(&brief, r);
	if (msg_body_encode(&REC_process_record, &brief, &b, NULL) == 0) {
		ret_row->brief_len = (uint16_t)b.len;
		ret_row->brief_nodes = (uint16_t)nodes_of(&brief);
		if (msg_body_encode(&REC_process_record, r, &b, NULL) == 0)
			block = malloc(id + b.len);
	}
	if (block) {
		memcpy(block, r->deployment_id, id);
		memcpy(block + id, b.data, b.len);
		ret_row->whole_len = (uint32_t)b.len - ret_row->brief_len;
		ret_row->whole_nodes = nodes_of(r);
		ret_row->status = process_status_of(r->status);
		ret_row->has_process = r->pid != MSG_NONE;
	}
	codec_buffer_done(&b);
	return block;
}

/* --- rows --- */

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
	struct view_row *row = row_of(c, r->deployment_id), fresh = {.seq = seq};

	if (row && row->seq > seq)
		return;
	fresh.id = encode(r, &fresh);
	if (!fresh.id)
		abort();
	row = row ? row : insert(c, r->deployment_id);
	free(row->id);
	*row = fresh;
}

void view_drop(struct coordinator *c, const char *id)
{
	struct view_row *row = row_of(c, id);
	uint32_t at;

	if (!row)
		return;
	at = (uint32_t)(row - c->rows);
	free(row->id);
	c->n_rows--;
	memmove(row, row + 1, (c->n_rows - at) * sizeof *row);
}

void view_done(struct coordinator *c)
{
	for (uint32_t i = 0; i < c->n_rows; i++)
		free(c->rows[i].id);
	free(c->rows);
	codec_arena_done(&c->scratch);
}
