/*
 * Transitions of slots; see the header.
 */
#include "actors/init/slots.h"

#include <errno.h>
#include <string.h>

static enum tree_state state_of(struct tree_slot *s)
{
	return tree_state_of(atomic_load(&s->word));
}

int slots_find(struct tree_table *t, uint64_t instance)
{
	for (int i = 0; i < atomic_load(&t->high); i++)
		if (t->slots[i].instance == instance && state_of(&t->slots[i]) > TREE_PROVISIONAL)
			return i;
	return -1;
}

int slots_of_pid(struct tree_table *t, int32_t pid)
{
	for (int i = 0; i < atomic_load(&t->high); i++)
		if (atomic_load_explicit(&t->slots[i].pid, memory_order_relaxed) == pid) {
			enum tree_state state = state_of(&t->slots[i]);

			if (state == TREE_RUNNING || state == TREE_STARTING)
				return i;
		}
	return -1;
}

static int free_slot(struct tree_table *t)
{
	static int next; /* where the search begins; only the worker allocates */
	int high = atomic_load(&t->high);

	for (int n = 0; n < high; n++) {
		int i = (next + n) % high;

		if (state_of(&t->slots[i]) == TREE_FREE) {
			next = i + 1;
			return i;
		}
	}
	if (high == TREE_SLOTS)
		return -1;
	atomic_store(&t->high, high + 1);
	return high;
}

int slots_new(struct tree_table *t, uint64_t instance, uint64_t spec, uint64_t streams)
{
	int i = free_slot(t);
	struct tree_slot *s;

	if (i < 0)
		return -ENOSPC;
	s = &t->slots[i];
	atomic_store(&s->pid, 0);
	s->instance = instance;
	s->after = s->due_ns = s->started_ns = s->ended_ns = s->valid_until_ns = 0;
	s->started_wall_ns = s->ended_wall_ns = 0;
	s->spec = spec;
	s->streams = streams;
	s->pidfd = s->order = -1;
	s->tries = s->delay_ms = s->helper = 0;
	atomic_store(&s->stage_error, 0);
	atomic_store(&s->word, TREE_WORD(TREE_PROVISIONAL, 0, 0));
	return i;
}

void slots_free(struct tree_table *t, int slot)
{
	atomic_store(&t->slots[slot].pid, 0);
	atomic_store(&t->slots[slot].word, TREE_WORD(TREE_FREE, 0, 0));
}

bool slots_record(struct tree_slot *s, enum tree_how how, int status, uint64_t now_ns,
		  uint64_t wall_ns)
{
	for (;;) {
		uint64_t word = atomic_load(&s->word);

		if (tree_state_of(word) != TREE_RUNNING && tree_state_of(word) != TREE_STARTING)
			return false;
		s->ended_ns = now_ns;
		s->ended_wall_ns = wall_ns;
		if (atomic_compare_exchange_strong(&s->word, &word,
						   TREE_WORD(TREE_EXITED, how, status)))
			return true;
	}
}

void slots_commit_start(struct tree_slot *s)
{
	atomic_store(&s->word, TREE_WORD(TREE_STARTING, 0, 0));
}

bool slots_running(struct tree_slot *s)
{
	uint64_t word = TREE_WORD(TREE_STARTING, 0, 0);

	return atomic_compare_exchange_strong(&s->word, &word, TREE_WORD(TREE_RUNNING, 0, 0));
}

int slots_arm(struct tree_table *t, int before, const struct tree_item *order)
{
	struct tree_slot *b = &t->slots[before], *o;
	int i = slots_find(t, order->next);

	if (i >= 0 || b->order >= 0)
		return -EEXIST;
	i = slots_new(t, order->next, order->spec, order->streams);
	if (i < 0)
		return i;
	o = &t->slots[i];
	o->after = b->instance;
	o->delay_ms = order->delay_ms;
	o->stable_delay_ms = order->stable_delay_ms;
	o->stable_after_ms = order->stable_after_ms;
	o->valid_until_ns = order->valid_until_ns;
	memcpy(o->success_codes, order->success_codes, sizeof o->success_codes);
	b->order = i; /* the commit */
	atomic_store(&o->word, TREE_WORD(TREE_ORDERED, 0, 0));
	return 0;
}

int slots_revoke(struct tree_table *t, uint64_t instance)
{
	int i = slots_find(t, instance);
	uint64_t word = i < 0 ? 0 : atomic_load(&t->slots[i].word);

	if (i < 0)
		return -ENOENT;
	if ((tree_state_of(word) != TREE_ORDERED && tree_state_of(word) != TREE_WAITING) ||
	    !atomic_compare_exchange_strong(&t->slots[i].word, &word, TREE_WORD(TREE_FREE, 0, 0)))
		return -EALREADY;
	for (int b = 0; b < atomic_load(&t->high); b++)
		if (t->slots[b].order == i && t->slots[b].instance == t->slots[i].after)
			t->slots[b].order = -1;
	return 0;
}

/* Whether the end of `b` is one that its order answers. */
static bool order_applies(const struct tree_slot *b, uint64_t word, const struct tree_slot *o,
			  uint64_t now_ns)
{
	int status = tree_status_of(word), code = status >> 8 & 0xff;
	bool exited = tree_how_of(word) <= TREE_HOW_INFO && (status & 0x7f) == 0;

	(void)b;
	if (tree_how_of(word) == TREE_HOW_NEVER ||
	    (o->valid_until_ns && now_ns > o->valid_until_ns))
		return false;
	return !(exited && (o->success_codes[code / 64] >> (code % 64) & 1));
}

bool slots_take_token(struct tree_table *t, uint64_t now_ns)
{
	uint64_t rate = t->max_starts_per_second, full = rate * 1000;

	if (!rate)
		return true;
	if (now_ns > t->tokens_at_ns) {
		uint64_t gained = (now_ns - t->tokens_at_ns) / 1000000 * rate;

		t->tokens_milli = t->tokens_milli + gained > full ? full : t->tokens_milli + gained;
		t->tokens_at_ns = now_ns;
	}
	if (t->tokens_milli < 1000)
		return false;
	t->tokens_milli -= 1000;
	return true;
}

struct slots_taken slots_take_order(struct tree_table *t, int ended, uint64_t now_ns)
{
	struct tree_slot *b = &t->slots[ended], *o;
	struct slots_taken taken = {.slot = b->order};
	uint64_t before = atomic_load(&b->word), word;
	uint32_t delay;

	if (taken.slot < 0 || tree_state_of(before) != TREE_EXITED)
		return taken;
	o = &t->slots[taken.slot];
	word = atomic_load(&o->word);
	if (o->after != b->instance || tree_state_of(word) != TREE_ORDERED ||
	    !order_applies(b, before, o, now_ns))
		return taken;
	delay = b->started_ns && b->ended_ns - b->started_ns >=
					 UINT64_C(1000000) * o->stable_after_ms
			? o->stable_delay_ms
			: o->delay_ms;
	if (delay || !slots_take_token(t, now_ns)) {
		o->due_ns = now_ns + UINT64_C(1000000) * delay;
		if (atomic_compare_exchange_strong(&o->word, &word, TREE_WORD(TREE_WAITING, 0, 0)))
			taken.what = SLOTS_START_LATER;
	} else if (atomic_compare_exchange_strong(&o->word, &word,
						  TREE_WORD(TREE_STARTING, 0, 0))) {
		taken.what = SLOTS_START_NOW;
	}
	return taken;
}

bool slots_due(struct tree_table *t, struct tree_slot *s, uint64_t now_ns)
{
	uint64_t word = atomic_load(&s->word);

	if (tree_state_of(word) != TREE_WAITING || s->due_ns > now_ns ||
	    !slots_take_token(t, now_ns))
		return false;
	return atomic_compare_exchange_strong(&s->word, &word, TREE_WORD(TREE_STARTING, 0, 0));
}

void slots_settle_orders(struct tree_table *t)
{
	for (int i = 0; i < atomic_load(&t->high); i++) {
		struct tree_slot *o = &t->slots[i];
		int b;

		if (state_of(o) != TREE_PROVISIONAL)
			continue;
		b = o->after ? slots_find(t, o->after) : -1;
		atomic_store(&o->word,
			     TREE_WORD(b >= 0 && t->slots[b].order == i ? TREE_ORDERED : TREE_FREE,
				       0, 0));
	}
}

struct tree_stream *slots_stream(struct tree_table *t, uint64_t key)
{
	for (int i = 0; key && i < atomic_load(&t->streams_high); i++)
		if (t->streams[i].key == key)
			return &t->streams[i];
	return NULL;
}

struct tree_stream *slots_stream_new(struct tree_table *t, uint64_t key)
{
	int high = atomic_load(&t->streams_high);
	struct tree_stream *s = NULL;

	for (int i = 0; i < high && !s; i++)
		if (t->streams[i].key == 0)
			s = &t->streams[i];
	if (!s && high < TREE_STREAMS) {
		s = &t->streams[high];
		atomic_store(&t->streams_high, high + 1);
	}
	if (s) {
		memset(s->deployment, 0, sizeof s->deployment);
		for (int i = 0; i < 4; i++)
			s->fds[i] = -1;
		s->key = key;
	}
	return s;
}
