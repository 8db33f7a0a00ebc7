/*
 * Bodies as one line for people: field=value, with what is not known left out.
 */
#include "msgs/codec.h"

void msg_body_print(const struct msg_record *rec, const void *body, FILE *out)
{
	const struct msg_field *f = rec->fields();
	const char *gap = "";

	for (uint32_t i = 0; i < rec->n_fields; i++) {
		const void *place = (const char *)body + f[i].offset;

		if (!msg_field_is_known(&f[i], place))
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
