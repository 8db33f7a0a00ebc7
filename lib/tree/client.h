/*
 * A connection to lops-init. Never blocks but where it says so; knows no ZeroMQ and no msgpack.
 */
#ifndef LOPS_TREE_CLIENT_H
#define LOPS_TREE_CLIENT_H

#include <stddef.h>
#include "msgs/tree.h"

#define TREE_FDS_MAX 8

/* A non-blocking connection to RUN_DIR/init.sock, or -errno. */
int tree_connect(const char *run_dir);

/* Sends the head and the items that count names. 0, -EAGAIN, -EPIPE, … */
int tree_send(int fd, const struct tree_message *m);

/* Same with the actors of a STATUS answer, and with descriptors (lops-init's side). */
int tree_send_fds(int fd, const struct tree_message *m, const int *fds, int n_fds);

/* Takes one message with its descriptors (close them). *ret_n_fds in: room. Returns 1, 0 at the end
 * of the connection, -EAGAIN, -EBADMSG (bounds), -errno. */
int tree_receive(int fd, struct tree_message *ret_m, int *ret_fds, int *ret_n_fds);

/* Waits for input. 1, 0: timed out. */
int tree_wait(int fd, int timeout_ms);

#endif
