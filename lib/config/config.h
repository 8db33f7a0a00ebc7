/*
 * The configuration: the set's values and its deployments, each checked against one table of keys.
 * Loading gives a whole configuration or errors, never half of one.
 */
#ifndef LOPS_CONFIG_CONFIG_H
#define LOPS_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "msgs/codec.h"
#include "msgs/events.h"

enum key_type {
	KEY_TEXT,
	KEY_INT,
	KEY_REAL,
	KEY_BOOL,
	KEY_CHOICE,
	/* Lists and maps: their normal form is lines, but for ports ("80,443"). */
	KEY_PORTS,
	KEY_PATTERNS, /* "SEVERITY ACTION REGEX": error none FATAL */
	KEY_MAP,      /* "NAME=VALUE" */
	KEY_COMMAND,  /* a word each; newline and backslash in it as \n and \\ */
	KEY_CHECKS    /* "NAME=STALE_AFTER_SECONDS" */
};

#define CONFIG_COMMAND_BYTES_MAX (192 * 1024) /* argv and environment together */
#define CONFIG_STRING_BYTES_MAX  131071       /* Linux: MAX_ARG_STRLEN with its NUL */
#define CONFIG_VARIABLES_MAX     4000

struct config_key {
	const char *section, *key; /* "http.path" lies under http: */
	enum key_type type;
	const char *fallback;
	double least, most;
	const char *choices; /* "a|b" */
	const char *help;
	bool of_set; /* holds for the whole set: no deployment can override it */
};
extern const struct config_key config_keys[];
extern const size_t config_keys_count;

#define CONFIG_ERRORS_MAX 50
struct config_error {
	int line, column; /* 0: not of a file */
	int rank;         /* order of finding */
	char text[360];
};

struct config {
	char *file;                          /* as it was given, NULL: defaults only */
	char **values;                       /* by place in config_keys; NULL: the default */
	int *lines;                          /* where each came from, 0: default */
	struct deployment_spec *deployments; /* strings lie in the arena */
	size_t n_deployments;
	struct codec_arena arena;
	struct codec_arena *arenas; /* of the deployments */
	size_t n_arenas;
	struct msg_i64s protected_ports; /* defaults.protected_ports */
	struct config_error errors[CONFIG_ERRORS_MAX];
	size_t n_errors;
};

/* Never NULL but without memory. n_errors > 0: nothing else of it may be used. base_environment
 * ("KEY=VALUE", may be NULL): the whole environment of `up`; each deployment gets of it what its
 * inherit_environment says. Its strings are borrowed and must outlive the config. */
struct config *config_load(const char *path, const struct msg_strs *base_environment);
/* The same of text; path is for the messages and for relative folders. */
struct config *config_parse(const char *path, const char *data, size_t len,
			    const struct msg_strs *base_environment);
struct config *config_defaults(void);
void config_free(struct config *c);

/* The text in force. */
const char *config_value(const struct config *c, const char *section, const char *key);
void config_print_errors(const struct config *c, FILE *out); /* FILE:LINE:COLUMN: text */

/* Says why a regular expression is not one, NULL: it is. This library knows none; without a check
 * patterns are taken as they are. */
typedef const char *config_check_pattern(const char *pattern);
void config_use_pattern_check(config_check_pattern *check);

/* Fills a spec with the set's defaults. What it points to is borrowed from c or static. */
void config_spec_defaults(const struct config *c, struct deployment_spec *s);

/* Sets one key of a spec from text ("limits.nofile", "environment.FOO", "restart_policy.jitter",
 * …). Lists: "a,b,c", "name:ready,other:healthy" (depends_on), "NAME=value,…" (environment, limits,
 * headers), or as in the file: "[…]", "{…}". Paths must be absolute. 0, or -EINVAL with why, and s
 * as it was. What it needs lies in the arena; lists of s are replaced, never written to. */
int config_spec_set(struct codec_arena *arena, struct deployment_spec *s, const char *key,
		    const char *value, char *ret_why, size_t size);
/* NULL, or what the spec as a whole lacks; good until the next call. */
const char *config_spec_rule(const struct deployment_spec *s);
/* Whether a change of the key needs a restart to take effect. */
bool config_needs_restart(const char *key);

/* Splits as a shell splits words: quotes and backslashes, no expansion. -EINVAL with why. */
int config_split(struct codec_arena *arena, const char *text, struct msg_strs *ret_words,
		 char *ret_why, size_t size);

/* KEY=VALUE lines; '#' comments, `export`, quotes. Of a regular file of at most 192 KiB; a later
 * line of the same name replaces an earlier one. why is "FILE:LINE:1: …". */
int config_env_file(struct codec_arena *arena, const char *path, struct msg_strs *ret_pairs,
		    char *ret_why, size_t size);

/* NULL, or why this is not KEY=VALUE with a good key. */
const char *config_env_rule(const char *pair);

/* Whether everything inherits it: PATH HOME USER LOGNAME SHELL LANG LC_* TZ TMPDIR. */
bool config_environment_is_usual(const char *pair);

/* "80,443" as numbers. */
struct msg_i64s config_ports(struct codec_arena *arena, const char *list);

/* The table of keys in markdown, and as a JSON schema for editors. */
void config_print_reference(FILE *out);
void config_print_schema(FILE *out);

/* The file to use by the order of the documentation; NULL: none. Malloc'd. */
char *config_find(const char *given);

#endif
