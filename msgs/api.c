/*
 * Frames of the API door; see the header.
 */
#include "msgs/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_room(struct codec_buffer *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 512;
	uint8_t *data;

	while (cap < b->len + more)
		cap *= 2;
	if (cap == b->cap)
		return 0;
	data = realloc(b->data, cap);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

int api_frame_append(const struct msg_record *rec, const void *body, struct codec_buffer *out)
{
	size_t start = out->len, len;
	int err = make_room(out, API_HEAD_BYTES);

	if (err)
		return err;
	out->len += API_HEAD_BYTES;
	err = msg_body_encode(rec, body, out, NULL);
	len = out->len - start - API_HEAD_BYTES;
	if (!err && len > API_FRAME_MAX)
		err = -EMSGSIZE;
	if (err) {
		out->len = start;
		return err;
	}
	for (int i = 0; i < API_HEAD_BYTES; i++)
		out->data[start + (size_t)i] = (uint8_t)(len >> (24 - 8 * i));
	return 0;
}

uint32_t api_frame_length(const uint8_t head[API_HEAD_BYTES])
{
	return (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
}
