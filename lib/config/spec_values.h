/*
 * The kinds of value that keys of a deployment have; for lib/config's own files.
 */
#ifndef LOPS_CONFIG_SPEC_VALUES_H
#define LOPS_CONFIG_SPEC_VALUES_H

#include "lib/config/config.h"
#include "lib/config/values.h"

/* One value on its way into a spec. */
struct put {
	struct codec_arena *arena;
	struct deployment_spec *s;
	const struct yaml_node *n;
	const char *key; /* what follows the dot of limits.x, environment.x; NULL: nothing */
	const char *dir; /* folder of the file, NULL: none */
	struct value_error *error;
	bool is_full; /* the arena was exhausted */
};

/* All but put_keep: 0 or -EINVAL with the error noted; *place untouched then. */
const char *put_keep(struct put *p, const char *text); /* never NULL */
const char **put_list(struct put *p, size_t count);    /* never NULL */
int put_text(struct put *p, const char **place);
int put_path(struct put *p, const char **place);
int put_bool(struct put *p, bool *place);
int put_int(struct put *p, int64_t *place, int64_t least, int64_t most);
int put_texts(struct put *p, struct msg_strs *place, const char *expected);
int put_choice(struct put *p, const char **place, const char *const *choices, const char *expected);
int put_argv(struct put *p, struct msg_strs *place);
int put_signal(struct put *p, int64_t *place);
/* NAME: value or NAME=value of an environment. */
int put_variables(struct put *p, struct msg_strs *place);
int put_variable(struct put *p, struct msg_strs *place, const char *name);

#endif
