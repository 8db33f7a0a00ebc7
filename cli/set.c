/*
 * lops set: changes a spec; what needs a restart is pending until then.
 */
#include <string.h>
#include "cli/lops.h"
#include "lib/config/config.h"

static int run(const struct options *o)
{
	struct api_call call;
	int err;

	if (o->n_words < 2)
		return fail(EXIT_USAGE, "set takes ID KEY=VALUE...");
	link_new_call(&call, "set");
	call.targets = (struct msg_strs){.items = o->words, .count = 1};
	call.pairs = (struct msg_strs){.items = o->words + 1, .count = (uint32_t)o->n_words - 1};
	err = link_call(&call, NULL, NULL);
	if (!err && fail_as_json)
		puts("{\"schema_version\":1,\"status\":0}");
	return err ? err : finish_output(EXIT_DONE);
}

static const struct option_row options[] = {OPTION_JSON, OPTION_END};
const struct verb verb_set = {
	.name = "set",
	.arguments = "ID KEY=VALUE...",
	.help = "Change the spec of a deployment",
	.options = options,
	.run = run,
};
