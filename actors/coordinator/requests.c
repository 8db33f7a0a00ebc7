/*
 * The verbs of the API door: one row each. A request becomes an answer from the view, or a command
 * on the bus whose outcome is the answer. The same request id always has the same outcome.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"
#include "lib/config/config.h"
#include "lib/policy/name_rule.h"

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

/* What the answer to a command waits for once its outcome is known. */
static void expect(struct actor *a, struct api_client *k, const struct api_call *r,
		   const char *const *ids, uint32_t n)
{
	struct expected e = {.ids = ids, .n_ids = n, .failed = WAIT_REST, .records = r->records};
	bool is_start = strcmp(r->verb, "start") == 0 || strcmp(r->verb, "create") == 0;

	if (strcmp(r->verb, "delete") == 0)
		e.done = WAIT_GONE;
	else if (strcmp(r->verb, "signal") == 0 || strcmp(r->verb, "reload") == 0 ||
		 strcmp(r->verb, "set") == 0)
		e.done = e.failed = WAIT_NOTHING;
	else
		e.done = is_start && !r->wait ? WAIT_SPAWNED : WAIT_REST;
	if (strcmp(r->verb, "create") == 0)
		e.failed = WAIT_GONE;
	held_expect(a, k, &e);
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
		expect(a, k, r, t.ids, t.count);                                                   \
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
	expect(a, k, r, (const char *const[]){c.spec.deployment_id}, 1);
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

	expect(a, k, q->request, NULL, 0);
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

/* Asks for the spec of the one deployment that the request is about. */
static void ask_spec(struct actor *a, struct api_client *k, const struct api_call *r,
		     const char *if_many, actor_found_fn *found)
{
	struct targets t;
	struct api_call one = *r;
	char key[128];

	if (!resolve(a, k, r, &t))
		return;
	if (t.count != 1) {
		answer_status(a, k, 2, if_many);
	} else {
		one.targets = (struct msg_strs){.items = t.ids, .count = 1};
		snprintf(key, sizeof key, "spec/%s", t.ids[0]);
		actor_get_last(a, key, found, ask_new(a, k, &one));
	}
	free(t.ids);
}

static void on_set(struct actor *a, struct api_client *k, const struct api_call *r)
{
	if (r->pairs.count == 0)
		answer_status(a, k, 2, "set takes KEY=VALUE");
	else
		ask_spec(a, k, r, "set changes one deployment at a time", on_spec_for_set);
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

static void on_spec_for_logs(struct actor *a, void *arg, const struct event *ev)
{
	struct ask *q = arg;
	struct api_client *k = api_client_of(coordinator_of(a), q->place, q->serial);

	if (ev && k && !q->found && ev->type == &MSG_spec_set &&
	    strcmp(ev->deployment, q->request->targets.items[0]) == 0) {
		q->found = true;
		logs_answer(a, k, &((const struct spec_set *)ev->body)->spec,
			    ((const struct spec_set *)ev->body)->port_in_force);
	}
	if (ev)
		return;
	if (k && !q->found)
		answer_status(a, k, 4, "the deployment has no spec any more");
	ask_free(q);
}

static void on_config(struct actor *a, struct api_client *k, const struct api_call *r)
{
	(void)r;
	answer_values(a, k);
}

static void on_logs(struct actor *a, struct api_client *k, const struct api_call *r)
{
	if (actor_bus_is_up(a))
		ask_spec(a, k, r, "logs takes one deployment at a time", on_spec_for_logs);
	else
		answer_status(a, k, 7,
			      "the broker is away, and what is known of logs with it; try again");
}

/* Waits for the outcome of a command that somebody else sends or sent. */
static void on_settle(struct actor *a, struct api_client *k, const struct api_call *r)
{
	(void)a;
	(void)k;
	(void)r;
}

static const struct verb verbs[] = {
	{"list", ROLE_OBSERVE, false, on_list},      {"status", ROLE_OBSERVE, false, on_list},
	{"events", ROLE_OBSERVE, false, on_events},  {"config", ROLE_OBSERVE, false, on_config},
	{"logs", ROLE_OBSERVE, false, on_logs},      {"settle", ROLE_OBSERVE, true, on_settle},
	{"start", ROLE_OPERATE, true, on_start},     {"stop", ROLE_OPERATE, true, on_stop},
	{"restart", ROLE_OPERATE, true, on_restart}, {"reload", ROLE_OPERATE, true, on_reload},
	{"signal", ROLE_OPERATE, true, on_signal},   {"create", ROLE_ADMIN, true, on_create},
	{"set", ROLE_ADMIN, true, on_set},           {"delete", ROLE_ADMIN, true, on_delete},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* --- the same request again --- */

static struct api_client *client_of(struct actor *a, const struct ask *q)
{
	struct api_client *k = api_client_of(coordinator_of(a), q->place, q->serial);

	return k && k->pending && strcmp(k->request, q->request->request) == 0 ? k : NULL;
}

/* Of a command that was given before: what its answer is to show, as far as it can still be told.
 */
static void expect_again(struct actor *a, struct api_client *k, const struct api_call *r)
{
	struct targets t;

	if (r->specs.count) {
		expect(a, k, r, (const char *const[]){r->specs.items->deployment_id}, 1);
		return;
	}
	if (r->targets.count == 0 && !r->all)
		return;
	targets_resolve(coordinator_of(a), &r->targets, r->all, &t);
	expect(a, k, r, t.ids, t.count);
	free(t.ids);
}

/* The command itself: it was given, and its outcome will come; or it never was, and is given now.
 */
static void on_given(struct actor *a, void *arg, const struct event *ev)
{
	struct ask *q = arg;
	struct api_client *k = client_of(a, q);

	if (ev) {
		q->found = true;
		return;
	}
	if (k && q->found && !k->held) /* held: the outcome came meanwhile */
		expect_again(a, k, q->request);
	else if (k && !q->found)
		q->handle(a, k, q->request);
	ask_free(q);
}

static void on_outcome(struct actor *a, void *arg, const struct event *ev)
{
	struct ask *q = arg;
	struct api_client *k = client_of(a, q);

	if (ev && ev->type == &MSG_command_finished) {
		q->found = true;
		if (k && !k->held)
			expect_again(a, k, q->request);
		if (k)
			held_finished(a, k, ev->body);
	}
	if (ev)
		return;
	if (k && !q->found && q->handle) {
		actor_get_by_did(a, msg_did("request", q->request->request, 0, 0), on_given, q);
		return;
	}
	ask_free(q);
}

/* handle: what to do when it turns out to be new, NULL: it is being done. */
static void look_up(struct actor *a, const struct api_client *k, const struct api_call *r,
		    verb_fn *handle)
{
	struct ask *q = ask_new(a, k, r);

	q->handle = handle;
	actor_get_by_did(a, msg_did("finished", k->request, 0, 0), on_outcome, q);
}

static void handle_verb(struct actor *a, struct api_client *k, const struct api_call *r,
			const struct verb *v)
{
	uint64_t serial = k->serial;
	char why[400];

	if (k->role < v->role) {
		roles_refusal(a, k, v->name, v->role, why, sizeof why);
		answer_status(a, k, 9, why);
	} else if (v->command && coordinator_of(a)->trouble[0]) {
		answer_status(a, k, 7, coordinator_of(a)->trouble);
	} else if (v->command && (r->again || v->handle == on_settle)) {
		look_up(a, k, r, v->handle);
	} else {
		v->handle(a, k, r);
		/* Of a client that does not say `again`, the bus has dropped the double. */
		if (v->command && k->pending && k->serial == serial)
			look_up(a, k, r, NULL);
	}
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
	held_drop(a, k);
	for (int i = 0; i < VERBS; i++) {
		if (strcmp(verbs[i].name, r->verb) != 0)
			continue;
		k->command = verbs[i].command;
		handle_verb(a, k, r, &verbs[i]);
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
			held_finished(a, &c->clients[i], e);
}
