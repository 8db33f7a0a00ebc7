/*
 * Clients; see the header.
 */
#include "tests/sim/clients.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/coordinator/coordinator.h"
#include "lib/actor/core.h"
#include "msgs/codec.h"
#include "tests/sim/kernel.h"
#include "tests/sim/map.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

enum { DEPLOYMENTS = 20, TARGETS = 3, ATTEMPTS = 64, COMMAND_EVERY_S = 40 };

enum verb { CREATE, START, STOP, RESTART, DELETE, SET, RELOAD, SIGNAL, LIST, VERBS };
static const char *const verb_names[VERBS] = {"create", "start",  "stop",   "restart", "delete",
					      "set",    "reload", "signal", "list"};
static const uint8_t weights[VERBS] = {24, 14, 14, 16, 8, 8, 4, 6, 6};

struct request {
	enum verb verb;
	uint8_t targets[TARGETS], n_targets;
	bool force, parallel, keep_intent, all;
	double timeout_s;
	bool was_sent, is_answered, is_kept; /* kept: its command is journalled */
	int64_t status;
	uint64_t answer_hash, next_ns;
	uint32_t open;
	uint8_t reasks;
};

struct attempt {
	uint32_t request;
	uint64_t serial; /* of the place at the door, 0: free */
	uint32_t place;
	uint64_t deadline_ns;
};

static struct request *requests;
static uint32_t n_requests, cap_requests, oldest;
static struct attempt attempts[ATTEMPTS];
static uint64_t next_command_ns;
static uint32_t n_ups;
static bool up_wanted, up_sent;

void clients_begin(void)
{
	n_requests = oldest = n_ups = 0;
	memset(attempts, 0, sizeof attempts);
	next_command_ns = world.now_ns + SIM_SECOND;
	up_wanted = up_sent = false;
}

void clients_end(void)
{
	free(requests);
	requests = NULL;
	cap_requests = 0;
}

static const char *name_of(uint8_t k, char name[32])
{
	snprintf(name, 32, "%s-%u", program_kinds[k % program_kinds_count()], k);
	return name;
}

static const char *id_of(uint32_t request, char id[32])
{
	snprintf(id, 32, "request-%u", request);
	return id;
}

/* --- the door --- */

static struct actor *door(void)
{
	struct actor *a = part_actor(PART_COORDINATOR);

	return a && a->ready_said && !part_hangs(PART_COORDINATOR) ? a : NULL;
}

struct api_client *api_client_of(struct coordinator *c, uint32_t place, uint64_t serial)
{
	struct api_client *k = &c->clients[place];

	return k->fd >= 0 && k->serial == serial && serial ? k : NULL;
}

uint32_t api_client_place(const struct coordinator *c, const struct api_client *k)
{
	return (uint32_t)(k - c->clients);
}

static struct attempt *attempt_of(uint64_t serial)
{
	for (int i = 0; i < ATTEMPTS; i++)
		if (attempts[i].serial == serial)
			return &attempts[i];
	return NULL;
}

static uint64_t hash_of(const struct api_answer *answer)
{
	return msg_did("answer", answer->message ? answer->message : "", (uint64_t)answer->status,
		       answer->outcomes.count);
}

static void take_answer(struct attempt *t, const struct api_answer *answer)
{
	struct request *q = &requests[t->request];
	uint64_t hash = hash_of(answer);
	char id[32];

	id_of(t->request, id);
	trace("%s is answered: %lld %s", id, (long long)answer->status,
	      answer->message ? answer->message : "");
	q->open--;
	if (q->is_answered && q->is_kept && (q->status != answer->status || q->answer_hash != hash))
		violated("I8 once", "%s was answered %lld, and now %lld %s", id,
			 (long long)q->status, (long long)answer->status,
			 answer->message ? answer->message : "");
	if (!q->is_answered)
		world.answers++;
	q->is_answered = true;
	q->is_kept |= oracle_is_finished(id);
	q->status = answer->status;
	q->answer_hash = hash;
	q->next_ns = SIM_NEVER;
	/* Some ask again later, as one does who lost the answer. */
	if (q->is_kept && q->reasks && !world.quiet) {
		q->reasks--;
		q->next_ns = world.now_ns + chance(300 * SIM_SECOND);
	}
}

void api_client_say_rows(struct actor *a, struct api_client *k, const struct api_answer *answer,
			 const struct api_rows *processes)
{
	struct attempt *t = attempt_of(k->serial);

	(void)processes;
	if (part_step(PART_COORDINATOR) || answer->more)
		return;
	held_drop(a, k);
	k->pending = false;
	k->fd = -1;
	if (!t)
		return;
	take_answer(t, answer);
	t->serial = 0;
}

void api_client_say(struct actor *a, struct api_client *k, const struct api_answer *answer)
{
	api_client_say_rows(a, k, answer, NULL);
}

int api_door_open(struct actor *a)
{
	(void)a;
	return 0;
}

void api_door_serve(struct actor *a)
{
	(void)a;
}

void api_door_done(struct actor *a)
{
	struct coordinator *c = coordinator_of(a);

	for (uint32_t i = 0; i < c->high; i++)
		held_drop(a, &c->clients[i]);
	codec_arena_done(&c->arena);
}

/* --- asking --- */

static void fill_spec(struct deployment_spec *s, const char *id)
{
	static const char *words[] = {"/bin/true"};

	msg_body_init(&REC_deployment_spec, s);
	s->deployment_id = id;
	s->command = (struct msg_strs){.items = words, .count = 1};
	s->stop_timeout_seconds = 2;
	s->start_timeout_seconds = 3;
	s->ready = program_waits_ready(id) ? "notify" : NULL;
	s->autostart = true;
	if (strncmp(id, "port", 4) == 0) {
		s->port = 8000;
		s->auto_find_port = true;
	}
}

static void send_call(struct actor *a, struct api_client *k, const struct request *q)
{
	static char names[TARGETS][32];
	static const char *targets[TARGETS];
	const char *pairs[] = {"defaults.stop_timeout_seconds=1"};
	struct deployment_spec spec;
	struct api_call call;

	msg_body_init(&REC_api_call, &call);
	call.request = k->request;
	call.verb = verb_names[q->verb];
	call.again = q->was_sent;
	for (int i = 0; i < q->n_targets; i++)
		targets[i] = name_of(q->targets[i], names[i]);
	call.targets = (struct msg_strs){.items = targets, .count = q->n_targets};
	call.all = q->all;
	call.force = q->force;
	call.parallel = q->parallel;
	call.keep_intent = q->keep_intent;
	call.timeout_seconds = q->timeout_s;
	call.signal = 10;
	if (q->verb == CREATE) {
		fill_spec(&spec, targets[0]);
		call.specs = (struct deployment_spec_list){.items = &spec, .count = 1};
		call.targets.count = 0;
	}
	if (q->verb == SET)
		call.pairs = (struct msg_strs){.items = pairs, .count = 1};
	request_handle(a, k, &call);
}

static struct api_client *free_place(struct coordinator *c)
{
	for (uint32_t i = 0; i < c->high; i++)
		if (c->clients[i].fd < 0)
			return &c->clients[i];
	return c->high < CLIENTS_MAX ? &c->clients[c->high++] : NULL;
}

static void attempt(uint32_t n)
{
	struct request *q = &requests[n];
	struct actor *a = door();
	struct attempt *t = attempt_of(0);
	struct api_client *k;

	q->next_ns = world.now_ns + 50 * SIM_MS + chance(200 * SIM_MS);
	if (!a || !t)
		return;
	k = free_place(coordinator_of(a));
	*k = (struct api_client){.fd = 1,
				 .serial = chance(0) | 1,
				 .role = ROLE_ADMIN,
				 .pending = true,
				 .heard_ms = actor_now_ms(a)};
	id_of(n, k->request);
	*t = (struct attempt){.request = n,
			      .serial = k->serial,
			      .place = api_client_place(coordinator_of(a), k),
			      .deadline_ns = world.now_ns +
					     (!world.quiet && one_in(4)
						      ? chance(50 * SIM_MS)
						      : 5 * SIM_SECOND + chance(25 * SIM_SECOND))};
	q->open++;
	q->next_ns = !q->is_answered && one_in(20) ? world.now_ns + chance(SIM_MS) : SIM_NEVER;
	world.again += q->was_sent;
	trace("%s: %s of %s%s", k->request, verb_names[q->verb],
	      name_of(q->targets[0], (char[32]){0}), q->was_sent ? ", again" : "");
	actor_turn(a);
	send_call(a, k, q);
	q->was_sent = true;
	if (one_in(2))
		actor_flush(a);
}

/* It hangs up: the place is free, and it will ask again. */
static void hang_up(struct attempt *t)
{
	struct request *q = &requests[t->request];
	struct actor *a = part_actor(PART_COORDINATOR);
	struct api_client *k = a ? api_client_of(coordinator_of(a), t->place, t->serial) : NULL;

	if (k) {
		held_drop(a, k);
		*k = (struct api_client){.fd = -1};
	}
	t->serial = 0;
	q->open--;
	if (!q->open && !q->is_answered)
		q->next_ns = world.now_ns + chance(200 * SIM_MS);
}

void clients_lost(void)
{
	for (int i = 0; i < ATTEMPTS; i++)
		if (attempts[i].serial)
			hang_up(&attempts[i]);
	up_sent = false;
}

static enum verb some_verb(void)
{
	uint64_t x = chance(100);
	int v = 0;

	while (x >= weights[v])
		x -= weights[v++];
	return (enum verb)v;
}

static void new_request(void)
{
	struct request *q;

	if (n_requests == cap_requests) {
		cap_requests = cap_requests ? 2 * cap_requests : 256;
		requests = realloc(requests, cap_requests * sizeof *requests);
		if (!requests)
			abort();
	}
	q = &requests[n_requests++];
	*q = (struct request){.verb = some_verb(), .next_ns = world.now_ns + chance(20 * SIM_MS)};
	q->n_targets =
		(uint8_t)(q->verb == CREATE || q->verb == SET || one_in(2) ? 1
									   : 1 + chance(TARGETS));
	for (int i = 0; i < q->n_targets; i++)
		q->targets[i] = (uint8_t)chance(DEPLOYMENTS);
	q->force = one_in(q->verb == DELETE ? 2 : 5);
	q->parallel = one_in(3);
	q->timeout_s = one_in(3) ? (double)chance(4) : (double)NAN;
	q->all = q->verb != CREATE && q->verb != SET && q->verb != DELETE && one_in(40);
	q->reasks = one_in(6) ? 2 : 0;
	world.commands++;
}

/* --- bringing the set up, as the coordinator's setup does --- */

void clients_bring_up(void)
{
	n_ups++;
	up_wanted = true;
	up_sent = false;
}

static void send_up(struct actor *a)
{
	char request[32];
	struct do_process_start c = {.request = request, .set_start = true};
	struct publish to = {.root = true, .uid = 0};

	snprintf(request, sizeof request, "up-%u", n_ups);
	to.did = msg_did("request", request, 0, 0);
	actor_turn(a);
	publish_do_process_start(a, &to, &c);
	actor_flush(a);
	up_sent = true;
}

static bool up_waits(void)
{
	char request[32];

	snprintf(request, sizeof request, "up-%u", n_ups);
	if (up_wanted && oracle_is_finished(request))
		up_wanted = false;
	return up_wanted;
}

static void bring_up(void)
{
	struct actor *a = door();

	if (up_waits() && !up_sent && a)
		send_up(a);
}

/* --- time --- */

uint64_t clients_next_ns(void)
{
	uint64_t next = world.quiet ? SIM_NEVER : next_command_ns;

	for (uint32_t n = oldest; n < n_requests; n++)
		next = requests[n].next_ns < next ? requests[n].next_ns : next;
	for (int i = 0; i < ATTEMPTS; i++)
		if (attempts[i].serial && attempts[i].deadline_ns < next)
			next = attempts[i].deadline_ns;
	if (up_wanted && !up_sent && door())
		next = world.now_ns;
	return next;
}

static void advance_oldest(void)
{
	while (oldest < n_requests && requests[oldest].is_answered && !requests[oldest].open &&
	       requests[oldest].next_ns == SIM_NEVER)
		oldest++;
}

void clients_run(void)
{
	advance_oldest();
	bring_up();
	if (!world.quiet && world.now_ns >= next_command_ns) {
		/* In bursts: several at once, then a pause. */
		for (uint64_t k = chance(6); k > 0; k--)
			new_request();
		next_command_ns =
			world.now_ns + (one_in(3) ? chance(2 * SIM_SECOND)
						  : chance(COMMAND_EVERY_S * 2 * SIM_SECOND));
	}
	for (int i = 0; i < ATTEMPTS; i++)
		if (attempts[i].serial && attempts[i].deadline_ns <= world.now_ns)
			hang_up(&attempts[i]);
	for (uint32_t n = oldest; n < n_requests; n++)
		if (requests[n].next_ns <= world.now_ns) {
			attempt(n);
			return;
		}
}

bool clients_rest(void)
{
	advance_oldest();
	for (uint32_t n = oldest; n < n_requests; n++)
		if (!requests[n].is_answered || requests[n].open)
			return false;
	return !up_waits();
}

void clients_check(void)
{
	for (uint32_t n = 0; n < n_requests; n++)
		if (!requests[n].is_answered)
			violated("I8 once", "request-%u (%s) has no answer", n,
				 verb_names[requests[n].verb]);
}

void clients_check_survivors(void)
{
	char id[32];

	for (uint32_t n = 0; n < n_requests; n++)
		if (requests[n].is_answered && requests[n].is_kept && !oracle_command(id_of(n, id)))
			violated("I8 survives", "%s was answered, and is not in the journal", id);
}
