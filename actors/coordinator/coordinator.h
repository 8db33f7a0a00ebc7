/*
 * The inside of the coordinator: its state and what its files do for each other. Included by them
 * only.
 */
#ifndef LOPS_COORDINATOR_H
#define LOPS_COORDINATOR_H

#include <sys/types.h>
#include "lib/actor/actor.h"
#include "lib/policy/process_rule.h"
#include "lib/policy/role_rule.h"
#include "lib/policy/wait_rule.h"
#include "msgs/api.h"

enum { CLIENTS_MAX = 2048, OUT_BYTES_MAX = 32 * 1024 * 1024, IDLE_MS = 60000 };

struct api_client {
	int fd;          /* -1: the place is free */
	uint64_t serial; /* tells one user of the place from the next */
	uid_t uid;
	enum role role;
	struct held *held; /* the answer that its command waits for, NULL: none */
	bool pending;      /* its request waits for an answer */
	bool command;      /* and that is the outcome of a command */
	bool closing;      /* once everything is written */
	char request[API_REQUEST_MAX + 1];
	uint64_t heard_ms;
	uint8_t *in; /* malloc, NULL while nothing came */
	size_t in_len, in_cap;
	struct codec_buffer out;
	size_t out_at;
};

/* What is known of a deployment, kept as it goes on the wire: an answer is a copy of bytes. */
struct view_row {
	char *id;     /* malloc; the two encoded records lie behind it */
	uint64_t seq; /* of the event that said so */
	uint16_t brief_len, brief_nodes;
	uint32_t whole_len, whole_nodes;
	enum process_status status;
	bool has_process;
};

struct coordinator {
	struct view_row *rows; /* sorted by id */
	uint32_t n_rows, cap_rows;
	char trouble[200];      /* why the journal takes nothing, "": it does */
	uint64_t away_since_ns; /* wall clock, 0: the bus is there */
	struct api_client clients[CLIENTS_MAX];
	uint32_t high; /* places ever used */
	uint64_t serials;
	size_t out_bytes; /* held for all clients */
	int listen_fd;
	struct actor_timer sweep;
	struct codec_arena arena;   /* of the request being handled */
	struct codec_arena scratch; /* of view.c, between two of its lines */
	bool going_down;
	char down_request[API_REQUEST_MAX + 1];
	struct setup *setup;
	struct config_set **values; /* in force, by section; malloc */
	uint32_t n_values;
	gid_t observers, operators; /* GROUP_NONE: no such group */
	char access_trouble[300];   /* why the groups cannot be let in, "": they are */
};
#define GROUP_NONE ((gid_t)-1)

static inline struct coordinator *coordinator_of(struct actor *a)
{
	return actor_state(a);
}

/* --- view.c: what is known of each deployment --- */
void view_take(struct coordinator *c, const struct process_record *r, uint64_t seq);
void view_drop(struct coordinator *c, const char *id);
const struct view_row *view_find(const struct coordinator *c, const char *id);
const uint8_t *view_brief(const struct view_row *row); /* encoded: what a line of `list` shows */
const uint8_t *view_whole(const struct view_row *row); /* encoded: all of it */
bool view_is_in_group(struct coordinator *c, const struct view_row *row, const char *group);
uint32_t view_lower_bound(const struct coordinator *c, const char *id);
void view_done(struct coordinator *c);

/* --- targets.c: from words to ids --- */
struct targets {
	const char **ids; /* borrowed from the view; free() the array */
	uint32_t count;
	int status; /* not 0: what is wrong with them */
	char message[400];
};
void targets_resolve(struct coordinator *c, const struct msg_strs *words, bool all,
		     struct targets *ret_t);

/* --- requests.c: the verbs --- */
void request_handle(struct actor *a, struct api_client *k, const struct api_call *r);
void request_finished(struct actor *a, const struct command_finished *e);
void requests_give_up(struct actor *a, const char *why); /* commands whose outcome stays open */

/* --- answers.c --- */
void answer_begin(struct actor *a, const struct api_client *k, struct api_answer *ret_answer);
void answer_status(struct actor *a, struct api_client *k, int status, const char *message);
struct finished { /* what a command came to, and which records show it */
	const struct command_finished *outcome;
	const char *const *ids;
	uint32_t n_ids;
};
void answer_finished(struct actor *a, struct api_client *k, const struct finished *f);
void answer_processes(struct actor *a, struct api_client *k, const struct targets *t, bool brief,
		      const char *status);
void answer_values(struct actor *a, struct api_client *k);

/* --- logs.c: where output goes --- */
void logs_answer(struct actor *a, struct api_client *k, const struct deployment_spec *s,
		 int64_t port);

/* --- held.c: outcomes that are answered once the view shows them --- */
struct expected { /* of the deployments that a command is about */
	const char *const *ids;
	uint32_t n_ids;
	enum wait_for done, failed; /* what is waited for when the command did it, and did not */
	bool records;
};
void held_expect(struct actor *a, struct api_client *k, const struct expected *e);
void held_finished(struct actor *a, struct api_client *k, const struct command_finished *e);
void held_look(struct actor *a); /* the view changed */
void held_drop(struct actor *a, struct api_client *k);

/* --- roles.c: who may do what --- */
void roles_configure(struct actor *a);            /* by the values in force */
enum role roles_of_peer(struct actor *a, int fd); /* a connected socket */
void roles_refusal(struct actor *a, const struct api_client *k, const char *verb, enum role needed,
		   char *ret_text, size_t size);
/* Gives the socket the rights of the one that stood there before us. */
void roles_inherit(const char *path, const char *from);

/* --- values.c: the configuration in force --- */
void values_take(struct actor *a, const struct config_set *e);
/* Its text, never NULL; ret_line (may be NULL): of the file, 0: the default. */
const char *values_text(const struct coordinator *c, const char *section, const char *key,
			int64_t *ret_line);
const struct config_set *values_section(const struct coordinator *c, const char *section);
void values_done(struct coordinator *c);

/* --- journal.c: events, page by page --- */
void journal_answer(struct actor *a, struct api_client *k, uint64_t since, const char *topic);

/* --- api_door.c: the socket --- */
int api_door_open(struct actor *a);
void api_door_serve(struct actor *a); /* from now on */
void api_door_done(struct actor *a);
/* A client that asked earlier, NULL when it went. */
struct api_client *api_client_of(struct coordinator *c, uint32_t place, uint64_t serial);
uint32_t api_client_place(const struct coordinator *c, const struct api_client *k);
/* Queues a part of the answer; the last ends the request. */
void api_client_say(struct actor *a, struct api_client *k, const struct api_answer *answer);
void api_client_say_rows(struct actor *a, struct api_client *k, const struct api_answer *answer,
			 const struct api_rows *processes);

/* --- setup.c: the file's deployments at `up`, and the orderly way down --- */
void setup_begin(struct actor *a);
void setup_down(struct actor *a);
void setup_finished(struct actor *a, const struct command_finished *e);
void setup_done(struct coordinator *c);

#endif
