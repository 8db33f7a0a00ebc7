/*
 * What an actor is to the runtime, and what the runtime does for it.
 *
 * An actor is a state, a table from event type to typed handler, and timers. It asks for effects
 * through the calls below and does no I/O of its own, but for a shell file that adds ports. The
 * same spec runs on the real bus (lib/actor/main.c) and in a harness with a virtual clock. Single
 * threaded; no call here blocks.
 */
#ifndef LOPS_ACTOR_H
#define LOPS_ACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include "msgs/events.h"
#include "msgs/header.h"

struct actor;

/* An event as a handler gets it. All of it is borrowed until the handler returns. */
struct event {
	const struct msg_type *type;
	struct msg_header header;
	const char *deployment; /* the part of the topic after the slash, "" when none */
	bool is_last_value;     /* loaded at start, not a new fact */
	const void *body;       /* struct NAME of the type */
};

/* One typed pointer per event: a handler with the wrong body does not compile. */
union actor_handler_fn {
#define BEGIN_RECORD(name, doc)
#define END_RECORD(name)
#define BEGIN_EVENT(name, topic, flags, key, doc)                                                  \
	void (*name)(struct actor *, const struct event *, const struct name *);
#define END_EVENT(name)
#include "msgs/schema/no_fields.def"
#include "msgs/schema/schema.def"
#include "msgs/schema/clear.def"
	void (*any)(struct actor *, const struct event *, const void *);
};

struct actor_handler {
	const struct msg_type *type;
	union actor_handler_fn fn;
};
/* ON(process_exited, on_process_exited); the table ends with ON_END. */
#define ON(name, handler)                                                                          \
	{                                                                                          \
		.type = &MSG_##name, .fn = {.name = (handler) }                                    \
	}
#define ON_END                                                                                     \
	{                                                                                          \
		.type = NULL                                                                       \
	}

/* A setting of the actor: from config.set/@section, with its default. */
struct actor_setting {
	const char *section, *key, *fallback;
	const char *help;
};
#define SETTING_END                                                                                \
	{                                                                                          \
		NULL, NULL, NULL, NULL                                                             \
	}

struct actor_spec {
	const char *name;    /* "process-manager": the sender, the executable is lops-NAME */
	const char *purpose; /* one line, for --help and --describe */
	size_t state_size;   /* zeroed state, from actor_state() */
	const struct actor_handler *handlers;
	const char *const *
		keys; /* key prefixes whose last values are loaded first ("process/"), NULL-ended */
	const char *cursor; /* resume here and commit after each handled batch; NULL: live */
	const char *const
		*cursor_topics; /* topic prefixes that go through the cursor; others come live */
	bool holds_cursor;      /* nothing comes through it before actor_take_up() */
	const struct msg_type *const
		*publishes; /* NULL-ended; publishing another is a bug (abort) */
	const struct actor_setting *settings;
	/* Fills the state; no effects yet but timers. 0 or -errno (exit). */
	int (*init)(struct actor *a);
	/* Shell only, the real host only: opens ports. 0 or -errno. NULL: none. */
	int (*open)(struct actor *a);
	/* Welcomed and last values loaded (each was handed to its handler); the stream follows.
	 * Called once. */
	void (*ready)(struct actor *a);
	/* Everything up to this own number is acknowledged (journalled). NULL: not interested. */
	void (*acked)(struct actor *a, uint64_t number);
	/* The broker came or went. NULL: not interested. */
	void (*bus)(struct actor *a, bool connected);
	/* A setting changed (or was loaded). NULL: not interested. */
	void (*configured)(struct actor *a);
	/* TERM, INT or HUP came; without it TERM and INT end the process at once. Real host only.
	 */
	void (*signalled)(struct actor *a, int signo);
	/* USR1 came and the log is open anew: files of one's own are to follow. NULL: none. */
	void (*reopen)(struct actor *a);
	void (*done)(struct actor *a);
};

void *actor_state(struct actor *a);

/* --- time and chance (virtual in the simulator) --- */
uint64_t actor_now_ms(const struct actor *a); /* monotonic, counts suspend */
uint64_t actor_now_ns(const struct actor *a);
uint64_t actor_wall_ns(const struct actor *a); /* for people only */
uint64_t actor_random(struct actor *a);
uint64_t actor_unique(struct actor *a); /* greater than any before, also of earlier incarnations */

/* Makes later unique numbers greater than one that was loaded. */
void actor_unique_above(struct actor *a, uint64_t seen);

/* --- publishing --- */
struct publish {
	const char *deployment; /* NULL: none */
	uint64_t did;
	uint64_t cause; /* seq, or MSG_CAUSE_OWN|number; 0: the event being handled (or none: a
			   root) */
	uint64_t uid;   /* of who asked, when this is a command; MSG_UID_NONE otherwise */
	bool root;      /* no cause even inside a handler: a fact observed */
};
#define PUBLISH_TO(id) (&(struct publish){.deployment = (id), .uid = MSG_UID_NONE})

/* The number it got (>= 1), to be matched in acked(), or 0: refused because the body is not valid
 * or (ephemeral only) dropped. A durable event is never dropped: an outbox beyond its bound is
 * fatal. */
uint64_t actor_publish(struct actor *a, const struct msg_type *type, const struct publish *to,
		       const void *body);

/* publish_process_exited(a, to, &body): the typed form. */
#define BEGIN_RECORD(name, doc)
#define END_RECORD(name)
#define BEGIN_EVENT(name, topic, flags, key, doc)                                                  \
	static inline uint64_t publish_##name(struct actor *a, const struct publish *to,           \
					      const struct name *body)                             \
	{                                                                                          \
		return actor_publish(a, &MSG_##name, to, body);                                    \
	}
#define END_EVENT(name)
#include "msgs/schema/no_fields.def"
#include "msgs/schema/schema.def"
#include "msgs/schema/clear.def"

uint64_t actor_acked(const struct actor *a); /* highest own number acknowledged */
uint64_t actor_cause(const struct actor *a); /* what a publish without a cause would carry now */
void actor_set_cause(struct actor *a, uint64_t cause); /* until the handler returns */
bool actor_bus_is_up(const struct actor *a);
uint64_t actor_head_seq(const struct actor *a); /* newest seq seen or welcomed with */
/* seq that one's own acknowledged number got, 0: not acknowledged yet or long ago (last 4,096 kept)
 */
uint64_t actor_seq_of(const struct actor *a, uint64_t number);

/* Opens the cursor of a spec that holds it; again: nothing. */
void actor_take_up(struct actor *a);

/* How much the journal keeps, from now on; for the one actor that knows the configuration. */
void actor_retain(struct actor *a, uint64_t age_ms, uint64_t bytes);

/* --- asking the journal --- */
/* found: each event (oldest/first first), then once more with NULL as the end. A request that the
 * broker's death swallowed is repeated after the reconnect. */
typedef void actor_found_fn(struct actor *a, void *arg, const struct event *ev);
/* found: once, with NULL, when actor_head_seq() is the journal's own. */
void actor_get_head(struct actor *a, actor_found_fn *fn, void *arg);
void actor_get_by_seq(struct actor *a, uint64_t seq, actor_found_fn *fn, void *arg);
void actor_get_by_did(struct actor *a, uint64_t did, actor_found_fn *fn, void *arg);
void actor_get_last(struct actor *a, const char *key_prefix, actor_found_fn *fn, void *arg);
void actor_get_back(struct actor *a, const char *deployment, uint64_t before_seq, uint32_t limit,
		    actor_found_fn *fn, void *arg);

/* --- timers: embedded in the state, one shot, re-armed by the callback --- */
struct actor_timer {
	void (*fn)(struct actor *a, struct actor_timer *t);
	uint64_t due_ms; /* 0: not armed */
	uint32_t at;     /* place in the heap; the runtime's */
	uint64_t cause;  /* what armed it: the cause of what its callback publishes */
};
void actor_timer_set(struct actor *a, struct actor_timer *t, uint64_t due_ms);
void actor_timer_cancel(struct actor *a, struct actor_timer *t);

/* --- settings --- */
const char *actor_setting_text(const struct actor *a, const char *section, const char *key);
double actor_setting_number(const struct actor *a, const char *section, const char *key);

/* --- shell only: descriptors in the loop (real host), and where the set lives --- */
typedef void actor_port_fn(struct actor *a, int fd, uint32_t events, void *arg);
int actor_port_add(struct actor *a, int fd, uint32_t epoll_events, actor_port_fn *fn, void *arg);
int actor_port_change(struct actor *a, int fd, uint32_t epoll_events);
void actor_port_remove(struct actor *a, int fd); /* does not close it */
const char *actor_run_dir(const struct actor *a);
const char *actor_state_dir(const struct actor *a);
bool actor_is_real(const struct actor *a);    /* false in the harness and the simulator */
void actor_exit(struct actor *a, int status); /* after this turn */

/* --- logging: one line to stderr: time level actor: text --- */
enum actor_level { ACTOR_ERROR, ACTOR_WARN, ACTOR_INFO, ACTOR_DEBUG };
void actor_log(struct actor *a, enum actor_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
