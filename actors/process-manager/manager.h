/*
 * The inside of the process-manager: its state and what its files do for each other. Included by
 * them only.
 */
#ifndef LOPS_PROCESS_MANAGER_H
#define LOPS_PROCESS_MANAGER_H

#include "lib/actor/actor.h"
#include "lib/policy/process_rule.h"
#include "msgs/tree.h"

struct job;    /* a command being carried out */
struct reload; /* a reload command that runs */

/* How far a start is to have come before who asked for it is answered. */
enum job_patience {
	JOB_EXEC,  /* the program was executed */
	JOB_READY, /* it runs, by its ready rule */
	JOB_HELD,  /* and has not ended at once */
};

struct waiter { /* a job that waits for a deployment */
	struct waiter *next;
	struct job *job;
	enum job_patience patience;
	bool for_running; /* else for stopped */
	bool for_delete;
};

struct deployment {
	struct deployment *next; /* in its slot of the hash */
	char id[TREE_NAME_BYTES];
	enum process_status status;
	bool wants_run; /* intent */
	bool helper;    /* not a deployment but a command beside one */
	bool start_after_stop, killed, asked, is_create, deleted;
	uint64_t generation, running_generation;
	struct deployment_spec *spec; /* newest; free() */
	int64_t port;                 /* in force, MSG_NONE */
	uint64_t instance;
	int64_t pid, ppid;
	uint64_t start_ticks;
	char boot_id[40];
	double start_time, end_time;
	int64_t exit_code, signal;
	bool core_dumped;
	char *reason, *status_text; /* malloc, NULL: none */
	uint64_t restarts, handled_seq, command_seq;
	const char *command_verb; /* static text */
	int64_t *cut_off;         /* commands that waited for it when our last life ended */
	uint32_t n_cut_off;
	uint64_t streams;
	uint64_t arena_at;     /* offset of the running generation's spec, 0: none */
	uint64_t start_number; /* own number of process.starting, 0: not waiting for its
				  acknowledgement */
	bool start_sent;       /* lops-init was asked to start it, and has not answered */
	uint64_t exit_number;  /* own number of process.exited: confirmed when acknowledged */
	uint64_t exit_instance;
	double stop_timeout;      /* of the stop under way */
	struct actor_timer timer; /* start timeout or stop timeout */
	struct waiter *waiters;
	bool sweep_wanted;
	int sweep_rounds;
	bool in_cgroup; /* it has control groups of its own, or had */
	int64_t living; /* pid of one that lives without a tree: to be taken over, 0: none */
};

/* What the shell does; the simulator supplies a model. Answers come back through manager_*. */
struct tree_os {
	bool (*is_up)(struct actor *a);
	void (*start)(struct actor *a, struct deployment *d);
	void (*signal)(struct actor *a, struct deployment *d, int signo, bool group);
	void (*confirm)(struct actor *a, uint64_t instance);
	void (*release)(struct actor *a, uint64_t streams);
	/* Puts the spec where lops-init reads it: the offset, or 0 with a message. */
	uint64_t (*place_spec)(struct actor *a, struct deployment *d, const char **ret_why,
			       int *ret_status);
	void (*free_spec)(struct actor *a, uint64_t at);
	/* Looks for what is left of the deployment's tree; manager_swept() follows. */
	void (*sweep)(struct actor *a, struct deployment *d, int signo);
	bool (*port_is_occupied)(struct actor *a, int port);
	void (*port_holder)(struct actor *a, int port, char *ret_text, size_t size);
	void (*flush)(struct actor *a); /* batched starts go out */
	/* Limits of its whole tree that this machine does not keep, as a sentence; NULL: none. */
	const char *(*unkept_limits)(struct actor *a, struct deployment *d);
	/* Processes of the instance that were killed for want of memory. */
	uint64_t (*oom_kills)(struct actor *a, struct deployment *d);
	/* The instance has ended: what was made for it is given back, as far as it is empty. */
	void (*forget)(struct actor *a, struct deployment *d, uint64_t instance);
	/* The deployments are known: what the shell keeps for them is found again. */
	void (*take_stock)(struct actor *a);
	/* Whether d->living is the process, by its start ticks. */
	bool (*lives)(struct actor *a, struct deployment *d);
};

enum { HASH = 4096, JOBS_WAITING_MAX = 256 };

struct manager {
	struct deployment *by_id[HASH];
	uint32_t n;
	struct job *jobs;
	struct reload *reloads;
	const struct tree_os *os;
	bool loaded;            /* last values are; with the table: commands are taken up */
	bool resuming, resumed; /* what a crash of ours cut off is, was taken up again */
	uint32_t n_resuming;    /* commands of it that are still being looked up */
	uint64_t *taken_again;  /* those commands, in order */
	uint32_t n_taken_again;
	const struct tree_table *table;          /* of lops-init, NULL: not seen yet */
	struct deployment *starting[TREE_SLOTS]; /* wait for their acknowledgement */
	uint32_t n_starting;
	struct deployment *exiting[TREE_SLOTS]; /* wait for process.exited's acknowledgement */
	uint32_t n_exiting;
	char boot_id[40];
	void *shell; /* of the real host */
};

static inline struct manager *manager_of(struct actor *a)
{
	return actor_state(a);
}

/* --- deployments.c --- */
enum { REASON_BYTES = 160, STATUS_TEXT_BYTES = 120 };
/* A text of the deployment's becomes a copy of this one, cut at size; NULL or "": none. */
void deployment_text(char **at, const char *text, size_t size);
struct deployment *deployment_find(struct manager *m, const char *id);
struct deployment *deployment_of_instance(struct manager *m, uint64_t instance);
struct deployment *deployment_add(struct manager *m, const char *id);
void deployment_remove(struct actor *a, struct deployment *d);
void deployment_record(const struct deployment *d, struct process_record *ret_r); /* borrows */
void deployment_load(struct actor *a, const struct process_record *r);
void deployment_each(struct manager *m, void (*fn)(void *arg, struct deployment *d), void *arg);

/* --- lifecycle.c: one deployment through its statuses --- */
void life_start(struct actor *a, struct deployment *d);
void life_stop(struct actor *a, struct deployment *d, double timeout_s, bool force);
void life_delete(struct actor *a, struct deployment *d, const char *reason);
void life_send_start(struct actor *a, struct deployment *d);
void life_started(struct actor *a, struct deployment *d, int64_t pid, uint64_t start_ticks);
void life_ready(struct actor *a, struct deployment *d);
void life_awaits_ready(struct actor *a, struct deployment *d); /* within its start timeout */
void life_exited(struct actor *a, struct deployment *d, const struct tree_slot *s);
void life_exited_unknown(struct actor *a, struct deployment *d, const char *why);
void life_acked(struct actor *a, uint64_t number);
/* The instance's exit is published and not acknowledged yet. */
bool life_is_being_said(const struct manager *m, uint64_t instance);
void life_swept(struct actor *a, struct deployment *d, const int64_t *left, uint32_t n_left);
/* Returns its own number. */
uint64_t life_changed(struct actor *a, struct deployment *d, const char *field);
void life_say(struct actor *a, struct deployment *d, const struct msg_type *type); /* created */

/* --- commands.c --- */
void on_deployment_put(struct actor *a, const struct event *ev, const struct do_deployment_put *c);
void on_deployment_delete(struct actor *a, const struct event *ev,
			  const struct do_deployment_delete *c);
void on_process_start(struct actor *a, const struct event *ev, const struct do_process_start *c);
void on_process_stop(struct actor *a, const struct event *ev, const struct do_process_stop *c);
void on_process_restart(struct actor *a, const struct event *ev,
			const struct do_process_restart *c);
void on_process_reload(struct actor *a, const struct event *ev, const struct do_process_reload *c);
void on_process_signal(struct actor *a, const struct event *ev, const struct do_process_signal *c);

/* --- jobs.c: who waits for a deployment, and is answered --- */
/* The deployment reached a rest: whoever waits for it is answered. */
void jobs_settle(struct actor *a, struct deployment *d, int status, const char *message);
/* A start came so far: those whom that is enough for are answered. */
void jobs_reached(struct actor *a, struct deployment *d, enum job_patience reached);
/* It is started again at once: those who waited for its end are answered. */
void jobs_stopped(struct actor *a, struct deployment *d);
/* It is about to be forgotten: those who waited for that are answered. */
void jobs_deleted(struct actor *a, struct deployment *d);
void jobs_note(struct actor *a, struct deployment *d, const char *note);
/* The job waits for something of its own about the deployment, then is told what it came to. */
void jobs_expect(struct job *j);
void jobs_came_to(struct actor *a, struct job *j, const char *id, int status, const char *message);
/* The commands that wait for the deployment; how many. */
uint32_t jobs_waiting(const struct deployment *d, int64_t *ret_seqs, uint32_t max);
void jobs_done(struct manager *m);

/* --- resume.c --- */
/* Half-done commands of before a crash: looked up, taken up again, then adopt_resumed(). */
void resume_begin(struct actor *a);

/* --- reload.c --- */
/* number: own number of the record that says so, after whose acknowledgement it starts. */
void reload_begin(struct actor *a, struct deployment *d, struct job *j, uint64_t number);
void reloads_acked(struct actor *a, uint64_t number);
/* An instance that is no deployment's has ended: true when it was a reload command. */
bool reload_exited(struct actor *a, const struct tree_slot *s);
/* A helper that runs: one of an earlier life of ours, whose outcome nobody waits for, is ended. */
void reload_found(struct actor *a, const struct tree_slot *s);
void reloads_done(struct manager *m);

/* --- adopt.c --- */
#define ENDED_UNWATCHED "ended while nobody watched, with an unknown status"
void adopt_all(struct actor *a); /* again after each reconnect to lops-init */
void adopt_resumed(struct actor *a);
/* What was found of a start that no table knows: nothing, and it is made; or it was. */
void adopt_swept(struct actor *a, struct deployment *d, const int64_t *found, uint32_t n);

/* --- specs.c --- */
struct spec_block {
	uint8_t *data; /* malloc */
	uint32_t length;
};
/* Resolves and lays out. 0, or an exit status with a message. */
struct spec_place { /* where it is to run */
	const char *run_dir;
	const char *cgroups[TREE_CGROUPS_MAX];
	uint32_t n_cgroups;
};
int spec_build(const struct deployment *d, const struct spec_place *place,
	       struct spec_block *ret_block, char *ret_why, size_t size);

/* The real shell. */
int tree_port_open(struct actor *a);
extern const struct tree_os tree_port_os;
/* Names the start error of a stage for people. */
void spec_explain(const struct deployment *d, uint32_t stage, int error, char *ret_text,
		  size_t size);

#endif
