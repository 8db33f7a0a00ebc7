/*
 * Answers made from the view, in parts that stay below the bounds of a frame.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"
#include "lib/config/config.h"

enum {
	PART_NODES = 3600,
	PART_BYTES = 160 * 1024,
	VALUE_SOURCE_BYTES = 1100,
	VALUE_KEY_BYTES = 96
};

void answer_begin(struct actor *a, const struct api_client *k, struct api_answer *ret_answer)
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

	answer_begin(a, k, &answer);
	answer.status = status;
	answer.message = message;
	api_client_say(a, k, &answer);
}

void answer_values(struct actor *a, struct api_client *k)
{
	const struct coordinator *c = coordinator_of(a);
	struct api_value *values = calloc(config_keys_count + 1, sizeof *values);
	char(*sources)[VALUE_SOURCE_BYTES] = calloc(config_keys_count + 1, sizeof *sources);
	char(*keys)[VALUE_KEY_BYTES] = calloc(config_keys_count + 1, sizeof *keys);
	struct api_answer answer;

	if (!values || !sources || !keys)
		abort();
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		const struct config_set *e = values_section(c, key->section);
		int64_t line;

		values[i].value = values_text(c, key->section, key->key, &line);
		snprintf(keys[i], sizeof keys[i], "%s%s%s", key->section,
			 key->section[0] ? "." : "", key->key);
		snprintf(sources[i], sizeof sources[i], "default");
		if (line && e && e->file)
			snprintf(sources[i], sizeof sources[i], "%s:%lld", e->file,
				 (long long)line);
		values[i].key = keys[i];
		values[i].source = sources[i];
	}
	answer_begin(a, k, &answer);
	answer.values =
		(struct api_value_list){.items = values, .count = (uint32_t)config_keys_count};
	api_client_say(a, k, &answer);
	free(values);
	free(sources);
	free(keys);
}

/* Rows gathered into parts that stay within the bounds of a frame. */
struct part {
	struct codec_buffer rows;
	uint32_t n, nodes;
	uint64_t number;
};

/* f: what the last part says besides its rows, NULL: nothing. */
static void say_part(struct actor *a, struct api_client *k, struct part *p, bool more,
		     const struct finished *f, struct msg_strs notes)
{
	struct api_answer answer;

	answer_begin(a, k, &answer);
	answer.part = p->number++;
	answer.more = more;
	if (f) {
		answer.status = f->outcome->status;
		answer.message = f->outcome->message;
		answer.notes = notes;
		answer.outcomes = f->outcome->outcomes;
	}
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
		say_part(a, k, p, true, NULL, (struct msg_strs){0});
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
	say_part(a, k, &p, false, NULL, (struct msg_strs){0});
	codec_buffer_done(&p.rows);
}

/* Who brings the set up is told who cannot be let in. */
static struct msg_strs notes_of(const struct coordinator *c, const struct command_finished *e)
{
	struct msg_strs notes = {.items = calloc(e->notes.count + 1, sizeof *notes.items)};

	if (!notes.items)
		abort();
	for (; notes.count < e->notes.count; notes.count++)
		notes.items[notes.count] = e->notes.items[notes.count];
	if (c->access_trouble[0] && strncmp(e->request, "up-", 3) == 0)
		notes.items[notes.count++] = c->access_trouble;
	return notes;
}

void answer_finished(struct actor *a, struct api_client *k, const struct finished *f)
{
	struct part p = {.number = 0};
	struct msg_strs notes = notes_of(coordinator_of(a), f->outcome);

	for (uint32_t i = 0; i < f->n_ids; i++) {
		const struct view_row *row = view_find(coordinator_of(a), f->ids[i]);

		if (row)
			put_row(a, k, &p, row, false);
	}
	say_part(a, k, &p, false, f, notes);
	codec_buffer_done(&p.rows);
	free(notes.items);
}
