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
	KEY_PORTS,
	KEY_PATTERNS,
	KEY_MAP,
	KEY_COMMAND
};

struct config_key {
	const char *section, *key; /* "http.path" lies under http: */
	enum key_type type;
	const char *fallback;
	double least, most;
	const char *choices; /* "a|b" */
	const char *help;
};
extern const struct config_key config_keys[];
extern const size_t config_keys_count;

#define CONFIG_ERRORS_MAX 50
struct config_error {
	int line, column; /* 0: not of a file */
	char text[360];
};

struct config {
	char *file;                          /* as it was given, NULL: defaults only */
	char **values;                       /* by place in config_keys; NULL: the default */
	int *lines;                          /* where each came from, 0: default */
	struct deployment_spec *deployments; /* strings lie in the arena */
	size_t n_deployments;
	struct codec_arena arena;
	struct config_error errors[CONFIG_ERRORS_MAX];
	size_t n_errors;
};

/* Never NULL but without memory. n_errors > 0: nothing else of it may be used. base_environment:
 * what the deployments of the file start from ("KEY=VALUE"). */
struct config *config_load(const char *path, const struct msg_strs *base_environment);
struct config *config_defaults(void);
void config_free(struct config *c);

/* The text in force. */
const char *config_value(const struct config *c, const char *section, const char *key);
void config_print_errors(const struct config *c, FILE *out); /* FILE:LINE:COLUMN: text */

/* Fills a spec with the set's defaults (base may be NULL). Strings are borrowed from c or static.
 */
void config_spec_defaults(const struct config *c, struct deployment_spec *s);

/* Sets one key of a spec from text ("limits.nofile", "environment.FOO", "restart_policy.jitter",
 * …). 0, or -EINVAL with why. What it needs lies in the arena. */
int config_spec_set(struct codec_arena *arena, struct deployment_spec *s, const char *key,
		    const char *value, char *ret_why, size_t size);
/* NULL, or what the spec as a whole lacks. */
const char *config_spec_rule(const struct deployment_spec *s);
/* Whether a change of the key needs a restart to take effect. */
bool config_needs_restart(const char *key);

/* Splits as a shell splits words: quotes and backslashes, no expansion. -EINVAL with why. */
int config_split(struct codec_arena *arena, const char *text, struct msg_strs *ret_words,
		 char *ret_why, size_t size);

/* KEY=VALUE lines; '#' comments, `export`, quotes. */
int config_env_file(struct codec_arena *arena, const char *path, struct msg_strs *ret_pairs,
		    char *ret_why, size_t size);

/* NULL, or why this is not KEY=VALUE with a good key. */
const char *config_env_rule(const char *pair);

/* The file to use by the order of the documentation; NULL: none. Malloc'd. */
char *config_find(const char *given);

#endif
