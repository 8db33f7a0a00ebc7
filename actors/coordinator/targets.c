/*
 * From the words of a request to exact ids: an id, an unambiguous prefix, a glob, @group, or all.
 * Each id once, in the order named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"
#include "lib/policy/name_rule.h"

struct resolving {
	struct coordinator *c;
	struct targets *t;
	bool *taken; /* by row */
};

static void take(struct resolving *r, uint32_t row)
{
	if (!r->taken[row])
		r->t->ids[r->t->count++] = r->c->rows[row].id;
	r->taken[row] = true;
}

static void fail(struct targets *t, int status, const char *before, const char *word,
		 const char *after)
{
	if (t->status)
		return;
	t->status = status;
	snprintf(t->message, sizeof t->message, "%s%.64s%s", before, word, after);
}

static void take_many(struct resolving *r, const char *word)
{
	bool any = false, is_group = word[0] == '@';

	for (uint32_t i = 0; i < r->c->n_rows; i++) {
		const struct view_row *row = &r->c->rows[i];

		if (is_group ? view_is_in_group(r->c, row, word + 1) : name_glob(word, row->id)) {
			take(r, i);
			any = true;
		}
	}
	if (!any)
		fail(r->t, 4,
		     word[0] == '@' ? "no deployment is in the group " : "no deployment matches ",
		     word, "");
}

static void fail_ambiguous(struct resolving *r, const char *word, uint32_t first, uint32_t n)
{
	struct targets *t = r->t;
	size_t at;

	if (t->status)
		return;
	t->status = 2;
	at = (size_t)snprintf(t->message, sizeof t->message, "%.64s is ambiguous:", word);
	for (uint32_t i = 0; i < n && i < 4; i++)
		at += (size_t)snprintf(t->message + at, sizeof t->message - at, " %.64s",
				       r->c->rows[first + i].id);
	if (n > 4)
		snprintf(t->message + at, sizeof t->message - at, " and %u more", n - 4);
}

static void take_prefix(struct resolving *r, const char *word)
{
	uint32_t first = view_lower_bound(r->c, word), n = 0;
	size_t len = strlen(word);

	while (first + n < r->c->n_rows && strncmp(r->c->rows[first + n].id, word, len) == 0)
		n++;
	if (len == 0 || n == 0)
		fail(r->t, 4, "no deployment is named ", word, "");
	else if (n == 1 || !r->c->rows[first].id[len])
		take(r, first);
	else
		fail_ambiguous(r, word, first, n);
}

void targets_resolve(struct coordinator *c, const struct msg_strs *words, bool all,
		     struct targets *ret_t)
{
	struct resolving r = {.c = c, .t = ret_t};

	*ret_t = (struct targets){.ids = calloc(c->n_rows + 1, sizeof *ret_t->ids)};
	r.taken = calloc(c->n_rows + 1, sizeof *r.taken);
	if (!ret_t->ids || !r.taken)
		abort();
	for (uint32_t i = 0; all && i < c->n_rows; i++)
		take(&r, i);
	for (uint32_t i = 0; !all && i < words->count; i++) {
		const char *word = words->items[i];

		if (word[0] == '@' || name_is_glob(word))
			take_many(&r, word);
		else
			take_prefix(&r, word);
	}
	free(r.taken);
}
