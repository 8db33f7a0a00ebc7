/*
 * When faults have ceased: what everybody believes, what was asked for and what lives are the same.
 */
#include <stdio.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"
#include "actors/process-manager/manager.h"
#include "lib/actor/core.h"
#include "msgs/codec.h"
#include "tests/sim/clients.h"
#include "tests/sim/journal_model.h"
#include "tests/sim/observer.h"
#include "tests/sim/oracle.h"

static struct manager *manager(void)
{
	return manager_of(part_actor(PART_MANAGER));
}

/* --- is it reached? --- */

struct restless {
	const struct deployment *d;
};

static void note_restless(void *arg, struct deployment *d)
{
	if ((process_is_alive(d->status) && d->status != PROCESS_RUNNING) || d->waiters ||
	    d->sweep_wanted)
		((struct restless *)arg)->d = d;
}

static bool parts_rest(void)
{
	for (int p = PART_BROKER; p <= PART_OBSERVER; p++)
		if (!part_is_ready((enum part)p) || part_hangs((enum part)p))
			return false;
	for (int p = PART_MANAGER; p <= PART_OBSERVER; p++) {
		const struct actor *a = part_actor((enum part)p);

		if (!a || !actor_bus_is_up(a) || a->bus.outbox_events)
			return false;
	}
	return pair_lives();
}

static bool slots_rest(void)
{
	const struct tree_table *t = pair_table();

	for (int i = 0; i < atomic_load(&t->high); i++) {
		enum tree_state s = tree_state_of(atomic_load(&t->slots[i].word));

		if (s != TREE_FREE && s != TREE_RUNNING)
			return false;
	}
	return true;
}

static void check_slots(void)
{
	const struct tree_table *t = pair_table();

	for (int i = 0; i < atomic_load(&t->high); i++) {
		enum tree_state s = tree_state_of(atomic_load(&t->slots[i].word));

		if (s != TREE_FREE && s != TREE_RUNNING)
			violated("I6 exit", "slot %d, instance %llu, stays in state %d", i,
				 (unsigned long long)t->slots[i].instance, (int)s);
	}
}

bool rest_is_reached(void)
{
	struct restless restless = {0};

	if (!parts_rest() || !slots_rest() || !clients_rest() || !manager()->resumed ||
	    manager()->n_starting || manager()->n_exiting || manager()->jobs)
		return false;
	deployment_each(manager(), note_restless, &restless);
	return !restless.d && observer_seen() == journal_model_committed();
}

/* --- is it right? --- */

struct census {
	const char *id;
	int mains, all;
	uint64_t instance;
};

static void count(void *arg, struct proc *p)
{
	struct census *c = arg;

	if (!p->instance || strcmp(p->id, c->id) != 0)
		return;
	c->all++;
	if (p->is_main) {
		c->mains++;
		c->instance = p->instance;
	}
}

static void check_view(const struct deployment *d)
{
	const struct view_row *row = view_find(coordinator_of(part_actor(PART_COORDINATOR)), d->id);

	if (!row || row->status != d->status)
		violated("I9 rest", "%s is %s, and %s for the coordinator", d->id,
			 process_status_name(d->status),
			 row ? process_status_name(row->status) : "unknown");
}

static void check_last(const struct deployment *d)
{
	const uint8_t *rec;
	uint32_t len;
	char key[100];
	uint64_t seq;

	snprintf(key, sizeof key, "process/%s", d->id);
	seq = journal_model_last(key, &rec, &len);
	if (!seq || seq != oracle_newest_of_key(key))
		violated("I12 journal", "the last value of %s is of %llu, its newest event is %llu",
			 key, (unsigned long long)seq,
			 (unsigned long long)oracle_newest_of_key(key));
}

static void check_deployment(void *arg, struct deployment *d)
{
	struct census c = {.id = d->id};
	bool is_up = process_is_alive(d->status);

	(void)arg;
	kernel_each(count, &c);
	if (is_up && d->status != PROCESS_RUNNING)
		violated("I9 rest", "%s does not come to rest: %s", d->id,
			 process_status_name(d->status));
	else if (is_up && (c.mains != 1 || c.instance != d->instance))
		violated("I1 lost", "%s is said to run as %llu, and %d of it live (%llu)", d->id,
			 (unsigned long long)d->instance, c.mains, (unsigned long long)c.instance);
	else if (!is_up && c.mains)
		violated("I1 lost", "%s is said to be %s, and it lives", d->id,
			 process_status_name(d->status));
	else if (is_up != d->wants_run &&
		 (is_up || (d->status == PROCESS_STOPPED && !oracle_has_leftover(d->id))))
		violated("I9 rest", "%s is %s, and is to %s", d->id, process_status_name(d->status),
			 d->wants_run ? "run" : "be stopped");
	check_view(d);
	check_last(d);
}

static void check_known(void *arg, struct proc *p)
{
	struct deployment *d = p->is_main ? deployment_find(manager(), p->id) : NULL;

	(void)arg;
	if (p->is_main && (!d || d->instance != p->instance))
		violated("I1 lost", "instance %llu of %s lives, and nobody knows it",
			 (unsigned long long)p->instance, p->id);
}

/* --- descriptors of lops-init --- */

static int n_pidfds, n_pipes;

static void count_fd(int fd, struct fd *f)
{
	(void)fd;
	n_pidfds += f->of_pair && f->kind == FD_PIDFD;
	n_pipes += f->of_pair && f->kind == FD_PIPE;
}

static void check_descriptors(void)
{
	const struct tree_table *t = pair_table();
	int pidfds = 0, pipes = 0;

	n_pidfds = n_pipes = 0;
	fds_each(count_fd);
	for (int i = 0; i < atomic_load(&t->high); i++)
		pidfds += tree_state_of(atomic_load(&t->slots[i].word)) != TREE_FREE &&
			  t->slots[i].pidfd >= 0;
	for (int i = 0; i < atomic_load(&t->n_actors); i++)
		pidfds += t->actors[i].slot.pidfd >= 0;
	for (int i = 0; i < atomic_load(&t->streams_high); i++)
		for (int k = 0; k < 4 && t->streams[i].key; k++)
			pipes += t->streams[i].fds[k] >= 0;
	if (n_pidfds != pidfds || n_pipes != pipes)
		violated("I14 descriptors", "%d pidfds and %d pipes are open, %d and %d owned",
			 n_pidfds, n_pipes, pidfds, pipes);
}

static void check_streams(void)
{
	const struct tree_table *t = pair_table();
	uint32_t n = 0;

	for (int i = 0; i < atomic_load(&t->streams_high); i++)
		n += t->streams[i].key != 0;
	if (n > manager()->n)
		violated("I14 descriptors", "%u pairs of pipes are kept for %u deployments", n,
			 manager()->n);
}

void rest_check(void)
{
	struct restless restless = {0};

	if (!rest_is_reached()) {
		clients_check();
		if (part_actor(PART_MANAGER))
			deployment_each(manager(), note_restless, &restless);
		if (restless.d)
			violated("I9 rest", "%s (%llu) is %s, %s for it, %s", restless.d->id,
				 (unsigned long long)restless.d->instance,
				 process_status_name(restless.d->status),
				 restless.d->waiters ? "commands wait" : "nobody waits",
				 restless.d->sweep_wanted ? "it is being swept"
							  : "it is not swept");
		check_slots();
		violated("I9 rest",
			 "it is not reached: parts %d, slots %d, clients %d, resumed %d, "
			 "%u starting, %u exiting, jobs %d, seen %llu of %llu",
			 parts_rest(), slots_rest(), clients_rest(),
			 part_actor(PART_MANAGER) ? manager()->resumed : -1,
			 part_actor(PART_MANAGER) ? manager()->n_starting : 0,
			 part_actor(PART_MANAGER) ? manager()->n_exiting : 0,
			 part_actor(PART_MANAGER) ? manager()->jobs != NULL : 0,
			 (unsigned long long)observer_seen(),
			 (unsigned long long)journal_model_committed());
		return;
	}
	deployment_each(manager(), check_deployment, NULL);
	kernel_each(check_known, NULL);
	oracle_check_lives();
	oracle_check_commands();
	clients_check();
	check_descriptors();
	check_streams();
	trace("rest");
}
