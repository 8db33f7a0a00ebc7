/*
 * Settings: the defaults of the actor's table, overridden by the last values of
 * config.set/@section.
 */
#include "lib/actor/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int settings_init(struct actor *a)
{
	const struct actor_setting *s = a->spec->settings;

	while (s && s[a->n_values].section)
		a->n_values++;
	a->values = calloc(a->n_values + 1, sizeof *a->values);
	if (!a->values)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->n_values; i++)
		a->values[i].setting = &s[i];
	return 0;
}

void settings_done(struct actor *a)
{
	for (uint32_t i = 0; i < a->n_values; i++)
		free(a->values[i].text);
	free(a->values);
}

/* The value of key among "key=value" items, or NULL. */
static const char *value_among(const struct msg_strs *items, const char *key)
{
	size_t len = strlen(key);

	for (uint32_t i = 0; i < items->count; i++)
		if (strncmp(items->items[i], key, len) == 0 && items->items[i][len] == '=')
			return items->items[i] + len + 1;
	return NULL;
}

void settings_take(struct actor *a, const struct config_set *c)
{
	for (uint32_t i = 0; i < a->n_values; i++) {
		struct actor_value *v = &a->values[i];
		const char *text;

		if (strcmp(v->setting->section, c->section) != 0)
			continue;
		text = value_among(&c->values, v->setting->key);
		free(v->text);
		v->text = text ? strdup(text) : NULL;
	}
	if (a->spec->configured)
		a->spec->configured(a);
}

const char *actor_setting_text(const struct actor *a, const char *section, const char *key)
{
	for (uint32_t i = 0; i < a->n_values; i++) {
		const struct actor_value *v = &a->values[i];

		if (strcmp(v->setting->section, section) == 0 && strcmp(v->setting->key, key) == 0)
			return v->text ? v->text : v->setting->fallback;
	}
	abort(); /* a setting that the actor's table does not name */
}

double actor_setting_number(const struct actor *a, const char *section, const char *key)
{
	return strtod(actor_setting_text(a, section, key), NULL);
}
