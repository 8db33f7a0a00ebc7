/*
 * Answers made from the view, in parts that stay below the bounds of a frame.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"

enum { PART_NODES = 3600, PART_BYTES = 160 * 1024, PART_ROWS = 256 };

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

static size_t strs_bytes(const struct msg_strs *s)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < s->count; i++)
		bytes += strlen(s->items[i]) + 5;
	return bytes;
}

struct part {
	struct process_record rows[PART_ROWS];
	uint32_t n;
	size_t nodes, bytes;
	uint64_t number;
};

static void say_part(struct actor *a, struct api_client *k, struct part *p, bool more)
{
	struct api_answer answer;

	begin(a, k, &answer);
	answer.part = p->number++;
	answer.more = more;
	answer.processes = (struct process_record_list){.items = p->rows, .count = p->n};
	api_client_say(a, k, &answer);
	p->n = 0;
	p->nodes = p->bytes = 0;
}

static void put_row(struct actor *a, struct api_client *k, struct part *p,
		    const struct process_record *r, bool brief)
{
	size_t nodes = brief ? 21
			     : 2U * REC_process_record.n_fields + 1 + r->command.count +
				       r->groups.count + r->depends_on.count;
	size_t bytes = brief ? 300
			     : 2048 + strs_bytes(&r->command) + strs_bytes(&r->groups) +
				       strs_bytes(&r->depends_on);

	if (p->n &&
	    (p->n == PART_ROWS || p->nodes + nodes > PART_NODES || p->bytes + bytes > PART_BYTES))
		say_part(a, k, p, true);
	if (brief)
		put_brief(&p->rows[p->n], r);
	else
		p->rows[p->n] = *r;
	p->n++;
	p->nodes += nodes;
	p->bytes += bytes;
}

void answer_processes(struct actor *a, struct api_client *k, const struct targets *t, bool brief,
		      const char *status)
{
	static struct part p;

	p.n = 0;
	p.nodes = p.bytes = 0;
	p.number = 0;
	for (uint32_t i = 0; i < t->count; i++) {
		const struct process_record *r = view_find(coordinator_of(a), t->ids[i]);

		if (r && (!status || strcmp(r->status, status) == 0))
			put_row(a, k, &p, r, brief);
	}
	say_part(a, k, &p, false);
}
