/*
 * Rows of the journal for one peer, gathered into packets of DOOR_BATCH_BYTES; what is private goes
 * to the set's own actors only.
 */
#include "broker/core_parts.h"

#include <string.h>

bool core_may_see(const struct peer *p, bool is_private)
{
	return p->is_actor || !is_private;
}

bool core_record_is_private(const uint8_t *rec, uint32_t len)
{
	const struct msg_type *type = len > 3 ? msg_type_of((const char *)rec + 3, rec[2]) : NULL;

	return !type || (type->flags & PRIVATE);
}

void gather_send(struct gather *g, bool more)
{
	struct door_writer w = core_answer_begin(g->c, g->verb);

	door_write_uint(&w, g->id);
	if (g->verb == DOOR_DELIVER)
		door_write_uint(&w, DOOR_LAST_VALUE);
	else
		door_write_bool(&w, more);
	g->c->out.send(g->c->out.arg, g->p->id, g->p->id_len, w.data, w.len, g->c->batch.data,
		       g->len);
	g->len = 0;
}

bool gather_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	struct gather *g = arg;

	(void)seq;
	if (!core_may_see(g->p, core_record_is_private(rec, len)))
		return true;
	if (g->len + len > DOOR_BATCH_BYTES && g->len)
		gather_send(g, true);
	memcpy(g->c->batch.data + g->len, rec, len);
	g->len += len;
	return true;
}

struct gather gather_begin(struct core *c, const struct peer *p, enum door_verb verb, uint64_t id)
{
	c->batch.like = NULL; /* its buffer is borrowed */
	return (struct gather){.c = c, .p = p, .verb = verb, .id = id};
}
