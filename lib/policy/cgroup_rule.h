/*
 * Which control groups there are, from what the kernel says of itself, and what a limit is called
 * and worth in them. Pure: the texts are handed in.
 *
 * Sources: cgroups(7); the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
 */
#ifndef LOPS_POLICY_CGROUP_RULE_H
#define LOPS_POLICY_CGROUP_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_PATH  512
#define CGROUP_NAME  96 /* of a deployment's group: its id, its instance */
#define CGROUP_VALUE 48

enum cgroup_limit { CGROUP_MEMORY, CGROUP_CPU, CGROUP_PIDS, CGROUP_LIMITS };

struct cgroup_place {
	int version;           /* 1, 2; 0: there is none */
	char own[CGROUP_PATH]; /* folder of our own group */
	char top[CGROUP_PATH]; /* folder of the hierarchy's visible top */
};

struct cgroup_places {
	struct cgroup_place v1[CGROUP_LIMITS]; /* the hierarchy that has the controller */
	struct cgroup_place v2;                /* controllers: as its files say; cgroup.kill */
};

/* Texts of /proc/self/mountinfo and /proc/self/cgroup. */
void cgroup_places(const char *mountinfo, const char *self, struct cgroup_places *ret_p);

/* The key of the configuration, and the controller. Static text. */
const char *cgroup_limit_key(enum cgroup_limit l);
const char *cgroup_controller(enum cgroup_limit l);

/* The file that keeps a limit, and what is written there for a value of its key (MiB, per cent of a
 * core, processes). */
const char *cgroup_limit_file(enum cgroup_limit l, int version);
void cgroup_limit_value(enum cgroup_limit l, int version, int64_t value,
			char ret_text[CGROUP_VALUE]);

/* A list of words, as cgroup.controllers is, has this one. */
bool cgroup_list_has(const char *list, const char *word);

/* The folder of one instance of a deployment, and the instance of such a folder; 0: it is none. */
void cgroup_name(const char *id, uint64_t instance, char ret_name[CGROUP_NAME]);
uint64_t cgroup_name_instance(const char *name);

/* How many processes were killed for want of memory: of memory.events, or of memory.oom_control. */
uint64_t cgroup_oom_kills(const char *text);

#endif
