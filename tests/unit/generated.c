/*
 * Bodies from a seed; see the header.
 */
#include "tests/unit/generated.h"

#include <stdlib.h>
#include <string.h>

uint64_t generated_random(uint64_t *seed)
{
	uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void *take(struct codec_arena *arena, size_t size)
{
	void *at = codec_arena_alloc(arena, size);

	if (!at)
		abort();
	return at;
}

static const char *text(struct codec_arena *arena, uint64_t *seed)
{
	static const char *const pieces[] = {
		"a", "web", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x9a", " ", "=", "\x01"};
	size_t n = generated_random(seed) % 12;
	char *s = take(arena, 5 * n + 1);

	s[0] = 0;
	for (size_t i = 0; i < n; i++)
		strncat(s, pieces[generated_random(seed) % 8], 5);
	return s;
}

static int64_t number(uint64_t *seed)
{
	uint64_t v = generated_random(seed) >> generated_random(seed) % 64;
	int64_t n = (int64_t)(v & INT64_MAX);

	return generated_random(seed) % 2 ? -n : n;
}

static void list(const struct msg_field *f, void *place, struct codec_arena *arena, uint64_t *seed)
{
	size_t each = f->kind == MSG_RECS ? f->record->size : sizeof(uint64_t);
	struct msg_recs l = {.count = (uint32_t)(generated_random(seed) % 4)};

	l.items = take(arena, each * (l.count + 1));
	for (uint32_t i = 0; i < l.count; i++) {
		if (f->kind == MSG_STRS)
			((const char **)l.items)[i] = text(arena, seed);
		else if (f->kind == MSG_I64S)
			((int64_t *)l.items)[i] = number(seed);
		else
			generated_body(f->record, (char *)l.items + i * each, arena, seed);
	}
	memcpy(place, &l, sizeof l);
}

static void bytes(struct msg_bytes *b, struct codec_arena *arena, uint64_t *seed)
{
	uint32_t n = (uint32_t)(generated_random(seed) % 300);
	uint8_t *data = take(arena, n + 1);

	for (uint32_t i = 0; i < n; i++)
		data[i] = (uint8_t)generated_random(seed);
	*b = (struct msg_bytes){.data = data, .len = n};
}

void generated_body(const struct msg_record *rec, void *body, struct codec_arena *arena,
		    uint64_t *seed)
{
	const struct msg_field *f = rec->fields();

	msg_body_init(rec, body);
	for (uint32_t i = 0; i < rec->n_fields; i++) {
		void *place = (char *)body + f[i].offset;

		switch (f[i].kind) {
		case MSG_BOOL:
			*(bool *)place = generated_random(seed) % 2;
			break;
		case MSG_I64:
			*(int64_t *)place = number(seed);
			break;
		case MSG_U64:
			*(uint64_t *)place = generated_random(seed) >> generated_random(seed) % 64;
			break;
		case MSG_F64:
			*(double *)place = (double)number(seed) / 64;
			break;
		case MSG_STR:
			*(const char **)place = text(arena, seed);
			break;
		case MSG_BIN:
			bytes(place, arena, seed);
			break;
		case MSG_REC:
			generated_body(f[i].record, place, arena, seed);
			break;
		default:
			list(&f[i], place, arena, seed);
		}
	}
}
