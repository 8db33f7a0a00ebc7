/*
 * Where a set lives: the run folder (sockets) and the state folder (journal, logs). Needs libc
 * only.
 */
#ifndef LOPS_CONFIG_FOLDERS_H
#define LOPS_CONFIG_FOLDERS_H

#include <stddef.h>

#define FOLDER_MAX 1024

/* $LOPS_STATE_DIR, else $XDG_STATE_HOME/lops or ~/.local/state/lops, else /var/lib/lops for root.
 */
void folder_state(char *ret_path, size_t size);
/* $LOPS_RUN_DIR, else what STATE/run-dir records, else $XDG_RUNTIME_DIR/lops, else /run/lops for
 * root, else /tmp/lops-UID. */
void folder_run(char *ret_path, size_t size);

#endif
