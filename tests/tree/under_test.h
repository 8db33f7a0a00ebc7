/*
 * One pair of lops-init in folders of its own, and what a process-manager does for it: calls that
 * are asked again until they are answered, a new pair where both members are dead. The caller is
 * pid 1 to what falls out of the tree. What is wrong ends the program.
 */
#ifndef LOPS_TESTS_TREE_UNDER_TEST_H
#define LOPS_TESTS_TREE_UNDER_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include "msgs/tree.h"

enum { SPEC_WORDS = 8, SPEC_PLACES = 65000 };

struct under_test {
	struct tree_table *table;
	uint8_t *arena;
	int fds[5], socket;
	bool have_fds;
	uint32_t flags;
	char log[96]; /* a file, empty at first */
	uint64_t reboots, answers, repeats;
	struct tree_message out, in; /* of the call being made */
};
extern struct under_test t;

double now_s(void);
void pause_us(long us);
_Noreturn void fatal(const char *what);
bool process_lives(int32_t pid);

/* The caller's folder becomes one of the test's own; the pair ends with the program. */
void pair_prepare(const char *bin_dir, uint32_t flags);
void pair_start(void); /* over the old table, where there is one */
int pair_living(void); /* members */

/* t.out.items are the caller's; the answer is in t.in. */
void call(enum tree_op op, uint32_t count);

struct spec_given {
	const char *argv[SPEC_WORDS]; /* NULL-ended; the first is the program's path */
	bool core, captured;
};
/* The offset to start it by. */
uint64_t spec_write(uint64_t place, const struct spec_given *given);
struct tree_slot *slot_of(uint64_t instance); /* NULL */

#endif
