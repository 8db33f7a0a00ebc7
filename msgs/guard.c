/*
 * Walks msgpack tags before anyone allocates for them: counts against the bytes left (each, and
 * their sum), depth, nodes, UTF-8 of strings, string keys of maps and no key twice; all bytes used.
 * It never allocates and never recurses.
 */
#include "msgs/codec.h"
#include "msgs/header.h"
#include "msgs/wire.h"

#include <errno.h>
#include <string.h>

struct level {
	uint32_t left; /* values still to come at this depth */
	bool is_map;
	bool expects_key;
	uint32_t first_key; /* offset of the map's first key */
	uint32_t keys;
};

struct walk {
	const uint8_t *data;
	size_t len, at;
	uint64_t promised; /* values that counts have announced and that have not come yet */
	uint32_t nodes, depth;
	struct level levels[MSG_DEPTH_MAX];
};

bool wire_utf8_ok(const uint8_t *s, size_t len)
{
	size_t i = 0;

	while (i < len) {
		uint32_t c = s[i], n = c < 0x80                ? 0
				       : c >= 0xc2 && c < 0xe0 ? 1
				       : (c & 0xf0) == 0xe0    ? 2
				       : c >= 0xf0 && c < 0xf5 ? 3
							       : 4;
		uint32_t point = n == 0 ? c : n == 1 ? c & 0x1f : n == 2 ? c & 0x0f : c & 0x07;

		if (n == 4 || len - i <= n)
			return false;
		for (uint32_t k = 1; k <= n; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
			point = point << 6 | (s[i + k] & 0x3f);
		}
		if ((n == 2 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) ||
		    (n == 3 && (point < 0x10000 || point > 0x10ffff)))
			return false;
		i += n + 1;
	}
	return true;
}

bool wire_next(const uint8_t *data, size_t len, size_t *at, struct wire_value *ret_v)
{
	/* Bytes of the number after the tags c4..df, by tag. */
	static const uint8_t widths[32] = {[0x04] = 1, 2, 4, 1, 2,          4, 4, 8, 1, 2, 4, 8,
					   1,          2, 4, 8, [0x19] = 1, 2, 4, 2, 4, 2, 4};
	struct wire_value v = {0};
	uint64_t number = 0;
	uint8_t tag, width;

	if (*at >= len)
		return false;
	tag = data[(*at)++];
	width = tag >= 0xc0 && tag < 0xe0 ? widths[tag - 0xc0] : 0;
	if (len - *at < width)
		return false;
	for (uint8_t i = 0; i < width; i++)
		number = number << 8 | data[(*at)++];
	v.number = number;
	if (tag <= 0x7f) {
		v.kind = WIRE_UINT;
		v.number = tag;
	} else if (tag <= 0x8f) {
		v.kind = WIRE_MAP;
		v.number = tag & 0x0f;
	} else if (tag <= 0x9f) {
		v.kind = WIRE_ARRAY;
		v.number = tag & 0x0f;
	} else if (tag <= 0xbf) {
		v.kind = WIRE_STR;
		v.number = tag & 0x1f;
	} else if (tag >= 0xe0) {
		v.kind = WIRE_NEGATIVE;
		v.integer = (int8_t)tag;
	} else if (tag == 0xc0) {
		v.kind = WIRE_NIL;
	} else if (tag == 0xc2 || tag == 0xc3) {
		v.kind = WIRE_BOOL;
		v.number = tag & 1;
	} else if (tag >= 0xc4 && tag <= 0xc6) {
		v.kind = WIRE_BIN;
	} else if (tag == 0xca) {
		float f;
		uint32_t bits = (uint32_t)number;

		memcpy(&f, &bits, sizeof f);
		v.kind = WIRE_FLOAT;
		v.real = (double)f;
	} else if (tag == 0xcb) {
		v.kind = WIRE_FLOAT;
		memcpy(&v.real, &number, sizeof v.real);
	} else if (tag >= 0xcc && tag <= 0xcf) {
		v.kind = WIRE_UINT;
	} else if (tag >= 0xd0 && tag <= 0xd3) {
		uint32_t shift = 64 - 8u * width;

		v.integer = (int64_t)(number << shift) >> shift;
		v.kind = v.integer < 0 ? WIRE_NEGATIVE : WIRE_UINT;
		v.number = (uint64_t)v.integer;
	} else if (tag >= 0xd9 && tag <= 0xdb) {
		v.kind = WIRE_STR;
	} else if (tag == 0xdc || tag == 0xdd) {
		v.kind = WIRE_ARRAY;
	} else if (tag == 0xde || tag == 0xdf) {
		v.kind = WIRE_MAP;
	} else {
		return false; /* never used, or an extension type */
	}
	if (v.kind == WIRE_STR || v.kind == WIRE_BIN) {
		if (len - *at < v.number)
			return false;
		v.data = data + *at;
		*at += (size_t)v.number;
	}
	*ret_v = v;
	return true;
}

/* Whether the key at `at` stands among the earlier keys of its map. Maps are small: quadratic is
 * fine up to the bound on nodes. */
static bool is_second(const struct walk *w, const struct level *map, const struct wire_value *key)
{
	struct wire_value v;
	size_t at = map->first_key;

	for (uint32_t i = 0; i + 1 < map->keys; i++) {
		if (!wire_next(w->data, w->len, &at, &v))
			return true;
		if (v.number == key->number && memcmp(v.data, key->data, (size_t)v.number) == 0)
			return true;
		if (!wire_skip(w->data, w->len, &at))
			return true;
	}
	return false;
}

bool wire_skip(const uint8_t *data, size_t len, size_t *at)
{
	uint64_t left = 1;
	struct wire_value v;

	while (left > 0) {
		if (!wire_next(data, len, at, &v))
			return false;
		left--;
		if (v.kind == WIRE_ARRAY)
			left += v.number;
		else if (v.kind == WIRE_MAP)
			left += 2 * v.number;
		if (left > len)
			return false;
	}
	return true;
}

/* Begins an array or map. */
static int go_down(struct walk *w, const struct wire_value *v)
{
	uint64_t values = v->kind == WIRE_MAP ? 2 * v->number : v->number;

	if (v->number > UINT32_MAX / 2)
		return -EBADMSG;
	w->promised += values;
	if (w->promised > w->len - w->at)
		return -EBADMSG;
	if (values == 0)
		return 0;
	if (w->depth == MSG_DEPTH_MAX)
		return -E2BIG;
	w->levels[w->depth++] = (struct level){.left = (uint32_t)values,
					       .is_map = v->kind == WIRE_MAP,
					       .expects_key = v->kind == WIRE_MAP,
					       .first_key = (uint32_t)w->at};
	return 0;
}

static int check_key(struct walk *w, struct level *map, const struct wire_value *v)
{
	if (v->kind != WIRE_STR)
		return -EBADMSG;
	map->keys++;
	return map->keys <= 64 && is_second(w, map, v) ? -EBADMSG : map->keys > 64 ? -E2BIG : 0;
}

static int one_value(struct walk *w)
{
	struct level *in = w->depth ? &w->levels[w->depth - 1] : NULL;
	struct wire_value v;
	int err = 0;

	if (!wire_next(w->data, w->len, &w->at, &v))
		return -EBADMSG;
	if (++w->nodes > MSG_NODES_MAX)
		return -E2BIG;
	if (v.kind == WIRE_STR && !wire_utf8_ok(v.data, (size_t)v.number))
		return -EBADMSG;
	if (in) {
		in->left--;
		w->promised--;
		if (in->is_map && in->expects_key)
			err = check_key(w, in, &v);
		in->expects_key = in->is_map && !in->expects_key;
	}
	if (!err && (v.kind == WIRE_ARRAY || v.kind == WIRE_MAP))
		err = go_down(w, &v);
	while (w->depth && w->levels[w->depth - 1].left == 0)
		w->depth--;
	return err;
}

int msg_guard(const uint8_t *data, size_t len, size_t *ret_at)
{
	struct walk w = {.data = data, .len = len};
	int err = len > MSG_FRAME_MAX ? -E2BIG : 0;

	if (!err)
		err = one_value(&w);
	while (!err && w.depth)
		err = one_value(&w);
	if (!err && w.at != len)
		err = -EBADMSG;
	if (err && ret_at)
		*ret_at = w.at;
	return err;
}
