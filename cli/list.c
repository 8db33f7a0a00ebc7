/*
 * lops list: one row each.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/lops.h"
#include "lib/policy/process_rule.h"

struct listing {
	FILE *out;
	bool json, any;
	double now;
};

static void print_number(FILE *f, int64_t n, int width)
{
	if (n == MSG_NONE)
		fprintf(f, " %*s", width, "-");
	else
		fprintf(f, " %*lld", width, (long long)n);
}

static void print_row(struct listing *l, const struct process_record *p)
{
	char status[16], uptime[24] = "-";

	out_upper(status, sizeof status, p->status);
	if (p->pid != MSG_NONE && !isnan(p->start_time))
		out_span(uptime, sizeof uptime, l->now - p->start_time);
	fprintf(l->out, "%-32s %-9s %-9s", p->deployment_id, status, "UNKNOWN");
	print_number(l->out, p->pid, 8);
	print_number(l->out, p->port, 6);
	fprintf(l->out, " %5s %7s %8llu %9s%s\n", "-", "-", (unsigned long long)p->restarts, uptime,
		p->paused    ? "  paused"
		: p->pending ? "  pending"
			     : "");
}

static void print_header(FILE *f)
{
	fprintf(f, "%-32s %-9s %-9s %8s %6s %5s %7s %8s %9s\n", "ID", "STATUS", "HEALTH", "PID",
		"PORT", "CPU", "MEMORY", "RESTARTS", "UPTIME");
}

static void take_part(void *arg, const struct api_answer *part)
{
	struct listing *l = arg;

	if (!l->json && !l->any)
		print_header(l->out);
	l->any = l->any || !l->json;
	for (uint32_t i = 0; i < part->processes.count; i++) {
		if (l->json && l->any)
			fputc(',', l->out);
		l->any = true;
		if (l->json)
			out_process_json(l->out, &part->processes.items[i], true);
		else
			print_row(l, &part->processes.items[i]);
	}
}

static int check_status(const char *word, char *ret_lower, size_t size)
{
	size_t i = 0;

	for (; word[i] && i + 1 < size; i++)
		ret_lower[i] =
			(char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] - 'A' + 'a' : word[i]);
	ret_lower[i] = 0;
	if (process_status_of(ret_lower) != PROCESS_STATUSES)
		return 0;
	return fail(EXIT_USAGE,
		    "--status: expected starting running stopping stopped exited crashed backoff "
		    "failed, found '%.40s'",
		    word);
}

static int run(const struct options *o)
{
	struct listing l = {.out = stdout, .json = option_given(o, "json")};
	struct api_call call;
	char status[24];
	int err;

	l.now = (double)time(NULL);
	link_new_call(&call, "list");
	call.targets = (struct msg_strs){.items = o->words, .count = (uint32_t)o->n_words};
	call.brief = !l.json;
	if (option_given(o, "status")) {
		if (check_status(option_value(o, "status"), status, sizeof status))
			return EXIT_USAGE;
		call.status = status;
	}
	setvbuf(stdout, NULL, _IOFBF, 256 * 1024);
	if (l.json) { /* a failure is one document too: nothing is printed before all is there */
		char *text = NULL;
		size_t len = 0;

		l.out = open_memstream(&text, &len);
		if (!l.out)
			abort();
		err = link_call(&call, take_part, &l);
		fclose(l.out);
		if (!err)
			printf("{\"schema_version\":1,\"deployments\":[%s]}\n", text);
		free(text);
		return err ? err : finish_output(EXIT_DONE);
	}
	err = link_call(&call, take_part, &l);
	return err ? err : finish_output(EXIT_DONE);
}

static const struct option_row options[] = {
	{"status", 's', OPTION_VALUE, "STATUS", "only these", NULL},
	OPTION_JSON,
	{"format", 0, OPTION_VALUE, "FORMAT", "", "is not there yet"},
	OPTION_END,
};
const struct verb verb_list = {
	.name = "list",
	.arguments = "[ID...]",
	.help = "One row for each deployment",
	.options = options,
	.run = run,
};
