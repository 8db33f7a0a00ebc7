/*
 * A journal that can't be read: it is set aside as journal.db.corrupt-N, and every row of it that
 * is whole goes into a new one. Never an empty start in silence.
 */
#ifndef LOPS_BROKER_SALVAGE_H
#define LOPS_BROKER_SALVAGE_H

#include <stddef.h>

/* 0 or -errno; ret_said gets a sentence with what was set aside and what was saved. */
int salvage(const char *state_dir, char *ret_said, size_t size);

#endif
