/*
 * From msgpack to a struct of the schema, by the field tables. The guard has walked the bytes
 * before; all memory comes from the caller's arena.
 */
#include "msgs/codec.h"
#include "msgs/wire.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct source {
	const uint8_t *data;
	size_t len, at;
	struct codec_arena *arena;
	const char *field; /* in trouble */
};

/* Bytes of one field in its struct. */
static size_t field_size(const struct msg_field *f)
{
	switch (f->kind) {
	case MSG_BOOL:
		return sizeof(bool);
	case MSG_I64:
	case MSG_U64:
	case MSG_F64:
		return sizeof(uint64_t);
	case MSG_STR:
		return sizeof(char *);
	case MSG_REC:
		return f->record->size;
	default:
		return sizeof(struct msg_recs);
	}
}

void msg_body_init(const struct msg_record *rec, void *body)
{
	const struct msg_field *f = rec->fields();

	memset(body, 0, rec->size);
	for (uint32_t i = 0; i < rec->n_fields; i++) {
		void *place = (char *)body + f[i].offset;

		if (f[i].kind == MSG_I64)
			*(int64_t *)place = MSG_NONE;
		else if (f[i].kind == MSG_F64)
			*(double *)place = (double)NAN;
		else if (f[i].kind == MSG_REC)
			msg_body_init(f[i].record, place);
	}
}

static int to_i64(const struct wire_value *v, int64_t *ret_i)
{
	if (v->kind == WIRE_NEGATIVE)
		*ret_i = v->integer;
	else if (v->kind == WIRE_UINT && v->number <= INT64_MAX)
		*ret_i = (int64_t)v->number;
	else
		return -EBADMSG;
	return *ret_i == MSG_NONE ? -EBADMSG : 0;
}

static int to_real(const struct wire_value *v, double *ret_d)
{
	if (v->kind == WIRE_FLOAT)
		*ret_d = v->real;
	else if (v->kind == WIRE_UINT)
		*ret_d = (double)v->number;
	else if (v->kind == WIRE_NEGATIVE)
		*ret_d = (double)v->integer;
	else
		return -EBADMSG;
	return isinf(*ret_d) ? -EBADMSG : 0;
}

static int to_text(struct source *s, const struct wire_value *v, const char **ret_text)
{
	char *text;

	if (v->kind != WIRE_STR || memchr(v->data, 0, (size_t)v->number))
		return -EBADMSG;
	text = codec_arena_alloc(s->arena, (size_t)v->number + 1);
	if (!text)
		return -E2BIG;
	memcpy(text, v->data, (size_t)v->number);
	*ret_text = text;
	return 0;
}

static int to_bytes(struct source *s, const struct wire_value *v, struct msg_bytes *ret_b)
{
	uint8_t *copy;

	if (v->kind != WIRE_BIN)
		return -EBADMSG;
	copy = codec_arena_alloc(s->arena, (size_t)v->number);
	if (!copy)
		return -E2BIG;
	memcpy(copy, v->data, (size_t)v->number);
	*ret_b = (struct msg_bytes){.data = copy, .len = (uint32_t)v->number};
	return 0;
}

static int decode_map(struct source *s, const struct msg_record *rec, void *body);

static int to_strs(struct source *s, uint32_t count, void *items)
{
	const char **texts = items;
	struct wire_value v;

	for (uint32_t i = 0; i < count; i++) {
		int err = wire_next(s->data, s->len, &s->at, &v) ? to_text(s, &v, &texts[i])
								 : -EBADMSG;

		if (err)
			return err;
	}
	return 0;
}

static int to_i64s(struct source *s, uint32_t count, void *items)
{
	int64_t *numbers = items;
	struct wire_value v;

	for (uint32_t i = 0; i < count; i++) {
		int err =
			wire_next(s->data, s->len, &s->at, &v) ? to_i64(&v, &numbers[i]) : -EBADMSG;

		if (err)
			return err;
	}
	return 0;
}

static int to_recs(struct source *s, const struct msg_record *rec, uint32_t count, void *items)
{
	for (uint32_t i = 0; i < count; i++) {
		int err = decode_map(s, rec, (char *)items + (size_t)i * rec->size);

		if (err)
			return err;
	}
	return 0;
}

static int to_list(struct source *s, const struct msg_field *f, const struct wire_value *v,
		   void *place)
{
	size_t each = f->kind == MSG_RECS ? f->record->size : sizeof(uint64_t);
	struct msg_recs list = {.count = (uint32_t)v->number};
	int err;

	if (v->kind != WIRE_ARRAY)
		return -EBADMSG;
	if (list.count) {
		list.items = codec_arena_alloc(s->arena, each * list.count);
		if (!list.items)
			return -E2BIG;
	}
	if (f->kind == MSG_STRS)
		err = to_strs(s, list.count, list.items);
	else if (f->kind == MSG_I64S)
		err = to_i64s(s, list.count, list.items);
	else
		err = to_recs(s, f->record, list.count, list.items);
	if (!err)
		memcpy(place, &list, sizeof list);
	return err;
}

static int to_field(struct source *s, const struct msg_field *f, void *place)
{
	struct wire_value v;
	size_t before = s->at;

	if (!wire_next(s->data, s->len, &s->at, &v))
		return -EBADMSG;
	if (v.kind == WIRE_NIL)
		return f->required ? -EBADMSG : 0;
	switch (f->kind) {
	case MSG_BOOL:
		*(bool *)place = v.number != 0;
		return v.kind == WIRE_BOOL ? 0 : -EBADMSG;
	case MSG_I64:
		return to_i64(&v, place);
	case MSG_U64:
		*(uint64_t *)place = v.number;
		return v.kind == WIRE_UINT ? 0 : -EBADMSG;
	case MSG_F64:
		return to_real(&v, place);
	case MSG_STR:
		return to_text(s, &v, place);
	case MSG_BIN:
		return to_bytes(s, &v, place);
	case MSG_REC:
		s->at = before;
		return decode_map(s, f->record, place);
	default:
		return to_list(s, f, &v, place);
	}
}

/* The field of that name; fields mostly come in the schema's order, so the search starts at a hint.
 */
static const struct msg_field *field_named(const struct msg_record *rec,
					   const struct wire_value *key, uint32_t *hint)
{
	const struct msg_field *fields = rec->fields();

	for (uint32_t n = 0; n < rec->n_fields; n++) {
		uint32_t i = (*hint + n) % rec->n_fields;

		if (strlen(fields[i].name) == key->number &&
		    memcmp(fields[i].name, key->data, (size_t)key->number) == 0) {
			*hint = i + 1;
			return &fields[i];
		}
	}
	return NULL;
}

static int check_required(struct source *s, const struct msg_record *rec, const uint8_t *seen)
{
	const struct msg_field *f = rec->fields();

	for (uint32_t i = 0; i < rec->n_fields; i++)
		if (f[i].required && !(seen[i / 8] >> (i % 8) & 1)) {
			s->field = f[i].name;
			return -EBADMSG;
		}
	return 0;
}

static int decode_map(struct source *s, const struct msg_record *rec, void *body)
{
	uint8_t seen[32] = {0};
	uint32_t hint = 0;
	struct wire_value v, key;

	if (!wire_next(s->data, s->len, &s->at, &v) || v.kind != WIRE_MAP ||
	    rec->n_fields > 8 * sizeof seen)
		return -EBADMSG;
	msg_body_init(rec, body);
	for (uint64_t i = 0; i < v.number; i++) {
		const struct msg_field *f;
		int err;

		if (!wire_next(s->data, s->len, &s->at, &key) || key.kind != WIRE_STR)
			return -EBADMSG;
		f = field_named(rec, &key, &hint);
		if (!f) {
			if (!wire_skip(s->data, s->len, &s->at))
				return -EBADMSG;
			continue;
		}
		err = to_field(s, f, (char *)body + f->offset);
		if (err) {
			s->field = s->field ? s->field : f->name;
			return err;
		}
		seen[(f - rec->fields()) / 8] |= (uint8_t)(1u << ((f - rec->fields()) % 8));
	}
	return check_required(s, rec, seen);
}

int msg_body_decode(const struct msg_record *rec, const uint8_t *data, size_t len,
		    struct codec_arena *arena, void *ret_body, const char **ret_field)
{
	struct source s = {.data = data, .len = len, .arena = arena};
	int err = msg_guard(data, len, NULL);

	if (!err)
		err = decode_map(&s, rec, ret_body);
	if (err && ret_field)
		*ret_field = s.field ? s.field : "";
	return err;
}

/* --- deep copies: measured, then laid into one block --- */

struct copy {
	char *at; /* NULL while measuring */
	size_t used;
};

static void *copy_in(struct copy *c, const void *data, size_t size)
{
	size_t rounded = (size + 7) / 8 * 8;
	void *place = c->at ? c->at + c->used : NULL;

	if (place && size)
		memcpy(place, data, size);
	c->used += rounded;
	return place;
}

static void copy_fields(struct copy *c, const struct msg_record *rec, const void *from, void *to);

static void copy_list(struct copy *c, const struct msg_field *f, const void *from, void *to)
{
	struct msg_recs list;
	size_t each = f->kind == MSG_RECS  ? f->record->size
		      : f->kind == MSG_BIN ? 1
					   : sizeof(uint64_t);
	char *items;

	memcpy(&list, from, sizeof list);
	items = copy_in(c, list.items, each * list.count);
	for (uint32_t i = 0; i < list.count; i++) {
		char *source = (char *)list.items + each * i,
		     *target = items ? items + each * i : NULL;

		if (f->kind == MSG_RECS)
			copy_fields(c, f->record, source, target);
		if (f->kind == MSG_STRS) {
			const char *text = ((const char **)list.items)[i];
			char *copied = copy_in(c, text, strlen(text) + 1);

			if (target)
				memcpy(target, &copied, sizeof copied);
		}
	}
	list.items = list.count ? items : NULL;
	if (to)
		memcpy(to, &list, sizeof list);
}

static void copy_fields(struct copy *c, const struct msg_record *rec, const void *from, void *to)
{
	const struct msg_field *f = rec->fields();

	for (uint32_t i = 0; i < rec->n_fields; i++) {
		const char *source = (const char *)from + f[i].offset;
		char *target = to ? (char *)to + f[i].offset : NULL;

		if (f[i].kind == MSG_REC) {
			copy_fields(c, f[i].record, source, target);
		} else if (f[i].kind == MSG_STR) {
			const char *text = *(const char *const *)source;
			char *copied = text ? copy_in(c, text, strlen(text) + 1) : NULL;

			if (target)
				memcpy(target, &copied, sizeof copied);
		} else if (f[i].kind >= MSG_BIN) {
			copy_list(c, &f[i], source, target);
		} else if (target) {
			memcpy(target, source, field_size(&f[i]));
		}
	}
}

void *msg_body_copy(const struct msg_record *rec, const void *body)
{
	struct copy c = {0};
	void *to;

	copy_in(&c, body, rec->size);
	copy_fields(&c, rec, body, NULL);
	c.at = calloc(1, c.used);
	if (!c.at)
		return NULL;
	c.used = 0;
	to = copy_in(&c, body, rec->size);
	copy_fields(&c, rec, body, to);
	return to;
}
