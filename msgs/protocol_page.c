/*
 * Prints docs/PROTOCOL.md: the hand-written text, then every event and record from the schema's
 * tables. A test compares what it prints with what is committed.
 */
#include <stdio.h>
#include <string.h>
#include "msgs/events.h"

static int copy(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[4096];

	if (!f) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof line, f))
		fputs(line, stdout);
	fclose(f);
	putchar('\n');
	return 0;
}

static void kind_of(const struct msg_field *f)
{
	static const char *const names[] = {
		"bool",        "int", "uint", "float", "string", "binary", "list of strings",
		"list of ints"};

	if (f->kind == MSG_REC)
		printf("%s", f->record->name);
	else if (f->kind == MSG_RECS)
		printf("list of %s", f->record->name);
	else
		printf("%s", names[f->kind]);
}

static void fields(const struct msg_record *rec)
{
	const struct msg_field *f = rec->fields();

	printf("| field | type | | |\n| --- | --- | --- | --- |\n");
	for (uint32_t i = 0; i < rec->n_fields; i++) {
		printf("| `%s` | ", f[i].name);
		kind_of(&f[i]);
		printf(" | %s | %s |\n", f[i].required ? "required" : "", f[i].doc);
	}
	putchar('\n');
}

static void event(const struct msg_type *t)
{
	printf("### %s\n\n%s\n\n", t->topic, t->body.doc);
	printf("%s%s%s%s%s.", t->flags & DURABLE ? "Durable" : "Ephemeral",
	       t->flags & SYNC ? ", sync" : "",
	       t->flags & PRIVATE ? ", private (the set's own actors only)" : "",
	       t->flags & OUTSIDE ? ", outside" : "", t->flags & COMMAND ? ", a command" : "");
	if (t->flags & FORGETS)
		printf(" Drops every last value of its deployment.");
	else if (t->key)
		printf(" Last value of `%s/DEPLOYMENT`.", t->key);
	printf("\n\n");
	fields(&t->body);
}

static void record(const struct msg_record *rec)
{
	printf("### %s\n\n%s\n\n", rec->name, rec->doc);
	fields(rec);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (copy(argv[i]))
			return 1;
	printf("## Events\n\n");
	for (uint32_t i = 0; i < msg_types_count; i++)
		event(msg_types[i]);
	printf("## Records\n\n");
#define BEGIN_RECORD(name, doc) record(&REC_##name);
#define END_RECORD(name)
#define BEGIN_EVENT(name, topic, flags, key, doc)
#define END_EVENT(name)
#include "msgs/schema/no_fields.def"
#include "msgs/schema/schema.def"
#include "msgs/schema/clear.def"
	return 0;
}
