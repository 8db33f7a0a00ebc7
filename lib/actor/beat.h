/*
 * The heartbeat to lops-init: that this process turns its loop, and whether it is ready. It never
 * blocks, and does nothing where there is no lops-init.
 */
#ifndef LOPS_ACTOR_BEAT_H
#define LOPS_ACTOR_BEAT_H

#include <stdbool.h>

struct beat {
	const char *run_dir;
	const char *name;
	int fd; /* -1: not connected */
};

void beat_send(struct beat *b, bool ready); /* reconnects by itself */
void beat_done(struct beat *b);

#endif
