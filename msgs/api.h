/*
 * The frames of the API door, for both its ends: a length and a record of the schema. It never
 * talks to a socket.
 */
#ifndef LOPS_MSGS_API_H
#define LOPS_MSGS_API_H

#include <stdint.h>
#include "msgs/codec.h"
#include "msgs/events.h"

#define API_FRAME_MAX   (256 * 1024) /* bytes of a body */
#define API_HEAD_BYTES  4
#define API_REQUEST_MAX 64 /* bytes of a request's id */

/* Appends a frame. 0 or what msg_body_encode says; -EMSGSIZE beyond the bound. On failure the
 * buffer is as before. */
int api_frame_append(const struct msg_record *rec, const void *body, struct codec_buffer *out);

/* Records of processes that are encoded already, one behind the other. */
struct api_rows {
	const uint8_t *data;
	size_t len;
	uint32_t count;
};

/* The same for an answer whose `processes` are rows (NULL: its own). */
int api_answer_append(const struct api_answer *answer, const struct api_rows *processes,
		      struct codec_buffer *out);

/* The length that a head announces. */
uint32_t api_frame_length(const uint8_t head[API_HEAD_BYTES]);

#endif
