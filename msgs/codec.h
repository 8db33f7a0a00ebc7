/*
 * Bodies: from a struct of the schema to msgpack and back, and to text for people and programs.
 * One interpreter over the field tables; it knows no event by name and does no I/O.
 */
#ifndef LOPS_MSGS_CODEC_H
#define LOPS_MSGS_CODEC_H

#include <stdio.h>
#include "msgs/type.h"

/*
 * Memory of decoded bodies: a chain of blocks, reset between messages, bounded by CODEC_ARENA_MAX.
 * What a decode returns lives until the next reset.
 */
#define CODEC_ARENA_MAX (4 * 1024 * 1024)
struct codec_arena {
	void *blocks;
	size_t used, held;
};
void codec_arena_reset(struct codec_arena *a);
void codec_arena_done(struct codec_arena *a);
void *codec_arena_alloc(struct codec_arena *a,
			size_t size); /* zeroed, aligned; NULL: over the bound */

/*
 * Walks the tags before anything is allocated: sizes, counts against the bytes left (and their
 * sum), depth, nodes, UTF-8 of strings, duplicate keys; everything used up. 0 or -EBADMSG, -E2BIG;
 * *ret_at (may be NULL) is the offset of the trouble.
 */
int msg_guard(const uint8_t *data, size_t len, size_t *ret_at);

/* A growing buffer; free with codec_buffer_done. */
struct codec_buffer {
	uint8_t *data;
	size_t len, cap;
};
void codec_buffer_done(struct codec_buffer *b);
int codec_buffer_add(struct codec_buffer *b, const void *data, size_t len); /* 0, -ENOMEM */

/* Sets every field to "not known" / empty. Use it before filling a body. */
void msg_body_init(const struct msg_record *rec, void *body);

/* Appends the body as a msgpack map. 0, -ENOMEM, -EINVAL (a required field is missing, text is not
 * UTF-8; *ret_field names it), -EMSGSIZE. Absent optional fields are left out. */
int msg_body_encode(const struct msg_record *rec, const void *body, struct codec_buffer *out,
		    const char **ret_field);

/* Guards and decodes. Unknown fields are ignored. -EBADMSG with *ret_field (may be NULL) naming the
 * field that is missing or of the wrong type. The result borrows from the arena only. */
int msg_body_decode(const struct msg_record *rec, const uint8_t *data, size_t len,
		    struct codec_arena *arena, void *ret_body, const char **ret_field);

/* JSON of a body or record: nulls for what is not known, every field present, text escaped (control
 * and bidi characters as \u). Also of any guarded msgpack value of unknown type. */
void msg_body_json(const struct msg_record *rec, const void *body, FILE *out);
int msg_raw_json(const uint8_t *data, size_t len, FILE *out);
void msg_json_string(const char *s, size_t len, FILE *out); /* with the quotes */

/* Whether it has a value: not null, false, 0 or empty. */
bool msg_field_is_known(const struct msg_field *f, const void *place);

/* One field's value. */
void msg_field_json(const struct msg_field *f, const void *place, FILE *out);

/* One line for people: field=value …, text escaped. */
void msg_body_print(const struct msg_record *rec, const void *body, FILE *out);

/* Environment values and other secrets as "KEY=***" (fields named environment, base_environment).
 */
bool msg_field_is_secret(const struct msg_field *f);

/* Deep copy of a decoded body into one heap block; free() it. NULL: no memory. */
void *msg_body_copy(const struct msg_record *rec, const void *body);

#endif
