/*
 * Processes; see the header. A process that ends is a zombie until its parent reaps it; pid 1 reaps
 * at once.
 */
#include "tests/sim/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/oracle.h"

static struct proc **procs; /* by pid - SIM_PID; for ever */
static uint32_t n_procs, cap_procs;
static uint32_t *active; /* those that are not gone */
static uint32_t n_active, cap_active;

void kernel_begin(void)
{
	n_procs = n_active = 0;
}

void kernel_end(void)
{
	for (uint32_t i = 0; i < n_procs; i++)
		free(procs[i]);
	free(procs);
	free(active);
	procs = NULL;
	active = NULL;
	n_procs = n_active = cap_procs = cap_active = 0;
}

const char *kernel_boot_id(void)
{
	static char text[40];

	snprintf(text, sizeof text, "00000000-0000-0000-0000-%012llu",
		 (unsigned long long)world.boots);
	return text;
}

bool kernel_tells_status(void)
{
	return world.seed % 2;
}

struct proc *kernel_any(int32_t pid)
{
	return pid >= SIM_PID && (uint32_t)(pid - SIM_PID) < n_procs ? procs[pid - SIM_PID] : NULL;
}

struct proc *kernel_proc(int32_t pid)
{
	struct proc *p = kernel_any(pid);

	return p && p->state != PROC_GONE ? p : NULL;
}

struct proc *kernel_new(enum part part, int32_t parent)
{
	struct proc *p = calloc(1, sizeof *p);

	if (n_procs == cap_procs) {
		cap_procs = cap_procs ? 2 * cap_procs : 1024;
		procs = realloc(procs, cap_procs * sizeof(struct proc *));
	}
	if (n_active == cap_active) {
		cap_active = cap_active ? 2 * cap_active : 256;
		active = realloc(active, cap_active * sizeof *active);
	}
	if (!p || !procs || !active)
		abort();
	*p = (struct proc){.pid = SIM_PID + (int32_t)n_procs,
			   .parent = parent,
			   .session = SIM_PID + (int32_t)n_procs,
			   .part = part,
			   .start_ticks = world.now_ns / (10 * SIM_MS),
			   .ends_ns = SIM_NEVER,
			   .ready_ns = SIM_NEVER};
	active[n_active++] = n_procs;
	procs[n_procs++] = p;
	return p;
}

int32_t kernel_new_pid(void)
{
	return kernel_new(PARTS, 1)->pid;
}

void kernel_each(void (*fn)(void *arg, struct proc *p), void *arg)
{
	for (uint32_t i = 0; i < n_active; i++)
		if (procs[active[i]]->state == PROC_LIVES)
			fn(arg, procs[active[i]]);
}

/* --- ends --- */

void kernel_reap(struct proc *p)
{
	p->state = PROC_GONE;
	for (uint32_t i = 0; i < n_active; i++)
		if (active[i] == (uint32_t)(p->pid - SIM_PID)) {
			active[i] = active[--n_active];
			break;
		}
}

/* pid 1 reaps at once. */
static void falls_to_init(struct proc *p)
{
	p->parent = 1;
	if (p->state != PROC_ZOMBIE)
		return;
	if (p->is_main && !kernel_tells_status())
		oracle_unwatched(p);
	kernel_reap(p);
}

void kernel_orphan(int32_t parent, int32_t heir)
{
	for (uint32_t i = n_active; i-- > 0;) {
		struct proc *p = procs[active[i]];

		if (p->parent != parent)
			continue;
		p->parent = heir;
		if (heir == 1)
			falls_to_init(p);
		else if (p->state == PROC_ZOMBIE)
			pair_child_died(heir);
	}
}

static bool is_member(int32_t pid)
{
	return pid == pair_worker_pid() || pid == pair_guardian_pid();
}

void kernel_finish(struct proc *p, int status)
{
	struct proc *parent;

	if (p->state != PROC_LIVES)
		return;
	p->state = PROC_ZOMBIE;
	p->status = status;
	p->ends_ns = p->ready_ns = SIM_NEVER;
	trace("%s%s %d of %llu ends with %x", p->id, p->is_main ? "" : " (child)", (int)p->pid,
	      (unsigned long long)p->instance, (unsigned)status);
	if (p->is_main)
		oracle_ended(p);
	if (p->part != PARTS)
		part_killed(p->part);
	parent = kernel_proc(p->parent);
	/* Children of a program fall to the nearest member of the pair. */
	kernel_orphan(p->pid, is_member(p->parent) ? p->parent : parent ? parent->parent : 1);
	if (p->parent == 1 || !(is_member(p->parent) || parent))
		falls_to_init(p);
	else if (is_member(p->parent))
		pair_child_died(p->parent);
	else
		kernel_reap(p); /* a program reaps its own */
}

struct proc *kernel_zombie_of(int32_t parent)
{
	for (uint32_t i = 0; i < n_active; i++)
		if (procs[active[i]]->state == PROC_ZOMBIE && procs[active[i]]->parent == parent)
			return procs[active[i]];
	return NULL;
}

/* --- signals --- */

static void take_term(struct proc *p)
{
	if (p->ignores_term || p->part != PARTS)
		return;
	p->ends_ns = world.now_ns + (p->is_slow ? chance(3 * SIM_SECOND) : chance(2 * SIM_MS));
	p->ends_status = p->is_slow ? 0 : 15;
}

void kernel_signal(struct proc *p, int signo)
{
	if (p->state != PROC_LIVES || signo == 0)
		return;
	trace("signal %d to %s %d", signo, p->part != PARTS ? part_name(p->part) : p->id,
	      (int)p->pid);
	if (signo == 9 && p->stuck_until_ns > world.now_ns) {
		p->kill_waits = true;
		p->ends_ns = p->stuck_until_ns;
		p->ends_status = 9;
	} else if (signo == 9) {
		kernel_finish(p, 9);
	} else if (signo == 15 && !p->kill_waits) {
		take_term(p);
	} else if (signo == 18 && p->part != PARTS) {
		part_hang(p->part, false);
	} else if (signo == 10 && p->is_main) {
		world.signals++;
		oracle_signalled(p);
	}
}

int kernel_signal_group(int32_t session, int signo)
{
	int n = 0;

	for (uint32_t i = n_active; i-- > 0;) {
		struct proc *p = procs[active[i]];

		if (p->session != session)
			continue;
		n++;
		kernel_signal(p, signo);
		if (i > n_active)
			i = n_active;
	}
	return n;
}

bool kernel_port_is_taken(int port)
{
	for (uint32_t i = 0; i < n_active; i++)
		if (procs[active[i]]->state == PROC_LIVES && procs[active[i]]->port == port)
			return true;
	return false;
}

void kernel_power_cut(void)
{
	while (n_active) {
		struct proc *p = procs[active[0]];

		if (p->is_main && p->state == PROC_LIVES)
			oracle_lost(p);
		kernel_reap(p);
	}
}

/* --- time --- */

uint64_t kernel_next_ns(void)
{
	uint64_t next = SIM_NEVER;

	for (uint32_t i = 0; i < n_active; i++) {
		struct proc *p = procs[active[i]];

		if (p->state != PROC_LIVES)
			continue;
		next = p->ends_ns < next ? p->ends_ns : next;
		next = p->ready_ns < next ? p->ready_ns : next;
	}
	return next;
}

void kernel_run(void)
{
	for (uint32_t i = 0; i < n_active; i++) {
		struct proc *p = procs[active[i]];

		if (p->state != PROC_LIVES)
			continue;
		if (p->ends_ns <= world.now_ns) {
			kernel_finish(p, p->ends_status);
			return;
		}
		if (p->ready_ns <= world.now_ns) {
			p->ready_ns = SIM_NEVER;
			wire_notify(p->pid, "READY=1");
			return;
		}
	}
}
