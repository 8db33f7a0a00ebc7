/*
 * Where a set lives: the run folder (sockets) and the state folder (journal, logs), and whether
 * what is found there is to be believed. Needs libc only.
 */
#ifndef LOPS_CONFIG_FOLDERS_H
#define LOPS_CONFIG_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define FOLDER_MAX 1024

/* From now on root's set, whatever the environment says. */
void folder_use_system(void);
bool folder_is_system(void);

/* $LOPS_STATE_DIR, else /var/lib/lops for root, else $XDG_STATE_HOME/lops or ~/.local/state/lops.
 * "": the environment names none. Root's is the machine's: XDG variables are not looked at. */
void folder_state(char *ret_path, size_t size);
/* $LOPS_RUN_DIR, else what STATE/run-dir records, else /run/lops for root, else
 * $XDG_RUNTIME_DIR/lops, else /tmp/lops-UID. */
void folder_run(char *ret_path, size_t size);

/* NULL: the run folder is one that only its owner can have made and changed; else why not. A folder
 * that the caller did not name must be the caller's (or root's, for root's set). */
const char *folder_distrust(const char *run, uid_t *ret_owner);

#endif
