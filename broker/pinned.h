/*
 * Who reads the journal and keeps its WAL from being checkpointed. Looks at /proc/locks; changes
 * nothing.
 */
#ifndef LOPS_BROKER_PINNED_H
#define LOPS_BROKER_PINNED_H

#include <sys/types.h>

/* A process other than this one that holds a lock on the journal's shared memory, 0: none is seen.
 */
pid_t pinned_by(const char *state_dir);

#endif
