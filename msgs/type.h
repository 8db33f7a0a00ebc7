/*
 * What the schema says of each event and record, as tables. Made from msgs/schema/schema.def; this
 * file never names an event.
 */
#ifndef LOPS_MSGS_TYPE_H
#define LOPS_MSGS_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "Not known" of a number; false, NULL and an empty list stand for themselves. */
#define MSG_NONE INT64_MIN

enum msg_kind {
	MSG_BOOL, /* bool */
	MSG_I64,  /* int64_t, MSG_NONE: null */
	MSG_U64,  /* uint64_t, 0 when absent */
	MSG_F64,  /* double, NaN: null */
	MSG_STR,  /* const char *, NUL-terminated UTF-8 without NUL, NULL: null */
	MSG_BIN,  /* struct msg_bytes */
	MSG_STRS, /* struct msg_strs */
	MSG_I64S, /* struct msg_i64s */
	MSG_REC,  /* a record, embedded */
	MSG_RECS, /* struct NAME_list of a record */
};

struct msg_bytes {
	const uint8_t *data;
	uint32_t len;
};
struct msg_strs {
	const char **items;
	uint32_t count;
};
struct msg_i64s {
	int64_t *items;
	uint32_t count;
};
/* Every NAME_list has this shape. */
struct msg_recs {
	void *items;
	uint32_t count;
};

struct msg_record;

struct msg_field {
	const char *name; /* as on the wire */
	const char *doc;
	const struct msg_record *record; /* of REC and RECS */
	uint32_t offset;
	enum msg_kind kind;
	bool required;
};

struct msg_record {
	const char *name;
	const char *doc;
	const struct msg_field *(*fields)(void); /* n_fields of them, in the schema's order */
	uint32_t n_fields;
	uint32_t size; /* of the struct */
};

enum msg_flag {
	DURABLE = 1,  /* journalled; without it: ephemeral, dropped oldest first */
	SYNC = 2,     /* fdatasynced before it is acknowledged (commands, process records) */
	PRIVATE = 4,  /* delivered to the set's own actors only */
	OUTSIDE = 8,  /* outsiders may publish it */
	COMMAND = 16, /* asks for something; its header carries the uid of who asked */
	FORGETS = 32, /* every last value of its deployment is dropped with it */
};

struct msg_type {
	struct msg_record body; /* layout of struct NAME */
	const char *topic;      /* "process.exited"; the deployment follows after a slash */
	const char *key;        /* last value kept under key/deployment, NULL: none */
	uint32_t flags;         /* enum msg_flag */
};

extern const struct msg_type *const msg_types[];
extern const uint32_t msg_types_count;

/* The type of "process.exited/web" or "process.exited"; NULL when unknown. */
const struct msg_type *msg_type_of(const char *topic, size_t len);

#endif
