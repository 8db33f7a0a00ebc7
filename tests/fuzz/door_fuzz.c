/*
 * libFuzzer: a packet of the stream door, taken apart as the broker does.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "msgs/door.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct door_reader r;
	struct door_record rec;
	struct msg_header h;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	r = door_reader_over(copy, size);
	door_read_uint(&r);
	door_read_str(&r, DOOR_NAME_MAX);
	door_read_array(&r, DOOR_PREFIXES_MAX);
	r = door_reader_over(copy, size);
	door_read_uint(&r);
	while (door_read_record(&r, &rec)) {
		if (rec.whole < copy || rec.whole + rec.whole_len > copy + size)
			abort();
		msg_header_decode(rec.header, rec.header_len, &h);
	}
	free(copy);
	return 0;
}
