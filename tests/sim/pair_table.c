/*
 * The table and the arena that both members map: made anew, or taken over from a pair that is dead.
 * What a new pair's main does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "actors/init/pair.h"
#include "tests/sim/kernel.h"

static int make_memory(size_t size)
{
	int fd = memfd_create("lops-sim", 0);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		abort();
	return fd;
}

static void map_memory(void)
{
	static int table_fd = -1, arena_fd = -1;

	if (table_fd < 0) {
		table_fd = make_memory(sizeof *pair.table);
		arena_fd = make_memory(TREE_ARENA_BYTES);
		pair.table = mmap(NULL, sizeof *pair.table, PROT_READ | PROT_WRITE, MAP_SHARED,
				  table_fd, 0);
		pair.arena = mmap(NULL, TREE_ARENA_BYTES, PROT_READ, MAP_SHARED, arena_fd, 0);
		if (pair.table == MAP_FAILED || pair.arena == MAP_FAILED)
			abort();
	}
	pair.table_fd = table_fd;
	pair.arena_fd = arena_fd;
}

static void fill_table(void)
{
	static const char *const names[] = {"broker", "process-manager", "coordinator"};
	struct tree_table *t = pair.table;

	memset(t, 0, sizeof *t);
	if (ftruncate(pair.arena_fd, 0) < 0 || ftruncate(pair.arena_fd, TREE_ARENA_BYTES) < 0)
		abort();
	t->magic = TREE_MAGIC;
	t->version = TREE_VERSION;
	t->size = sizeof *t;
	t->tick_ms = PAIR_TICK_MS;
	t->miss_max = 8;
	t->max_starts_per_second = 100;
	snprintf(t->boot_id, sizeof t->boot_id, "%s", kernel_boot_id());
	for (int i = 0; i < PARTS_OF_INIT; i++) {
		snprintf(t->actors[i].name, sizeof t->actors[i].name, "%s", names[i]);
		t->actors[i].slot.pidfd = t->actors[i].slot.order = -1;
	}
	atomic_store(&t->n_actors, PARTS_OF_INIT);
	if (!kernel_tells_status())
		atomic_store(&t->flags, TREE_FLAG_NO_INFO);
}

/* As the new pair's main does over an old table. */
static void adopt_table(void)
{
	struct tree_table *t = pair.table;

	for (int k = 0; k < TREE_MEMBERS; k++) {
		atomic_store(&t->members[k].state, TREE_MEMBER_FREE);
		atomic_store(&t->members[k].pid, 0);
	}
	for (int i = 0; i < atomic_load(&t->high); i++)
		adopt_slot(&t->slots[i]);
	for (int i = 0; i < atomic_load(&t->n_actors); i++)
		adopt_slot(&t->actors[i].slot);
	adopt_streams();
}

void pair_table_open(bool fresh)
{
	map_memory();
	if (fresh)
		fill_table();
	else
		adopt_table();
}
