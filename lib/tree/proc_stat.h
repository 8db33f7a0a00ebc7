/*
 * What /proc/PID/stat says of a process, as far as its identity and its place in the tree go. Reads
 * one file, allocates nothing.
 */
#ifndef LOPS_TREE_PROC_STAT_H
#define LOPS_TREE_PROC_STAT_H

#include <stdint.h>

struct proc_stat {
	char state; /* letter */
	int64_t ppid, session;
	uint64_t start_ticks; /* since boot; with pid and boot the identity */
};

/* 1: *ret_p is filled; 0: there is no such process; -errno: it can't be read. */
int proc_stat(int64_t pid, struct proc_stat *ret_p);

#endif
