/*
 * The calls of both members, by --wrap: waiting for children, signals, descriptors of processes,
 * clone.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include "actors/init/pair.h"
#include "tests/sim/kernel.h"
#include "tests/sim/oracle.h"
#include "tests/sim/wrap.h"

int pair_pidfd(int32_t pid)
{
	int fd;

	if (!kernel_proc(pid))
		return -1;
	fd = fd_new(FD_PIDFD, true);
	fd_of(fd)->pid = pid;
	return fd;
}

int __wrap_waitid(idtype_t type, id_t id, siginfo_t *ret_si, int options)
{
	struct proc *p = type == P_ALL ? kernel_zombie_of(pair_pid()) : kernel_proc((int32_t)id);

	pair_step();
	memset(ret_si, 0, sizeof *ret_si);
	if (!p || p->state != PROC_ZOMBIE)
		return 0;
	ret_si->si_pid = p->pid;
	ret_si->si_code = p->status & 0x80   ? CLD_DUMPED
			  : p->status & 0x7f ? CLD_KILLED
					     : CLD_EXITED;
	ret_si->si_status = p->status & 0x7f ? p->status & 0x7f : p->status >> 8;
	if (!(options & WNOWAIT))
		kernel_reap(p);
	return 0;
}

/* PIDFD_GET_INFO, whose layout reap.c has: mask at 0, exit code at 60. */
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct fd *f = fd_of(fd);
	struct proc *p = f ? kernel_any(f->pid) : NULL;
	uint64_t mask = 0;
	uint8_t *info;
	va_list args;

	(void)request;
	pair_step();
	va_start(args, request);
	info = va_arg(args, uint8_t *);
	va_end(args);
	if (!p) {
		errno = EBADF;
		return -1;
	}
	if (p->state == PROC_GONE) {
		mask = 8;
		memcpy(info + 60, &p->status, sizeof p->status);
	}
	memcpy(info, &mask, sizeof mask);
	return 0;
}

int __wrap_kill(pid_t pid, int signo)
{
	struct proc *p = kernel_proc(pid < 0 ? -pid : pid);

	pair_step();
	if (pid > -SIM_PID && pid < SIM_PID)
		return __real_kill(pid, signo);
	if (pid < 0 ? kernel_signal_group(-pid, signo) > 0 : p != NULL) {
		if (pid > 0)
			kernel_signal(p, signo);
		return 0;
	}
	errno = ESRCH;
	return -1;
}

static long open_pidfd(int32_t pid)
{
	int fd;

	if (!kernel_proc(pid)) {
		errno = ESRCH;
		return -1;
	}
	fd = pair_pidfd(pid);
	fd_of(fd)->of_pair = pair_acts();
	return fd;
}

static long signal_pidfd(int fd, int signo)
{
	struct fd *f = fd_of(fd);
	struct proc *p = f ? kernel_proc(f->pid) : NULL;

	if (!p) {
		errno = f ? ESRCH : EBADF;
		return -1;
	}
	kernel_signal(p, signo);
	return 0;
}

long __wrap_syscall(long number, ...)
{
	long a[5];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number != SYS_pidfd_open && number != SYS_pidfd_send_signal)
		return __real_syscall(number, a[0], a[1], a[2], a[3], a[4]);
	pair_step();
	if (number == SYS_pidfd_open)
		return open_pidfd((int32_t)a[0]);
	return signal_pidfd((int)a[0], (int)a[1]);
}

int __wrap_prctl(int option, ...)
{
	(void)option;
	return 0;
}

int __wrap_usleep(unsigned us)
{
	(void)us;
	return 0;
}

/* --- clone --- */

static int actor_of(const int32_t *pid_at)
{
	for (int i = 0; i < PARTS_OF_INIT; i++)
		if ((uintptr_t)&pair.table->actors[i].slot.pid == (uintptr_t)pid_at)
			return i;
	return -1;
}

static void exec_program(struct proc *p, int32_t *pid_at)
{
	struct tree_slot *s = (void *)((char *)pid_at - offsetof(struct tree_slot, pid));
	const struct tree_spec *spec = (const void *)(pair.arena + s->spec);
	int err;

	p->instance = s->instance;
	snprintf(p->id, sizeof p->id, "%s", spec->deployment);
	oracle_spawns(p);
	err = program_exec(p);
	if (!err)
		return;
	atomic_store(&s->stage_error, (uint32_t)TREE_STAGE_EXEC << 16 | (uint32_t)err);
	oracle_never(s->instance);
	kernel_finish(p, 127 << 8);
}

int __wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	va_list args;
	int32_t *pid_at;
	struct proc *p;
	int i;

	(void)fn;
	(void)stack;
	(void)flags;
	va_start(args, arg);
	pid_at = va_arg(args, int32_t *);
	va_end(args);
	pair_step();
	i = actor_of(pid_at);
	if (!world.quiet && i < 0 && one_in(300)) {
		world.faults[FAULT_NO_FORK]++;
		errno = EAGAIN;
		return -1;
	}
	p = kernel_new(i < 0 ? PARTS : (enum part)i, pair_pid());
	*pid_at = p->pid;
	if (i >= 0)
		part_born((enum part)i, p->pid, 2 * SIM_MS + chance(30 * SIM_MS));
	else
		exec_program(p, pid_at);
	pair_step(); /* the kernel has recorded it, and nobody else has */
	return p->pid;
}

/* Of the process-manager, when both members are dead. */
pid_t __wrap_fork(void)
{
	if (!part_step(PART_MANAGER))
		pair_rescue();
	return SIM_PID - 1;
}

pid_t __wrap_waitpid(pid_t pid, int *ret_status, int options)
{
	(void)options;
	if (ret_status)
		*ret_status = 0;
	return pid;
}
