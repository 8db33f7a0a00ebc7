/*
 * The process-manager's shell: descriptors, /proc, lops-init's socket. Used by its own files only;
 * it decides nothing about deployments.
 */
#ifndef LOPS_PROCESS_MANAGER_SHELL_H
#define LOPS_PROCESS_MANAGER_SHELL_H

#include "actors/process-manager/manager.h"
#include "lib/tree/cgroups.h"
#include "lib/tree/client.h"
#include "lib/tree/proc_stat.h"

struct arena_piece {
	uint64_t at;
	uint32_t length;
};

struct shell {
	int fd; /* lops-init, -1 */
	struct tree_table *table;
	uint8_t *arena;
	int fds[5]; /* table, arena, lock, listening, notify; -1 */
	struct actor_timer reconnect, sweep, watch;
	uint32_t failures;
	uint64_t heard_ms;       /* the last word of lops-init */
	uint64_t rescued_ms;     /* when a new pair was made */
	struct tree_message out; /* starts being gathered */
	struct tree_message confirms;
	uint32_t next_id;
	struct tree_item *signals; /* asked for and not answered yet, in order; malloc */
	uint32_t n_signals, cap_signals, n_signals_sent;
	struct arena_piece *pieces; /* in use, sorted by place */
	uint32_t n_pieces, cap_pieces;
	struct deployment *sweeping[TREE_SLOTS];
	int sweep_signal[TREE_SLOTS];
	uint32_t n_sweeping;
	uint64_t deaths_seen[TREE_ACTORS]; /* of each of our parts */
	struct cgroups cgroups;
	char unkept[400]; /* of the spec placed last */
};

static inline struct shell *shell_of(struct actor *a)
{
	return manager_of(a)->shell;
}

/* tree_port.c: false: not sent, and disconnected. */
bool tree_port_send(struct actor *a, struct tree_message *m);

/* rescue.c */
bool rescue_pair_lives(const struct shell *s);
bool rescue_continue(const struct shell *s); /* SIGCONT to its members; false: there is none */
void rescue_pair(struct actor *a);

/* signals.c: value: number | scope << 16 */
void signals_add(struct shell *s, uint64_t instance, uint32_t value);
void signals_send(struct actor *a);
void signals_answered(struct actor *a);

/* arena.c: a place for so many bytes, 0: full. */
uint64_t arena_take(struct shell *s, uint32_t length);
void arena_give(struct shell *s, uint64_t at);
void arena_note(struct shell *s, uint64_t at, uint32_t length); /* in use since before */

/* ports.c */
bool port_occupied(struct actor *a, int port);
void port_holder(struct actor *a, int port, char *ret_text, size_t size);

/* limits.c: control groups of what asks for a limit of its whole tree */
void limits_open(struct actor *a);
/* Fills in the groups to enter; paths stay until the next call. */
void limits_prepare(struct actor *a, struct deployment *d, struct spec_place *place);
const char *limits_unkept(struct actor *a, struct deployment *d);
uint64_t limits_oom_kills(struct actor *a, struct deployment *d);
void limits_forget(struct actor *a, struct deployment *d, uint64_t instance);
void limits_kill(struct shell *s, const struct deployment *d);
/* Up to max pids of who is in its groups. */
uint32_t limits_members(const struct shell *s, const struct deployment *d, int64_t *ret_pids,
			uint32_t max);

/* sweep.c */
void sweep_ask(struct actor *a, struct deployment *d, int signo);
void sweep_run(struct actor *a, struct actor_timer *t);
/* deaths.c: says what ends of our parts the table holds and were not said yet. */
void deaths_look(struct actor *a);

/* notify.c */
void notify_read(struct actor *a, int fd, uint32_t events, void *arg);

#endif
