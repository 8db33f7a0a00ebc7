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

static void print_values(void *arg, const struct api_answer *part)
{
	(void)arg;
	if (fail_as_json)
		fputs("{\"schema_version\":1,\"values\":[", stdout);
	for (uint32_t i = 0; i < part->values.count; i++) {
		const char *line = part->values.items[i];

		if (fail_as_json) {
			fputs(i ? "," : "", stdout);
			msg_json_string(line, strlen(line), stdout);
		} else {
			out_text(stdout, line);
			putchar('\n');
		}
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
