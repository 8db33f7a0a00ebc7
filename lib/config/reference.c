/*
 * The table of keys as people and editors read it: a reference in markdown, a JSON schema. Nothing
 * here is written down twice.
 */
#include <string.h>
#include "lib/config/config.h"
#include "lib/config/spec.h"

static const char *const type_names[] = {
	[KEY_TEXT] = "text",       [KEY_INT] = "whole number",  [KEY_REAL] = "number",
	[KEY_BOOL] = "true/false", [KEY_CHOICE] = "choice",     [KEY_PORTS] = "list of ports",
	[KEY_MAP] = "name: value", [KEY_PATTERNS] = "patterns", [KEY_COMMAND] = "command",
	[KEY_CHECKS] = "checks",
};

static void print_cell(const char *text, FILE *out)
{
	for (; *text; text++)
		if (*text == '\n')
			fputs("<br>", out);
		else if (*text == '|')
			fputs("\\|", out);
		else
			fputc(*text, out);
}

static void print_row(const struct config_key *k, FILE *out)
{
	fprintf(out, "| `%s%s%s` | %s | ", k->section, *k->section ? "." : "", k->key,
		type_names[k->type]);
	print_cell(k->fallback, out);
	fputs(" | ", out);
	if (k->choices)
		print_cell(k->choices, out);
	else if (k->least < k->most)
		fprintf(out, "%.12g to %.12g", k->least, k->most);
	fprintf(out, " | %s | ", k->of_set ? "set" : "set, deployment");
	print_cell(k->help, out);
	fputs(" |\n", out);
}

void config_print_reference(FILE *out)
{
	const char *key, *help;
	bool live;

	fputs("| key | type | default | allowed | holds for | |\n"
	      "| --- | --- | --- | --- | --- | --- |\n",
	      out);
	for (size_t i = 0; i < config_keys_count; i++)
		print_row(&config_keys[i], out);
	fputs("\n| key of a deployment | a change | |\n| --- | --- | --- |\n", out);
	for (size_t i = 0; (key = spec_key(i, &help, &live)); i++) {
		fprintf(out, "| `%s` | %s | ", key, live ? "takes effect" : "waits for a restart");
		print_cell(help, out);
		fputs(" |\n", out);
	}
}

/* --- JSON schema --- */

static void print_string(const char *text, FILE *out)
{
	msg_json_string(text, strlen(text), out);
}

static void print_choices(const char *choices, FILE *out)
{
	fputs("\"enum\":[", out);
	while (*choices) {
		size_t len = strcspn(choices, "|");

		msg_json_string(choices, len, out);
		choices += len;
		if (*choices++ != '|')
			break;
		fputc(',', out);
	}
	fputc(']', out);
}

static void print_type(const struct config_key *k, FILE *out)
{
	switch (k->type) {
	case KEY_INT:
	case KEY_REAL:
		fprintf(out, "\"type\":\"%s\",\"minimum\":%.12g,\"maximum\":%.12g",
			k->type == KEY_INT ? "integer" : "number", k->least, k->most);
		break;
	case KEY_BOOL:
		fputs("\"type\":\"boolean\"", out);
		break;
	case KEY_PORTS:
		fputs("\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1,"
		      "\"maximum\":65535}",
		      out);
		break;
	case KEY_PATTERNS:
		fputs("\"type\":\"array\",\"items\":{\"type\":[\"string\",\"object\"]}", out);
		break;
	case KEY_MAP:
	case KEY_CHECKS:
		fputs("\"type\":\"object\"", out);
		break;
	case KEY_COMMAND:
		fputs("\"type\":[\"string\",\"array\"]", out);
		break;
	default:
		if (k->choices && *k->section)
			print_choices(k->choices, out);
		else
			fputs("\"type\":[\"string\",\"number\"]", out);
	}
}

static void print_property(const struct config_key *k, const char *name, FILE *out)
{
	print_string(name, out);
	fputs(":{", out);
	print_type(k, out);
	fputs(",\"description\":", out);
	print_string(k->help, out);
	fputc('}', out);
}

/* "http" of "http.path": keys of one part stand together in the table. */
static size_t part_of(const struct config_key *k)
{
	const char *dot = strchr(k->key, '.');

	return dot ? (size_t)(dot - k->key) : 0;
}

static void print_section(const char *section, bool of_one, FILE *out)
{
	const char *part = NULL, *gap = "";
	size_t len = 0;

	fputs("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{", out);
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];
		size_t own = part_of(k);

		if (strcmp(k->section, section) != 0 || (of_one && k->of_set))
			continue;
		if (part && (own != len || strncmp(part, k->key, own) != 0)) {
			fputs("}}", out);
			part = NULL;
		}
		if (own && !part) {
			fprintf(out,
				"%s\"%.*s\":{\"type\":\"object\",\"additionalProperties\":"
				"false,\"properties\":{",
				gap, (int)own, k->key);
			part = k->key;
			gap = "";
		}
		len = own;
		fputs(gap, out);
		print_property(k, own ? k->key + own + 1 : k->key, out);
		gap = ",";
	}
	fputs(part ? "}}}}" : "}}", out);
}

static void print_sections(bool of_one, FILE *out)
{
	const char *last = "";

	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];

		if (strcmp(last, k->section) == 0)
			continue;
		last = k->section;
		if (of_one && (strcmp(last, "journal") == 0 || strcmp(last, "security") == 0))
			continue;
		fprintf(out, "\"%s\":", last);
		print_section(last, of_one, out);
		fputc(',', out);
	}
}

void config_print_schema(FILE *out)
{
	const char *key, *help;
	bool live;

	fputs("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"lops\","
	      "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{",
	      out);
	print_sections(false, out);
	print_property(&config_keys[0], "version", out);
	fputs(",\"deployments\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\","
	      "\"required\":[\"command\"],\"additionalProperties\":false,\"properties\":{",
	      out);
	print_sections(true, out);
	for (size_t i = 0; (key = spec_key(i, &help, &live)); i++) {
		fprintf(out, "%s\"%s\":{\"description\":", i ? "," : "", key);
		print_string(help, out);
		fputc('}', out);
	}
	fputs("}}}}}\n", out);
}
