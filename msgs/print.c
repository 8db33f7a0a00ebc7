/*
 * Bodies as one line for people: field=value, with what is not known left out.
 */
#include "msgs/codec.h"

#include <math.h>

static bool is_shown(const struct msg_field *f, const void *place)
{
	switch (f->kind) {
	case MSG_BOOL:
		return *(const bool *)place;
	case MSG_I64:
		return *(const int64_t *)place != MSG_NONE;
	case MSG_U64:
		return *(const uint64_t *)place != 0;
	case MSG_F64:
		return !isnan(*(const double *)place);
	case MSG_STR:
		return *(const char *const *)place != NULL;
	case MSG_BIN:
		return ((const struct msg_bytes *)place)->len > 0;
	case MSG_REC:
		return true;
	default:
		return ((const struct msg_recs *)place)->count > 0;
	}
}

void msg_body_print(const struct msg_record *rec, const void *body, FILE *out)
{
	const struct msg_field *f = rec->fields();
	const char *gap = "";

	for (uint32_t i = 0; i < rec->n_fields; i++) {
		const void *place = (const char *)body + f[i].offset;

		if (!is_shown(&f[i], place))
			continue;
		fprintf(out, "%s%s=", gap, f[i].name);
		gap = " ";
		if (f[i].kind == MSG_REC) {
			fputc('{', out);
			msg_body_print(f[i].record, place, out);
			fputc('}', out);
		} else {
			msg_field_json(&f[i], place, out);
		}
	}
}
