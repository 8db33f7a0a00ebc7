/*
 * A journal of its own for the simulator, behind broker/journal.h. One at a time.
 */
#ifndef LOPS_SIM_JOURNAL_MODEL_H
#define LOPS_SIM_JOURNAL_MODEL_H

#include "broker/journal.h"

struct journal *journal_model_new(void);
struct journal *journal_model_current(void);
void journal_model_free(void);
uint64_t journal_model_violations(void);

#endif
