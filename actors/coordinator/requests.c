/*
 * The verbs of the API door: one row each. A request becomes an answer from the view, or a command
 * on the bus whose outcome is the answer. The same request id always has the same outcome.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "actors/coordinator/coordinator.h"
#include "lib/config/config.h"
#include "lib/policy/name_rule.h"

enum role { ROLE_NOBODY, ROLE_OBSERVE, ROLE_OPERATE, ROLE_ADMIN };

typedef void verb_fn(struct actor *a, struct api_client *k, const struct api_call *r);

struct verb {
	const char *name;
	enum role role;
	bool command; /* its outcome is looked up when it was sent before */
	verb_fn *handle;
};

/* What a request asked for when its answer comes later. */
struct ask {
	uint32_t place;
	uint64_t serial;
	bool found;
	struct api_call *request; /* a copy; free() */
	verb_fn *handle;
};

static struct ask *ask_new(struct actor *a, const struct api_client *k, const struct api_call *r)
{
	struct ask *q = calloc(1, sizeof *q);

	if (!q)
		abort();
	q->place = api_client_place(coordinator_of(a), k);
	q->serial = k->serial;
	q->request = r ? msg_body_copy(&REC_api_call, r) : NULL;
	if (r && !q->request)
		abort();
	return q;
}

static void ask_free(struct ask *q)
{
	free(q->request);
	free(q);
}

/* --- commands --- */

static struct publish as_command(const struct api_client *k, const char *deployment)
{
	return (struct publish){.deployment = deployment,
				.did = msg_did("request", k->request, 0, 0),
				.uid = k->uid,
				.root = true};
}

static void check_sent(struct actor *a, struct api_client *k, uint64_t number)
{
	if (!number)
		answer_status(a, k, 2, "the request is not valid, or too large for one message");
}

/* False: it was answered already. */
static bool resolve(struct actor *a, struct api_client *k, const struct api_call *r,
		    struct targets *ret_t)
{
	targets_resolve(coordinator_of(a), &r->targets, r->all, ret_t);
	if (!ret_t->status && !r->all && r->targets.count == 0) {
		ret_t->status = 2;
		snprintf(ret_t->message, sizeof ret_t->message, "no deployment was named");
	}
	if (ret_t->status)
		answer_status(a, k, ret_t->status, ret_t->message);
	else if (ret_t->count == 0)
		answer_status(a, k, 0, NULL);
	else
		return true;
	free(ret_t->ids);
	return false;
}

#define COMMAND_OVER_TARGETS(verb, body_type, publisher, ...)                                      \
	static void on_##verb(struct actor *a, struct api_client *k, const struct api_call *r)     \
	{                                                                                          \
		struct targets t;                                                                  \
		struct publish to = as_command(k, NULL);                                           \
                                                                                                   \
		if (!resolve(a, k, r, &t))                                                         \
			return;                                                                    \
		struct body_type c = {.deployments = {.items = t.ids, .count = t.count},           \
				      __VA_ARGS__};                                                \
		check_sent(a, k, publisher(a, &to, &c));                                           \
		free(t.ids);                                                                       \
	}
COMMAND_OVER_TARGETS(start, do_process_start, publish_do_process_start, .request = k->request,
		     .wait = r->wait, .set_start = false)
COMMAND_OVER_TARGETS(stop, do_process_stop, publish_do_process_stop, .request = k->request,
		     .timeout_seconds = r->timeout_seconds, .force = r->force,
		     .keep_intent = r->keep_intent)
COMMAND_OVER_TARGETS(restart, do_process_restart, publish_do_process_restart, .request = k->request,
		     .timeout_seconds = r->timeout_seconds, .parallel = r->parallel)
COMMAND_OVER_TARGETS(reload, do_process_reload, publish_do_process_reload, .request = k->request)
COMMAND_OVER_TARGETS(signal, do_process_signal, publish_do_process_signal, .request = k->request,
		     .signal = r->signal, .tree = r->tree)
COMMAND_OVER_TARGETS(delete, do_deployment_delete, publish_do_deployment_delete,
		     .request = k->request, .force = r->force)

static void on_create(struct actor *a, struct api_client *k, const struct api_call *r)
{
	struct publish to;
	const char *why;
	char text[200];

	if (r->specs.count != 1) {
		answer_status(a, k, 2, "create takes one spec");
		return;
	}
	why = name_rule(r->specs.items->deployment_id);
	if (why) {
		snprintf(text, sizeof text, "the name %s", why);
		answer_status(a, k, 2, text);
		return;
	}
	why = config_spec_rule(r->specs.items);
	if (why) {
		answer_status(a, k, 2, why);
		return;
	}
	struct do_deployment_put c = {.request = k->request,
				      .spec = *r->specs.items,
				      .mode = "create",
				      .start = true,
				      .wait = r->wait};
	to = as_command(k, r->specs.items->deployment_id);
	check_sent(a, k, publish_do_deployment_put(a, &to, &c));
}

/* --- set: the newest spec, changed and checked, with the generation it came from --- */

static int change(struct codec_arena *arena, struct deployment_spec *s,
		  const struct msg_strs *pairs, char *why, size_t size)
{
	for (uint32_t i = 0; i < pairs->count; i++) {
		char key[128];
		const char *eq = strchr(pairs->items[i], '=');
		int err;

		if (!eq || eq == pairs->items[i] || (size_t)(eq - pairs->items[i]) >= sizeof key) {
			snprintf(why, size, "%.80s is not KEY=VALUE", pairs->items[i]);
			return -EINVAL;
		}
		snprintf(key, sizeof key, "%.*s", (int)(eq - pairs->items[i]), pairs->items[i]);
		err = config_spec_set(arena, s, key, eq + 1, why, size);
		if (err)
			return err;
	}
	return 0;
}

static void set_spec(struct actor *a, struct api_client *k, const struct ask *q,
		     const struct spec_set *e)
{
	struct codec_arena arena = {0};
	struct do_deployment_put c = {.request = k->request,
				      .spec = e->spec,
				      .mode = "set",
				      .base_generation = e->generation};
	struct publish to = as_command(k, e->spec.deployment_id);
	char why[400] = "";
	const char *rule;

	if (change(&arena, &c.spec, &q->request->pairs, why, sizeof why) < 0)
		answer_status(a, k, 2, why);
	else if ((rule = config_spec_rule(&c.spec)))
		answer_status(a, k, 2, rule);
	else
		check_sent(a, k, publish_do_deployment_put(a, &to, &c));
	codec_arena_done(&arena);
}

static void on_spec_for_set(struct actor *a, void *arg, const struct event *ev)
{
	struct ask *q = arg;
	struct api_client *k = api_client_of(coordinator_of(a), q->place, q->serial);

	if (ev && k && ev->type == &MSG_spec_set &&
	    strcmp(ev->deployment, q->request->targets.items[0]) == 0) {
		q->found = true;
		set_spec(a, k, q, ev->body);
	}
	if (ev)
		return;
	if (k && !q->found)
		answer_status(a, k, 4, "the deployment has no spec any more");
	ask_free(q);
}

static void on_set(struct actor *a, struct api_client *k, const struct api_call *r)
{
	struct targets t;
	struct api_call one = *r;
	char key[128];

	if (!resolve(a, k, r, &t))
		return;
	if (t.count != 1) {
		answer_status(a, k, 2, "set changes one deployment at a time");
	} else if (r->pairs.count == 0) {
		answer_status(a, k, 2, "set takes KEY=VALUE");
	} else {
		one.targets = (struct msg_strs){.items = t.ids, .count = 1};
		snprintf(key, sizeof key, "spec/%s", t.ids[0]);
		actor_get_last(a, key, on_spec_for_set, ask_new(a, k, &one));
	}
	free(t.ids);
}

/* --- from the view --- */

static void on_list(struct actor *a, struct api_client *k, const struct api_call *r)
{
	struct targets t;

	targets_resolve(coordinator_of(a), &r->targets, r->targets.count == 0 || r->all, &t);
	if (t.status)
		answer_status(a, k, t.status, t.message);
	else
		answer_processes(a, k, &t, r->brief, r->status);
	free(t.ids);
}

static void on_events(struct actor *a, struct api_client *k, const struct api_call *r)
{
	journal_answer(a, k, r->since, r->topic);
}

static void on_config(struct actor *a, struct api_client *k, const struct api_call *r)
{
	(void)r;
	answer_values(a, k);
}

/* Waits for the outcome of a command that somebody else sends or sent. */
static void on_settle(struct actor *a, struct api_client *k, const struct api_call *r)
{
	(void)a;
	(void)k;
	(void)r;
}

static const struct verb verbs[] = {
	{"list", ROLE_OBSERVE, false, on_list},     {"status", ROLE_OBSERVE, false, on_list},
	{"events", ROLE_OBSERVE, false, on_events}, {"config", ROLE_OBSERVE, false, on_config},
	{"settle", ROLE_OBSERVE, true, on_settle},  {"start", ROLE_OPERATE, true, on_start},
	{"stop", ROLE_OPERATE, true, on_stop},      {"restart", ROLE_OPERATE, true, on_restart},
	{"reload", ROLE_OPERATE, true, on_reload},  {"signal", ROLE_OPERATE, true, on_signal},
	{"create", ROLE_ADMIN, true, on_create},    {"set", ROLE_ADMIN, true, on_set},
	{"delete", ROLE_ADMIN, true, on_delete},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static struct api_client *asker(struct actor *a, const struct ask *q)
{
	struct api_client *k = api_client_of(coordinator_of(a), q->place, q->serial);

	return k && k->pending && strcmp(k->request, q->request->request) == 0 ? k : NULL;
}

/* Its command is on its way: then its outcome comes by itself, and what the words of the request
 * stand for is not asked again, for it may have been done already. */
static void on_underway(struct actor *a, void *arg, const struct event *ev)
{
	struct ask *q = arg;
	struct api_client *k = asker(a, q);

	if (ev) {
		q->found = true;
		return;
	}
	if (k && !q->found)
		q->handle(a, k, q->request);
	ask_free(q);
}

/* The outcome of one that was sent before is its answer. */
static void on_outcome(struct actor *a, void *arg, const struct event *ev)
{
	struct ask *q = arg;
	struct api_client *k = asker(a, q);

	if (ev && ev->type == &MSG_command_finished) {
		q->found = true;
		if (k)
			answer_finished(a, k, ev->body);
	}
	if (ev)
		return;
	if (k && !q->found)
		actor_get_by_did(a, msg_did("request", k->request, 0, 0), on_underway, q);
	else
		ask_free(q);
}

static enum role role_of(const struct api_client *k)
{
	return k->uid == 0 || k->uid == geteuid() ? ROLE_ADMIN : ROLE_NOBODY;
}

static void refuse_verb(struct actor *a, struct api_client *k, const char *name)
{
	const char *names[VERBS], *near;
	char text[200];

	for (int i = 0; i < VERBS; i++)
		names[i] = verbs[i].name;
	near = name_nearest(name, names, VERBS);
	snprintf(text, sizeof text, "no request is called %.40s%s%s", name,
		 near ? "; the nearest is " : "", near ? near : "");
	answer_status(a, k, 2, text);
}

void request_handle(struct actor *a, struct api_client *k, const struct api_call *r)
{
	for (int i = 0; i < VERBS; i++) {
		if (strcmp(verbs[i].name, r->verb) != 0)
			continue;
		k->command = verbs[i].command;
		if (role_of(k) < verbs[i].role) {
			answer_status(a, k, 9, "only the owner of the set and root may do this");
		} else if (verbs[i].command && coordinator_of(a)->trouble[0]) {
			answer_status(a, k, 7, coordinator_of(a)->trouble);
		} else if (verbs[i].command && (r->again || verbs[i].handle == on_settle)) {
			struct ask *q = ask_new(a, k, r);

			q->handle = verbs[i].handle;
			actor_get_by_did(a, msg_did("finished", k->request, 0, 0), on_outcome, q);
		} else {
			verbs[i].handle(a, k, r);
		}
		return;
	}
	refuse_verb(a, k, r->verb);
}

void requests_give_up(struct actor *a, const char *why)
{
	struct coordinator *c = coordinator_of(a);
	char text[300];

	snprintf(text, sizeof text, "%s; the outcome is open", why);
	for (uint32_t i = 0; i < c->high; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].pending && c->clients[i].command)
			answer_status(a, &c->clients[i], 7, text);
}

void request_finished(struct actor *a, const struct command_finished *e)
{
	struct coordinator *c = coordinator_of(a);

	for (uint32_t i = 0; i < c->high; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].pending &&
		    strcmp(c->clients[i].request, e->request) == 0)
			answer_finished(a, &c->clients[i], e);
}
