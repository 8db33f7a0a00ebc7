/*
 * The connections of lops-init's socket, which door.c serves and push.c tells of what happened.
 */
#ifndef LOPS_INIT_CLIENTS_H
#define LOPS_INIT_CLIENTS_H

#include "actors/init/door.h"
#include "msgs/tree.h"

enum role { ROLE_NONE, ROLE_ACTOR, ROLE_PROCESS_MANAGER, ROLE_LOG_MONITOR, ROLE_CONTROL };

struct client {
	int fd; /* -1: free */
	enum role role;
	struct tree_actor *actor;
	bool waits_ready;
	uint32_t wait_id;
	int next_stream; /* log-monitor: the next place to tell of */
	bool missed;     /* process-manager: something could not be pushed */
};

extern struct client door_clients[DOOR_CLIENTS];

void door_client_end(struct client *c);
/* What the slot holds, for an answer or a push. */
void door_report(struct tree_item *item, int slot);

#endif
