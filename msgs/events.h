/*
 * The vocabulary as C: struct NAME and record structs, MSG_NAME tables, from
 * msgs/schema/schema.def. It holds no code and no event of its own; a new event is a block in the
 * schema.
 */
#ifndef LOPS_MSGS_EVENTS_H
#define LOPS_MSGS_EVENTS_H

#include "msgs/type.h"

/* Structs. */
#define BEGIN_RECORD(name, doc) struct name {
#define END_RECORD(name)                                                                           \
	}                                                                                          \
	;                                                                                          \
	struct name##_list {                                                                       \
		struct name *items;                                                                \
		uint32_t count;                                                                    \
	};                                                                                         \
	extern const struct msg_record REC_##name;
#define BEGIN_EVENT(name, topic, flags, key, doc) struct name {
#define END_EVENT(name)                                                                            \
	}                                                                                          \
	;                                                                                          \
	extern const struct msg_type MSG_##name;
#define F_BOOL(f, req, doc)      bool f;
#define F_I64(f, req, doc)       int64_t f;
#define F_U64(f, req, doc)       uint64_t f;
#define F_F64(f, req, doc)       double f;
#define F_STR(f, req, doc)       const char *f;
#define F_BIN(f, req, doc)       struct msg_bytes f;
#define F_STRS(f, req, doc)      struct msg_strs f;
#define F_I64S(f, req, doc)      struct msg_i64s f;
#define F_REC(f, rec, req, doc)  struct rec f;
#define F_RECS(f, rec, req, doc) struct rec##_list f;
#include "msgs/schema/schema.def"
#include "msgs/schema/clear.def"

#endif
