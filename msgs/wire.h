/*
 * One msgpack value at a time, within bounds. For the codec's own files; it knows no schema.
 */
#ifndef LOPS_MSGS_WIRE_H
#define LOPS_MSGS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_kind {
	WIRE_NIL,
	WIRE_BOOL,
	WIRE_UINT,     /* number; integer too when it was written signed */
	WIRE_NEGATIVE, /* integer */
	WIRE_FLOAT,    /* real */
	WIRE_STR,      /* data, number bytes */
	WIRE_BIN,
	WIRE_ARRAY, /* number values follow */
	WIRE_MAP,   /* number pairs follow */
};

struct wire_value {
	enum wire_kind kind;
	uint64_t number;
	int64_t integer;
	double real;
	const uint8_t *data; /* borrowed */
};

/* Reads the value at *at and moves on (into a container, over anything else); false: not msgpack,
 * or not all there. Extension types are refused. */
bool wire_next(const uint8_t *data, size_t len, size_t *at, struct wire_value *ret_v);

/* Moves over one whole value with all it contains. */
bool wire_skip(const uint8_t *data, size_t len, size_t *at);

bool wire_utf8_ok(const uint8_t *s, size_t len);

#endif
