/*
 * The set as a whole: at `up` its file becomes config.set and, all in one burst, the deployments it
 * names and one start; on the way down one stop, then the end of lops-init. Done once an `up`: a
 * coordinator that is started again finds that it was.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "actors/coordinator/coordinator.h"
#include "lib/config/config.h"
#include "lib/config/folders.h"
#include "lib/tree/client.h"

struct setup {
	struct config *config; /* NULL: the file was read by an earlier life of ours */
	struct msg_strs base;  /* the environment of `up`; the specs borrow it */
	bool *same;            /* by deployment: what is in force is what the file says */
	char request[API_REQUEST_MAX + 1];
	bool was_done;
};

extern char **environ;

static void path_of_config(struct actor *a, char *ret_path, size_t size)
{
	char name[FOLDER_MAX + 16];
	FILE *f;

	ret_path[0] = 0;
	snprintf(name, sizeof name, "%s/config-path", actor_state_dir(a));
	f = fopen(name, "re");
	if (!f)
		return;
	if (!fgets(ret_path, (int)size, f))
		ret_path[0] = 0;
	ret_path[strcspn(ret_path, "\n")] = 0;
	fclose(f);
}

/* What the parts of a set tell each other is not the environment of who brought it up. */
static bool is_ours(const char *pair)
{
	static const char *const names[] = {"LOPS_UP_ID=", "LOPS_LOG="};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(pair, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static void load(struct actor *a, struct setup *s)
{
	char path[FOLDER_MAX];
	size_t n = 0;

	while (environ[n])
		n++;
	s->base.items = calloc(n + 1, sizeof *s->base.items);
	if (!s->base.items)
		abort();
	for (char **e = environ; *e; e++)
		if (!is_ours(*e))
			s->base.items[s->base.count++] = *e;
	path_of_config(a, path, sizeof path);
	s->config = path[0] ? config_load(path, &s->base) : config_defaults();
	if (!s->config)
		abort();
}

static bool is_first_of_section(size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(config_keys[i].section, config_keys[at].section) == 0)
			return false;
	return true;
}

static void say_section(struct actor *a, const struct setup *s, const char *section)
{
	const struct config *g = s->config;
	struct config_set e = {
		.section = section, .file = g->file, .up = section[0] ? NULL : s->request};
	char topic[80], *pairs[128];
	int64_t lines[128];
	struct publish to = {.deployment = topic, .uid = MSG_UID_NONE, .root = true};

	snprintf(topic, sizeof topic, "@%s", section[0] ? section : "set");
	for (size_t i = 0; i < config_keys_count && e.values.count < 128; i++) {
		if (strcmp(config_keys[i].section, section) != 0)
			continue;
		lines[e.values.count] = g->values && g->values[i] ? g->lines[i] : 0;
		if (asprintf(&pairs[e.values.count++], "%s=%s", config_keys[i].key,
			     config_value(g, section, config_keys[i].key)) < 0)
			abort();
	}
	e.values.items = (const char **)(void *)pairs;
	e.lines = (struct msg_i64s){.items = lines, .count = e.values.count};
	publish_config_set(a, &to, &e);
	for (uint32_t i = 0; i < e.values.count; i++)
		free(pairs[i]);
}

static void say_put(struct actor *a, const struct setup *s, const struct deployment_spec *spec)
{
	char request[API_REQUEST_MAX + 80];
	struct do_deployment_put c = {
		.request = request, .spec = *spec, .mode = "put", .quiet = true};
	struct publish to = {.deployment = spec->deployment_id, .uid = geteuid(), .root = true};

	snprintf(request, sizeof request, "%s-%s", s->request, spec->deployment_id);
	to.did = msg_did("request", request, 0, 0);
	if (!publish_do_deployment_put(a, &to, &c))
		actor_log(a, ACTOR_ERROR, "the spec of %s does not fit a message",
			  spec->deployment_id);
}

static void burst(struct actor *a, struct setup *s)
{
	struct do_process_start c = {.request = s->request, .set_start = true};
	struct publish to = {
		.did = msg_did("request", s->request, 0, 0), .uid = geteuid(), .root = true};

	for (size_t i = 0; i < config_keys_count; i++)
		if (is_first_of_section(i) && config_keys[i].section[0])
			say_section(a, s, config_keys[i].section);
	for (size_t i = 0; i < s->config->n_deployments; i++)
		if (!s->same[i])
			say_put(a, s, &s->config->deployments[i]);
	publish_do_process_start(a, &to, &c);
	say_section(a, s, "");
}

static bool is_same(const struct deployment_spec *x, const struct deployment_spec *y)
{
	struct codec_buffer one = {0}, two = {0};
	bool same = msg_body_encode(&REC_deployment_spec, x, &one, NULL) == 0 &&
		    msg_body_encode(&REC_deployment_spec, y, &two, NULL) == 0 &&
		    one.len == two.len && memcmp(one.data, two.data, one.len) == 0;

	codec_buffer_done(&one);
	codec_buffer_done(&two);
	return same;
}

static void on_spec(struct actor *a, void *arg, const struct event *ev)
{
	struct setup *s = arg;
	const struct spec_set *e = ev ? ev->body : NULL;

	if (!ev) {
		burst(a, s);
		return;
	}
	if (ev->type != &MSG_spec_set)
		return;
	for (size_t i = 0; i < s->config->n_deployments; i++)
		if (strcmp(s->config->deployments[i].deployment_id, e->spec.deployment_id) == 0)
			s->same[i] = is_same(&s->config->deployments[i], &e->spec);
}

/* The set comes up without the file's part; whoever waits for the `up` is told why. */
static void refuse_file(struct actor *a, struct setup *s)
{
	struct command_finished e = {.request = s->request, .verb = "up", .status = 2};
	struct publish to = {
		.did = msg_did("finished", s->request, 0, 0), .uid = MSG_UID_NONE, .root = true};
	char text[900];

	snprintf(text, sizeof text, "%s:%d:%d: %s", s->config->file, s->config->errors[0].line,
		 s->config->errors[0].column, s->config->errors[0].text);
	e.message = text;
	actor_log(a, ACTOR_ERROR, "%s", text);
	publish_command_finished(a, &to, &e);
}

static void bring_up(struct actor *a, struct setup *s)
{
	load(a, s);
	if (s->config->n_errors) {
		refuse_file(a, s);
		return;
	}
	s->same = calloc(s->config->n_deployments + 1, sizeof *s->same);
	if (!s->same)
		abort();
	actor_get_last(a, "spec/", on_spec, s);
}

/* Refused, or given whole: an earlier life of ours did it. */
static void on_up_given(struct actor *a, void *arg, const struct event *ev)
{
	struct setup *s = arg;

	if (ev)
		s->was_done = true;
	else if (!s->was_done)
		bring_up(a, s);
}

static void on_up_found(struct actor *a, void *arg, const struct event *ev)
{
	struct setup *s = arg;

	if (ev)
		s->was_done = true;
	else if (!s->was_done)
		actor_get_by_did(a, msg_did("request", s->request, 0, 0), on_up_given, s);
}

/* The file is read once for each `up`: the journal says what it said then, and retention may have
 * taken the events that tell of it. */
void setup_begin(struct actor *a)
{
	struct coordinator *c = coordinator_of(a);
	const struct config_set *last = values_section(c, "");
	struct setup *s = calloc(1, sizeof *s);
	const char *id = getenv("LOPS_UP_ID");

	if (!s)
		abort();
	c->setup = s;
	snprintf(s->request, sizeof s->request, "up-%.60s", id ? id : "");
	if (id && *id && !(last && last->up && strcmp(last->up, s->request) == 0))
		actor_get_by_did(a, msg_did("finished", s->request, 0, 0), on_up_found, s);
}

/* --- down --- */

static void end_tree(struct actor *a)
{
	struct tree_message *m = calloc(1, sizeof *m);
	int fd = tree_connect(actor_run_dir(a));

	if (!m)
		abort();
	m->op = TREE_HELLO;
	snprintf(m->text, sizeof m->text, "control");
	if (fd < 0 || tree_send(fd, m) < 0) {
		actor_log(a, ACTOR_ERROR, "lops-init cannot be reached to end the set");
	} else {
		m->op = TREE_SHUTDOWN;
		m->value = 0;
		m->text[0] = 0;
		tree_send(fd, m);
	}
	free(m);
	/* The descriptor stays open until this process ends: the order must be read. */
}

void setup_down(struct actor *a)
{
	struct coordinator *c = coordinator_of(a);
	struct do_process_stop stop = {
		.request = c->down_request, .timeout_seconds = (double)NAN, .keep_intent = true};
	struct publish to = {.uid = geteuid(), .root = true};
	struct targets t;

	if (c->going_down)
		return;
	c->going_down = true;
	targets_resolve(c, &(struct msg_strs){0}, true, &t);
	stop.deployments = (struct msg_strs){.items = t.ids, .count = t.count};
	snprintf(c->down_request, sizeof c->down_request, "down-%016llx",
		 (unsigned long long)actor_unique(a));
	to.did = msg_did("request", c->down_request, 0, 0);
	if (t.count == 0 || !publish_do_process_stop(a, &to, &stop))
		end_tree(a);
	free(t.ids);
}

void setup_finished(struct actor *a, const struct command_finished *e)
{
	struct coordinator *c = coordinator_of(a);

	if (!c->going_down || strcmp(e->request, c->down_request) != 0)
		return;
	if (e->status) { /* what cannot be stopped keeps the set */
		actor_log(a, ACTOR_ERROR, "the set stays up: %s", e->message ? e->message : "");
		c->going_down = false;
		return;
	}
	end_tree(a);
}

void setup_done(struct coordinator *c)
{
	if (c->setup) {
		config_free(c->setup->config);
		free(c->setup->base.items);
		free(c->setup->same);
		free(c->setup);
	}
}
