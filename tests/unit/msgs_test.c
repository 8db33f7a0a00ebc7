/*
 * The vocabulary: headers, packets, the guard and the codec over every type of the schema, with
 * msgpack-c as an independent oracle.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <msgpack.h>
#include "msgs/codec.h"
#include "msgs/door.h"
#include "msgs/events.h"
#include "msgs/header.h"
#include "tests/unit/generated.h"

static struct codec_arena made, got;

static void *body_of(const struct msg_record *rec)
{
	void *b = calloc(1, rec->size);

	assert_non_null(b);
	return b;
}

static void encode(const struct msg_record *rec, const void *body, struct codec_buffer *out)
{
	const char *bad = "";

	out->len = 0;
	assert_int_equal(msg_body_encode(rec, body, out, &bad), 0);
}

/* Encode, decode, encode: the same bytes, for every type and many seeds. */
static void every_type_comes_back_as_it_went(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < msg_types_count; i++) {
		const struct msg_record *rec = &msg_types[i]->body;

		for (uint64_t n = 1; n <= 40; n++) {
			struct codec_buffer one = {0}, two = {0};
			void *a = body_of(rec), *b = body_of(rec);
			uint64_t seed = n * 1000 + i;

			codec_arena_reset(&made);
			codec_arena_reset(&got);
			generated_body(rec, a, &made, &seed);
			encode(rec, a, &one);
			assert_int_equal(msg_body_decode(rec, one.data, one.len, &got, b, NULL), 0);
			encode(rec, b, &two);
			assert_int_equal(one.len, two.len);
			assert_memory_equal(one.data, two.data, one.len);
			codec_buffer_done(&one);
			codec_buffer_done(&two);
			free(a);
			free(b);
		}
	}
}

static void msgpack_c_reads_what_we_write(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < msg_types_count; i++) {
		const struct msg_record *rec = &msg_types[i]->body;
		struct codec_buffer one = {0};
		void *a = body_of(rec);
		uint64_t seed = i;
		msgpack_zone zone;
		msgpack_object o;
		msgpack_sbuffer again;
		msgpack_packer packer;
		size_t at = 0;

		codec_arena_reset(&made);
		generated_body(rec, a, &made, &seed);
		encode(rec, a, &one);
		msgpack_zone_init(&zone, 4096);
		assert_int_equal(msgpack_unpack((const char *)one.data, one.len, &at, &zone, &o),
				 MSGPACK_UNPACK_SUCCESS);
		assert_int_equal(o.type, MSGPACK_OBJECT_MAP);
		/* And what it writes of that, we read. */
		msgpack_sbuffer_init(&again);
		msgpack_packer_init(&packer, &again, msgpack_sbuffer_write);
		msgpack_pack_object(&packer, o);
		codec_arena_reset(&got);
		assert_int_equal(msg_body_decode(rec, (const uint8_t *)again.data, again.size, &got,
						 a, NULL),
				 0);
		msgpack_sbuffer_destroy(&again);
		msgpack_zone_destroy(&zone);
		codec_buffer_done(&one);
		free(a);
	}
}

static void a_missing_field_is_named(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < msg_types_count; i++) {
		const struct msg_record *rec = &msg_types[i]->body;
		const struct msg_field *f = rec->fields();
		const uint8_t empty_map[] = {0x80};
		const char *bad = NULL;
		void *b = body_of(rec);
		bool any = false;

		for (uint32_t k = 0; k < rec->n_fields; k++)
			any |= f[k].required;
		codec_arena_reset(&got);
		assert_int_equal(msg_body_decode(rec, empty_map, 1, &got, b, &bad),
				 any ? -EBADMSG : 0);
		if (any)
			assert_string_not_equal(bad, "");
		free(b);
	}
}

/* Every field of every type, given a value of a type that it can't have. */
static void a_wrong_type_is_named(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < msg_types_count; i++) {
		const struct msg_record *rec = &msg_types[i]->body;
		const struct msg_field *f = rec->fields();

		for (uint32_t k = 0; k < rec->n_fields; k++) {
			msgpack_sbuffer s;
			msgpack_packer p;
			const char *bad = NULL;
			void *b = body_of(rec);

			msgpack_sbuffer_init(&s);
			msgpack_packer_init(&p, &s, msgpack_sbuffer_write);
			msgpack_pack_map(&p, 1);
			msgpack_pack_str_with_body(&p, f[k].name, strlen(f[k].name));
			if (f[k].kind == MSG_STR)
				msgpack_pack_int(&p, 7);
			else
				msgpack_pack_str_with_body(&p, "x", 1);
			codec_arena_reset(&got);
			assert_int_equal(
				msg_body_decode(rec, (uint8_t *)s.data, s.size, &got, b, &bad),
				-EBADMSG);
			assert_string_equal(bad, f[k].name);
			msgpack_sbuffer_destroy(&s);
			free(b);
		}
	}
}

static void unknown_fields_are_ignored(void **state)
{
	const uint8_t map[] = {0x82, 0xa1, 'z', 0x93, 1,   2,    3,  0xa5,
			       'a',  'c',  't', 'o',  'r', 0xa1, 'b'};
	struct actor_started s;

	(void)state;
	codec_arena_reset(&got);
	assert_int_equal(msg_body_decode(&MSG_actor_started.body, map, sizeof map, &got, &s, NULL),
			 0);
	assert_string_equal(s.actor, "b");
}

static int guard(const void *data, size_t len)
{
	return msg_guard(data, len, NULL);
}

static void the_guard_refuses_bombs(void **state)
{
	static uint8_t deep[65000];
	static const uint8_t length_bomb[] = {0xdd, 0x0f, 0xff, 0xff, 0xff},
			     twice[] = {0x82, 0xa1, 'a', 1, 0xa1, 'a', 2}, never_used[] = {0xc1},
			     extension[] = {0xd4, 1, 1}, trailing[] = {1, 1},
			     bad_utf8[] = {0xa2, 0xc3, 0x28}, overlong[] = {0xa2, 0xc0, 0x80},
			     surrogate[] = {0xa3, 0xed, 0xa0, 0x80}, number_key[] = {0x81, 1, 1},
			     sum[] = {0x92, 0xdc, 0x00, 0x04, 0xdc, 0x00, 0x04, 1, 1, 1, 1, 1};

	(void)state;
	memset(deep, 0x91, sizeof deep);
	assert_int_not_equal(guard(deep, sizeof deep), 0);
	assert_int_not_equal(guard(length_bomb, sizeof length_bomb), 0);
	assert_int_not_equal(guard(twice, sizeof twice), 0);
	assert_int_not_equal(guard(never_used, 1), 0);
	assert_int_not_equal(guard(extension, sizeof extension), 0);
	assert_int_not_equal(guard(trailing, sizeof trailing), 0);
	assert_int_not_equal(guard(bad_utf8, sizeof bad_utf8), 0);
	assert_int_not_equal(guard(overlong, sizeof overlong), 0);
	assert_int_not_equal(guard(surrogate, sizeof surrogate), 0);
	assert_int_not_equal(guard(number_key, sizeof number_key), 0);
	assert_int_not_equal(guard(sum, sizeof sum), 0);
	assert_int_not_equal(guard("", 0), 0);
}

static void depth_sixteen_passes_and_seventeen_does_not(void **state)
{
	uint8_t nested[18];

	(void)state;
	memset(nested, 0x91, sizeof nested);
	nested[16] = nested[17] = 1;
	assert_int_equal(guard(nested, 17), 0);
	nested[16] = 0x91;
	assert_int_not_equal(guard(nested, 18), 0);
}

/* Cut at every byte: refused, never read beyond. The copy has exactly that size, for the sanitizer.
 */
static void a_truncated_body_is_refused_at_every_byte(void **state)
{
	struct process_exited e;
	struct codec_buffer b = {0};
	uint64_t seed = 5;

	(void)state;
	codec_arena_reset(&made);
	generated_body(&MSG_process_exited.body, &e, &made, &seed);
	encode(&MSG_process_exited.body, &e, &b);
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *cut = malloc(len ? len : 1);
		struct process_exited out;

		assert_non_null(cut);
		memcpy(cut, b.data, len);
		codec_arena_reset(&got);
		assert_int_not_equal(
			msg_body_decode(&MSG_process_exited.body, cut, len, &got, &out, NULL), 0);
		free(cut);
	}
	codec_buffer_done(&b);
}

static void mutations_neither_crash_nor_grow(void **state)
{
	uint64_t seed = 20, passed = 0;

	(void)state;
	for (int n = 0; n < 10000; n++) {
		const struct msg_type *type = msg_types[generated_random(&seed) % msg_types_count];
		struct codec_buffer b = {0};
		void *body = body_of(&type->body);
		char *text = NULL;
		size_t len = 0;
		FILE *out;

		codec_arena_reset(&made);
		codec_arena_reset(&got);
		generated_body(&type->body, body, &made, &seed);
		encode(&type->body, body, &b);
		for (uint64_t k = generated_random(&seed) % 6; k > 0 && b.len; k--)
			b.data[generated_random(&seed) % b.len] = (uint8_t)generated_random(&seed);
		if (msg_body_decode(&type->body, b.data, b.len, &got, body, NULL) == 0) {
			out = open_memstream(&text, &len);
			msg_body_json(&type->body, body, out);
			msg_body_print(&type->body, body, out);
			fclose(out);
			free(text);
			passed++;
		}
		assert_true(got.held <= CODEC_ARENA_MAX);
		codec_buffer_done(&b);
		free(body);
	}
	assert_in_range(passed, 1000, 10000); /* else the mutations prove nothing */
}

static void a_copy_is_deep(void **state)
{
	struct spec_set e, *copy;
	struct codec_buffer one = {0}, two = {0};
	uint64_t seed = 9;

	(void)state;
	codec_arena_reset(&made);
	generated_body(&MSG_spec_set.body, &e, &made, &seed);
	encode(&MSG_spec_set.body, &e, &one);
	copy = msg_body_copy(&MSG_spec_set.body, &e);
	assert_non_null(copy);
	codec_arena_done(&made); /* a borrowed pointer would show */
	encode(&MSG_spec_set.body, copy, &two);
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.data, two.data, one.len);
	free(copy);
	codec_buffer_done(&one);
	codec_buffer_done(&two);
}

static char *json_of(const char *text, size_t len)
{
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	msg_json_string(text, len, f);
	fclose(f);
	return out;
}

static void json_lets_no_byte_steer_a_terminal(void **state)
{
	char all[256], *out;

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	out = json_of(all, sizeof all);
	for (const char *c = out; *c; c++)
		assert_true((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
	free(out);
	out = json_of("\xe2\x80\xae\xc2\x9b\xc3\xa4", 7); /* a bidi override, a C1 control, an ä */
	assert_string_equal(out, "\"\\u202e\\u009b\xc3\xa4\"");
	free(out);
}

static void json_hides_the_values_of_environments(void **state)
{
	const char *env[] = {"TOKEN=canary"};
	struct deployment_spec s;
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	(void)state;
	msg_body_init(&REC_deployment_spec, &s);
	s.deployment_id = "x";
	s.environment = s.base_environment = s.file_environment =
		(struct msg_strs){.items = env, .count = 1};
	msg_body_json(&REC_deployment_spec, &s, f);
	msg_body_print(&REC_deployment_spec, &s, f);
	fclose(f);
	assert_null(strstr(out, "canary"));
	assert_non_null(strstr(out, "TOKEN=***"));
	free(out);
}

static struct msg_header sample(void)
{
	return (struct msg_header){.version = MSG_VERSION,
				   .epoch = 1,
				   .seq = 2,
				   .prev = 3,
				   .dprev = 4,
				   .cause = MSG_CAUSE_OWN | 5,
				   .sender = "process-manager",
				   .incarnation = 6,
				   .number = 7,
				   .did = 8,
				   .time_ns = 9,
				   .mono_ns = 10,
				   .uid = MSG_UID_NONE};
}

static void headers_come_back_and_can_be_patched(void **state)
{
	struct msg_header h = sample(), out;
	uint8_t data[MSG_HEADER_MAX], again[MSG_HEADER_MAX];
	size_t len = msg_header_encode(&h, data);
	msgpack_zone zone;
	msgpack_object o;
	size_t at = 0;

	(void)state;
	assert_int_equal(msg_header_decode(data, len, &out), 0);
	assert_int_equal(msg_header_encode(&out, again), len);
	assert_memory_equal(data, again, len);
	msg_header_patch(data, MSG_AT_SEQ, UINT64_MAX);
	msg_header_patch(data, MSG_AT_DPREV, 44);
	msg_header_patch(data, len - 9, 1000);
	assert_int_equal(msg_header_peek(data, MSG_AT_SEQ), UINT64_MAX);
	assert_int_equal(msg_header_decode(data, len, &out), 0);
	assert_int_equal(out.dprev, 44);
	assert_int_equal(out.uid, 1000);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(msg_header_decode(data, cut, &out), 0);
	msgpack_zone_init(&zone, 256);
	assert_int_equal(msgpack_unpack((char *)data, len, &at, &zone, &o), MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(o.via.array.size, 13);
	msgpack_zone_destroy(&zone);
}

static void packets_come_back(void **state)
{
	uint8_t data[4096], header[MSG_HEADER_MAX];
	struct msg_header h = sample();
	size_t len = msg_header_encode(&h, header);
	struct door_writer w = door_writer_over(data, sizeof data);
	struct door_reader r;
	struct door_record rec;
	static const uint64_t numbers[] = {
		0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		door_write_uint(&w, numbers[i]);
	door_write_str(&w, "process.", 8);
	door_write_bin(&w, "\x01\x02", 2);
	door_write_array(&w, 20);
	door_write_bool(&w, true);
	door_write_record(&w, "a.b/c", 5, header, len, (const uint8_t *)"\x80", 1);
	assert_int_equal(w.error, 0);
	r = door_reader_over(data, w.len);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		assert_int_equal(door_read_uint(&r), numbers[i]);
	assert_int_equal(door_read_str(&r, 64).len, 8);
	assert_int_equal(door_read_bin(&r, 64).len, 2);
	assert_int_equal(door_read_array(&r, 64), 20);
	assert_int_equal(door_read_uint(&r), 1);
	assert_true(door_read_record(&r, &rec));
	assert_int_equal(rec.topic.len, 5);
	assert_int_equal(rec.header_len, len);
	assert_int_equal(rec.body_len, 1);
	assert_true(door_reader_ended(&r));
	assert_false(door_read_record(&r, &rec));
}

static void a_full_packet_says_so(void **state)
{
	uint8_t data[8];
	struct door_writer w = door_writer_over(data, sizeof data);

	(void)state;
	door_write_str(&w, "1234567", 7);
	assert_int_equal(w.error, 0);
	door_write_uint(&w, 1);
	assert_int_equal(w.error, -ENOSPC);
}

static void random_packets_are_read_within_bounds(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (int n = 0; n < 20000; n++) {
		size_t len = generated_random(&seed) % 64;
		uint8_t *data = malloc(len ? len : 1);
		struct door_reader r;
		struct door_record rec;

		assert_non_null(data);
		for (size_t i = 0; i < len; i++)
			data[i] = generated_random(&seed) % 3
					  ? (uint8_t) "\x93\xd9\x01\xc4\xc6\x00\xcf\x91"
						    [generated_random(&seed) % 8]
					  : (uint8_t)generated_random(&seed);
		r = door_reader_over(data, len);
		door_read_uint(&r);
		door_read_str(&r, 16);
		while (door_read_record(&r, &rec))
			assert_true(rec.whole + rec.whole_len <= data + len);
		free(data);
	}
}

/* One word an event: process_exited is process.exited. Keys only on durable ones. */
static void the_schema_keeps_its_rules(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < msg_types_count; i++) {
		const struct msg_type *t = msg_types[i];
		const char *c = t->topic, *n = t->body.name;

		for (; *c && *n; c++, n++)
			assert_true(*c == *n || (*c == '.' && *n == '_'));
		assert_true(!*c && !*n);
		assert_true(!t->key || (t->flags & DURABLE));
		assert_true(!(t->flags & SYNC) || (t->flags & DURABLE));
		assert_ptr_equal(msg_type_of(t->topic, strlen(t->topic)), t);
		for (uint32_t k = i + 1; k < msg_types_count; k++)
			assert_string_not_equal(t->topic, msg_types[k]->topic);
	}
	assert_ptr_equal(msg_type_of("process.exited/web", 18), &MSG_process_exited);
	assert_null(msg_type_of("process.exitedx", 15));
	assert_null(msg_type_of("", 0));
}

static void derived_ids_differ(void **state)
{
	(void)state;
	assert_int_equal(msg_did("a", "b", 1, 2), msg_did("a", "b", 1, 2));
	assert_int_not_equal(msg_did("a", "b", 1, 2), msg_did("ab", "", 1, 2));
	assert_int_not_equal(msg_did("a", "b", 1, 2), msg_did("a", "b", 2, 1));
	assert_int_not_equal(msg_did("a", NULL, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_comes_back_as_it_went),
		cmocka_unit_test(msgpack_c_reads_what_we_write),
		cmocka_unit_test(a_missing_field_is_named),
		cmocka_unit_test(a_wrong_type_is_named),
		cmocka_unit_test(unknown_fields_are_ignored),
		cmocka_unit_test(the_guard_refuses_bombs),
		cmocka_unit_test(depth_sixteen_passes_and_seventeen_does_not),
		cmocka_unit_test(a_truncated_body_is_refused_at_every_byte),
		cmocka_unit_test(mutations_neither_crash_nor_grow),
		cmocka_unit_test(a_copy_is_deep),
		cmocka_unit_test(json_lets_no_byte_steer_a_terminal),
		cmocka_unit_test(json_hides_the_values_of_environments),
		cmocka_unit_test(headers_come_back_and_can_be_patched),
		cmocka_unit_test(packets_come_back),
		cmocka_unit_test(a_full_packet_says_so),
		cmocka_unit_test(random_packets_are_read_within_bounds),
		cmocka_unit_test(the_schema_keeps_its_rules),
		cmocka_unit_test(derived_ids_differ),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	codec_arena_done(&made);
	codec_arena_done(&got);
	return failed;
}
