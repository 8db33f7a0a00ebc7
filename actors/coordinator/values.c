/*
 * The configuration in force, as config.set says it: the file itself may have changed since the set
 * was brought up with it. Decides nothing.
 */
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"
#include "lib/config/config.h"

static struct config_set **place_of(const struct coordinator *c, const char *section)
{
	for (uint32_t i = 0; i < c->n_values; i++)
		if (strcmp(c->values[i]->section, section) == 0)
			return &c->values[i];
	return NULL;
}

const struct config_set *values_section(const struct coordinator *c, const char *section)
{
	struct config_set **at = place_of(c, section);

	return at ? *at : NULL;
}

static const char *fallback_of(const char *section, const char *key)
{
	for (size_t i = 0; i < config_keys_count; i++)
		if (strcmp(config_keys[i].section, section) == 0 &&
		    strcmp(config_keys[i].key, key) == 0)
			return config_keys[i].fallback;
	return NULL;
}

const char *values_text(const struct coordinator *c, const char *section, const char *key,
			int64_t *ret_line)
{
	const struct config_set *e = values_section(c, section);
	const char *fallback = fallback_of(section, key);
	size_t len = strlen(key);

	if (ret_line)
		*ret_line = 0;
	for (uint32_t i = 0; e && i < e->values.count; i++) {
		const char *pair = e->values.items[i];

		if (strncmp(pair, key, len) != 0 || pair[len] != '=')
			continue;
		if (ret_line && i < e->lines.count)
			*ret_line = e->lines.items[i];
		return pair + len + 1;
	}
	return fallback ? fallback : "";
}

static void say_retention(struct actor *a)
{
	const struct coordinator *c = coordinator_of(a);
	double days = strtod(values_text(c, "journal", "max_age_days", NULL), NULL),
	       mb = strtod(values_text(c, "journal", "max_mb", NULL), NULL);

	actor_retain(a, (uint64_t)(days * 86400e3), (uint64_t)(mb * 1024 * 1024));
}

void values_take(struct actor *a, const struct config_set *e)
{
	struct coordinator *c = coordinator_of(a);
	struct config_set **at = place_of(c, e->section),
			  *copy = msg_body_copy(&MSG_config_set.body, e);

	if (!at) {
		c->values = reallocarray(c->values, c->n_values + 1, sizeof(struct config_set *));
		if (!c->values)
			abort();
		at = &c->values[c->n_values++];
		*at = NULL;
	}
	if (!copy)
		abort();
	free(*at);
	*at = copy;
	if (strcmp(e->section, "journal") == 0)
		say_retention(a);
	if (strcmp(e->section, "security") == 0)
		roles_configure(a);
}

void values_done(struct coordinator *c)
{
	for (uint32_t i = 0; i < c->n_values; i++)
		free(c->values[i]);
	free(c->values);
}
