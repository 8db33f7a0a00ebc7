/*
 * What the subcommands share: the table of verbs, parsed options, the connection to the set and the
 * ways of output. Included by cli/ only.
 */
#ifndef LOPS_CLI_LOPS_H
#define LOPS_CLI_LOPS_H

#include <stdbool.h>
#include <stdio.h>
#include "msgs/api.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_RUNNING = 3,
	EXIT_UNKNOWN_ID = 4,
	EXIT_UNREACHABLE = 5,
	EXIT_CONFLICT = 6,
	EXIT_TIMED_OUT = 7,
	EXIT_NOT_PERMITTED = 9,
	EXIT_INTERRUPTED = 130,
};

enum option_kind { OPTION_FLAG, OPTION_VALUE, OPTION_MAYBE /* --x or --x=V */ };

struct option_row {
	const char *name;
	char letter; /* 0: none */
	enum option_kind kind;
	const char *value, *help;
	const char *not_yet; /* why it is refused; NULL: it is there */
};
#define OPTION_END                                                                                 \
	{                                                                                          \
		.name = NULL                                                                       \
	}

enum { GIVEN_MAX = 1024 };

struct options {
	const struct option_row *rows;
	struct {
		const struct option_row *row;
		const char *value;
	} given[GIVEN_MAX];
	int n_given;
	const char **words; /* what is no option; free() */
	int n_words;
	const char **rest; /* after --, NULL: there was none */
	int n_rest;
	bool system; /* --system, which every verb takes */
};

/* 0, or -1 with the sentence in ret_why. */
int options_parse(struct options *ret_o, const struct option_row *rows, int argc, char **argv,
		  char *ret_why, size_t size);
/* What follows -- are words like any other. */
void options_join_rest(struct options *o);
bool option_given(const struct options *o, const char *name);
const char *option_value(const struct options *o, const char *name); /* the last, NULL: none */
/* A number within bounds, or fallback when not given; ends the program when it is neither. */
double option_number(const struct options *o, const char *name, double fallback, double least,
		     double most);

struct verb {
	const char *name, *arguments, *help;
	const struct option_row *options;
	int (*run)(const struct options *o);
	bool hidden;
	bool takes_rest; /* what follows -- is no ID to it */
	const char *not_yet;
};
extern const struct verb verb_start, verb_stop, verb_restart, verb_reload, verb_signal, verb_status,
	verb_list, verb_logs, verb_delete, verb_set, verb_events, verb_config, verb_doctor,
	verb_await_up, verb_down;

/* --- fail.c: how it ends --- */
extern bool fail_as_json;
/* Prints the message (or the JSON error) and gives the status back. */
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes out what stdout holds; the status, or 1 when it could not be written. */
int finish_output(int status);

/* --- link.c: one request over the API door --- */
/* Each part of the answer. One whose status is not 0 is handed on only when it has records; what
 * went wrong is then left to the caller to say. */
typedef void link_part_fn(void *arg, const struct api_answer *part);
/* Sends it, again with the same id after a lost connection, until the answer is complete. The exit
 * status; everything that has to be said when it is not 0 was said. */
int link_call(struct api_call *call, link_part_fn *part, void *arg);
void link_new_call(struct api_call *call, const char *verb);
extern double link_patience_seconds; /* 30 unless a command may take longer */

/* --- output.c --- */
void out_text(FILE *f, const char *text); /* escaped for a terminal */
/* Whether the UTF-8 character there moves a terminal's cursor or turns the direction of text. */
bool out_is_control(const unsigned char *s, size_t len);
double out_now(void); /* seconds since the epoch */
enum { OUT_NUMBER_MAX = 24 };
const char *out_number(char buffer[OUT_NUMBER_MAX], int64_t n); /* somewhere in the buffer */
void out_process_json(FILE *f, const struct process_record *p, bool with_health, double now);
void out_status_json(FILE *f, const struct process_record *p);
void out_upper(char *ret_text, size_t size, const char *word);
void out_span(char *ret_text, size_t size, double seconds); /* 3d 4h */

/* --- leftovers.c: marked processes that the set does not run --- */
enum { LEFTOVERS_MAX = 8192 };
struct leftovers {
	uint64_t instances[LEFTOVERS_MAX]; /* that run */
	uint32_t n;
};
void leftovers_note(void *arg, const struct api_answer *part); /* a link_part_fn */
void leftovers_each(const struct leftovers *known, void (*fn)(const char *pid, uint64_t instance));

/* --- status.c: records of an answer, and one of them shown --- */
struct records {
	struct process_record **items; /* malloc, and each of them */
	uint32_t count;
	char message[400]; /* why the status is not 0 */
};
void records_note(void *arg, const struct api_answer *part); /* a link_part_fn */
void records_done(struct records *r);
void records_json(const struct records *r); /* one: the document of `status`; else of `list` */

#define OPTION_JSON                                                                                \
	{                                                                                          \
		.name = "json", .kind = OPTION_FLAG, .help = "one JSON document"                   \
	}
#define OPTION_ALL                                                                                 \
	{                                                                                          \
		.name = "all", .kind = OPTION_FLAG, .help = "every deployment"                     \
	}

/* Fills targets from the words and --all. */
void call_targets(struct api_call *call, const struct options *o);

#endif
