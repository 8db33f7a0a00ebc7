/*
 * libFuzzer: the first byte picks a type of the schema, the rest is its body; what decodes is
 * printed and comes back the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "msgs/codec.h"
#include "msgs/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct codec_arena arena;
	const struct msg_type *type = size ? msg_types[data[0] % msg_types_count] : NULL;
	struct codec_buffer again = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	void *body;

	if (!type)
		return 0;
	codec_arena_reset(&arena);
	body = codec_arena_alloc(&arena, type->body.size);
	if (body && msg_body_decode(&type->body, data + 1, size - 1, &arena, body, NULL) == 0) {
		if (msg_body_encode(&type->body, body, &again, NULL) != 0)
			abort();
		out = open_memstream(&text, &len);
		if (out) {
			msg_body_json(&type->body, body, out);
			msg_body_print(&type->body, body, out);
			fclose(out);
		}
		free(text);
	}
	codec_buffer_done(&again);
	return 0;
}
