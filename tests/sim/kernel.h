/*
 * The modelled kernel: processes with parents, sessions and statuses, descriptors, and the calls
 * through which lops-init and the process-manager see them (linked with --wrap). Its pids and
 * descriptors are beyond any real one's, so that a call for one of them is told from any other.
 */
#ifndef LOPS_SIM_KERNEL_H
#define LOPS_SIM_KERNEL_H

#include "lib/actor/actor.h"
#include "msgs/tree.h"
#include "tests/sim/world.h"

enum { SIM_PID = 100000000, SIM_FD = 100000000 };

struct proc {
	int32_t pid, parent, session;
	enum { PROC_LIVES, PROC_ZOMBIE, PROC_GONE } state;
	int status;     /* as of waitpid */
	enum part part; /* PARTS: a program's */
	bool is_main;   /* of an instance */
	uint64_t instance, start_ticks;
	char id[TREE_NAME_BYTES];
	uint64_t ends_ns, ready_ns; /* by itself; READY=1 */
	int ends_status;
	bool ignores_term, is_slow;
	uint64_t stuck_until_ns; /* in the kernel: a KILL waits */
	bool kill_waits;
	int port;
};

void kernel_begin(void);
void kernel_end(void);
int32_t kernel_new_pid(void);
struct proc *kernel_proc(int32_t pid); /* NULL: no such process, or gone */
struct proc *kernel_any(int32_t pid);  /* also one that is gone */
struct proc *kernel_new(enum part part, int32_t parent);
void kernel_finish(struct proc *p, int status); /* it ends now */
void kernel_signal(struct proc *p, int signo);
int kernel_signal_group(int32_t session, int signo); /* how many there are */
void kernel_orphan(int32_t parent, int32_t heir);    /* its children get another parent */
struct proc *kernel_zombie_of(int32_t parent);
void kernel_reap(struct proc *p);
void kernel_each(void (*fn)(void *arg, struct proc *p), void *arg); /* that live */
void kernel_power_cut(void);
uint64_t kernel_next_ns(void);
void kernel_run(void);
const char *kernel_boot_id(void);
bool kernel_tells_status(void); /* PIDFD_GET_INFO gives it */
bool kernel_port_is_taken(int port);

/* --- programs.c: what a deployment's program does follows from its name --- */
extern const char *const program_kinds[];
int program_kinds_count(void);
int program_exec(struct proc *p);      /* 0, or an errno of exec; it is a program from here on */
void program_notified(struct proc *p); /* its READY=1 was received */
bool program_waits_ready(const char *id);

/* --- descriptors.c --- */
enum fd_kind {
	FD_FREE,
	FD_OTHER, /* epoll, lock, notify, ... */
	FD_CONNECTION,
	FD_PIDFD,
	FD_PIPE,
	FD_SIGNALS,
	FD_BELL,
	FD_LISTEN,
	FD_NOTIFY,
	FD_TEXT, /* a file of /proc */
};
struct fd {
	enum fd_kind kind;
	bool of_pair, watched; /* by the worker's epoll */
	uint64_t tag;
	int32_t pid;
	int wire; /* of a connection */
	uint32_t text, place;
};
void fds_begin(void);
void fds_end(void);
int fd_new(enum fd_kind kind, bool of_pair);
struct fd *fd_of(int fd); /* NULL: not one of ours, or closed */
void fd_close(int fd);
void fds_each(void (*fn)(int fd, struct fd *f));
bool fd_is_ready(int fd);

/* --- wire.c: the SEQPACKET connections to lops-init --- */
void wire_begin(void);
void wire_end(void);
bool wire_is_ready(int fd);
bool wire_has_pending(void);
int wire_accept(void);
uint64_t wire_next_ns(void);
uint64_t wire_next_for_pair_ns(void);
void wire_closed(int fd);
void wire_open(bool listening); /* whether lops-init's socket is there at all */
int32_t wire_peer_pid(int fd);
/* What the process-manager waits for: a port of its own, and the notify socket. */
int wire_port_add(int fd, actor_port_fn *fn, void *arg);
void wire_port_remove(int fd);
void wire_ports_forget(void);
bool wire_ports_run(struct actor *manager);
void wire_notify(int32_t pid, const char *text);

/* --- pair.c: the two members --- */
void pair_boot(bool fresh); /* a new set, with a table of its own or over the old one */
void pair_end(void);
void pair_close(void); /* at the end of a run */
void pair_die(bool guardian, bool worker);
bool pair_lives(void);
void pair_step(void); /* one step of the member that acts; does not return when it dies there */
bool pair_acts(void); /* a member is what runs */
int32_t pair_pid(void);
bool pair_guardian_lives(void);
int32_t pair_guardian_pid(void);
int32_t pair_worker_pid(void);
void pair_child_died(int32_t parent);
bool pair_signals_wait(void);
void pair_signals_taken(void);
bool pair_bell_rings(void);
void pair_bell_taken(void);
void pair_rescue(void); /* asked for by the process-manager */
uint64_t pair_next_ns(void);
void pair_run(void);
struct tree_table *pair_table(void);
int pair_pidfd(int32_t pid); /* -1: no such process */
enum { PAIR_TICK_MS = 1000 };
void pair_table_open(bool fresh);

#endif
