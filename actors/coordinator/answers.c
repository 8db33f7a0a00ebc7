/*
 * Answers made from the view, in parts that stay below the bounds of a frame.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"

enum { PART_NODES = 3600, PART_BYTES = 160 * 1024 };

static void begin(struct actor *a, const struct api_client *k, struct api_answer *ret_answer)
{
	const struct coordinator *c = coordinator_of(a);

	msg_body_init(&REC_api_answer, ret_answer);
	ret_answer->request = k->request;
	ret_answer->status = 0;
	if (c->away_since_ns)
		ret_answer->as_of = (double)c->away_since_ns / 1e9;
}

void answer_status(struct actor *a, struct api_client *k, int status, const char *message)
{
	struct api_answer answer;

	begin(a, k, &answer);
	answer.status = status;
	answer.message = message;
	api_client_say(a, k, &answer);
}

void answer_finished(struct actor *a, struct api_client *k, const struct command_finished *e)
{
	struct api_answer answer;

	begin(a, k, &answer);
	answer.status = e->status;
	answer.message = e->message;
	answer.notes = e->notes;
	answer.outcomes = e->outcomes;
	api_client_say(a, k, &answer);
}

void answer_values(struct actor *a, struct api_client *k)
{
	struct coordinator *c = coordinator_of(a);
	struct api_answer answer;

	begin(a, k, &answer);
	answer.values = (struct msg_strs){.items = (const char **)(void *)c->config_lines,
					  .count = c->n_config_lines};
	api_client_say(a, k, &answer);
}

/* Rows gathered into parts that stay within the bounds of a frame. */
struct part {
	struct codec_buffer rows;
	uint32_t n, nodes;
	uint64_t number;
};

static void say_part(struct actor *a, struct api_client *k, struct part *p, bool more)
{
	struct api_answer answer;

	begin(a, k, &answer);
	answer.part = p->number++;
	answer.more = more;
	api_client_say_rows(a, k, &answer, &(struct api_rows){p->rows.data, p->rows.len, p->n});
	p->rows.len = 0;
	p->n = p->nodes = 0;
}

static void put_row(struct actor *a, struct api_client *k, struct part *p,
		    const struct view_row *row, bool brief)
{
	uint32_t nodes = brief ? row->brief_nodes : row->whole_nodes;
	size_t len = brief ? row->brief_len : row->whole_len;

	if (p->n && (p->nodes + nodes > PART_NODES || p->rows.len + len > PART_BYTES))
		say_part(a, k, p, true);
	if (codec_buffer_add(&p->rows, brief ? view_brief(row) : view_whole(row), len) < 0)
		abort();
	p->n++;
	p->nodes += nodes;
}

void answer_processes(struct actor *a, struct api_client *k, const struct targets *t, bool brief,
		      const char *status)
{
	struct part p = {.number = 0};

	for (uint32_t i = 0; i < t->count; i++) {
		const struct view_row *row = view_find(coordinator_of(a), t->ids[i]);

		if (row && (!status || row->status == process_status_of(status)))
			put_row(a, k, &p, row, brief);
	}
	say_part(a, k, &p, false);
	codec_buffer_done(&p.rows);
}
