/*
 * What lops-init shares: the table of processes in a memfd, the arena of specs, and the protocol of
 * its socket. Plain memory and fixed-size messages; nothing here is msgpack, nothing is decided
 * here.
 *
 * The table is mapped by both members of the pair and, read only, by the process-manager. A slot's
 * state, the way its status was learnt and the status are one word, changed by compare-and-swap
 * only.
 */
#ifndef LOPS_MSGS_TREE_H
#define LOPS_MSGS_TREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TREE_MAGIC       0x6c6f7073
#define TREE_VERSION     4
#define TREE_SLOTS       8192
#define TREE_STREAMS     8192
#define TREE_MEMBERS     8
#define TREE_ACTORS      16
#define TREE_NAME_BYTES  68 /* of a deployment, with the NUL */
#define TREE_ROLE_BYTES  32
#define TREE_ARENA_BYTES (UINT64_C(256) * 1024 * 1024)
#define TREE_BATCH       512 /* items of a message */
#define TREE_STRINGS_MAX 4096
#define TREE_GROUPS_MAX  64
#define TREE_CGROUPS_MAX 4

enum tree_state {
	TREE_FREE,
	TREE_PROVISIONAL, /* an order being armed; not linked yet */
	TREE_ORDERED,     /* starts when the instance before it ends */
	TREE_WAITING,     /* an order taken, waiting for its delay */
	TREE_STARTING,    /* pid 0: no child exists yet */
	TREE_RUNNING,
	TREE_EXITED, /* kept until confirmed */
};

enum tree_how {
	TREE_HOW_NONE,
	TREE_HOW_WAIT, /* waitid of the parent */
	TREE_HOW_INFO, /* PIDFD_GET_INFO of one that fell to pid 1 */
	TREE_HOW_UNKNOWN,
	TREE_HOW_NEVER, /* it was never spawned: see stage and error */
};

#define TREE_WORD(state, how, status)                                                              \
	((uint64_t)(state) | (uint64_t)(how) << 8 | (uint64_t)(uint32_t)(status) << 32)
static inline enum tree_state tree_state_of(uint64_t word)
{
	return (enum tree_state)(word & 0xff);
}
static inline enum tree_how tree_how_of(uint64_t word)
{
	return (enum tree_how)(word >> 8 & 0xff);
}
static inline int tree_status_of(uint64_t word) /* as of waitpid */
{
	return (int)(uint32_t)(word >> 32);
}

/* Where a start failed, before or instead of the program. */
enum tree_stage {
	TREE_STAGE_NONE,
	TREE_STAGE_SPEC,  /* the spec is not within bounds */
	TREE_STAGE_PIPES, /* log pipes: descriptors */
	TREE_STAGE_CLONE,
	TREE_STAGE_FILES, /* its own descriptors */
	TREE_STAGE_CGROUP,
	TREE_STAGE_LIMITS,
	TREE_STAGE_USER,
	TREE_STAGE_FOLDER,
	TREE_STAGE_LOG,
	TREE_STAGE_EXEC,
};

struct tree_slot {
	_Atomic uint64_t word;
	uint64_t instance;             /* 0: never used */
	uint64_t after;                /* of an order: the instance it follows */
	uint64_t spec;                 /* offset in the arena */
	uint64_t streams;              /* key, 0: none captured */
	uint64_t due_ns;               /* WAITING: CLOCK_BOOTTIME */
	uint64_t started_ns, ended_ns; /* CLOCK_BOOTTIME */
	uint64_t started_wall_ns, ended_wall_ns;
	_Atomic int32_t pid; /* written by the kernel before the child runs */
	int32_t pidfd;
	int32_t order;                             /* slot of the standing order, or -1 */
	uint32_t delay_ms;                         /* of this order */
	uint32_t stable_delay_ms, stable_after_ms; /* the delay after a run of that length */
	uint64_t valid_until_ns;                   /* of an order, 0: always */
	uint64_t success_codes[4];    /* mask of 256 exit codes after which an order is not taken */
	_Atomic uint32_t stage_error; /* stage << 16 | errno, written by the child */
	uint32_t tries;               /* of a clone that failed for want of resources */
	uint32_t helper; /* not a deployment's main process: it does not outlive the set */
	uint32_t spare;
};

struct tree_stream {
	uint64_t key; /* 0: free */
	char deployment[TREE_NAME_BYTES];
	int32_t fds[4]; /* out read, out write, err read, err write; -1: not there */
};

enum tree_member_state { TREE_MEMBER_FREE, TREE_MEMBER_JOINING, TREE_MEMBER_ACTIVE };

struct tree_member {
	_Atomic int32_t pid;
	_Atomic uint32_t state;
	_Atomic uint64_t beat;
	_Atomic int32_t upper; /* its parent's place, -1: the top */
	int32_t spare;
};

/* The end of one life of an actor. */
struct tree_death {
	uint64_t word; /* as of its slot */
	uint64_t ended_wall_ns;
	int32_t pid;
	uint32_t silent; /* it was killed for giving no sign of life */
};
#define TREE_DEATHS 8

struct tree_actor {
	char name[TREE_ROLE_BYTES];
	struct tree_slot slot;
	_Atomic uint32_t ready;
	uint32_t respawns;
	uint32_t silent_ticks; /* own ticks since it was heard */
	uint32_t backoff_ms, silent;
	uint64_t next_start_ns;
	_Atomic uint64_t n_deaths; /* the latest lie in deaths[n % TREE_DEATHS] */
	struct tree_death deaths[TREE_DEATHS];
};

enum tree_flag {
	TREE_FLAG_KEPT = 1,      /* the actors are down, the programs stay */
	TREE_FLAG_NO_INFO = 2,   /* behave as a kernel without PIDFD_GET_INFO (tests) */
	TREE_FLAG_OPEN_DOOR = 4, /* any role is believed (tests) */
};

struct tree_table {
	uint32_t magic, version, size;
	_Atomic uint32_t flags, stop, ready, ending; /* ending: the set is being shut down */
	uint32_t tick_ms, miss_max;
	_Atomic int32_t high, streams_high, n_actors;
	_Atomic uint32_t mark; /* tests: die (or stop, + 100) at this marked instant */
	_Atomic uint64_t verdict;
	_Atomic uint64_t dirty[TREE_SLOTS / 64]; /* exits recorded by the guardian */
	/* Token bucket of automatic starts. */
	uint32_t max_starts_per_second, spare;
	uint64_t tokens_milli, tokens_at_ns;
	_Atomic uint64_t n_takeovers, n_strays, n_infos, n_unknowns, n_hang_kills,
		n_finished_starts, n_orders_taken;
	uint64_t base_nofile; /* soft limit of the caller, given back to children */
	char boot_id[40];
	struct tree_member members[TREE_MEMBERS];
	struct tree_actor actors[TREE_ACTORS];
	struct tree_slot slots[TREE_SLOTS];
	struct tree_stream streams[TREE_STREAMS];
};

/* --- the arena: one spec a generation, written by the process-manager, read within bounds --- */

#define TREE_SPEC_MAGIC 0x73706563
#define TREE_UNSET      INT64_MIN

enum tree_stdio { TREE_CAPTURE, TREE_NULL, TREE_FILE, TREE_JOIN /* stderr to stdout */ };

/* Offsets count from the start of the spec; every string is NUL-terminated within its length. */
struct tree_spec {
	uint32_t magic, length;
	uint64_t generation;
	char deployment[TREE_NAME_BYTES];
	uint32_t uid, gid;         /* UINT32_MAX: as the set */
	uint32_t groups, n_groups; /* array of gids */
	int32_t umask;             /* -1: as the set */
	int32_t out, err;          /* enum tree_stdio */
	uint32_t out_file, err_file;
	int64_t nofile, nproc, core_bytes, address_space_bytes, nice,
		oom_score_adj; /* TREE_UNSET */
	uint32_t no_new_privs;
	uint32_t folder; /* string */
	uint32_t paths,
		n_paths; /* arrays of uint32_t offsets of strings: candidates for the program */
	uint32_t argv, n_argv;
	uint32_t envp, n_envp;
	uint32_t cgroups, n_cgroups; /* cgroup.procs to enter by */
};

/* --- the socket R/init.sock: SEQPACKET, one struct tree_message a packet --- */

enum tree_op {
	TREE_HELLO = 1, /* text: role. The process-manager's answer brings five descriptors: table,
			   arena, lock, listening socket, notify socket */
	TREE_BEAT,      /* value: ready. No answer */
	TREE_START,     /* items: instance, spec, streams, value 1: a helper; with a pid: it lives
			   already, and is taken over. Answer: items with slot, pid, error */
	TREE_CONFIRM,   /* items: instance. The exits are journalled; slots are freed */
	TREE_ARM,       /* items: instance (before), next, delays…. Answer: error */
	TREE_REVOKE,    /* items: instance (the order). Answer: error 0 revoked, EALREADY taken */
	TREE_SIGNAL,    /* items: instance, value: signal | scope << 16 */
	TREE_RELEASE,   /* items: streams key */
	TREE_PING,
	TREE_STATUS,     /* answer: actors */
	TREE_WAIT_READY, /* answered when every actor is ready */
	TREE_SHUTDOWN,   /* value 1: although something runs. EBUSY */
	TREE_KEEP,
	TREE_RESUME,
	/* pushed */
	TREE_EXIT = 64,    /* items: instance, slot: look at the table; none: at all of it. To the
			      process-manager */
	TREE_STREAMS_NEW,  /* text: deployment, items[0].streams, fds: out read, err read. To
			      log-monitor */
	TREE_STREAMS_GONE, /* items[0].streams */
	TREE_ACTOR_DIED,   /* look at the table's actors. To the process-manager */
};

enum tree_scope { TREE_SCOPE_MAIN, TREE_SCOPE_GROUP };

struct tree_item {
	uint64_t instance, next, spec, streams;
	uint64_t start_ticks; /* of a pid to be taken over: field 22 of /proc/PID/stat */
	uint32_t value;
	int32_t slot, pid, error; /* errno */
	uint32_t stage;
	uint32_t delay_ms, stable_delay_ms, stable_after_ms;
	uint64_t valid_until_ns;
	uint64_t success_codes[4];
};

struct tree_actor_status {
	char name[TREE_ROLE_BYTES];
	int32_t pid;
	uint32_t state, ready, respawns;
};

struct tree_message {
	uint32_t op, id;
	int32_t error;
	uint32_t value, count; /* of items or actors */
	char text[TREE_NAME_BYTES];
	union {
		struct tree_item items[TREE_BATCH];
		struct tree_actor_status actors[TREE_ACTORS];
	};
};
#define TREE_MESSAGE_HEAD 88 /* bytes before the items */
_Static_assert(__builtin_offsetof(struct tree_message, items) == TREE_MESSAGE_HEAD, "layout");
_Static_assert(sizeof(struct tree_message) < 212900, "a packet holds it");

#endif
