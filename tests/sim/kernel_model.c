/*
 * Processes as the simulator sees them, under lops-init's real slots: what a deployment's program
 * does follows from its name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/init/slots.h"
#include "actors/process-manager/manager.h"
#include "tests/sim/world.h"

enum { PROCESSES = TREE_SLOTS, SWEEPS = 4096 };

struct process {
	bool lives;
	char deployment[TREE_NAME_BYTES];
	uint64_t instance, ends_ns; /* UINT64_MAX: never by itself */
	int32_t pid;
	int status;
	bool ignores_term;
};

static struct tree_table *table;
static struct process processes[PROCESSES]; /* by slot */
static struct {
	char id[TREE_NAME_BYTES];
	int signo;
} sweeps[SWEEPS];
static uint32_t n_sweeps, n_living;
static int32_t next_pid = 100;
static uint64_t next_look_ns;
static bool cut_off; /* a start was left STARTING by a death */

struct tree_table *kernel_new(void)
{
	table = calloc(1, sizeof *table);
	if (!table)
		abort();
	table->magic = TREE_MAGIC;
	table->version = TREE_VERSION;
	snprintf(table->boot_id, sizeof table->boot_id, "boot");
	memset(processes, 0, sizeof processes);
	n_sweeps = n_living = 0;
	next_pid = 100;
	next_look_ns = 0;
	return table;
}

void kernel_free(void)
{
	free(table);
}

static const char *deployment_of(uint64_t streams_unused, const char *id)
{
	(void)streams_unused;
	return id;
}

static char names[PROCESSES][TREE_NAME_BYTES]; /* deployment of a slot */

/* The clone: the pid is in the table before the program runs. */
static void spawn(int slot)
{
	struct tree_slot *s = &table->slots[slot];
	struct process *p = &processes[slot];
	const char *id = deployment_of(s->streams, names[slot]);
	uint64_t other;

	if (strncmp(id, "missing", 7) == 0) {
		atomic_store(&s->pid, next_pid++);
		atomic_store(&s->stage_error, (uint32_t)TREE_STAGE_EXEC << 16 | ENOENT);
		slots_running(s);
		slots_record(s, TREE_HOW_WAIT, 127 << 8, world.now_ns, world.now_ns);
		return;
	}
	if (kernel_living(id, &other))
		violated("%s runs twice: instances %llu and %llu", id, (unsigned long long)other,
			 (unsigned long long)s->instance);
	*p = (struct process){
		.lives = true, .instance = s->instance, .ends_ns = UINT64_MAX, .pid = next_pid++};
	snprintf(p->deployment, sizeof p->deployment, "%s", id);
	if (strncmp(id, "short", 5) == 0) {
		p->ends_ns = world.now_ns + chance() % UINT64_C(5000000000);
		p->status = (int)(chance() % 3) << 8;
	}
	p->ignores_term = strncmp(id, "stubborn", 8) == 0;
	s->started_ns = world.now_ns;
	s->started_wall_ns = world.now_ns;
	atomic_store(&s->pid, p->pid);
	slots_running(s);
	world.spawned++;
	n_living++;
}

static void end(int slot, int status)
{
	struct process *p = &processes[slot];

	p->lives = false;
	n_living--;
	world.exits++;
	slots_record(&table->slots[slot], TREE_HOW_WAIT, status, world.now_ns, world.now_ns);
}

int kernel_living(const char *deployment, uint64_t *ret_instance)
{
	int n = 0;

	for (int i = 0; i < atomic_load(&table->high); i++)
		if (processes[i].lives && strcmp(processes[i].deployment, deployment) == 0) {
			*ret_instance = processes[i].instance;
			n++;
		}
	return n;
}

void kernel_each_living(void (*fn)(void *arg, const char *deployment, uint64_t instance), void *arg)
{
	for (int i = 0; i < atomic_load(&table->high); i++)
		if (processes[i].lives)
			fn(arg, processes[i].deployment, processes[i].instance);
}

uint64_t kernel_unconfirmed(void)
{
	uint64_t n = 0;

	for (int i = 0; i < atomic_load(&table->high); i++)
		n += tree_state_of(atomic_load(&table->slots[i].word)) == TREE_EXITED;
	return n;
}

/* --- what the process-manager asks for --- */

static bool is_up(struct actor *a)
{
	(void)a;
	return true;
}

static void start(struct actor *a, struct deployment *d)
{
	int slot = slots_find(table, d->instance);

	(void)a;
	if (slot >= 0)
		return; /* the same number: it is there already */
	slot = slots_new(table, d->instance, d->arena_at, d->streams);
	if (slot < 0)
		return;
	snprintf(names[slot], sizeof names[slot], "%s", d->id);
	slots_commit_start(&table->slots[slot]);
	if (!world.quiet && one_in(200)) { /* the worker dies here: the other member finishes it */
		world.crashes[CRASH_INIT]++;
		cut_off = true;
		return;
	}
	spawn(slot);
}

static int signal_it(struct actor *a, struct deployment *d, int signo, bool group)
{
	int slot = slots_find(table, d->instance);

	(void)a;
	(void)group;
	if (slot < 0 || !processes[slot].lives || processes[slot].instance != d->instance)
		return ESRCH;
	if (signo == 9)
		end(slot, 9);
	else if (signo == 15 && !processes[slot].ignores_term)
		processes[slot].ends_ns = world.now_ns + chance() % 2000000,
		processes[slot].status = 15;
	return 0;
}

static void confirm(struct actor *a, uint64_t instance)
{
	int slot = slots_find(table, instance);

	(void)a;
	if (slot >= 0 && tree_state_of(atomic_load(&table->slots[slot].word)) == TREE_EXITED)
		slots_free(table, slot);
}

static void release(struct actor *a, uint64_t streams)
{
	(void)a;
	(void)streams;
}

static uint64_t place_spec(struct actor *a, struct deployment *d, const char **ret_why,
			   int *ret_status)
{
	static uint64_t at = 64;

	(void)a;
	(void)d;
	(void)ret_why;
	*ret_status = 0;
	return at += 64;
}

static void free_spec(struct actor *a, uint64_t at)
{
	(void)a;
	(void)at;
}

static void sweep(struct actor *a, struct deployment *d, int signo)
{
	(void)a;
	d->sweep_wanted = true;
	if (n_sweeps < SWEEPS) {
		snprintf(sweeps[n_sweeps].id, sizeof sweeps[n_sweeps].id, "%s", d->id);
		sweeps[n_sweeps++].signo = signo;
	}
}

static bool port_is_occupied(struct actor *a, int port)
{
	(void)a;
	(void)port;
	return false;
}

static void port_holder(struct actor *a, int port, char *ret_text, size_t size)
{
	(void)a;
	(void)port;
	snprintf(ret_text, size, "nobody");
}

static void flush(struct actor *a)
{
	(void)a;
}

static bool lives(struct actor *a, struct deployment *d)
{
	(void)a;
	(void)d;
	return false;
}

const struct tree_os kernel_os = {
	.is_up = is_up,
	.start = start,
	.signal = signal_it,
	.confirm = confirm,
	.release = release,
	.place_spec = place_spec,
	.free_spec = free_spec,
	.sweep = sweep,
	.port_is_occupied = port_is_occupied,
	.port_holder = port_holder,
	.flush = flush,
	.lives = lives,
};

/* --- time passes --- */

void kernel_crash_init(void)
{
	world.crashes[CRASH_INIT]++;
	slots_settle_orders(table);
	for (int i = 0; i < atomic_load(&table->high); i++) {
		struct tree_slot *s = &table->slots[i];

		if (tree_state_of(atomic_load(&s->word)) == TREE_STARTING &&
		    atomic_load(&s->pid) == 0)
			spawn(i);
	}
	cut_off = false;
}

uint64_t kernel_next_ns(void)
{
	uint64_t next = next_look_ns;

	for (int i = 0; i < atomic_load(&table->high); i++)
		if (processes[i].lives && processes[i].ends_ns < next)
			next = processes[i].ends_ns;
	return next;
}

static void run_sweeps(struct actor *manager)
{
	uint32_t n = n_sweeps;

	n_sweeps = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct deployment *d = deployment_find(manager_of(manager), sweeps[i].id);

		if (d && d->sweep_wanted)
			life_swept(manager, d, NULL, 0);
	}
}

/* The pushes of lops-init; some are lost, and the look at the whole table makes up for them. */
static void tell(struct actor *manager, bool all)
{
	for (int i = 0; i < atomic_load(&table->high); i++) {
		struct tree_slot *s = &table->slots[i];
		enum tree_state state = tree_state_of(atomic_load(&s->word));
		struct deployment *d;

		if (state != TREE_EXITED && state != TREE_RUNNING)
			continue;
		if (!all && one_in(50))
			continue;
		d = deployment_of_instance(manager_of(manager), s->instance);
		if (!d)
			continue;
		if (state == TREE_RUNNING && d->status == PROCESS_STARTING && !d->start_number)
			life_started(manager, d, atomic_load(&s->pid), 1);
		else if (state == TREE_RUNNING && d->status == PROCESS_STOPPING &&
			 d->pid == MSG_NONE && d->exit_instance != d->instance) {
			d->pid =
				atomic_load(&s->pid); /* the stop came while it was being started */
			signal_it(manager, d, 9, true);
		}
		if (tree_state_of(atomic_load(&s->word)) == TREE_EXITED)
			life_exited(manager, d, s);
	}
}

void kernel_step(struct actor *manager)
{
	bool look = world.now_ns >= next_look_ns;

	for (int i = 0; i < atomic_load(&table->high); i++)
		if (processes[i].lives && processes[i].ends_ns <= world.now_ns)
			end(i, processes[i].status);
	if (cut_off)
		kernel_crash_init();
	if (look)
		next_look_ns = world.now_ns + UINT64_C(200000000);
	if (!manager || !manager_of(manager)->resumed)
		return;
	tell(manager, look);
	run_sweeps(manager);
}
