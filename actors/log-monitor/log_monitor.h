/*
 * The log-monitor's state and its shell's calls. Used by its own files only.
 */
#ifndef LOPS_LOG_MONITOR_LOG_MONITOR_H
#define LOPS_LOG_MONITOR_LOG_MONITOR_H

#include "actors/log-monitor/log_file.h"
#include "lib/actor/actor.h"
#include "msgs/tree.h"

struct stream {
	struct stream *next;
	uint64_t key;
	char id[TREE_NAME_BYTES];
	struct log_file file;
	int pipe;          /* read end */
	ino_t inode;       /* of the pipe: the same one may be told of again */
	bool err;          /* stderr's */
	uint64_t dropped;  /* bytes, not yet told of */
	uint64_t retry_ms; /* until then bytes are dropped; 0: the disk takes them */
	uint64_t told_ms;  /* of the latest log.dropped */
	int error;         /* errno of the disk */
};

struct log_monitor {
	struct log_store store;
	struct stream *streams[1024]; /* by key */
	int tree_fd;                  /* lops-init, -1 */
	struct actor_timer reconnect;
	struct actor_timer tell; /* drops that no further byte would tell of */
};

static inline struct log_monitor *monitor_of(struct actor *a)
{
	return actor_state(a);
}

/* streams.c: both pipes of a deployment, as lops-init told of them. The pipe becomes ours. */
void stream_take(struct actor *a, uint64_t key, const char *id, bool err, int pipe);
void streams_gone(struct actor *a, uint64_t key);
void streams_reopen(struct actor *a, const char *id); /* NULL: of all */
void streams_done(struct actor *a);
void every_tell(struct actor *a, struct actor_timer *t);

/* tree_link.c */
int tree_link_open(struct actor *a);

#endif
