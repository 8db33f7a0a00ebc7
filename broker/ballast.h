/*
 * 4 MB kept in reserve beside the journal: deleting rows needs room too, so on a full disk this
 * file is given up first. It holds nothing.
 */
#ifndef LOPS_BROKER_BALLAST_H
#define LOPS_BROKER_BALLAST_H

#include <stdbool.h>

bool ballast_give_up(const char *state_dir); /* false: there was none */
bool ballast_take(const char *state_dir);    /* false: no room for it */

#endif
