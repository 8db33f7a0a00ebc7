/*
 * The real host: epoll, one DEALER socket to the broker, signals, the heartbeat. One per process.
 */
#ifndef LOPS_ACTOR_LOOP_H
#define LOPS_ACTOR_LOOP_H

#include "lib/actor/actor.h"

/* Runs until told to end; returns the exit status. */
int loop_run(const struct actor_spec *spec, const char *run_dir, const char *state_dir);

#endif
