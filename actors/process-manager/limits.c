/*
 * Limits of a deployment's whole tree (memory, CPU, processes): the control groups of the instances
 * that ask for one, made before the start and removed when nobody is left in them. A limit that the
 * machine does not keep is said. Which processes are in them is known to the kernel alone, so
 * nothing of this is written down: after a crash of ours the folders tell.
 */
#include <stdio.h>
#include <string.h>
#include "actors/process-manager/shell.h"

static bool limits_of(const struct deployment *d, int64_t ret_limits[CGROUP_LIMITS])
{
	const struct limits_record *l = d->spec ? &d->spec->limits : NULL;

	if (!l)
		return false;
	ret_limits[CGROUP_MEMORY] = l->memory_max_mb;
	ret_limits[CGROUP_CPU] = l->cpu_percent;
	ret_limits[CGROUP_PIDS] = l->pids_max;
	return l->memory_max_mb != MSG_NONE || l->cpu_percent != MSG_NONE ||
	       l->pids_max != MSG_NONE;
}

/* False: the instance has no group. */
static bool group_of(const struct deployment *d, uint64_t instance, char ret_name[CGROUP_NAME])
{
	if (d->in_cgroup)
		cgroup_name(d->id, instance, ret_name);
	return d->in_cgroup;
}

void limits_prepare(struct actor *a, struct deployment *d, struct spec_place *place)
{
	static char paths[CGROUPS_EACH][CGROUPS_PATH];
	struct shell *s = shell_of(a);
	int64_t limits[CGROUP_LIMITS];
	char name[CGROUP_NAME];
	unsigned n = 0;

	s->unkept[0] = 0;
	if (!limits_of(d, limits))
		return;
	cgroup_name(d->id, d->instance, name);
	cgroups_make(&s->cgroups, name, limits, paths, &n, s->unkept, sizeof s->unkept);
	d->in_cgroup = n > 0;
	for (unsigned i = 0; i < n; i++)
		place->cgroups[i] = paths[i];
	place->n_cgroups = n;
}

const char *limits_unkept(struct actor *a, struct deployment *d)
{
	int64_t limits[CGROUP_LIMITS];

	return limits_of(d, limits) && shell_of(a)->unkept[0] ? shell_of(a)->unkept : NULL;
}

uint64_t limits_oom_kills(struct actor *a, struct deployment *d)
{
	char name[CGROUP_NAME];

	return group_of(d, d->instance, name) ? cgroups_oom_kills(&shell_of(a)->cgroups, name) : 0;
}

void limits_forget(struct actor *a, struct deployment *d, uint64_t instance)
{
	char name[CGROUP_NAME];

	if (group_of(d, instance, name))
		cgroups_remove(&shell_of(a)->cgroups, name);
}

void limits_kill(struct shell *s, const struct deployment *d)
{
	char name[CGROUP_NAME];

	if (group_of(d, d->instance, name))
		cgroups_kill(&s->cgroups, name);
}

uint32_t limits_members(const struct shell *s, const struct deployment *d, int64_t *ret_pids,
			uint32_t max)
{
	char name[CGROUP_NAME];

	return group_of(d, d->instance, name) ? cgroups_members(&s->cgroups, name, ret_pids, max)
					      : 0;
}

/* One of an earlier life of ours: its deployment's still, or removed if it is empty. */
static void find(void *arg, const char *name)
{
	struct actor *a = arg;
	struct deployment *d = deployment_of_instance(manager_of(a), cgroup_name_instance(name));

	if (d)
		d->in_cgroup = true;
	else
		cgroups_remove(&shell_of(a)->cgroups, name);
}

void limits_open(struct actor *a)
{
	struct shell *s = shell_of(a);

	if (!s->cgroups.set[0])
		cgroups_look(&s->cgroups, actor_run_dir(a));
	cgroups_each(&s->cgroups, find, a);
}
