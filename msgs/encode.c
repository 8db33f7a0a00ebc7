/*
 * From a struct of the schema to a msgpack map, by the field tables. What is not known is left out.
 */
#include "msgs/codec.h"
#include "msgs/header.h"
#include "msgs/wire.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void codec_buffer_done(struct codec_buffer *b)
{
	free(b->data);
	*b = (struct codec_buffer){0};
}

static uint8_t *room(struct codec_buffer *b, size_t n)
{
	if (b->cap - b->len < n) {
		size_t cap = b->cap ? b->cap : 512;
		uint8_t *data;

		while (cap - b->len < n)
			cap *= 2;
		data = realloc(b->data, cap);
		if (!data)
			return NULL;
		b->data = data;
		b->cap = cap;
	}
	b->len += n;
	return b->data + b->len - n;
}

int codec_buffer_add(struct codec_buffer *b, const void *data, size_t len)
{
	uint8_t *at = room(b, len);

	if (!at)
		return -ENOMEM;
	if (len)
		memcpy(at, data, len);
	return 0;
}

static int put(struct codec_buffer *b, uint8_t tag, uint64_t v, size_t width)
{
	uint8_t *at = room(b, 1 + width);

	if (!at)
		return -ENOMEM;
	*at = tag;
	for (size_t i = 0; i < width; i++)
		at[1 + i] = (uint8_t)(v >> (8 * (width - 1 - i)));
	return 0;
}

static int put_uint(struct codec_buffer *b, uint64_t v)
{
	if (v <= 0x7f)
		return put(b, (uint8_t)v, 0, 0);
	if (v <= UINT8_MAX)
		return put(b, 0xcc, v, 1);
	if (v <= UINT16_MAX)
		return put(b, 0xcd, v, 2);
	if (v <= UINT32_MAX)
		return put(b, 0xce, v, 4);
	return put(b, 0xcf, v, 8);
}

static int put_int(struct codec_buffer *b, int64_t v)
{
	if (v >= 0)
		return put_uint(b, (uint64_t)v);
	if (v >= -32)
		return put(b, (uint8_t)v, 0, 0);
	if (v >= INT32_MIN)
		return put(b, 0xd2, (uint64_t)v & UINT32_MAX, 4);
	return put(b, 0xd3, (uint64_t)v, 8);
}

static int put_real(struct codec_buffer *b, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	return put(b, 0xcb, bits, 8);
}

/* Tags by size of what follows: fix (with its limit), 8 (0: there is none), 16, 32. */
static int put_sized(struct codec_buffer *b, uint8_t fix, size_t fix_max, uint8_t tag8,
		     uint8_t tag16, size_t n)
{
	if (n <= fix_max && fix)
		return put(b, (uint8_t)(fix | n), 0, 0);
	if (tag8 && n <= UINT8_MAX)
		return put(b, tag8, n, 1);
	if (n <= UINT16_MAX)
		return put(b, tag16, n, 2);
	return put(b, (uint8_t)(tag16 + 1), n, 4);
}

static int put_text(struct codec_buffer *b, const char *s)
{
	size_t len = strlen(s);
	uint8_t *at;
	int err;

	if (len > MSG_FRAME_MAX)
		return -EMSGSIZE;
	if (!wire_utf8_ok((const uint8_t *)s, len))
		return -EINVAL;
	err = put_sized(b, 0xa0, 31, 0xd9, 0xda, len);
	if (err)
		return err;
	at = room(b, len);
	if (!at)
		return -ENOMEM;
	memcpy(at, s, len);
	return 0;
}

static int put_bytes(struct codec_buffer *b, const struct msg_bytes *v)
{
	int err = put_sized(b, 0, 0, 0xc4, 0xc5, v->len);
	uint8_t *at = err ? NULL : room(b, v->len);

	if (!at)
		return -ENOMEM;
	if (v->len)
		memcpy(at, v->data, v->len);
	return 0;
}

static int encode_map(const struct msg_record *rec, const void *body, struct codec_buffer *b,
		      const char **bad);

static int put_list(const struct msg_field *f, const struct msg_recs *list, struct codec_buffer *b,
		    const char **bad)
{
	int err = put_sized(b, 0x90, 15, 0, 0xdc, list->count);

	for (uint32_t i = 0; i < list->count && !err; i++) {
		if (f->kind == MSG_STRS)
			err = put_text(b, ((const char **)list->items)[i]);
		else if (f->kind == MSG_I64S)
			err = put_int(b, ((int64_t *)list->items)[i]);
		else
			err = encode_map(f->record,
					 (char *)list->items + (size_t)i * f->record->size, b, bad);
	}
	return err;
}

bool msg_field_is_known(const struct msg_field *f, const void *place)
{
	switch (f->kind) {
	case MSG_BOOL:
		return *(const bool *)place;
	case MSG_I64:
		return *(const int64_t *)place != MSG_NONE;
	case MSG_U64:
		return *(const uint64_t *)place != 0;
	case MSG_F64:
		return !isnan(*(const double *)place);
	case MSG_STR:
		return *(const char *const *)place != NULL;
	case MSG_BIN:
		return ((const struct msg_bytes *)place)->len > 0;
	case MSG_REC:
		return true;
	default:
		return ((const struct msg_recs *)place)->count > 0;
	}
}

/* Booleans, numbers and lists have a value even when it is nothing. */
static bool is_written(const struct msg_field *f, const void *place)
{
	bool empty_is_a_value = f->kind == MSG_BOOL || f->kind == MSG_U64 || f->kind >= MSG_STRS ||
				f->kind == MSG_BIN;

	return msg_field_is_known(f, place) || (f->required && empty_is_a_value);
}

static int put_field(const struct msg_field *f, const void *place, struct codec_buffer *b,
		     const char **bad)
{
	switch (f->kind) {
	case MSG_BOOL:
		return put(b, *(const bool *)place ? 0xc3 : 0xc2, 0, 0);
	case MSG_I64:
		return put_int(b, *(const int64_t *)place);
	case MSG_U64:
		return put_uint(b, *(const uint64_t *)place);
	case MSG_F64:
		return put_real(b, *(const double *)place);
	case MSG_STR:
		return put_text(b, *(const char *const *)place);
	case MSG_BIN:
		return put_bytes(b, place);
	case MSG_REC:
		return encode_map(f->record, place, b, bad);
	default:
		return put_list(f, place, b, bad);
	}
}

static int encode_map(const struct msg_record *rec, const void *body, struct codec_buffer *b,
		      const char **bad)
{
	const struct msg_field *f = rec->fields();
	uint32_t written = 0;
	int err;

	for (uint32_t i = 0; i < rec->n_fields; i++)
		written += is_written(&f[i], (const char *)body + f[i].offset);
	err = put_sized(b, 0x80, 15, 0, 0xde, written);
	for (uint32_t i = 0; i < rec->n_fields && !err; i++) {
		const void *place = (const char *)body + f[i].offset;

		if (is_written(&f[i], place)) {
			err = put_text(b, f[i].name);
			err = err ? err : put_field(&f[i], place, b, bad);
		} else if (f[i].required) {
			err = -EINVAL;
		}
		if (err && !*bad)
			*bad = f[i].name;
	}
	return err;
}

int msg_body_encode(const struct msg_record *rec, const void *body, struct codec_buffer *out,
		    const char **ret_field)
{
	size_t before = out->len;
	const char *bad = NULL;
	int err = encode_map(rec, body, out, &bad);

	if (!err && out->len - before > MSG_FRAME_MAX - 1024)
		err = -EMSGSIZE;
	if (err) {
		out->len = before;
		if (ret_field)
			*ret_field = bad ? bad : "";
	}
	return err;
}
