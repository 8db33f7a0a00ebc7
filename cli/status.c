/*
 * lops status: everything known about one deployment.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/lops.h"

void records_note(void *arg, const struct api_answer *part)
{
	struct records *r = arg;

	if (part->status && part->message)
		snprintf(r->message, sizeof r->message, "%s", part->message);
	for (uint32_t i = 0; i < part->processes.count; i++) {
		r->items = reallocarray(r->items, r->count + 1, sizeof *r->items);
		if (!r->items)
			abort();
		r->items[r->count] = msg_body_copy(&REC_process_record, &part->processes.items[i]);
		if (!r->items[r->count++])
			abort();
	}
}

void records_done(struct records *r)
{
	for (uint32_t i = 0; i < r->count; i++)
		free(r->items[i]);
	free(r->items);
	*r = (struct records){0};
}

void records_json(const struct records *r)
{
	double now = out_now();

	if (r->count == 1) {
		out_status_json(stdout, r->items[0]);
		return;
	}
	fputs("{\"schema_version\":1,\"deployments\":[", stdout);
	for (uint32_t i = 0; i < r->count; i++) {
		fputs(i ? "," : "", stdout);
		out_process_json(stdout, r->items[i], true, now);
	}
	puts("]}");
}

static int status_exit_of(const struct process_record *p)
{
	return strcmp(p->status, "running") == 0 ? EXIT_DONE : EXIT_NOT_RUNNING;
}

static void print_text(const char *name, const char *value)
{
	if (!value)
		return;
	printf("%-12s ", name);
	out_text(stdout, value);
	putchar('\n');
}

static void print_number(const char *name, int64_t value)
{
	if (value != MSG_NONE)
		printf("%-12s %lld\n", name, (long long)value);
}

static void print_process(const struct process_record *p)
{
	char status[16], uptime[24];

	out_upper(status, sizeof status, p->status);
	print_text("id", p->deployment_id);
	printf("%-12s %s%s%s\n", "status", status,
	       p->pending ? " (pending: restart applies the newest spec)" : "",
	       p->paused ? " (paused)" : "");
	print_text("intent", p->intent);
	print_text("reason", p->reason);
	print_text("says", p->status_text);
	printf("%-12s UNKNOWN\n", "health");
	print_number("pid", p->pid);
	print_number("port", p->port);
	if (p->pid != MSG_NONE && !isnan(p->start_time)) {
		out_span(uptime, sizeof uptime, (double)time(NULL) - p->start_time);
		print_text("uptime", uptime);
	}
	printf("%-12s", "command");
	for (uint32_t i = 0; i < p->command.count; i++) {
		putchar(' ');
		out_text(stdout, p->command.items[i]);
	}
	putchar('\n');
	print_number("exit code", p->exit_code);
	print_number("signal", p->signal);
	printf("%-12s %llu\n", "restarts", (unsigned long long)p->restarts);
	print_text("log file", p->log_file);
}

static int status_show(const char *id, bool json)
{
	struct records r = {0};
	struct api_call call;
	int err;

	link_new_call(&call, "status");
	call.targets = (struct msg_strs){.items = &id, .count = 1};
	err = link_call(&call, records_note, &r);
	if (!err && r.count != 1)
		err = fail(EXIT_USAGE,
			   "status is of one deployment; %.64s stands for %u: see lops list", id,
			   r.count);
	if (err) {
		records_done(&r);
		return err;
	}
	if (json)
		records_json(&r);
	else
		print_process(r.items[0]);
	err = status_exit_of(r.items[0]);
	records_done(&r);
	return finish_output(err);
}

static int run(const struct options *o)
{
	if (o->n_words > 1)
		return fail(EXIT_USAGE, "status takes one ID, or none");
	if (o->n_words == 0)
		return verb_list.run(o);
	return status_show(o->words[0], option_given(o, "json"));
}

static const struct option_row options[] = {OPTION_JSON, OPTION_END};
const struct verb verb_status = {
	.name = "status",
	.arguments = "[ID]",
	.help = "Everything known about one deployment",
	.options = options,
	.run = run,
};
