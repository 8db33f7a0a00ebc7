/*
 * Packets of the stream door: built and taken apart within bounds. Nothing is copied when reading;
 * nothing is allocated.
 */
#include "msgs/door.h"

#include <errno.h>
#include <string.h>

enum {
	TAG_FALSE = 0xc2,
	TAG_TRUE = 0xc3,
	TAG_BIN8 = 0xc4,
	TAG_BIN16 = 0xc5,
	TAG_BIN32 = 0xc6,
	TAG_U8 = 0xcc,
	TAG_U16 = 0xcd,
	TAG_U32 = 0xce,
	TAG_U64 = 0xcf,
	TAG_STR8 = 0xd9,
	TAG_STR16 = 0xda,
	TAG_ARRAY16 = 0xdc,
	TAG_RECORD = 0x93,
};

struct door_reader door_reader_over(void *packet, size_t len)
{
	uint8_t *at = packet;

	return (struct door_reader){.at = at, .end = at + len};
}

static uint64_t big_endian(const uint8_t *at, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | at[i];
	return v;
}

static bool has(struct door_reader *r, uint64_t n)
{
	if (r->error == 0 && (uint64_t)(r->end - r->at) >= n)
		return true;
	r->error = -EBADMSG;
	return false;
}

/* The tag's N-byte number, the reader moved over both. */
static uint64_t take_number(struct door_reader *r, size_t n)
{
	uint64_t v;

	if (!has(r, 1 + n))
		return 0;
	v = big_endian(r->at + 1, n);
	r->at += 1 + n;
	return v;
}

uint64_t door_read_uint(struct door_reader *r)
{
	if (!has(r, 1))
		return 0;
	if (*r->at <= 0x7f)
		return *r->at++;
	switch (*r->at) {
	case TAG_FALSE:
	case TAG_TRUE:
		return *r->at++ == TAG_TRUE;
	case TAG_U8:
		return take_number(r, 1);
	case TAG_U16:
		return take_number(r, 2);
	case TAG_U32:
		return take_number(r, 4);
	case TAG_U64:
		return take_number(r, 8);
	default:
		r->error = -EBADMSG;
		return 0;
	}
}

static struct door_text take_text(struct door_reader *r, uint64_t len, uint32_t max)
{
	struct door_text text = {.at = "", .len = 0};

	if (len > max)
		r->error = -EBADMSG;
	if (!has(r, len))
		return text;
	text.at = (const char *)r->at;
	text.len = (uint32_t)len;
	r->at += len;
	return text;
}

struct door_text door_read_str(struct door_reader *r, uint32_t max)
{
	uint64_t len = 0;

	if (!has(r, 1))
		return take_text(r, 0, max);
	if ((*r->at & 0xe0) == 0xa0)
		len = *r->at++ & 0x1f;
	else if (*r->at == TAG_STR8)
		len = take_number(r, 1);
	else if (*r->at == TAG_STR16)
		len = take_number(r, 2);
	else
		r->error = -EBADMSG;
	return take_text(r, len, max);
}

struct door_text door_read_bin(struct door_reader *r, uint32_t max)
{
	uint64_t len = 0;

	if (!has(r, 1))
		return take_text(r, 0, max);
	if (*r->at == TAG_BIN8)
		len = take_number(r, 1);
	else if (*r->at == TAG_BIN16)
		len = take_number(r, 2);
	else if (*r->at == TAG_BIN32)
		len = take_number(r, 4);
	else
		r->error = -EBADMSG;
	return take_text(r, len, max);
}

uint32_t door_read_array(struct door_reader *r, uint32_t max)
{
	uint64_t count = 0;

	if (!has(r, 1))
		return 0;
	if ((*r->at & 0xf0) == 0x90)
		count = *r->at++ & 0x0f;
	else if (*r->at == TAG_ARRAY16)
		count = take_number(r, 2);
	else
		r->error = -EBADMSG;
	if (count > max)
		r->error = -EBADMSG;
	return r->error ? 0 : (uint32_t)count;
}

/* The payload after a fixed tag and a length of N bytes; NULL when it isn't that. */
static uint8_t *take_part(struct door_reader *r, uint8_t tag, size_t n, uint64_t max,
			  uint32_t *ret_len)
{
	uint64_t len;
	uint8_t *part;

	if (!has(r, 1 + n))
		return NULL;
	if (*r->at != tag) {
		r->error = -EBADMSG;
		return NULL;
	}
	len = take_number(r, n);
	if (len > max || !has(r, len)) {
		r->error = -EBADMSG;
		return NULL;
	}
	part = r->at;
	r->at += len;
	*ret_len = (uint32_t)len;
	return part;
}

bool door_read_record(struct door_reader *r, struct door_record *ret_rec)
{
	struct door_record rec = {0};
	uint8_t *start = r->at;

	if (r->error || r->at == r->end)
		return false;
	if (*r->at++ != TAG_RECORD) {
		r->error = -EBADMSG;
		return false;
	}
	rec.topic.at = (const char *)take_part(r, TAG_STR8, 1, MSG_TOPIC_MAX, &rec.topic.len);
	rec.header = r->error ? NULL : take_part(r, TAG_BIN8, 1, MSG_HEADER_MAX, &rec.header_len);
	rec.body = r->error ? NULL : take_part(r, TAG_BIN32, 4, MSG_FRAME_MAX, &rec.body_len);
	if (r->error)
		return false;
	rec.whole = start;
	rec.whole_len = (uint32_t)(r->at - start);
	*ret_rec = rec;
	return true;
}

bool door_reader_ended(const struct door_reader *r)
{
	return r->error == 0 && r->at == r->end;
}

struct door_writer door_writer_over(void *data, size_t cap)
{
	return (struct door_writer){.data = data, .cap = cap};
}

/* Room for n more bytes, or the error sticks. */
static uint8_t *room(struct door_writer *w, size_t n)
{
	uint8_t *at;

	if (w->error || w->cap - w->len < n) {
		w->error = -ENOSPC;
		return NULL;
	}
	at = w->data + w->len;
	w->len += n;
	return at;
}

static void put_tagged(struct door_writer *w, uint8_t tag, uint64_t v, size_t n)
{
	uint8_t *at = room(w, 1 + n);

	if (!at)
		return;
	*at = tag;
	for (size_t i = 0; i < n; i++)
		at[1 + i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static void put_byte(struct door_writer *w, uint8_t byte)
{
	put_tagged(w, byte, 0, 0);
}

void door_write_raw(struct door_writer *w, const void *data, size_t len)
{
	uint8_t *at = room(w, len);

	if (at && len)
		memcpy(at, data, len);
}

void door_write_uint(struct door_writer *w, uint64_t v)
{
	if (v <= 0x7f)
		put_byte(w, (uint8_t)v);
	else if (v <= UINT8_MAX)
		put_tagged(w, TAG_U8, v, 1);
	else if (v <= UINT16_MAX)
		put_tagged(w, TAG_U16, v, 2);
	else if (v <= UINT32_MAX)
		put_tagged(w, TAG_U32, v, 4);
	else
		put_tagged(w, TAG_U64, v, 8);
}

void door_write_bool(struct door_writer *w, bool v)
{
	put_byte(w, v ? TAG_TRUE : TAG_FALSE);
}

void door_write_str(struct door_writer *w, const char *s, size_t len)
{
	if (len <= 31)
		put_byte(w, (uint8_t)(0xa0 | len));
	else if (len <= UINT8_MAX)
		put_tagged(w, TAG_STR8, len, 1);
	else if (len <= UINT16_MAX)
		put_tagged(w, TAG_STR16, len, 2);
	else
		w->error = -ENOSPC;
	door_write_raw(w, s, len);
}

void door_write_bin(struct door_writer *w, const void *data, size_t len)
{
	if (len <= UINT8_MAX)
		put_tagged(w, TAG_BIN8, len, 1);
	else if (len <= UINT32_MAX)
		put_tagged(w, TAG_BIN32, len, 4);
	else
		w->error = -ENOSPC;
	door_write_raw(w, data, len);
}

void door_write_array(struct door_writer *w, uint32_t count)
{
	if (count <= 15)
		put_byte(w, (uint8_t)(0x90 | count));
	else if (count <= UINT16_MAX)
		put_tagged(w, TAG_ARRAY16, count, 2);
	else
		w->error = -ENOSPC;
}

void door_write_record(struct door_writer *w, const char *topic, size_t topic_len,
		       const uint8_t *header, size_t header_len, const uint8_t *body,
		       size_t body_len)
{
	size_t before = w->len;

	if (topic_len > MSG_TOPIC_MAX || header_len > MSG_HEADER_MAX || body_len > MSG_FRAME_MAX) {
		w->error = -ENOSPC;
		return;
	}
	put_byte(w, TAG_RECORD);
	put_tagged(w, TAG_STR8, topic_len, 1);
	door_write_raw(w, topic, topic_len);
	put_tagged(w, TAG_BIN8, header_len, 1);
	door_write_raw(w, header, header_len);
	put_tagged(w, TAG_BIN32, body_len, 4);
	door_write_raw(w, body, body_len);
	if (w->error)
		w->len = before;
}
