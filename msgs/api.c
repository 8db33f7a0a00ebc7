/*
 * Frames of the API door; see the header.
 */
#include "msgs/api.h"

#include <errno.h>

/* Gives the frame that begins at start its length; too long or failed, it is taken back. */
static int frame_end(struct codec_buffer *out, size_t start, int err)
{
	size_t len = out->len - start - API_HEAD_BYTES;

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

int api_frame_append(const struct msg_record *rec, const void *body, struct codec_buffer *out)
{
	static const uint8_t head[API_HEAD_BYTES];
	size_t start = out->len;
	int err = codec_buffer_add(out, head, sizeof head);

	if (err)
		return err;
	return frame_end(out, start, msg_body_encode(rec, body, out, NULL));
}

/* One more pair for a map of fewer than 15, which one byte heads. */
static int add_rows(struct codec_buffer *out, size_t map, const struct api_rows *rows)
{
	uint8_t key[] = "\xa9processes\xdc..";
	size_t len = sizeof key - 1;
	int err;

	if (out->data[map] < 0x80 || out->data[map] >= 0x8f || rows->count > UINT16_MAX)
		return -EMSGSIZE;
	out->data[map]++;
	key[len - 2] = (uint8_t)(rows->count >> 8);
	key[len - 1] = (uint8_t)rows->count;
	err = codec_buffer_add(out, key, len);
	return err ? err : codec_buffer_add(out, rows->data, rows->len);
}

int api_answer_append(const struct api_answer *answer, const struct api_rows *processes,
		      struct codec_buffer *out)
{
	size_t start = out->len;
	int err = api_frame_append(&REC_api_answer, answer, out);

	if (err || !processes || !processes->count)
		return err;
	return frame_end(out, start, add_rows(out, start + API_HEAD_BYTES, processes));
}

uint32_t api_frame_length(const uint8_t head[API_HEAD_BYTES])
{
	return (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
}
