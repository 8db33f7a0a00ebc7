/*
 * Headers on the wire: encode, decode, and the broker's writes in place. No allocation, no I/O.
 */
#include "msgs/header.h"

#include <errno.h>
#include <string.h>

enum { U64_TAG = 0xcf, STR8_TAG = 0xd9, ARRAY13_TAG = 0x9d, U64_BYTES = 9 };

static uint8_t *put_u64(uint8_t *at, uint64_t v)
{
	*at++ = U64_TAG;
	for (int shift = 56; shift >= 0; shift -= 8)
		*at++ = (uint8_t)(v >> shift);
	return at;
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | at[i];
	return v;
}

size_t msg_header_id(const char *sender, uint64_t incarnation, uint64_t number, uint8_t *out)
{
	size_t sender_len = strnlen(sender, MSG_SENDER_MAX);
	uint8_t *at = out;

	*at++ = STR8_TAG;
	*at++ = (uint8_t)sender_len;
	memcpy(at, sender, sender_len);
	at = put_u64(at + sender_len, incarnation);
	at = put_u64(at, number);
	return (size_t)(at - out);
}

size_t msg_header_encode(const struct msg_header *h, uint8_t *out)
{
	uint8_t *at = out;

	*at++ = ARRAY13_TAG;
	*at++ = (uint8_t)(h->version & 0x7f);
	at = put_u64(at, h->epoch);
	at = put_u64(at, h->seq);
	at = put_u64(at, h->prev);
	at = put_u64(at, h->dprev);
	at = put_u64(at, h->cause);
	at += msg_header_id(h->sender, h->incarnation, h->number, at);
	at = put_u64(at, h->did);
	at = put_u64(at, h->time_ns);
	at = put_u64(at, h->mono_ns);
	at = put_u64(at, h->uid);
	return (size_t)(at - out);
}

/* Moves *at over one u64; false when it isn't there. */
static int take_u64(const uint8_t **at, const uint8_t *end, uint64_t *ret_v)
{
	if (end - *at < U64_BYTES || **at != U64_TAG)
		return -EBADMSG;
	*ret_v = get_u64(*at + 1);
	*at += U64_BYTES;
	return 0;
}

static int take_sender(const uint8_t **at, const uint8_t *end, char *ret_sender)
{
	size_t len;

	if (end - *at < 2 || **at != STR8_TAG)
		return -EBADMSG;
	len = (*at)[1];
	if (len > MSG_SENDER_MAX || (size_t)(end - *at) < 2 + len || memchr(*at + 2, 0, len))
		return -EBADMSG;
	memcpy(ret_sender, *at + 2, len);
	*at += 2 + len;
	return 0;
}

int msg_header_decode(const uint8_t *data, size_t len, struct msg_header *ret_h)
{
	struct msg_header h = {0};
	uint64_t *const before[] = {&h.epoch, &h.seq, &h.prev, &h.dprev, &h.cause};
	uint64_t *const after[] = {&h.incarnation, &h.number,  &h.did,
				   &h.time_ns,     &h.mono_ns, &h.uid};
	const uint8_t *at = data + 2, *end = data + len;

	if (len < 2 || len > MSG_HEADER_MAX || data[0] != ARRAY13_TAG || data[1] > 0x7f)
		return -EBADMSG;
	h.version = data[1];
	if (h.version > MSG_VERSION)
		return -EPROTONOSUPPORT;
	for (size_t i = 0; i < sizeof before / sizeof *before; i++)
		if (take_u64(&at, end, before[i]) < 0)
			return -EBADMSG;
	if (take_sender(&at, end, h.sender) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof after / sizeof *after; i++)
		if (take_u64(&at, end, after[i]) < 0)
			return -EBADMSG;
	if (at != end)
		return -EBADMSG;
	*ret_h = h;
	return 0;
}

void msg_header_patch(uint8_t *header, size_t at, uint64_t value)
{
	put_u64(header + at, value);
}

uint64_t msg_header_peek(const uint8_t *header, size_t at)
{
	return get_u64(header + at + 1);
}

static uint64_t fnv(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t msg_did(const char *kind, const char *text, uint64_t a, uint64_t b)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	hash = fnv(hash, kind, strlen(kind) + 1);
	hash = fnv(hash, text ? text : "", text ? strlen(text) + 1 : 1);
	for (int shift = 0; shift < 64; shift += 8)
		hash = fnv(hash, &(uint8_t){(uint8_t)(a >> shift)}, 1);
	for (int shift = 0; shift < 64; shift += 8)
		hash = fnv(hash, &(uint8_t){(uint8_t)(b >> shift)}, 1);
	return hash ? hash : 1;
}
