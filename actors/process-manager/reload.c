/*
 * Reload commands: each a short-lived program of its own beside the deployment, in its folder,
 * environment and rights, started and reaped by lops-init like any other. It is begun once; one
 * whose process-manager died meanwhile runs to its end, and nobody is told what it came to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/process-manager/manager.h"
#include "lib/policy/exit_rule.h"
#include "msgs/codec.h"

enum { RELOAD_MS = 30000 };

struct reload {
	struct reload *next;
	struct job *job;
	struct deployment as;         /* what the shell is shown: instance, spec, streams */
	struct deployment_spec *spec; /* a copy: the deployment's own may change meanwhile */
	uint64_t number;              /* own number of the record that says it was begun */
	bool begun, late;
	struct actor_timer timer;
};

static void forget(struct actor *a, struct reload *r)
{
	struct reload **at = &manager_of(a)->reloads;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	actor_timer_cancel(a, &r->timer);
	free(r->spec);
	free(r);
}

static void on_late(struct actor *a, struct actor_timer *t)
{
	struct reload *r = (struct reload *)(void *)((char *)t - offsetof(struct reload, timer));

	r->late = true;
	manager_of(a)->os->signal(a, &r->as, 9, true);
}

static struct reload *reload_new(struct actor *a, const struct deployment *d, struct job *j)
{
	struct reload *r = calloc(1, sizeof *r);
	struct deployment_spec spec = *d->spec;

	spec.command = d->spec->reload_command;
	if (!r || !(r->spec = msg_body_copy(&REC_deployment_spec, &spec)))
		abort();
	r->job = j;
	r->timer.fn = on_late;
	r->as = (struct deployment){.spec = r->spec,
				    .port = d->port,
				    .generation = d->generation,
				    .streams = d->streams,
				    .helper = true,
				    .instance = actor_unique(a)};
	snprintf(r->as.id, sizeof r->as.id, "%s", d->id);
	return r;
}

void reload_begin(struct actor *a, struct deployment *d, struct job *j, uint64_t number)
{
	struct manager *m = manager_of(a);
	struct reload *r = reload_new(a, d, j);
	const char *why = NULL;
	int status = 0;

	r->number = number;
	jobs_expect(j);
	r->as.arena_at = m->os->place_spec(a, &r->as, &why, &status);
	if (!r->as.arena_at) {
		free(r->spec);
		free(r);
		jobs_came_to(a, j, d->id, status, why);
		return;
	}
	r->next = m->reloads;
	m->reloads = r;
}

/* Started only now: a crash of ours in between would else run it a second time. */
void reloads_acked(struct actor *a, uint64_t number)
{
	struct manager *m = manager_of(a);

	for (struct reload *r = m->reloads; r; r = r->next) {
		if (r->begun || r->number > number)
			continue;
		r->begun = true;
		actor_timer_set(a, &r->timer, actor_now_ms(a) + RELOAD_MS);
		m->os->start(a, &r->as);
	}
}

static void say_end(struct actor *a, struct reload *r, const struct tree_slot *s)
{
	enum tree_how how = tree_how_of(atomic_load(&s->word));
	uint32_t stage_error = atomic_load(&s->stage_error);
	struct exit_decision e = exit_rule(
		&(struct exit_facts){.known = how == TREE_HOW_WAIT || how == TREE_HOW_INFO,
				     .status = tree_status_of(atomic_load(&s->word))});
	char why[160], text[300];

	snprintf(why, sizeof why, "%s",
		 r->late ? "it took longer than 30 s and was killed" : e.reason);
	if (stage_error)
		spec_explain(&r->as, stage_error >> 16, (int)(stage_error & 0xffff), why,
			     sizeof why);
	snprintf(text, sizeof text, "the reload command of %s: %s", r->as.id, why);
	if (e.verdict == EXIT_EXITED && !stage_error)
		jobs_came_to(a, r->job, r->as.id, 0, NULL);
	else
		jobs_came_to(a, r->job, r->as.id, 1, text);
}

static struct reload *reload_of(struct actor *a, uint64_t instance)
{
	struct reload *r = manager_of(a)->reloads;

	while (r && r->as.instance != instance)
		r = r->next;
	return r;
}

void reload_found(struct actor *a, const struct tree_slot *s)
{
	struct deployment as = {.instance = s->instance};

	if (!reload_of(a, s->instance))
		manager_of(a)->os->signal(a, &as, 9, true);
}

bool reload_exited(struct actor *a, const struct tree_slot *s)
{
	struct manager *m = manager_of(a);
	struct reload *r = reload_of(a, s->instance);
	uint64_t at;

	if (!r)
		return false;
	say_end(a, r, s);
	at = r->as.arena_at;
	m->os->confirm(a, s->instance);
	m->os->forget(a, &r->as, s->instance);
	forget(a, r);
	m->os->free_spec(a, at);
	m->os->flush(a);
	return true;
}

void reloads_done(struct manager *m)
{
	while (m->reloads) {
		struct reload *r = m->reloads;

		m->reloads = r->next;
		free(r->spec);
		free(r);
	}
}
