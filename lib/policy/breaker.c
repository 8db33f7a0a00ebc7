/*
 * See the header.
 */
#include "lib/policy/breaker.h"

#include "lib/policy/times.h"

/* How many parts of a window share a mark: one more mark begins in it, and one is being left. */
#define PARTS (BREAKER_MARKS - 2)

const char *breaker_state_name(enum breaker_state s)
{
	static const char *const names[] = {"closed", "open", "half_open"};

	return s < BREAKER_STATES ? names[s] : "?";
}

/* 0: each failure has its own mark. */
static int64_t width(const struct breaker_settings *s)
{
	return s->threshold <= BREAKER_MARKS ? 0 : s->window_ms / PARTS + 1;
}

static const struct breaker_mark *mark(const struct breaker *b, uint32_t i)
{
	return &b->marks[(b->first + i) % BREAKER_MARKS];
}

static bool counts(const struct breaker_mark *m, const struct breaker_settings *s, int64_t now_ms)
{
	return times_since(m->at_ms, now_ms) <= times_add(s->window_ms, width(s));
}

static uint64_t failures(const struct breaker *b, const struct breaker_settings *s, int64_t now_ms)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < b->n; i++)
		if (counts(mark(b, i), s, now_ms))
			sum += mark(b, i)->count;
	return sum;
}

bool breaker_would_open(const struct breaker *b, const struct breaker_settings *s, int64_t now_ms)
{
	if (b->state != BREAKER_CLOSED)
		return true;
	return s->threshold && failures(b, s, now_ms) + 1 >= s->threshold;
}

static void remember(struct breaker *b, const struct breaker_settings *s, int64_t now_ms)
{
	struct breaker_mark *last = &b->marks[(b->first + b->n - 1) % BREAKER_MARKS];

	if (b->n && width(s) && last->count < UINT32_MAX &&
	    times_since(last->at_ms, now_ms) < width(s)) {
		last->count++;
		return;
	}
	if (b->n == BREAKER_MARKS) {
		b->first = (b->first + 1) % BREAKER_MARKS;
		b->n--;
	}
	b->marks[(b->first + b->n++) % BREAKER_MARKS] = (struct breaker_mark){now_ms, 1};
}

bool breaker_fail(struct breaker *b, const struct breaker_settings *s, int64_t now_ms)
{
	bool opens = breaker_would_open(b, s, now_ms);

	remember(b, s, now_ms);
	if (!opens || b->state == BREAKER_OPEN)
		return opens;
	b->state = BREAKER_OPEN;
	b->until_ms = times_add(now_ms, s->reset_ms);
	return true;
}

bool breaker_try(struct breaker *b, int64_t now_ms)
{
	if (b->state != BREAKER_OPEN || now_ms < b->until_ms)
		return false;
	b->state = BREAKER_HALF_OPEN;
	b->until_ms = 0;
	return true;
}

void breaker_close(struct breaker *b)
{
	*b = (struct breaker){0};
}

int64_t breaker_calm_at(const struct breaker *b, const struct breaker_settings *s, int64_t now_ms)
{
	uint64_t left = failures(b, s, now_ms);

	if (!breaker_would_open(b, s, now_ms))
		return now_ms;
	for (uint32_t i = 0; b->state == BREAKER_CLOSED && i < b->n; i++) {
		if (!counts(mark(b, i), s, now_ms))
			continue;
		left -= mark(b, i)->count;
		if (left + 1 < s->threshold)
			return times_add(
				times_add(mark(b, i)->at_ms, times_add(s->window_ms, width(s))), 1);
	}
	return TIMES_NEVER;
}
