/*
 * What both members of the pair have in common: the mapped table and arena, and the descriptors of
 * their one shared descriptor table. Set up once; nothing is allocated after.
 */
#ifndef LOPS_INIT_PAIR_H
#define LOPS_INIT_PAIR_H

#include <signal.h>
#include <stddef.h>
#include "msgs/tree.h"

/* Descriptors that are kept for ever; the three at PAIR_SPAWN_FD are where a child finds its stdio.
 */
enum { PAIR_SPAWN_FD = 3, PAIR_FDS_MAX = 65536 };

struct pair {
	struct tree_table *table;
	const uint8_t *arena;
	int table_fd, arena_fd, lock_fd, listen_fd, notify_fd, bell_fd, null_fd;
	int me; /* own place in table->members */
	const char *run_dir, *state_dir, *libexec;
	char **environment;
	sigset_t signals;
};

extern struct pair pair;

/* What a role ends with. */
enum pair_next { PAIR_EXIT, PAIR_GUARD, PAIR_WORK };

enum pair_next worker_run(void);
enum pair_next guardian_run(void);

/* Marked instants, numbered from 1, for the test that kills at each; nothing in the product. */
enum { PAIR_MARKS = 23 };
#ifdef LOPS_MARKS
void pair_mark(uint32_t n);
#define MARK(n) pair_mark(n)
#else
#define MARK(n) ((void)0)
#endif

uint64_t pair_now_ns(void);
uint64_t pair_wall_ns(void);
void pair_say(const char *text, const char *more, long number); /* one line to stderr */

/* Rings the worker: slot i's exit was recorded by the guardian. */
void pair_ring(int slot);

/* --- spawn.c --- */
/* Starts what slot i names, which is STARTING with pid 0. 0; -EAGAIN: try again later;
 * -ECANCELED: it is recorded as never started. */
int spawn_slot(int slot);
int spawn_actor(struct tree_actor *a);

/* The spec at this offset of the arena. */
const struct tree_spec *spawn_spec_at(uint64_t offset); /* NULL: not within bounds */

/* --- adopt.c --- */
/* Of a table whose pair died: the pidfd is opened again if the pid is still the same process. */
void adopt_slot(struct tree_slot *s);
/* All pipes of such a table, opened again through the children that have them. */
void adopt_streams(void);
/* A process that was started under another table becomes this instance: its slot, which runs;
 * -ESRCH: it has ended; -ENOSPC. */
int adopt_living(const struct tree_item *item);

/* --- reap.c --- */
/* Records and reaps all that is dead below; a dead member below: true. */
bool reap_all(bool as_worker, void (*on_exit)(int slot));
/* A child that no member is parent of (any more): true when its exit was recorded. */
bool reap_orphan(struct tree_slot *s);

/* --- watch.c --- */
void watch_tick(void);     /* own heartbeat, and the verdict on the other member */
void watch_upper(void);    /* the parent is another one now */
int watch_members(void);   /* how many there are */
int watch_lower_pid(void); /* pid of the member below, 0: none */
int watch_member_of(int32_t pid);
/* 0: in the parent, 1: in the new member, negative: no. */
int watch_fork_worker(void);
char watch_state_of(int32_t pid, int32_t *ret_parent); /* letter of /proc/PID/stat, 0: gone */
void sweep_descriptors(void); /* closes what no one owns; only while no worker exists */

#endif
