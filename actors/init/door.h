/*
 * The socket of lops-init: connections, roles, and the operations of msgs/tree.h. The worker's
 * only.
 */
#ifndef LOPS_INIT_DOOR_H
#define LOPS_INIT_DOOR_H

#include <stdbool.h>
#include <stdint.h>

enum { DOOR_CLIENTS = 64 };

void door_begin(int epoll); /* a new worker: no connections yet */
void door_accept(void);
void door_read(int client);
/* Tells the process-manager, with the turn's end, that slot's instance has ended. */
void door_push_exit(int slot);
/* ... that it runs, as the answer to its start would have. */
void door_push_start(int slot);
void door_push_now(void); /* the turn ends */
void door_push_actor_died(void);
void door_push_streams(void); /* new ones, to log-monitor */
void door_ready_changed(void);

/* What the worker does for the door. */
void worker_confirm(int slot);
void worker_start(int slot);
void worker_watch(int slot); /* a child of others, by its pidfd */
void worker_keep(bool keep);
void worker_shutdown(void);

#endif
