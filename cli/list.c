/*
 * lops list: one row each.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "cli/lops.h"
#include "lib/policy/process_rule.h"

struct listing {
	FILE *out;
	bool json, any;
	double now; /* seconds since the epoch */
};

enum { LINE_BYTES = 256, ID_WIDTH = 32 };

/* One line as it grows: a thousand of them through printf would be most of this program's time. */
struct line {
	char text[LINE_BYTES];
	size_t len;
};

static void put_left(struct line *l, const char *text, size_t width)
{
	size_t len = strnlen(text, 100);

	memcpy(l->text + l->len, text, len);
	l->len += len;
	for (; len < width; len++)
		l->text[l->len++] = ' ';
	l->text[l->len++] = ' ';
}

static void put_right(struct line *l, const char *text, size_t width)
{
	size_t len = strlen(text);

	for (size_t i = len; i < width; i++)
		l->text[l->len++] = ' ';
	put_left(l, text, 0);
}

static void put_number(struct line *l, int64_t n, size_t width)
{
	char digits[OUT_NUMBER_MAX];

	put_right(l, n == MSG_NONE ? "-" : out_number(digits, n), width);
}

static void print_row(struct listing *l, const struct process_record *p)
{
	char status[16], uptime[24] = "-";
	struct line line = {.len = 0};

	out_upper(status, sizeof status, p->status);
	if (p->pid != MSG_NONE && !isnan(p->start_time))
		out_span(uptime, sizeof uptime, l->now - p->start_time);
	put_left(&line, p->deployment_id, ID_WIDTH);
	put_left(&line, status, 9);
	put_left(&line, "UNKNOWN", 9);
	put_number(&line, p->pid, 8);
	put_number(&line, p->port, 6);
	put_right(&line, "-", 5);
	put_right(&line, "-", 7);
	put_number(&line, (int64_t)p->restarts, 8);
	put_right(&line, uptime, 9);
	if (p->paused || p->pending)
		put_left(&line, p->paused ? " paused" : " pending", 0);
	line.text[line.len - 1] = '\n';
	fwrite_unlocked(line.text, 1, line.len, l->out);
}

static void print_header(FILE *f)
{
	fprintf(f, "%-*s %-9s %-9s %8s %6s %5s %7s %8s %9s\n", ID_WIDTH, "ID", "STATUS", "HEALTH",
		"PID", "PORT", "CPU", "MEMORY", "RESTARTS", "UPTIME");
}

static void take_part(void *arg, const struct api_answer *part)
{
	struct listing *l = arg;

	if (!l->json && !l->any)
		print_header(l->out);
	l->any = l->any || !l->json;
	for (uint32_t i = 0; i < part->processes.count; i++) {
		if (l->json && l->any)
			putc_unlocked(',', l->out);
		l->any = true;
		if (l->json)
			out_process_json(l->out, &part->processes.items[i], true, l->now);
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
	static char buffer[64 * 1024];
	struct listing l = {.out = stdout, .json = option_given(o, "json")};
	struct api_call call;
	char status[24];
	int err;

	l.now = out_now();
	link_new_call(&call, "list");
	call.targets = (struct msg_strs){.items = o->words, .count = (uint32_t)o->n_words};
	call.brief = !l.json;
	if (option_given(o, "status")) {
		if (check_status(option_value(o, "status"), status, sizeof status))
			return EXIT_USAGE;
		call.status = status;
	}
	setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
	if (l.json) { /* a failure is one document too: nothing is printed before all is there */
		char *text = NULL;
		size_t len = 0;

		l.out = open_memstream(&text, &len);
		if (!l.out)
			abort();
		err = link_call(&call, take_part, &l);
		fclose(l.out);
		if (!err) {
			fputs("{\"schema_version\":1,\"deployments\":[", stdout);
			fwrite(text, 1, len, stdout);
			fputs("]}\n", stdout);
		}
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
