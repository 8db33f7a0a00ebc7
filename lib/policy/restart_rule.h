/*
 * When a deployment is restarted: the machine behind attempts, pauses and the breaker. Pure: its
 * struct is the caller's, holds no pointers and may be stored and loaded as it is; times are those
 * of one clock that does not step, in milliseconds, and are void after a reboot (RESTART_IN_BOOT).
 *
 * How it counts:
 * - An attempt is an automatic or preemptive restart that was made; nothing that is only planned,
 *   held or called off is one. `attempts` counts those in a row, and a run of `stable_after_ms`
 *   without an UNHEALTHY ends the row.
 * - `exponent` counts the restarts of the row that had a pause: the immediate one has none.
 * - An exit with a success code under `always` is no failure: its restart has the pause that a
 * crash would have, and the pauses grow, but it is no attempt and does not feed the breaker.
 * - A trial of the breaker is no attempt, and any end of it before it was stable opens it again.
 * - What happens while a deployment is paused or its dependency is sick is not counted against it.
 * - A preemptive restart would be worse than what it prevents if it ended in FAILED: where the next
 *   failure opens the breaker or the attempts are used up, the program is left running.
 */
#ifndef LOPS_POLICY_RESTART_RULE_H
#define LOPS_POLICY_RESTART_RULE_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/policy/backoff.h"
#include "lib/policy/breaker.h"
#include "lib/policy/restart_attempts.h"

struct restart_settings {
	bool always; /* also after a success code */
	bool immediate_after_stable;
	bool preemptive;
	bool plain_exec;       /* a start needs no more than an exec, so an order can do it */
	uint32_t max_attempts; /* in a row; 0: no limit */
	int64_t stable_after_ms;
	const struct backoff_kind *kind;
	struct backoff_settings backoff;
	struct breaker_settings breaker;
	uint64_t success_codes[4]; /* mask of 256 exit codes */
};

enum restart_phase {
	RESTART_STOPPED,  /* asked for, or never started */
	RESTART_EXITED,   /* ended well by itself */
	RESTART_CRASHED,  /* and is not restarted automatically */
	RESTART_WAITING,  /* until `due_ms`, or for what holds it */
	RESTART_TRIPPED,  /* the breaker is open */
	RESTART_GIVEN_UP, /* attempts used up: only a person starts it again */
	RESTART_STARTING,
	RESTART_RUNNING,  /* ready */
	RESTART_ENDING,   /* we stop it; `next` says what follows */
	RESTART_STOPPING, /* a person stops it */
	RESTART_PHASES,
};

/* The restart that is planned. */
struct restart_next {
	enum restart_trigger trigger;
	bool counts;    /* it will be an attempt */
	bool is_silent; /* it will not be in the history: a start, not a restart */
	bool is_wanted; /* by a person, or after a reboot: auto-restart need not be on */
	int64_t pause_ms;
	char reason[RESTART_REASON_BYTES];
};

struct restart_state {
	enum restart_phase phase;
	bool enabled, paused, dependency_sick;
	bool wanted;       /* the intent is run */
	bool is_stable;    /* the latest run was a good one */
	uint64_t instance; /* the latest that was seen */
	bool has_ended;    /* that instance has */
	uint32_t attempts, exponent;
	uint32_t random;       /* for the next pause */
	int64_t started_ms;    /* of the latest instance */
	int64_t good_since_ms; /* ready and not UNHEALTHY since; TIMES_NEVER: it is not */
	int64_t due_ms;        /* WAITING */
	struct restart_next next;
	struct breaker breaker;
	struct restart_attempts history;
};

enum restart_in {
	RESTART_IN_STARTED, /* instance */
	RESTART_IN_READY,
	RESTART_IN_HEALTHY,
	RESTART_IN_EXIT, /* instance, is_success, never_started, asked */
	RESTART_IN_UNHEALTHY,
	RESTART_IN_ZOMBIE, /* it is dead and its parent does not reap it */
	RESTART_IN_HUNG,   /* not ready in time, or its watchdog is silent */
	RESTART_IN_PREEMPT,
	RESTART_IN_USER_START,
	RESTART_IN_USER_RESTART,
	RESTART_IN_USER_STOP,
	RESTART_IN_ENABLE,
	RESTART_IN_DISABLE,
	RESTART_IN_PAUSE,
	RESTART_IN_RESUME,
	RESTART_IN_DEPENDENCY_SICK,
	RESTART_IN_DEPENDENCY_WELL,
	RESTART_IN_SETTINGS, /* they are others than before */
	RESTART_IN_BOOT,     /* the boot is another one: no process and no time of before counts */
	RESTART_IN_TIMER, /* what restart_timer_at named has come; at any other time it is harmless
			   */
	RESTART_INPUTS,
};

struct restart_event {
	enum restart_in in;
	int64_t now_ms;          /* when it happened */
	int64_t wall_ms, day_ms; /* since the epoch; since local midnight */
	uint32_t random;         /* any, evenly */
	uint64_t instance;       /* STARTED, EXIT */
	bool is_success;         /* EXIT: with a success code */
	bool never_started;      /* EXIT: there never was a process */
	bool asked;              /* EXIT: a person's stop, which this machine may not have seen */
	const char *reason;      /* in words: what is wrong or asked for; NULL: none */
};

enum restart_do {
	RESTART_DO_NOTHING,
	RESTART_DO_START,      /* now */
	RESTART_DO_START_AT,   /* at_ms */
	RESTART_DO_STOP_FIRST, /* the tree; the exit decides what follows */
	RESTART_DO_GIVE_UP,    /* until at_ms, TIMES_NEVER: for good */
	RESTART_DO_HOLD,       /* it would be started, but for the reason */
	RESTART_DOS,
};

struct restart_verdict {
	enum restart_do what;
	int64_t at_ms;
	const char *reason; /* static text */
};

/*
 * A person's start, restart and stop are carried out by who takes the command, whatever the machine
 * says: it notes them, and its verdict is RESTART_DO_NOTHING.
 */

/* A deployment that was never started. */
void restart_init(struct restart_state *s, bool enabled, uint32_t random);

struct restart_verdict restart_rule(struct restart_state *s, const struct restart_settings *set,
				    const struct restart_event *e);

/* When RESTART_IN_TIMER is due next, TIMES_NEVER: not. */
int64_t restart_timer_at(const struct restart_state *s, const struct restart_settings *set);

/* When its run counts as good; TIMES_NEVER: not at all as it stands. */
int64_t restart_stable_at(const struct restart_state *s, const struct restart_settings *set);
/* The pause before a restart that a failure at `day_ms` of the day calls for. */
struct backoff_pause restart_pause(const struct restart_state *s,
				   const struct restart_settings *set, bool is_stable,
				   int64_t day_ms);
/* Whether a person alone may start it after the next failure. */
bool restart_is_used_up(const struct restart_state *s, const struct restart_settings *set);

const char *restart_phase_name(enum restart_phase p);

#endif
