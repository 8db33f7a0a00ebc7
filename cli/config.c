/*
 * lops config: checks a file without a set; shows the values in force.
 */
#include <stdlib.h>
#include <string.h>
#include "cli/lops.h"
#include "lib/config/config.h"

static int check(const char *path)
{
	struct config *c = config_load(path, &(struct msg_strs){0});
	size_t n;

	if (!c)
		abort();
	n = c->n_errors;
	if (n && fail_as_json)
		fail(EXIT_USAGE, "%s:%d:%d: %s", path, c->errors[0].line, c->errors[0].column,
		     c->errors[0].text);
	else if (n)
		config_print_errors(c, stderr);
	else if (fail_as_json)
		puts("{\"schema_version\":1,\"status\":0}");
	else
		printf("%s: good, %zu deployments\n", path, c->n_deployments);
	config_free(c);
	return finish_output(n ? EXIT_USAGE : EXIT_DONE);
}

static void print_value_json(const struct api_value *v, bool is_first)
{
	fputs(is_first ? "{" : ",{", stdout);
	for (uint32_t i = 0; i < REC_api_value.n_fields; i++) {
		const struct msg_field *f = REC_api_value.fields() + i;

		printf("%s\"%s\":", i ? "," : "", f->name);
		msg_field_json(f, (const char *)v + f->offset, stdout);
	}
	putchar('}');
}

/* A list has an item a line. */
static void print_items(const char *value)
{
	char *copy = strdup(value), *rest = copy, *item;

	if (!copy)
		abort();
	for (int i = 0; (item = strsep(&rest, "\n")); i++) {
		fputs(i ? ", " : "", stdout);
		out_text(stdout, item);
	}
	free(copy);
}

static void print_values(void *arg, const struct api_answer *part)
{
	(void)arg;
	if (fail_as_json)
		fputs("{\"schema_version\":1,\"values\":[", stdout);
	for (uint32_t i = 0; i < part->values.count; i++) {
		const struct api_value *v = &part->values.items[i];

		if (fail_as_json) {
			print_value_json(v, i == 0);
			continue;
		}
		printf("%s=", v->key);
		print_items(v->value ? v->value : "");
		fputs(" (", stdout);
		out_text(stdout, v->source);
		puts(")");
	}
	if (fail_as_json)
		puts("]}");
}

static int run(const struct options *o)
{
	struct api_call call;
	int err;

	if (o->n_words == 2 && strcmp(o->words[0], "check") == 0)
		return check(o->words[1]);
	if (o->n_words == 1 && strcmp(o->words[0], "reload") == 0)
		return fail(EXIT_USAGE, "config reload is not there yet");
	if (o->n_words != 1 || strcmp(o->words[0], "show") != 0)
		return fail(EXIT_USAGE, "config takes: check FILE, or show");
	link_new_call(&call, "config");
	err = link_call(&call, print_values, NULL);
	return err ? err : finish_output(EXIT_DONE);
}

static const struct option_row options[] = {OPTION_JSON, OPTION_END};
const struct verb verb_config = {
	.name = "config",
	.arguments = "check FILE | show",
	.help = "Validate a file, or show the values in force",
	.options = options,
	.run = run,
};
