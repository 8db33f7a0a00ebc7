/*
 * Values by a text. Items keep their place for ever, so that a place can be remembered.
 */
#ifndef LOPS_SIM_MAP_H
#define LOPS_SIM_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct map_value {
	uint64_t n;
	uint8_t *rec; /* the map's */
	uint32_t len;
	bool there;
};

struct map_item {
	char *key;
	struct map_value value;
};

struct map {
	struct map_item *items;
	uint32_t *slots; /* place + 1 */
	uint32_t n, cap; /* cap of slots; items have half of it */
};

uint32_t map_place(struct map *m, const char *key);               /* made when it is new */
const struct map_value *map_find(struct map *m, const char *key); /* NULL: not there */
struct map_value *map_at(struct map *m, const char *key);         /* made when it is new */
void map_done(struct map *m);

#endif
