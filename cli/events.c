/*
 * lops events: the journal, decoded, page by page.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/lops.h"

struct reading {
	bool json;
	uint64_t next;
	double from; /* seconds since the epoch */
};

static void print_json(const struct api_event *e)
{
	const struct msg_record *rec = &REC_api_event;

	putchar('{');
	for (uint32_t i = 0; i + 1 < rec->n_fields; i++) { /* the body comes last */
		const struct msg_field *f = rec->fields() + i;

		printf("%s\"%s\":", i ? "," : "", f->name);
		msg_field_json(f, (const char *)e + f->offset, stdout);
	}
	fputs(",\"body\":", stdout);
	if (!e->body.len || msg_raw_json(e->body.data, e->body.len, stdout) < 0)
		fputs("null", stdout);
	puts("}");
}

static void print_line(const struct api_event *e)
{
	time_t second = (time_t)e->time;
	struct tm t;
	char when[32];

	localtime_r(&second, &t);
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &t);
	printf("%llu %s %s cause=%llu ", (unsigned long long)e->seq, when, e->topic,
	       (unsigned long long)e->cause);
	if (!e->body.len || msg_raw_json(e->body.data, e->body.len, stdout) < 0)
		fputs("(private)", stdout);
	putchar('\n');
}

static void take_part(void *arg, const struct api_answer *part)
{
	struct reading *r = arg;

	r->next = part->next;
	for (uint32_t i = 0; i < part->events.count; i++) {
		if (part->events.items[i].time < r->from)
			continue;
		if (r->json)
			print_json(&part->events.items[i]);
		else
			print_line(&part->events.items[i]);
	}
}

/* A number is a seq; anything else a time. */
static int parse_since(const char *text, uint64_t *ret_seq, double *ret_from)
{
	struct tm t = {.tm_isdst = -1};
	const char *end;

	if (text[strspn(text, "0123456789")] == 0 && *text) {
		*ret_seq = strtoull(text, NULL, 10);
		return 0;
	}
	end = strptime(text, "%Y-%m-%d %H:%M:%S", &t);
	end = end ? end : strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
	end = end ? end : strptime(text, "%Y-%m-%d", &t);
	if (!end || *end)
		return fail(EXIT_USAGE,
			    "--since: expected a number or YYYY-MM-DD[ HH:MM:SS], found '%.40s'",
			    text);
	*ret_from = (double)mktime(&t);
	return 0;
}

static int run(const struct options *o)
{
	struct reading r = {.json = option_given(o, "json")};
	struct api_call call;
	uint64_t since = 0;
	int err = 0;

	if (o->n_words)
		return fail(EXIT_USAGE, "events takes no ID; use --topic EVENT/ID");
	if (option_given(o, "since") && parse_since(option_value(o, "since"), &since, &r.from))
		return EXIT_USAGE;
	do {
		link_new_call(&call, "events");
		call.since = since;
		call.topic = option_value(o, "topic");
		r.next = 0;
		err = link_call(&call, take_part, &r);
		since = r.next;
	} while (!err && r.next);
	return err ? err : finish_output(EXIT_DONE);
}

static const struct option_row options[] = {
	{"since", 0, OPTION_VALUE, "SEQ|TIME", "after this one (0: all that is kept)", NULL},
	{"topic", 0, OPTION_VALUE, "PREFIX", "only these", NULL},
	{"follow", 'f', OPTION_FLAG, NULL, "", "is not there yet"},
	{.name = "json", .kind = OPTION_FLAG, .help = "one JSON document a line"},
	OPTION_END,
};
const struct verb verb_events = {
	.name = "events",
	.arguments = "",
	.help = "The journal, decoded",
	.options = options,
	.run = run,
};
