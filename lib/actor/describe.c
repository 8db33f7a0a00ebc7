/*
 * What an actor's tables say of it: for people, and as JSON for the wiring test.
 */
#include "lib/actor/core.h"

static void list_json(const struct actor_spec *spec, FILE *out)
{
	const char *gap = "";

	fprintf(out, "{\"name\":\"%s\",\"purpose\":", spec->name);
	msg_json_string(spec->purpose, __builtin_strlen(spec->purpose), out);
	fputs(",\"subscribes\":[", out);
	for (const struct actor_handler *h = spec->handlers; h && h->type; h++, gap = ",")
		fprintf(out, "%s\"%s\"", gap, h->type->topic);
	gap = "";
	fputs("],\"publishes\":[", out);
	for (const struct msg_type *const *t = spec->publishes; t && *t; t++, gap = ",")
		fprintf(out, "%s\"%s\"", gap, (*t)->topic);
	gap = "";
	fputs("],\"settings\":[", out);
	for (const struct actor_setting *s = spec->settings; s && s->section; s++, gap = ",")
		fprintf(out, "%s{\"section\":\"%s\",\"key\":\"%s\",\"default\":\"%s\"}", gap,
			s->section, s->key, s->fallback);
	fputs("]}\n", out);
}

static void fields_text(const struct msg_type *type, FILE *out)
{
	const struct msg_field *f = type->body.fields();

	for (uint32_t i = 0; i < type->body.n_fields; i++)
		fprintf(out, "%s%s", i ? ", " : "", f[i].name);
}

static void list_text(const struct actor_spec *spec, FILE *out)
{
	fprintf(out, "lops-%s: %s\n\nsubscribes to\n", spec->name, spec->purpose);
	for (const struct actor_handler *h = spec->handlers; h && h->type; h++) {
		fprintf(out, "  %-24s ", h->type->topic);
		fields_text(h->type, out);
		fputc('\n', out);
	}
	fputs("publishes\n", out);
	for (const struct msg_type *const *t = spec->publishes; t && *t; t++)
		fprintf(out, "  %-24s %s\n", (*t)->topic, (*t)->body.doc);
	fputs("settings\n", out);
	for (const struct actor_setting *s = spec->settings; s && s->section; s++)
		fprintf(out, "  %s.%s (%s): %s\n", s->section, s->key, s->fallback, s->help);
}

void actor_describe(const struct actor_spec *spec, bool json, FILE *out)
{
	if (json)
		list_json(spec, out);
	else
		list_text(spec, out);
}
