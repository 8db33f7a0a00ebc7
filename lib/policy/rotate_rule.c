/*
 * Rotation by size; see the header.
 */
#include "lib/policy/rotate_rule.h"

bool rotate_rule(struct rotate_limits limits, uint64_t size_bytes)
{
	return limits.size_bytes != 0 && size_bytes >= limits.size_bytes;
}
