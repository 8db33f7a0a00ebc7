/*
 * Bodies as JSON, for programs: every field present, null for what is not known; control and bidi
 * characters escaped, so that no text from outside can steer a terminal.
 */
#include "msgs/codec.h"
#include "msgs/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

bool msg_field_is_secret(const struct msg_field *f)
{
	static const char *const names[] = {"environment", "base_environment", "file_environment"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(f->name, names[i]) == 0)
			return true;
	return false;
}

/* The code point at s and its bytes; 0 bytes when it is not UTF-8. */
static size_t code_point(const uint8_t *s, size_t len, uint32_t *ret_c)
{
	size_t n = s[0] < 0x80                   ? 1
		   : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		   : (s[0] & 0xf0) == 0xe0       ? 3
		   : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						 : 0;

	if (n == 0 || n > len || !wire_utf8_ok(s, n))
		return 0;
	*ret_c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		*ret_c = *ret_c << 6 | (s[i] & 0x3f);
	return n;
}

static bool steers_a_terminal(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* Bytes from s on that stand for themselves. */
static size_t plain_run(const uint8_t *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
		n++;
	return n;
}

void msg_json_string(const char *s, size_t len, FILE *out)
{
	const uint8_t *at = (const uint8_t *)s;
	size_t i = 0;

	putc_unlocked('"', out);
	while (i < len) {
		uint32_t c = 0xfffd;
		size_t n = plain_run(at + i, len - i);

		if (n) {
			fwrite_unlocked(at + i, 1, n, out);
			i += n;
			continue;
		}
		n = code_point(at + i, len - i, &c);
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (int)c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c == '\t')
			fputs("\\t", out);
		else if (n == 0 || steers_a_terminal(c))
			fprintf(out, "\\u%04" PRIx32, c);
		else
			fwrite_unlocked(at + i, 1, n, out);
		i += n ? n : 1;
	}
	putc_unlocked('"', out);
}

static void json_real(double v, FILE *out)
{
	if (isnan(v) || isinf(v))
		fputs("null", out);
	else if (fabs(v) < 1e15 && v == floor(v))
		fprintf(out, "%.1f", v);
	else
		fprintf(out, "%.*g", fabs(v) >= 1e9 ? 16 : 12, v);
}

/* KEY=*** of a secret; the text itself of anything else. */
static void json_text(const struct msg_field *f, const char *s, FILE *out)
{
	const char *eq = msg_field_is_secret(f) ? strchr(s, '=') : NULL;

	if (!eq) {
		msg_json_string(s, strlen(s), out);
		return;
	}
	fputc('"', out);
	for (const char *p = s; p <= eq; p++)
		fputc((unsigned char)*p < 0x20 || *p == '"' || *p == '\\' ? '?' : *p, out);
	fputs("***\"", out);
}

static void json_list(const struct msg_field *f, const struct msg_recs *list, FILE *out)
{
	fputc('[', out);
	for (uint32_t i = 0; i < list->count; i++) {
		if (i)
			fputc(',', out);
		if (f->kind == MSG_STRS)
			json_text(f, ((const char **)list->items)[i], out);
		else if (f->kind == MSG_I64S)
			fprintf(out, "%" PRId64, ((int64_t *)list->items)[i]);
		else
			msg_body_json(f->record, (char *)list->items + (size_t)i * f->record->size,
				      out);
	}
	fputc(']', out);
}

static void json_bytes(const struct msg_bytes *b, FILE *out)
{
	fputc('"', out);
	for (uint32_t i = 0; i < b->len; i++)
		fprintf(out, "%02x", b->data[i]);
	fputc('"', out);
}

void msg_field_json(const struct msg_field *f, const void *place, FILE *out)
{
	switch (f->kind) {
	case MSG_BOOL:
		fputs(*(const bool *)place ? "true" : "false", out);
		break;
	case MSG_I64:
		if (*(const int64_t *)place == MSG_NONE)
			fputs("null", out);
		else
			fprintf(out, "%" PRId64, *(const int64_t *)place);
		break;
	case MSG_U64:
		fprintf(out, "%" PRIu64, *(const uint64_t *)place);
		break;
	case MSG_F64:
		json_real(*(const double *)place, out);
		break;
	case MSG_STR:
		if (*(const char *const *)place)
			json_text(f, *(const char *const *)place, out);
		else
			fputs("null", out);
		break;
	case MSG_BIN:
		json_bytes(place, out);
		break;
	case MSG_REC:
		msg_body_json(f->record, place, out);
		break;
	default:
		json_list(f, place, out);
	}
}

void msg_body_json(const struct msg_record *rec, const void *body, FILE *out)
{
	const struct msg_field *f = rec->fields();

	fputc('{', out);
	for (uint32_t i = 0; i < rec->n_fields; i++) {
		fprintf(out, "%s\"%s\":", i ? "," : "", f[i].name);
		msg_field_json(&f[i], (const char *)body + f[i].offset, out);
	}
	fputc('}', out);
}

static bool raw_value(const uint8_t *data, size_t len, size_t *at, FILE *out)
{
	struct wire_value v;

	if (!wire_next(data, len, at, &v))
		return false;
	switch (v.kind) {
	case WIRE_NIL:
		fputs("null", out);
		return true;
	case WIRE_BOOL:
		fputs(v.number ? "true" : "false", out);
		return true;
	case WIRE_UINT:
		fprintf(out, "%" PRIu64, v.number);
		return true;
	case WIRE_NEGATIVE:
		fprintf(out, "%" PRId64, v.integer);
		return true;
	case WIRE_FLOAT:
		json_real(v.real, out);
		return true;
	case WIRE_STR:
		msg_json_string((const char *)v.data, (size_t)v.number, out);
		return true;
	case WIRE_BIN:
		json_bytes(&(struct msg_bytes){.data = v.data, .len = (uint32_t)v.number}, out);
		return true;
	case WIRE_ARRAY:
	case WIRE_MAP:
		break;
	}
	/* The guard has bounded the depth of this recursion. */
	fputc(v.kind == WIRE_MAP ? '{' : '[', out);
	for (uint64_t i = 0; i < v.number; i++) {
		if (i)
			fputc(',', out);
		if (v.kind == WIRE_MAP) {
			if (!raw_value(data, len, at, out))
				return false;
			fputc(':', out);
		}
		if (!raw_value(data, len, at, out))
			return false;
	}
	fputc(v.kind == WIRE_MAP ? '}' : ']', out);
	return true;
}

int msg_raw_json(const uint8_t *data, size_t len, FILE *out)
{
	size_t at = 0;
	int err = msg_guard(data, len, NULL);

	if (err)
		return err;
	return raw_value(data, len, &at, out) ? 0 : -EBADMSG;
}
