/*
 * What must be true, whatever dies. It hears of everything that the kernel does and of every
 * committed event, and compares.
 *
 *   I1  never lost: a program that lives is one that the process-manager knows
 *   I2  never doubled: one main process of a deployment at a time, one start of an instance, and
 *       only after its intent is on the disk
 *   I3  never orphaned: when a stop is complete nothing of the instance lives, or it is named
 *   I5  every event has a cause before it, or is a command with a uid, or a fact observed
 *   I6  every exit is recorded once, with the status it had
 *   I7  a subscriber sees every event, in order
 *   I8  a command takes effect once and has one answer; what was acknowledged as one survives
 *   I9  when faults cease everything comes to rest as it was asked for
 *   I12 the journal: no hole, whole chains, the newest value of each key; nothing is told before
 *       it is committed
 *   I14 descriptors: none is closed twice, none is left over
 */
#ifndef LOPS_SIM_ORACLE_H
#define LOPS_SIM_ORACLE_H

#include "tests/sim/kernel.h"
#include "tests/sim/world.h"

void oracle_begin(void);
void oracle_end(void);

/* --- the kernel says --- */
void oracle_spawns(const struct proc *p); /* a main process, before it is one */
void oracle_spawned(const struct proc *p);
void oracle_never(uint64_t instance); /* its exec failed */
void oracle_ended(const struct proc *p);
void oracle_lost(const struct proc *p); /* a power cut */
void oracle_signalled(const struct proc *p);
void oracle_confirms(uint64_t instance); /* the process-manager lets lops-init forget it */
int oracle_port_of(uint64_t instance);
void oracle_unwatched(const struct proc *p);    /* nobody learns its status */
void oracle_nobody_watched(bool table_is_kept); /* both members are dead */

/* --- the journal and the broker say --- */
void oracle_committed(uint64_t seq, const uint8_t *rec, uint32_t len);
void oracle_power_cut(void);
void oracle_broker_died(void);
void oracle_broker_sends(enum part to, const void *head, size_t head_len, const void *payload,
			 size_t payload_len);
void oracle_error(enum part p, const char *text); /* a part logs an error */

/* --- the clients say and ask --- */
uint64_t oracle_command(const char *request); /* seq of its command, 0: none is journalled */
bool oracle_has_leftover(const char *id);     /* its last stop could not be completed */
bool oracle_is_finished(const char *request);

/* --- rest.c --- */
bool rest_is_reached(void);
void rest_check(void);

/* --- for rest.c --- */
void oracle_check_lives(void);
void oracle_check_commands(void);
uint64_t oracle_newest_of_key(const char *key);

#endif
