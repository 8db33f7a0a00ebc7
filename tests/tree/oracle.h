/*
 * What an instance will do, from its number alone: driver and child agree without speaking.
 */
#ifndef LOPS_TESTS_TREE_ORACLE_H
#define LOPS_TESTS_TREE_ORACLE_H

#include <stdint.h>

static inline uint64_t oracle_mix(uint64_t x)
{
	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

/* The wait status it ends with. */
static inline int oracle_status(uint64_t instance)
{
	static const uint8_t signals[] = {9, 15, 10, 1, 12, 14};
	uint64_t h = oracle_mix(instance * 3 + 1);

	return h % 5 == 0 ? signals[(h >> 8) % 6] : (int)((h >> 16) % 256) << 8;
}

static inline uint64_t oracle_life_us(uint64_t instance)
{
	uint64_t h = oracle_mix(instance * 7 + 5), k = h % 10;

	return k < 4 ? (h >> 8) % 2000 : k < 9 ? (h >> 8) % 60000 : 100000 + (h >> 8) % 500000;
}

#endif
