/*
 * Names of deployments, and what a word on the command line stands for. Pure.
 */
#ifndef LOPS_POLICY_NAME_RULE_H
#define LOPS_POLICY_NAME_RULE_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MAX_BYTES 64

/* [A-Za-z0-9][A-Za-z0-9_.-]{0,63}. NULL when it is one, else why not. */
const char *name_rule(const char *name);

/* '*' any run, '?' one character; no classes. Bounded by the lengths' product. */
bool name_glob(const char *pattern, const char *text);
bool name_is_glob(const char *word);

/* Edits (insert, delete, replace, swap of neighbours) between two words, at most `limit` + 1. */
unsigned name_distance(const char *a, const char *b, unsigned limit);
/* The candidate nearest to the word, NULL when none is near. */
const char *name_nearest(const char *word, const char *const *candidates, size_t n);

#endif
