/*
 * The control groups that keep limits of deployments: one folder an instance, below one of the
 * set's own, in each hierarchy that has a controller it needs. Makes, writes and removes folders of
 * /sys/fs/cgroup; moves no process.
 */
#ifndef LOPS_TREE_CGROUPS_H
#define LOPS_TREE_CGROUPS_H

#include "lib/policy/cgroup_rule.h"

#define CGROUPS_EACH (CGROUP_LIMITS + 1) /* the controllers', and one that can kill */
#define CGROUPS_PATH (CGROUP_PATH + CGROUP_NAME + 64)

struct cgroup_base {
	int version; /* 0: there is none */
	char folder[CGROUP_PATH];
};

struct cgroups {
	struct cgroup_base limits[CGROUP_LIMITS];
	char why_not[CGROUP_LIMITS][160]; /* where version is 0 */
	struct cgroup_base kill;          /* version 2 wherever it is: ends a group at once */
	char set[32];                     /* folder of the set within each base */
};

/* Looks for them and changes nothing. run_dir tells one set from another, NULL: just looking. */
void cgroups_look(struct cgroups *ret_g, const char *run_dir);

/* Makes the folders of an instance with these limits (INT64_MIN: none) and gives the paths of their
 * cgroup.procs. What can't be kept is said in ret_why, one sentence; "" when all is. */
void cgroups_make(const struct cgroups *g, const char *name, const int64_t limits[CGROUP_LIMITS],
		  char ret_paths[CGROUPS_EACH][CGROUPS_PATH], unsigned *ret_n, char *ret_why,
		  size_t size);

/* Removes the folders where nobody is left in them, and the set's with the last of them. */
void cgroups_remove(const struct cgroups *g, const char *name);

/* The folders there are, each name once or more. */
void cgroups_each(const struct cgroups *g, void (*fn)(void *arg, const char *name), void *arg);

/* Who is in it: up to max pids, 0 when there is no such group. */
unsigned cgroups_members(const struct cgroups *g, const char *name, int64_t *ret_pids,
			 unsigned max);

/* Ends all of it at once where the kernel can. */
void cgroups_kill(const struct cgroups *g, const char *name);

/* Processes of it that were killed for want of memory. */
uint64_t cgroups_oom_kills(const struct cgroups *g, const char *name);

#endif
