/*
 * The observer; see the header. What it has seen outlives it, as a database of its own would.
 */
#include "tests/sim/observer.h"

#include "tests/sim/world.h"

static uint64_t seen;
struct life {
	uint64_t last; /* of this life */
};

void observer_begin(void)
{
	seen = 0;
}

void observer_fell_back(uint64_t head)
{
	seen = seen < head ? seen : head;
}

uint64_t observer_seen(void)
{
	return seen;
}

static void on_any(struct actor *a, const struct event *ev, const void *body)
{
	struct life *l = actor_state(a);
	uint64_t seq = ev->header.seq;

	(void)body;
	if (ev->is_last_value || !seq)
		return;
	if (l->last && seq != l->last + 1)
		violated("I7 seen", "the observer got %llu after %llu", (unsigned long long)seq,
			 (unsigned long long)l->last);
	if (seq > seen + 1)
		violated("I7 seen", "the observer got %llu and had %llu", (unsigned long long)seq,
			 (unsigned long long)seen);
	l->last = seq;
	seen = seq > seen ? seq : seen;
}

static const struct actor_handler handlers[] = {
#define BEGIN_RECORD(name, doc)
#define END_RECORD(name)
#define BEGIN_EVENT(name, topic, flags, key, doc) {.type = &MSG_##name, .fn = {.any = on_any}},
#define END_EVENT(name)
#include "msgs/schema/no_fields.def"
#include "msgs/schema/schema.def"
#include "msgs/schema/clear.def"
	ON_END,
};
static const char *const everything[] = {"", NULL};

const struct actor_spec observer_spec = {.name = "observer",
					 .purpose = "sees everything",
					 .state_size = sizeof(struct life),
					 .handlers = handlers,
					 .cursor = "observer",
					 .cursor_topics = everything};
