/*
 * One-shot timers in a binary heap over pointers that the actor owns. A timer remembers what armed
 * it, so that what its callback publishes has a cause.
 */
#include "lib/actor/core.h"

#include <stdlib.h>

static bool is_earlier(const struct actor *a, uint32_t i, uint32_t j)
{
	return a->heap[i]->due_ms < a->heap[j]->due_ms;
}

static void swap(struct actor *a, uint32_t i, uint32_t j)
{
	struct actor_timer *t = a->heap[i];

	a->heap[i] = a->heap[j];
	a->heap[j] = t;
	a->heap[i]->at = i;
	a->heap[j]->at = j;
}

static void move_up(struct actor *a, uint32_t i)
{
	while (i > 0 && is_earlier(a, i, (i - 1) / 2)) {
		swap(a, i, (i - 1) / 2);
		i = (i - 1) / 2;
	}
}

static void move_down(struct actor *a, uint32_t i)
{
	for (;;) {
		uint32_t least = i, left = 2 * i + 1;

		if (left < a->n_timers && is_earlier(a, left, least))
			least = left;
		if (left + 1 < a->n_timers && is_earlier(a, left + 1, least))
			least = left + 1;
		if (least == i)
			return;
		swap(a, i, least);
		i = least;
	}
}

void actor_timer_cancel(struct actor *a, struct actor_timer *t)
{
	uint32_t at = t->at;

	if (!t->due_ms)
		return;
	t->due_ms = 0;
	a->n_timers--;
	if (at == a->n_timers)
		return;
	a->heap[at] = a->heap[a->n_timers];
	a->heap[at]->at = at;
	move_down(a, at);
	move_up(a, at);
}

void actor_timer_set(struct actor *a, struct actor_timer *t, uint64_t due_ms)
{
	actor_timer_cancel(a, t);
	if (a->n_timers == a->cap_timers) {
		uint32_t cap = a->cap_timers ? 2 * a->cap_timers : 64;
		struct actor_timer **heap = realloc(a->heap, cap * sizeof *heap);

		if (!heap)
			abort();
		a->heap = heap;
		a->cap_timers = cap;
	}
	t->due_ms = due_ms ? due_ms : 1;
	t->cause = a->cause;
	t->at = a->n_timers;
	a->heap[a->n_timers++] = t;
	move_up(a, t->at);
}

uint64_t actor_next_timer_ms(const struct actor *a)
{
	return a->n_timers ? a->heap[0]->due_ms : UINT64_MAX;
}

void actor_run_timers(struct actor *a)
{
	while (a->n_timers && a->heap[0]->due_ms <= actor_now_ms(a) && !a->exiting) {
		struct actor_timer *t = a->heap[0];

		actor_timer_cancel(a, t);
		a->cause = t->cause;
		t->fn(a, t);
		a->cause = 0;
	}
}
