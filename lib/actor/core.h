/*
 * The inside of an actor: what the host (loop or harness), the dispatch and the timers share.
 * Actors themselves include lib/actor/actor.h only.
 */
#ifndef LOPS_ACTOR_CORE_H
#define LOPS_ACTOR_CORE_H

#include <stdarg.h>
#include "lib/actor/actor.h"
#include "lib/actor/bus_client.h"
#include "msgs/codec.h"

/* What differs between the real host and the harness. */
struct actor_host {
	void *arg;
	uint64_t (*now_ns)(void *arg); /* CLOCK_BOOTTIME or virtual */
	uint64_t (*wall_ns)(void *arg);
	uint64_t (*random)(void *arg);
	void (*send)(void *arg, const void *packet, size_t len);
	void (*log)(void *arg, enum actor_level level, const char *text);
	void (*exit)(void *arg, int status);
	int (*port_add)(void *arg, int fd, uint32_t events, actor_port_fn *fn, void *port_arg);
	int (*port_change)(void *arg, int fd, uint32_t events);
	void (*port_remove)(void *arg, int fd);
	const char *run_dir, *state_dir;
	bool is_real;
};

struct actor_request {
	struct actor_request *next;
	uint64_t id;
	actor_found_fn *fn;
	void *arg;
};

struct actor_value { /* of a setting */
	const struct actor_setting *setting;
	char *text;
};

struct actor {
	const struct actor_spec *spec;
	struct actor_host host;
	struct bus_client bus;
	void *state;
	uint64_t now_ns; /* of this turn */
	uint64_t last_unique;
	uint64_t cause; /* of what is being handled */
	bool ready_said, tracing, exiting, bus_up;
	struct actor_timer **heap;
	uint32_t n_timers, cap_timers;
	struct codec_arena arena;
	struct codec_buffer body;
	struct actor_request *requests;
	struct actor_value *values;
	uint32_t n_values;
	const char **prefixes, **keys; /* subscribed; NULL-ended */
	uint64_t handled, unknown, malformed;
	bool streamed[BUS_CURSOR + 1]; /* an event of the stream came through it */
};

/* 0 or -errno. host is copied; its strings are borrowed. */
int actor_init(struct actor *a, const struct actor_spec *spec, const struct actor_host *host,
	       uint64_t incarnation, const uint8_t cookie[DOOR_COOKIE_BYTES]);
void actor_done(struct actor *a);

void actor_turn(struct actor *a); /* reads the clock; call before handing anything in */
void actor_receive(struct actor *a, void *packet, size_t len);
void actor_connected(struct actor *a);
void actor_disconnected(struct actor *a);
void actor_flush(struct actor *a);
void actor_run_timers(struct actor *a);
uint64_t actor_next_timer_ms(const struct actor *a); /* UINT64_MAX: none */
void actor_describe(const struct actor_spec *spec, bool json, FILE *out);

/* settings.c */
int settings_init(struct actor *a);
void settings_done(struct actor *a);
void settings_take(struct actor *a, const struct config_set *c);

#endif
