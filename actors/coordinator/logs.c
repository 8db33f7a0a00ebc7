/*
 * Where the output of a deployment goes, for who wants to read it. It opens none of it.
 */
#include <stdio.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"

/* With {{id}} and {{port}} replaced, as the program got it. */
static void expand(const struct deployment_spec *s, int64_t port, const char *text, char *ret_path,
		   size_t size)
{
	size_t at = 0;

	while (*text && at + 1 < size) {
		int n;

		if (strncmp(text, "{{id}}", 6) == 0) {
			n = snprintf(ret_path + at, size - at, "%s", s->deployment_id);
			text += 6;
		} else if (strncmp(text, "{{port}}", 8) == 0 && port != MSG_NONE) {
			n = snprintf(ret_path + at, size - at, "%lld", (long long)port);
			text += 8;
		} else {
			n = snprintf(ret_path + at, size - at, "%c", *text++);
		}
		at += n > 0 && (size_t)n < size - at ? (size_t)n : size - at - 1;
	}
	ret_path[at] = 0;
}

void logs_answer(struct actor *a, struct api_client *k, const struct deployment_spec *s,
		 int64_t port)
{
	static const char *const names[] = {"out", "err"};
	const char *goes_to[] = {s->stdout_log, s->stderr_log};
	char paths[2][4096];
	struct api_log logs[2];
	struct api_answer answer;

	for (int i = 0; i < 2; i++) {
		const char *to = goes_to[i] ? goes_to[i] : "captured";

		logs[i] = (struct api_log){.stream = names[i], .goes_to = to};
		if (!goes_to[i]) {
			snprintf(paths[i], sizeof paths[i], "%s/logs/%s/%s.log", actor_state_dir(a),
				 s->deployment_id, names[i]);
			logs[i].path = paths[i];
		} else if (to[0] == '/') {
			expand(s, port, to, paths[i], sizeof paths[i]);
			logs[i].path = paths[i];
			logs[i].goes_to = "file";
		}
	}
	answer_begin(a, k, &answer);
	answer.logs = (struct api_log_list){.items = logs, .count = 2};
	api_client_say(a, k, &answer);
}
