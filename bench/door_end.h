/*
 * The least that a benchmark needs of the stream door: a connection, a live subscription, credit.
 * It ends the program when something is wrong.
 */
#ifndef LOPS_BENCH_DOOR_END_H
#define LOPS_BENCH_DOOR_END_H

#include <stdint.h>

double door_end_now_s(void);
int door_end_by_size(const void *a, const void *b); /* of two doubles, for qsort */
void *door_end_dealer(void *context, const char *endpoint);
/* Welcomed, as one of the set's own. */
void *door_end_open(void *context, const char *run_dir, const char *name, uint64_t incarnation);
void door_end_subscribe(void *s, const char *topic, uint64_t credit); /* number 1, live */
void door_end_give_credit(void *s, uint64_t bytes);

#endif
