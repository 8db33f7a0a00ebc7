/*
 * One deployment through its statuses: each step asks the rule, publishes the whole record, and
 * lets the shell act. A start is spawned only when process.starting is on disk; an exit is
 * confirmed to lops-init only when process.exited is.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "actors/process-manager/manager.h"
#include "lib/policy/exit_rule.h"
#include "lib/policy/port_rule.h"
#include "msgs/codec.h"

/* A program that ends within HOLD_MS of running has ended at once, to who waits for it. */
enum { SWEEP_ROUNDS = 40, SWEEP_PAUSE_MS = 50, HOLD_MS = 250 };

static double seconds_now(struct actor *a)
{
	return (double)actor_wall_ns(a) / 1e9;
}

static void set_reason(struct deployment *d, const char *text)
{
	deployment_text(&d->reason, text, REASON_BYTES);
}

static void on_timer(struct actor *a, struct actor_timer *t);

static void arm(struct actor *a, struct deployment *d, double seconds)
{
	d->timer.fn = on_timer;
	actor_timer_set(a, &d->timer, actor_now_ms(a) + (uint64_t)(seconds * 1000));
}

/* --- saying it --- */

void life_say(struct actor *a, struct deployment *d, const struct msg_type *type)
{
	struct deployment_created c;

	msg_body_init(&type->body, &c);
	deployment_record(d, &c.process);
	actor_publish(a, type, PUBLISH_TO(d->id), &c);
}

uint64_t life_changed(struct actor *a, struct deployment *d, const char *field)
{
	struct deployment_changed c;
	const char *fields[] = {field};

	msg_body_init(&MSG_deployment_changed.body, &c);
	deployment_record(d, &c.process);
	c.fields = (struct msg_strs){.items = fields, .count = 1};
	return publish_deployment_changed(a, PUBLISH_TO(d->id), &c);
}

static struct publish transition(const struct deployment *d, const char *kind)
{
	return (struct publish){.deployment = d->id,
				.did = msg_did(kind, d->id, d->instance, 0),
				.cause = d->handled_seq, /* the last command applied to it */
				.uid = MSG_UID_NONE};
}

/* --- start --- */

struct reservation { /* of a port, by another deployment that is to run */
	struct actor *a;
	struct deployment *d; /* who asks */
	int port;
	const struct deployment *by; /* NULL: nobody */
};

static void find_reserved(void *arg, struct deployment *other)
{
	struct reservation *q = arg;

	if (other != q->d && other->wants_run && other->port == q->port)
		q->by = other;
}

static const struct deployment *reserved_by(struct actor *a, struct deployment *d, int port)
{
	struct reservation q = {.a = a, .d = d, .port = port};

	deployment_each(manager_of(a), find_reserved, &q);
	return q.by;
}

static bool is_occupied(void *arg, int port)
{
	struct reservation *q = arg;

	return reserved_by(q->a, q->d, port) || manager_of(q->a)->os->port_is_occupied(q->a, port);
}

static void name_holder(struct actor *a, struct deployment *d, int port, char *ret_text,
			size_t size)
{
	const struct deployment *by = reserved_by(a, d, port);

	if (by)
		snprintf(ret_text, size, "deployment %s", by->id);
	else
		manager_of(a)->os->port_holder(a, port, ret_text, size);
}

/* 0, or 6 with a message. */
static int choose_port(struct actor *a, struct deployment *d, char *why, size_t size)
{
	struct deployment_spec *s = d->spec;
	struct reservation o = {.a = a, .d = d};
	struct port_wish w = {.auto_find = s->auto_find_port,
			      .protected_ports = s->protected_ports.items,
			      .n_protected = s->protected_ports.count};
	char holder[160];
	int port;

	if (s->port == MSG_NONE) {
		d->port = MSG_NONE;
		return 0;
	}
	/* Kept over restarts: the one it had comes first. */
	w.port = (int)(d->port != MSG_NONE ? d->port : s->port);
	port = port_rule(&w, is_occupied, &o);
	if (port != w.port)
		name_holder(a, d, w.port, holder, sizeof holder);
	if (!port) {
		if (w.auto_find)
			snprintf(why, size, "port %d and the next ones are in use (%d by %s)",
				 w.port, w.port, holder);
		else
			snprintf(why, size, "port %d is in use by %s", w.port, holder);
		return 6;
	}
	if (port != w.port) {
		char note[300];

		snprintf(note, sizeof note, "port %d is in use by %s; %s gets port %d", w.port,
			 holder, d->id, port);
		jobs_note(a, d, note);
	}
	d->port = port;
	return 0;
}

/* A limit that is not kept is said, not passed over. */
static void note_limits(struct actor *a, struct deployment *d)
{
	const char *unkept = manager_of(a)->os->unkept_limits(a, d);

	if (unkept)
		jobs_note(a, d, unkept);
}

void life_start(struct actor *a, struct deployment *d)
{
	struct manager *m = manager_of(a);
	struct process_starting e;
	struct publish to;
	const char *why = NULL;
	char text[400];
	uint64_t last = d->instance;
	int status;

	d->wants_run = true;
	status = choose_port(a, d, text, sizeof text);
	why = status ? text : NULL;
	if (!status) {
		uint64_t before = d->arena_at;

		m->os->forget(a, d, last);
		d->instance = actor_unique(a);
		d->arena_at = m->os->place_spec(a, d, &why, &status);
		if (before)
			m->os->free_spec(a, before);
	}
	if (status) {
		m->os->forget(a, d, d->instance);
		d->instance = last;
		d->wants_run = false;
		set_reason(d, why);
		jobs_settle(a, d, status, why);
		return;
	}
	note_limits(a, d);
	if (last)
		d->restarts++;
	d->status = PROCESS_STARTING;
	d->living = 0;
	d->running_generation = d->generation;
	d->pid = d->exit_code = d->signal = MSG_NONE;
	d->core_dumped = d->killed = d->asked = d->start_after_stop = false;
	d->start_ticks = 0;
	d->end_time = (double)NAN;
	d->start_time = seconds_now(a);
	snprintf(d->boot_id, sizeof d->boot_id, "%s", m->boot_id);
	set_reason(d, NULL);
	deployment_text(&d->status_text, NULL, STATUS_TEXT_BYTES);
	msg_body_init(&MSG_process_starting.body, &e);
	deployment_record(d, &e.process);
	e.instance = d->instance;
	to = transition(d, "starting");
	d->start_number = publish_process_starting(a, &to, &e);
	if (m->n_starting < TREE_SLOTS)
		m->starting[m->n_starting++] = d;
}

void life_send_start(struct actor *a, struct deployment *d)
{
	d->start_sent = true;
	manager_of(a)->os->start(a, d);
}

void life_awaits_ready(struct actor *a, struct deployment *d)
{
	bool is_set = d->spec && !isnan(d->spec->start_timeout_seconds);

	if (!d->timer.due_ms)
		arm(a, d, is_set ? d->spec->start_timeout_seconds : 90);
}

void life_started(struct actor *a, struct deployment *d, int64_t pid, uint64_t start_ticks)
{
	const char *ready = d->spec && d->spec->ready ? d->spec->ready : "exec";

	d->start_sent = false;
	if (!process_is_alive(d->status) || d->pid != MSG_NONE || d->exit_instance == d->instance)
		return;
	d->pid = pid;
	d->start_ticks = start_ticks;
	if (d->status == PROCESS_STOPPING) { /* the stop came while it was being started */
		manager_of(a)->os->signal(a, d, 9, true);
		return;
	}
	if (strcmp(ready, "notify") != 0) {
		life_ready(a, d);
		return;
	}
	jobs_reached(a, d, JOB_EXEC);
	life_awaits_ready(a, d);
	life_changed(a, d, "pid");
}

void life_ready(struct actor *a, struct deployment *d)
{
	struct process_step step = process_rule(d->status, PROCESS_IN_READY);
	struct process_started e;
	struct publish to = transition(d, "started");

	if (step.action != PROCESS_DO_SETTLE)
		return;
	actor_timer_cancel(a, &d->timer);
	d->status = step.next;
	jobs_reached(a, d, JOB_READY);
	if (d->waiters)
		arm(a, d, HOLD_MS / 1000.0);
	msg_body_init(&MSG_process_started.body, &e);
	deployment_record(d, &e.process);
	e.instance = d->instance;
	e.pid = d->pid;
	publish_process_started(a, &to, &e);
}

/* --- stop --- */

static void begin_sweep(struct actor *a, struct deployment *d, int signo)
{
	d->sweep_wanted = true;
	manager_of(a)->os->sweep(a, d, signo);
}

static void stopped(struct actor *a, struct deployment *d, const int64_t *left, uint32_t n_left)
{
	struct process_stopped e;
	struct publish to = transition(d, "stopped");
	bool again = d->start_after_stop && !n_left;
	char why[200] = "";

	actor_timer_cancel(a, &d->timer);
	d->status = process_rule(d->status, PROCESS_IN_GONE).next;
	manager_of(a)->os->forget(a, d, d->instance);
	if (n_left)
		snprintf(why, sizeof why,
			 "%u processes of %s could not be stopped, the first is %lld", n_left,
			 d->id, (long long)left[0]);
	if (again)
		jobs_stopped(a, d);
	else
		jobs_settle(a, d, n_left ? 1 : 0, n_left ? why : NULL);
	msg_body_init(&MSG_process_stopped.body, &e);
	deployment_record(d, &e.process);
	e.instance = d->instance;
	e.exit_code = d->exit_code;
	e.signal = d->signal;
	e.core_dumped = d->core_dumped;
	e.reason = d->reason;
	if (n_left) {
		int64_t copy[64];

		memcpy(copy, left, n_left * sizeof *copy);
		e.leftover = (struct msg_i64s){.items = copy, .count = n_left};
		publish_process_stopped(a, &to, &e);
	} else {
		publish_process_stopped(a, &to, &e);
	}
	if (d->deleted && d->exit_number <= actor_acked(a))
		life_delete(a, d, "asked for");
	else if (again)
		life_start(a, d);
}

static void kill_tree(struct actor *a, struct deployment *d)
{
	d->killed = true;
	if (d->pid != MSG_NONE)
		manager_of(a)->os->signal(a, d, 9, true);
	begin_sweep(a, d, 9);
}

void life_stop(struct actor *a, struct deployment *d, double timeout_s, bool force)
{
	struct process_step step = process_rule(d->status, PROCESS_IN_STOP);
	struct process_stopping e;
	struct publish to = transition(d, "stopping");
	int signo = d->spec && d->spec->stop_signal > 0 ? (int)d->spec->stop_signal : 15;
	bool group = !(d->spec && d->spec->stop_scope && strcmp(d->spec->stop_scope, "main") == 0);

	if (step.action == PROCESS_DO_SETTLE) {
		bool changed = d->status != step.next;

		d->status = step.next;
		jobs_settle(a, d, 0, NULL);
		if (changed || d->command_seq == 0)
			life_changed(a, d, "status");
		return;
	}
	if (step.action == PROCESS_DO_NOTHING) {
		d->start_after_stop = false;
		if (force)
			kill_tree(a, d);
		return;
	}
	d->status = step.next;
	d->asked = true;
	d->sweep_rounds = 0;
	if (isnan(timeout_s))
		timeout_s = d->spec && !isnan(d->spec->stop_timeout_seconds)
				    ? d->spec->stop_timeout_seconds
				    : 10;
	d->stop_timeout = force ? 0 : timeout_s;
	msg_body_init(&MSG_process_stopping.body, &e);
	deployment_record(d, &e.process);
	e.instance = d->instance;
	publish_process_stopping(a, &to, &e);
	arm(a, d, force ? 0 : timeout_s);
	if (force || d->pid == MSG_NONE)
		return; /* the timer, or the answer to the start, goes on */
	manager_of(a)->os->signal(a, d, signo, group);
	manager_of(a)->os->signal(a, d, 18, group);
}

/* What the sweep found: nothing left, or what the next round is about. */
void life_swept(struct actor *a, struct deployment *d, const int64_t *left, uint32_t n_left)
{
	d->sweep_wanted = false;
	if (d->status == PROCESS_STARTING && d->pid == MSG_NONE && !d->start_sent) {
		adopt_swept(a, d, left, n_left);
		return;
	}
	/* A start that was sent may still be carried out: its answer goes on. */
	if (d->status != PROCESS_STOPPING || d->pid != MSG_NONE || d->start_sent)
		return;
	if (n_left == 0) {
		stopped(a, d, NULL, 0);
	} else if (d->killed && d->sweep_rounds >= SWEEP_ROUNDS) {
		stopped(a, d, left, n_left > 64 ? 64 : n_left);
	} else if (d->killed) {
		d->sweep_rounds++;
		arm(a, d, SWEEP_PAUSE_MS / 1000.0);
	} else {
		/* They were signalled with the group or are signalled now; the stop timeout runs,
		 * and only what outlives KILL counts as not to be stopped. */
		if (!d->timer.due_ms)
			arm(a, d, SWEEP_PAUSE_MS / 1000.0);
	}
}

static void on_timer(struct actor *a, struct actor_timer *t)
{
	struct deployment *d =
		(struct deployment *)(void *)((char *)t - offsetof(struct deployment, timer));

	if (d->status == PROCESS_STARTING) {
		set_reason(d, "not ready within its start timeout");
		d->killed = true;
		manager_of(a)->os->signal(a, d, 9, true);
	} else if (d->status == PROCESS_RUNNING) {
		actor_set_cause(a, d->handled_seq);
		jobs_settle(a, d, 0, NULL);
		life_changed(a, d, "commands"); /* nobody waits any more */
	} else if (d->status == PROCESS_STOPPING) {
		kill_tree(a, d);
		if (d->pid != MSG_NONE && !d->timer.due_ms)
			arm(a, d, 1);
	}
}

/* --- exits --- */

static bool is_start_failure(const struct tree_slot *s)
{
	return atomic_load(&s->stage_error) != 0;
}

static void say_exited(struct actor *a, struct deployment *d, const struct exit_decision *e,
		       const char *how, int64_t pid)
{
	struct manager *m = manager_of(a);
	struct process_exited x;
	struct publish to = transition(d, "exited");

	msg_body_init(&MSG_process_exited.body, &x);
	deployment_record(d, &x.process);
	x.instance = d->instance;
	x.pid = pid;
	x.exit_code = e->exit_code;
	x.signal = e->signal;
	x.core_dumped = e->core_dumped;
	x.asked = d->asked;
	x.how = how;
	x.reason = d->reason;
	x.uptime_seconds = d->end_time - d->start_time;
	if (!d->asked)
		to.cause = 0;
	to.root = !d->asked; /* a fact observed */
	d->exit_instance = d->instance;
	d->exit_number = publish_process_exited(a, &to, &x);
	if (!d->exit_number) /* said by an earlier incarnation of ours */
		return;
	if (m->n_exiting < TREE_SLOTS)
		m->exiting[m->n_exiting++] = d;
}

static void settle_exit(struct actor *a, struct deployment *d, const struct exit_decision *e,
			const char *how)
{
	int64_t pid = d->pid;
	bool was_starting = d->status == PROCESS_STARTING;

	actor_timer_cancel(a, &d->timer);
	d->start_sent = false;
	d->pid = MSG_NONE;
	d->exit_code = e->exit_code;
	d->signal = e->signal;
	d->core_dumped = e->core_dumped;
	d->end_time = seconds_now(a);
	if (d->status != PROCESS_STOPPING) {
		d->status =
			process_rule(d->status, e->verdict == EXIT_EXITED ? PROCESS_IN_EXIT_WELL
									  : PROCESS_IN_EXIT_BADLY)
				.next;
		if (was_starting || d->waiters)
			jobs_settle(a, d, strcmp(how, "never") == 0 ? 1 : 3, d->reason);
	}
	say_exited(a, d, e, how, pid);
	if (d->status == PROCESS_STOPPING) {
		if (!d->killed)
			arm(a, d, d->stop_timeout > 0 ? d->stop_timeout : 0);
		begin_sweep(a, d, d->killed ? 9 : 0);
	}
}

void life_exited(struct actor *a, struct deployment *d, const struct tree_slot *s)
{
	static const char *const hows[] = {"unknown", "wait", "pidfd-info", "unknown", "never"};
	uint64_t word = atomic_load(&s->word);
	enum tree_how how = tree_how_of(word);
	struct exit_facts f = {.known = how == TREE_HOW_WAIT || how == TREE_HOW_INFO,
			       .status = tree_status_of(word),
			       .asked = d->asked,
			       .oom_kills = manager_of(a)->os->oom_kills(a, d),
			       .killed = d->killed && d->status == PROCESS_STOPPING &&
					 d->stop_timeout > 0};
	struct exit_decision e;

	if (!process_is_alive(d->status) || d->exit_instance == d->instance)
		return;
	if (d->spec) {
		f.success_codes = d->spec->success_exit_codes.items;
		f.n_success_codes = d->spec->success_exit_codes.count;
	}
	e = exit_rule(&f);
	if (is_start_failure(s)) {
		uint32_t stage_error = atomic_load(&s->stage_error);
		char why[REASON_BYTES];

		e = (struct exit_decision){
			.verdict = EXIT_CRASHED, .exit_code = MSG_NONE, .signal = MSG_NONE};
		spec_explain(d, stage_error >> 16, (int)(stage_error & 0xffff), why, sizeof why);
		set_reason(d, why);
		how = TREE_HOW_NEVER;
	} else {
		if (!(d->status == PROCESS_STARTING && d->killed))
			set_reason(d, e.reason);
		if (d->status == PROCESS_STARTING) /* it was executed, and nobody said so */
			jobs_reached(a, d, JOB_EXEC);
	}
	settle_exit(a, d, &e, hows[how]);
}

void life_exited_unknown(struct actor *a, struct deployment *d, const char *why)
{
	struct exit_decision e = {
		.verdict = EXIT_CRASHED, .exit_code = MSG_NONE, .signal = MSG_NONE};

	if (!process_is_alive(d->status) || d->exit_instance == d->instance)
		return;
	set_reason(d, why);
	settle_exit(a, d, &e, "unknown");
}

bool life_is_being_said(const struct manager *m, uint64_t instance)
{
	for (uint32_t i = 0; i < m->n_exiting; i++)
		if (m->exiting[i]->exit_instance == instance)
			return true;
	return false;
}

void life_acked(struct actor *a, uint64_t number)
{
	struct manager *m = manager_of(a);
	struct deployment *dead = NULL;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->n_starting; i++) {
		struct deployment *d = m->starting[i];

		if (d->start_number > number) {
			m->starting[kept++] = d;
			continue;
		}
		d->start_number = 0;
		if (d->status == PROCESS_STARTING || d->status == PROCESS_STOPPING)
			life_send_start(a, d);
	}
	m->n_starting = kept;
	kept = 0;
	for (uint32_t i = 0; i < m->n_exiting; i++) {
		struct deployment *d = m->exiting[i];

		if (d->exit_number > number) {
			m->exiting[kept++] = d;
			continue;
		}
		m->os->confirm(a, d->exit_instance);
		m->os->forget(a, d, d->exit_instance);
		if (d->deleted && !dead)
			dead = d;
		else if (d->deleted)
			m->exiting[kept++] =
				d; /* with the next acknowledgement: confirming twice is harmless */
	}
	m->n_exiting = kept;
	reloads_acked(a, number);
	if (dead && !process_is_alive(dead->status))
		life_delete(a, dead, dead->waiters ? "asked for" : "could not be started");
	m->os->flush(a);
}

void life_delete(struct actor *a, struct deployment *d, const char *reason)
{
	struct manager *m = manager_of(a);
	struct deployment_deleted e = {.deployment_id = d->id, .reason = reason};
	struct publish to = {.deployment = d->id, .uid = MSG_UID_NONE};

	/* Outside of a handler it is the end of the command that was applied last. */
	to.cause = actor_cause(a) ? 0 : d->handled_seq;
	jobs_deleted(a, d);
	publish_deployment_deleted(a, &to, &e);
	m->os->release(a, d->streams);
	m->os->forget(a, d, d->instance);
	if (d->arena_at)
		m->os->free_spec(a, d->arena_at);
	deployment_remove(a, d);
}
