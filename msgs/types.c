/*
 * The schema as tables. A field's offset needs its struct's name, which only BEGIN_* knows: so each
 * table lives in a function of its own, where the struct is called `self`.
 */
#include "msgs/events.h"

#include <string.h>

#define FIELD(k, f, rec, req, text)                                                                \
	{.name = #f,                                                                               \
	 .doc = (text),                                                                            \
	 .record = (rec),                                                                          \
	 .offset = offsetof(self, f),                                                              \
	 .kind = (k),                                                                              \
	 .required = (req)},
#define F_BOOL(f, req, doc)      FIELD(MSG_BOOL, f, NULL, req, doc)
#define F_I64(f, req, doc)       FIELD(MSG_I64, f, NULL, req, doc)
#define F_U64(f, req, doc)       FIELD(MSG_U64, f, NULL, req, doc)
#define F_F64(f, req, doc)       FIELD(MSG_F64, f, NULL, req, doc)
#define F_STR(f, req, doc)       FIELD(MSG_STR, f, NULL, req, doc)
#define F_BIN(f, req, doc)       FIELD(MSG_BIN, f, NULL, req, doc)
#define F_STRS(f, req, doc)      FIELD(MSG_STRS, f, NULL, req, doc)
#define F_I64S(f, req, doc)      FIELD(MSG_I64S, f, NULL, req, doc)
#define F_REC(f, rec, req, doc)  FIELD(MSG_REC, f, &REC_##rec, req, doc)
#define F_RECS(f, rec, req, doc) FIELD(MSG_RECS, f, &REC_##rec, req, doc)
#define BEGIN_TABLE(name)                                                                          \
	static const struct msg_field *fields_of_##name(void)                                      \
	{                                                                                          \
		typedef struct name self;                                                          \
		static const struct msg_field fields[] = {
#define END_TABLE(name)                                                                            \
	}                                                                                          \
	;                                                                                          \
	return fields;                                                                             \
	}
#define BEGIN_RECORD(name, doc)                   BEGIN_TABLE(name)
#define END_RECORD(name)                          END_TABLE(name)
#define BEGIN_EVENT(name, topic, flags, key, doc) BEGIN_TABLE(name)
#define END_EVENT(name)                           END_TABLE(name)
#include "msgs/schema/schema.def"
#include "msgs/schema/clear.def"

/* How many fields each has. */
#define F_BOOL(f, req, doc)      +1
#define F_I64(f, req, doc)       +1
#define F_U64(f, req, doc)       +1
#define F_F64(f, req, doc)       +1
#define F_STR(f, req, doc)       +1
#define F_BIN(f, req, doc)       +1
#define F_STRS(f, req, doc)      +1
#define F_I64S(f, req, doc)      +1
#define F_REC(f, rec, req, doc)  +1
#define F_RECS(f, rec, req, doc) +1
#define BEGIN_RECORD(name, doc)  enum { count_of_##name = 0
#define END_RECORD(name)                                                                           \
	}                                                                                          \
	;
#define BEGIN_EVENT(name, topic, flags, key, doc) enum { count_of_##name = 0
#define END_EVENT(name)                                                                            \
	}                                                                                          \
	;
#include "msgs/schema/schema.def"
#include "msgs/schema/clear.def"

#include "msgs/schema/no_fields.def"
#define LAYOUT(name_, text)                                                                        \
	{                                                                                          \
		.name = #name_, .doc = (text), .fields = fields_of_##name_,                        \
		.n_fields = count_of_##name_, .size = sizeof(struct name_)                         \
	}
#define BEGIN_RECORD(name, doc) const struct msg_record REC_##name = LAYOUT(name, doc);
#define END_RECORD(name)
#define BEGIN_EVENT(name, topic_, flags_, key_, doc)                                               \
	const struct msg_type MSG_##name = {                                                       \
		.body = LAYOUT(name, doc), .topic = (topic_), .key = (key_), .flags = (flags_)};
#define END_EVENT(name)
#include "msgs/schema/schema.def"
#include "msgs/schema/clear.def"

#include "msgs/schema/no_fields.def"
#define BEGIN_RECORD(name, doc)
#define END_RECORD(name)
#define BEGIN_EVENT(name, topic, flags, key, doc) &MSG_##name,
#define END_EVENT(name)
const struct msg_type *const msg_types[] = {
#include "msgs/schema/schema.def"
};
#include "msgs/schema/clear.def"
const uint32_t msg_types_count = sizeof msg_types / sizeof *msg_types;

/* A table of this size holds the topics by hash; it is filled by the first look-up. */
enum { TOPIC_SLOTS = 256 };

static uint32_t topic_hash(const char *topic, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)topic[i]) * 16777619u;
	return hash;
}

static const struct msg_type **topic_place(const char *topic, size_t len)
{
	static const struct msg_type *slots[TOPIC_SLOTS];
	uint32_t at = topic_hash(topic, len) % TOPIC_SLOTS;

	while (slots[at] &&
	       (strlen(slots[at]->topic) != len || memcmp(slots[at]->topic, topic, len) != 0))
		at = (at + 1) % TOPIC_SLOTS;
	return &slots[at];
}

const struct msg_type *msg_type_of(const char *topic, size_t len)
{
	static int filled;
	const char *slash = memchr(topic, '/', len);

	if (!filled) {
		for (uint32_t i = 0; i < msg_types_count; i++)
			*topic_place(msg_types[i]->topic, strlen(msg_types[i]->topic)) =
				msg_types[i];
		filled = 1;
	}
	return *topic_place(topic, slash ? (size_t)(slash - topic) : len);
}
