/*
 * lops-sim: hours of a set in seconds. Commands, exits, and the death of any part between any two
 * steps; then the invariants.
 *
 *   lops-sim [--hours N] [--seed S] [--seeds K] [--faults 0|1]
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/process-manager/manager.h"
#include "lib/policy/process_rule.h"
#include "tests/sim/journal_model.h"
#include "tests/sim/world.h"

extern const struct actor_spec actor_spec_main; /* the process-manager's */

enum { DEPLOYMENTS = 12, REQUESTS = 200000, COMMAND_EVERY_MS = 30000 };

struct world world;
static bool faults = true;
static struct actor manager, client;
static struct tree_table *table;
static uint64_t incarnations = 1;

/* --- chance and violations --- */

uint64_t chance(void)
{
	uint64_t x = world.seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

bool one_in(uint64_t n)
{
	return chance() % n == 0;
}

void violated(const char *fmt, ...)
{
	va_list args;

	world.violations++;
	if (world.violations > 20)
		return;
	fprintf(stderr, "VIOLATION at %.3f s, step %llu: ", (double)world.now_ns / 1e9,
		(unsigned long long)world.steps);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* --- hosts --- */

static uint64_t host_now(void *arg)
{
	(void)arg;
	return world.now_ns;
}

static uint64_t host_wall(void *arg)
{
	(void)arg;
	return UINT64_C(1700000000000000000) + world.now_ns;
}

static uint64_t host_random(void *arg)
{
	(void)arg;
	return chance();
}

static void host_log(void *arg, enum actor_level level, const char *text)
{
	if (level == ACTOR_ERROR || getenv("LOPS_SIM_LOG"))
		fprintf(stderr, "%s: %s\n",
			(const char *)(arg == &manager ? "process-manager" : "client"), text);
}

static bool wants_restart[ENDS];

static void exit_manager(void *arg, int status)
{
	(void)arg;
	(void)status;
	wants_restart[END_MANAGER] = true;
}

static void exit_client(void *arg, int status)
{
	(void)arg;
	(void)status;
	wants_restart[END_CLIENT] = true;
}

static void send_manager(void *arg, const void *packet, size_t len)
{
	(void)arg;
	network_send_up(END_MANAGER, packet, len);
}

static void send_client(void *arg, const void *packet, size_t len)
{
	(void)arg;
	network_send_up(END_CLIENT, packet, len);
}

/* --- the client: in the coordinator's place --- */

struct request {
	uint32_t finished;
	bool sent;
	uint8_t verb, deployment;
	uint64_t issued_ns;
};
static struct request requests[REQUESTS];
static uint32_t n_requests, oldest_open;

static const char *name_of(uint8_t k)
{
	static const char *const kinds[] = {"steady", "short", "stubborn", "missing"};
	static char name[32];

	snprintf(name, sizeof name, "%s-%u", kinds[k % 4], k);
	return name;
}

static void on_finished(struct actor *a, const struct event *ev, const struct command_finished *e)
{
	unsigned n;

	(void)a;
	(void)ev;
	if (sscanf(e->request, "request-%u", &n) == 1 && n < n_requests)
		requests[n].finished++;
}

static const struct actor_handler client_handlers[] = {ON(command_finished, on_finished), ON_END};
static const struct msg_type *const client_publishes[] = {
	&MSG_do_deployment_put, &MSG_do_deployment_delete, &MSG_do_process_start,
	&MSG_do_process_stop,   &MSG_do_process_restart,   NULL};
static const struct actor_spec client_spec = {.name = "coordinator",
					      .purpose = "sends commands and sends them again",
					      .handlers = client_handlers,
					      .publishes = client_publishes};

static void send_request(uint32_t n)
{
	struct request *q = &requests[n];
	const char *id = name_of(q->deployment), *words[] = {"x"};
	char text[32];
	const char *ids[] = {id};
	struct msg_strs list = {.items = ids, .count = 1};
	struct publish to = {.root = true, .uid = 0};

	snprintf(text, sizeof text, "request-%u", n);
	to.did = msg_did("request", text, 0, 0);
	q->sent = true;
	if (q->verb < 3) {
		struct do_deployment_put c = {.request = text, .mode = "create", .start = true};

		msg_body_init(&REC_deployment_spec, &c.spec);
		c.spec.deployment_id = id;
		c.spec.command = (struct msg_strs){.items = words, .count = 1};
		c.spec.stop_timeout_seconds = 2;
		c.base_generation = 0;
		publish_do_deployment_put(&client, &to, &c);
	} else if (q->verb < 5) {
		publish_do_process_start(
			&client, &to,
			&(struct do_process_start){.request = text, .deployments = list});
	} else if (q->verb < 7) {
		publish_do_process_stop(&client, &to,
					&(struct do_process_stop){.request = text,
								  .deployments = list,
								  .timeout_seconds = (double)NAN});
	} else if (q->verb < 9) {
		publish_do_process_restart(
			&client, &to,
			&(struct do_process_restart){.request = text,
						     .deployments = list,
						     .timeout_seconds = (double)NAN});
	} else {
		publish_do_deployment_delete(&client, &to,
					     &(struct do_deployment_delete){.request = text,
									    .deployments = list,
									    .force = one_in(2)});
	}
	actor_flush(&client);
}

static void new_request(void)
{
	if (n_requests == REQUESTS)
		return;
	requests[n_requests] = (struct request){.verb = (uint8_t)(chance() % 10),
						.deployment = (uint8_t)(chance() % DEPLOYMENTS),
						.issued_ns = world.now_ns};
	world.commands++;
	send_request(n_requests++);
}

/* --- birth and death --- */

static void start_manager(void)
{
	struct actor_host host = {.arg = &manager,
				  .now_ns = host_now,
				  .wall_ns = host_wall,
				  .random = host_random,
				  .send = send_manager,
				  .log = host_log,
				  .exit = exit_manager,
				  .run_dir = "/r",
				  .state_dir = "/s"};
	uint8_t cookie[DOOR_COOKIE_BYTES] = {0};

	if (actor_init(&manager, &actor_spec_main, &host, ++incarnations, cookie) < 0)
		abort();
	manager_of(&manager)->os = &kernel_os;
	manager_of(&manager)->table = table;
	snprintf(manager_of(&manager)->boot_id, sizeof manager_of(&manager)->boot_id, "boot");
	wants_restart[END_MANAGER] = false;
	network_attach(END_MANAGER, &manager);
}

/* As the coordinator does: what was finished while it was dead is looked up. */
static void found_finished(struct actor *a, void *arg, const struct event *ev)
{
	(void)arg;
	if (ev && ev->type == &MSG_command_finished)
		on_finished(a, ev, ev->body);
}

static void look_up(uint32_t n)
{
	char text[32];

	snprintf(text, sizeof text, "request-%u", n);
	actor_get_by_did(&client, msg_did("finished", text, 0, 0), found_finished, NULL);
}

static void start_client(void)
{
	struct actor_host host = {.arg = &client,
				  .now_ns = host_now,
				  .wall_ns = host_wall,
				  .random = host_random,
				  .send = send_client,
				  .log = host_log,
				  .exit = exit_client,
				  .run_dir = "/r",
				  .state_dir = "/s"};
	uint8_t cookie[DOOR_COOKIE_BYTES] = {0};

	if (actor_init(&client, &client_spec, &host, ++incarnations, cookie) < 0)
		abort();
	wants_restart[END_CLIENT] = false;
	network_attach(END_CLIENT, &client);
	/* What is not known to be finished is sent again, with the same ids. */
	for (uint32_t n = oldest_open; n < n_requests; n++)
		if (!requests[n].finished) {
			send_request(n);
			look_up(n);
		}
}

static void kill_end(enum end e)
{
	struct actor *a = e == END_MANAGER ? &manager : &client;

	world.crashes[e == END_MANAGER ? CRASH_MANAGER : CRASH_CLIENT]++;
	network_attach(e, NULL);
	actor_done(a);
	if (e == END_MANAGER)
		start_manager();
	else
		start_client();
}

static void inject(void)
{
	switch (chance() % 8) {
	case 0:
	case 1:
		kill_end(END_MANAGER);
		break;
	case 2:
		kill_end(END_CLIENT);
		break;
	case 3:
	case 4:
		if (network_broker_lives())
			network_broker_crash();
		break;
	case 5:
		network_reset(END_MANAGER);
		break;
	case 6:
		network_reset(END_CLIENT);
		break;
	default:
		kernel_crash_init();
	}
}

/* --- time --- */

static uint64_t soonest(uint64_t limit_ns)
{
	uint64_t next = limit_ns, m = actor_next_timer_ms(&manager);

	if (m != UINT64_MAX && m * 1000000 < next)
		next = m * 1000000;
	if (kernel_next_ns() < next)
		next = kernel_next_ns();
	return next > world.now_ns ? next : world.now_ns + 1000;
}

static void step(void)
{
	world.steps++;
	actor_turn(&manager);
	actor_turn(&client);
	for (int e = 0; e < ENDS; e++)
		if (wants_restart[e])
			kill_end((enum end)e);
	kernel_step(&manager);
	actor_run_timers(&manager);
	actor_flush(&manager);
	if (!network_broker_lives() && one_in(20))
		network_broker_start();
	if (!network_step())
		world.now_ns = soonest(world.now_ns + UINT64_C(50000000));
	else
		world.now_ns += 1000 + chance() % 200000;
}

/* --- invariants at rest --- */

struct resting {
	struct deployment *d;
};

static void check_deployment(void *arg, struct deployment *d)
{
	uint64_t instance = 0;
	int n = kernel_living(d->id, &instance);

	(void)arg;
	if (process_is_alive(d->status) && d->status != PROCESS_RUNNING)
		violated("%s does not come to rest: %s", d->id, process_status_name(d->status));
	if (d->status == PROCESS_RUNNING && (n != 1 || instance != d->instance))
		violated("%s is said to run as %llu, %d of it live (%llu)", d->id,
			 (unsigned long long)d->instance, n, (unsigned long long)instance);
	if (!process_is_alive(d->status) && n)
		violated("%s is said to be %s, and it lives", d->id,
			 process_status_name(d->status));
}

static void check_process(void *arg, const char *deployment, uint64_t instance)
{
	struct deployment *d = deployment_find(manager_of(&manager), deployment);

	(void)arg;
	if (!d || d->instance != instance)
		violated("instance %llu of %s lives and nobody knows it",
			 (unsigned long long)instance, deployment);
}

static bool all_finished(void)
{
	while (oldest_open < n_requests && requests[oldest_open].finished)
		oldest_open++;
	for (uint32_t n = oldest_open; n < n_requests; n++)
		if (!requests[n].finished)
			return false;
	return true;
}

/* Each request's command.finished is in the journal exactly once. */
struct count {
	uint32_t finished[REQUESTS], exited;
	uint64_t instances[65536];
};

static bool count_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	static struct codec_arena arena;
	struct count *c = arg;
	uint8_t *copy = malloc(len);
	struct door_reader r;
	struct door_record parts;
	unsigned n;

	(void)seq;
	if (!copy)
		abort();
	memcpy(copy, rec, len);
	r = door_reader_over(copy, len);
	codec_arena_reset(&arena);
	if (door_read_record(&r, &parts) &&
	    msg_type_of(parts.topic.at, parts.topic.len) == &MSG_command_finished) {
		struct command_finished e;

		if (msg_body_decode(&MSG_command_finished.body, parts.body, parts.body_len, &arena,
				    &e, NULL) == 0 &&
		    sscanf(e.request, "request-%u", &n) == 1 && n < REQUESTS)
			c->finished[n]++;
	} else if (msg_type_of(parts.topic.at, parts.topic.len) == &MSG_process_exited) {
		struct process_exited e;

		if (msg_body_decode(&MSG_process_exited.body, parts.body, parts.body_len, &arena,
				    &e, NULL) == 0) {
			for (uint32_t i = 0; i < c->exited; i++)
				if (c->instances[i] == e.instance)
					violated("the exit of instance %llu is recorded twice",
						 (unsigned long long)e.instance);
			if (c->exited < 65536)
				c->instances[c->exited++] = e.instance;
		}
	}
	free(copy);
	return true;
}

static void check_journal(struct journal *j)
{
	static struct count c;

	memset(&c, 0, sizeof c);
	journal_read(j, 0, UINT32_MAX, count_row, &c);
	for (uint32_t n = 0; n < n_requests; n++)
		if (c.finished[n] != 1)
			violated("request %u (verb %u of %s) is finished %u times", n,
				 requests[n].verb, name_of(requests[n].deployment), c.finished[n]);
}

static bool at_rest(void)
{
	return all_finished() && kernel_unconfirmed() == 0 && actor_bus_is_up(&manager) &&
	       actor_bus_is_up(&client);
}

/* The newest events, for whoever looks into a violation. */
static bool show_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	static uint8_t copy[MSG_FRAME_MAX];
	static struct codec_arena arena;
	struct door_reader r;
	struct door_record parts;
	const struct msg_type *type;
	struct msg_header h;
	void *body;

	(void)arg;
	memcpy(copy, rec, len);
	r = door_reader_over(copy, len);
	if (!door_read_record(&r, &parts) ||
	    msg_header_decode(parts.header, parts.header_len, &h) < 0)
		return true;
	type = msg_type_of(parts.topic.at, parts.topic.len);
	codec_arena_reset(&arena);
	body = codec_arena_alloc(&arena, type->body.size);
	fprintf(stderr, "%6llu %10.3f <- %-6llu %.*s ", (unsigned long long)seq,
		(double)(h.mono_ns % UINT64_C(1000000000000000)) / 1e9, (unsigned long long)h.cause,
		(int)parts.topic.len, parts.topic.at);
	if (msg_body_decode(&type->body, parts.body, parts.body_len, &arena, body, NULL) == 0)
		msg_body_print(&type->body, body, stderr);
	fputc('\n', stderr);
	return true;
}

static void show_newest(uint64_t n)
{
	struct journal *j = journal_model_current();
	uint64_t head = journal_head(j);

	if (getenv("LOPS_SIM_SHOW"))
		journal_read(j, head > n ? head - n : 0, UINT32_MAX, show_row, NULL);
}

/* No new faults: everything that was asked for comes to its end. */
static void settle(void)
{
	uint64_t until = world.now_ns + UINT64_C(120) * 1000000000;

	world.quiet = true;
	while (world.now_ns < until &&
	       !(at_rest() && world.now_ns > until - UINT64_C(100) * 1000000000))
		step();
	for (uint32_t n = oldest_open; n < n_requests; n++)
		if (!requests[n].finished)
			violated("request %u (verb %u of %s) is never finished", n,
				 requests[n].verb, name_of(requests[n].deployment));
	if (kernel_unconfirmed())
		violated("%llu exits are never confirmed",
			 (unsigned long long)kernel_unconfirmed());
	if (world.violations)
		show_newest(getenv("LOPS_SIM_SHOW") ? strtoull(getenv("LOPS_SIM_SHOW"), NULL, 10)
						    : 0);
	deployment_each(manager_of(&manager), check_deployment, NULL);
	kernel_each_living(check_process, NULL);
	world.quiet = false;
}

static uint64_t run(uint64_t seed, double hours)
{
	uint64_t end, next_command = 0, next_fault = 0, next_rest = 0;

	world = (struct world){.seed = seed, .now_ns = UINT64_C(1000000000)};
	n_requests = oldest_open = 0;
	incarnations = 1;
	table = kernel_new();
	network_begin();
	start_manager();
	start_client();
	end = world.now_ns + (uint64_t)(hours * 3600e9);
	next_rest = world.now_ns + UINT64_C(600) * 1000000000;
	while (world.now_ns < end && world.violations == 0) {
		step();
		if (world.now_ns >= next_command) {
			/* In bursts: several at once, then a pause. */
			for (uint64_t k = chance() % 4; k > 0; k--)
				new_request();
			next_command = world.now_ns +
				       chance() % (UINT64_C(2) * COMMAND_EVERY_MS * 1000000);
		}
		if (faults && world.now_ns >= next_fault) {
			inject();
			next_fault = world.now_ns + (one_in(3) ? chance() % 5000000
							       : chance() % UINT64_C(60000000000));
		}
		if (world.now_ns >= next_rest) {
			settle();
			next_rest = world.now_ns + UINT64_C(600) * 1000000000;
		}
	}
	settle();
	check_journal(journal_model_current());
	world.violations += journal_model_violations();
	for (uint32_t n = 0; n < n_requests; n++)
		world.finished += requests[n].finished != 0;
	printf("seed %llu: %.1f hours, %llu steps, %llu commands, %llu finished, %llu starts, %llu "
	       "exits, deaths: broker %llu, process-manager %llu, "
	       "client %llu, lops-init %llu; %llu violations\n",
	       (unsigned long long)seed, hours, (unsigned long long)world.steps,
	       (unsigned long long)world.commands, (unsigned long long)world.finished,
	       (unsigned long long)world.spawned, (unsigned long long)world.exits,
	       (unsigned long long)world.crashes[CRASH_BROKER],
	       (unsigned long long)world.crashes[CRASH_MANAGER],
	       (unsigned long long)world.crashes[CRASH_CLIENT],
	       (unsigned long long)world.crashes[CRASH_INIT], (unsigned long long)world.violations);
	network_attach(END_MANAGER, NULL);
	network_attach(END_CLIENT, NULL);
	actor_done(&manager);
	actor_done(&client);
	network_free();
	kernel_free();
	journal_model_free();
	return world.violations;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, seeds = 1, bad = 0;
	double hours = 1;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--hours") == 0)
			hours = strtod(argv[i + 1], NULL);
		else if (strcmp(argv[i], "--faults") == 0)
			faults = strcmp(argv[i + 1], "0") != 0;
		else
			return 2;
	}
	for (uint64_t k = 0; k < seeds; k++)
		bad += run(seed + k, hours);
	printf("%llu violations\n", (unsigned long long)bad);
	return bad != 0;
}
