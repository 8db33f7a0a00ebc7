/*
 * What may happen to a slot of the table: pure transitions over shared memory, each safe at any
 * instant at which a member may die. No system call, no clock, no allocation.
 */
#ifndef LOPS_INIT_SLOTS_H
#define LOPS_INIT_SLOTS_H

#include "msgs/tree.h"

/* The slot that holds the instance (not free, not provisional), or -1. */
int slots_find(struct tree_table *t, uint64_t instance);
/* The slot or actor place whose living child has the pid, or -1. */
int slots_of_pid(struct tree_table *t, int32_t pid);

/* A slot for an instance in the state PROVISIONAL; -ENOSPC. */
int slots_new(struct tree_table *t, uint64_t instance, uint64_t spec, uint64_t streams);
void slots_free(struct tree_table *t, int slot);

/* Records an exit once: true for the one who did. Also of an instance that never was spawned. */
bool slots_record(struct tree_slot *s, enum tree_how how, int status, uint64_t now_ns,
		  uint64_t wall_ns);

/* STARTING, after which the start is finished by whoever comes; then RUNNING. */
void slots_commit_start(struct tree_slot *s);
bool slots_running(struct tree_slot *s);

/* Reserves `next` as the standing order of the instance in slot `before`: 0, -EEXIST, -ENOSPC. */
int slots_arm(struct tree_table *t, int before, const struct tree_item *order);
/* 0: revoked; -EALREADY: taken or ended; -ENOENT. */
int slots_revoke(struct tree_table *t, uint64_t instance);

/* What to do with the order of an instance that has ended. */
enum slots_take { SLOTS_NOTHING, SLOTS_START_NOW, SLOTS_START_LATER };
struct slots_taken {
	enum slots_take what;
	int slot;
};
struct slots_taken slots_take_order(struct tree_table *t, int ended, uint64_t now_ns);
/* A WAITING slot whose time has come becomes STARTING. */
bool slots_due(struct tree_table *t, struct tree_slot *s, uint64_t now_ns);

/* Whether one more automatic start may be made now; takes a token. */
bool slots_take_token(struct tree_table *t, uint64_t now_ns);

/* After a takeover: orders half armed are linked or freed. */
void slots_settle_orders(struct tree_table *t);

struct tree_stream *slots_stream(struct tree_table *t, uint64_t key); /* NULL */
struct tree_stream *slots_stream_new(struct tree_table *t, uint64_t key);

#endif
