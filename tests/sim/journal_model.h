/*
 * A journal of its own for the simulator, behind broker/journal.h. One at a time.
 */
#ifndef LOPS_SIM_JOURNAL_MODEL_H
#define LOPS_SIM_JOURNAL_MODEL_H

#include "broker/journal.h"

struct journal *journal_model_begin(void);
void journal_model_end(void);
struct journal *journal_model(void);
void journal_model_opened(void); /* by a new broker: what it finds is put on the disk */

uint64_t journal_model_committed(void); /* highest seq that survives the broker's death */
uint64_t journal_model_synced(void);    /* highest seq that survives a power cut */
void journal_model_broker_died(void);   /* what was not committed is gone */
/* What was committed and not synced may be gone, whole turns of it; another epoch. */
void journal_model_power_cut(void);
uint64_t journal_model_next_ns(void);
void journal_model_run(void); /* the helper's fdatasync */
void journal_model_check(void);
/* The newest seq that wrote the key, 0: none, with its record. */
uint64_t journal_model_last(const char *key, const uint8_t **ret_rec, uint32_t *ret_len);
void journal_model_each_last(void (*fn)(const char *key, uint64_t seq, const uint8_t *rec,
					uint32_t len));

#endif
