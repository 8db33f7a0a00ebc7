/*
 * The oracle; see the header. What it knows from the journal is forgotten and read again after a
 * power cut.
 */
#include "tests/sim/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "msgs/codec.h"
#include "msgs/door.h"
#include "msgs/events.h"
#include "msgs/header.h"
#include "tests/sim/clients.h"
#include "tests/sim/journal_model.h"
#include "tests/sim/map.h"
#include "tests/sim/observer.h"

struct life { /* of an instance */
	uint64_t instance;
	char id[TREE_NAME_BYTES];
	bool spawned, never, ended, lost, unwatched; /* as the kernel saw it */
	int status;
	uint64_t starting_seq; /* as the journal has it */
	uint32_t exits;
	int port;
};

struct command {
	char request[72];
	uint64_t seq;
	uint32_t finished;
};

static struct life *lives;
static uint32_t n_lives, cap_lives;
static struct command *commands;
static uint32_t n_commands, cap_commands;
static struct map by_instance, by_request, keys, starts, leftovers, numbers;
static uint64_t acked_sync;
static bool rereading;
static struct codec_arena arena;

void oracle_begin(void)
{
	n_lives = n_commands = 0;
	acked_sync = 0;
}

static void forget_journal(void)
{
	map_done(&by_request);
	map_done(&keys);
	map_done(&starts);
	map_done(&leftovers);
	map_done(&numbers);
	n_commands = 0;
}

void oracle_end(void)
{
	forget_journal();
	map_done(&by_instance);
	codec_arena_done(&arena);
	free(lives);
	free(commands);
	lives = NULL;
	commands = NULL;
	cap_lives = cap_commands = 0;
}

static struct life *life_of(uint64_t instance)
{
	char key[24];
	uint32_t at;

	snprintf(key, sizeof key, "%llu", (unsigned long long)instance);
	at = map_place(&by_instance, key);
	if (!by_instance.items[at].value.there) {
		if (n_lives == cap_lives) {
			cap_lives = cap_lives ? 2 * cap_lives : 256;
			lives = realloc(lives, cap_lives * sizeof *lives);
			if (!lives)
				abort();
		}
		lives[n_lives] = (struct life){.instance = instance};
		by_instance.items[at].value = (struct map_value){.n = n_lives++, .there = true};
	}
	return &lives[by_instance.items[at].value.n];
}

/* --- the kernel --- */

struct doubled {
	const struct proc *self;
	const struct proc *found;
};

static void find_other(void *arg, struct proc *p)
{
	struct doubled *q = arg;

	if (p != q->self && p->is_main && strcmp(p->id, q->self->id) == 0)
		q->found = p;
}

void oracle_spawns(const struct proc *p)
{
	struct life *l = life_of(p->instance);
	struct doubled q = {.self = p};

	trace("%s is spawned as %llu, pid %d", p->id, (unsigned long long)p->instance, (int)p->pid);
	kernel_each(find_other, &q);
	if (q.found)
		violated("I2 doubled", "%s is started as %llu while %llu lives", p->id,
			 (unsigned long long)p->instance, (unsigned long long)q.found->instance);
	if (l->spawned || l->never)
		violated("I2 doubled", "instance %llu of %s is started again",
			 (unsigned long long)p->instance, p->id);
	if (!l->starting_seq || l->starting_seq > journal_model_synced())
		violated("I2 intent", "%llu of %s is started before its intent is on the disk",
			 (unsigned long long)p->instance, p->id);
	else if (strcmp(l->id, p->id) != 0)
		violated("I2 intent", "instance %llu is one of %s and is started as %s",
			 (unsigned long long)p->instance, l->id, p->id);
	if (l->exits)
		violated("I6 exit", "%llu of %s is started after its exit was recorded",
			 (unsigned long long)p->instance, p->id);
}

void oracle_spawned(const struct proc *p)
{
	life_of(p->instance)->spawned = true;
}

void oracle_never(uint64_t instance)
{
	life_of(instance)->never = true;
}

void oracle_ended(const struct proc *p)
{
	struct life *l = life_of(p->instance);

	world.exits++;
	l->ended = true;
	l->status = p->status;
	/* Of one that fell to pid 1 an older kernel tells no status. */
	l->unwatched |= p->parent == 1 && !kernel_tells_status();
}

void oracle_lost(const struct proc *p)
{
	struct life *l = life_of(p->instance);

	l->ended = l->lost = true;
}

void oracle_unwatched(const struct proc *p)
{
	life_of(p->instance)->unwatched = true;
}

static bool is_in_table(uint64_t instance)
{
	const struct tree_table *t = pair_table();

	for (int i = 0; i < atomic_load(&t->high); i++)
		if (t->slots[i].instance == instance &&
		    tree_state_of(atomic_load(&t->slots[i].word)) == TREE_EXITED)
			return true;
	return false;
}

/* Whether a start was made before the table was lost is known to nobody: one that has ended is made
 * once more, for its command is to be finished. */
static void may_start_anew(struct life *l)
{
	if (l->ended || l->never)
		l->spawned = l->never = l->ended = false;
}

void oracle_nobody_watched(bool table_is_kept)
{
	for (uint32_t i = 0; i < n_lives; i++) {
		if (lives[i].exits || (table_is_kept && is_in_table(lives[i].instance)))
			continue;
		lives[i].unwatched = true;
		if (!table_is_kept)
			may_start_anew(&lives[i]);
	}
}

void oracle_confirms(uint64_t instance)
{
	if (!life_of(instance)->exits)
		violated("I6 exit", "the exit of %llu of %s is confirmed and not in the journal",
			 (unsigned long long)instance, life_of(instance)->id);
}

void oracle_signalled(const struct proc *p)
{
	(void)p;
}

int oracle_port_of(uint64_t instance)
{
	return life_of(instance)->port;
}

/* --- events --- */

struct row {
	uint64_t seq;
	struct msg_header h;
	const struct msg_type *type;
	const char *dep;
	void *body;
};

static void note_key(const struct row *w)
{
	char key[2 * MSG_TOPIC_MAX];

	if (w->type->flags & FORGETS) {
		snprintf(key, sizeof key, "process/%s", w->dep);
		map_at(&keys, key)->n = 0;
		snprintf(key, sizeof key, "spec/%s", w->dep);
		map_at(&keys, key)->n = 0;
	} else if (w->type->key) {
		snprintf(key, sizeof key, "%s/%s", w->type->key, w->dep);
		map_at(&keys, key)->n = w->seq;
	}
}

uint64_t oracle_newest_of_key(const char *key)
{
	return map_at(&keys, key)->n;
}

static bool may_be_root(const struct row *w)
{
	const struct deployment_changed *c = w->body;
	const struct process_exited *x = w->body;

	if (w->type->flags & COMMAND)
		return w->h.uid != MSG_UID_NONE;
	if (w->type == &MSG_process_exited)
		return !x->asked;
	if (w->type == &MSG_deployment_changed)
		return c->fields.count && (strcmp(c->fields.items[0], "pid") == 0 ||
					   strcmp(c->fields.items[0], "status_text") == 0);
	return w->type == &MSG_actor_started || w->type == &MSG_actor_died ||
	       w->type == &MSG_config_set;
}

static void check_cause(const struct row *w)
{
	if (w->h.cause >= w->seq)
		violated("I5 cause", "%llu (%s/%s) comes of %llu, which is not before it",
			 (unsigned long long)w->seq, w->type->topic, w->dep,
			 (unsigned long long)w->h.cause);
	if (!w->h.cause && !may_be_root(w))
		violated("I5 cause", "%llu (%s/%s) has no cause", (unsigned long long)w->seq,
			 w->type->topic, w->dep);
}

static struct command *command_of(const char *request)
{
	const struct map_value *v = map_find(&by_request, request);

	return v ? &commands[v->n] : NULL;
}

static void on_command(const struct row *w)
{
	const char *request = *(const char *const *)w->body; /* the first field of each */
	uint32_t at = map_place(&by_request, request);

	if (by_request.items[at].value.there) {
		violated("I8 once", "%s is commanded twice, at %llu and %llu", request,
			 (unsigned long long)commands[by_request.items[at].value.n].seq,
			 (unsigned long long)w->seq);
		return;
	}
	if (n_commands == cap_commands) {
		cap_commands = cap_commands ? 2 * cap_commands : 256;
		commands = realloc(commands, cap_commands * sizeof *commands);
		if (!commands)
			abort();
	}
	commands[n_commands] = (struct command){.seq = w->seq};
	snprintf(commands[n_commands].request, sizeof commands->request, "%s", request);
	by_request.items[at].value = (struct map_value){.n = n_commands++, .there = true};
}

static void on_finished(const struct row *w)
{
	const struct command_finished *e = w->body;
	struct command *c = command_of(e->request);

	if (!c)
		violated("I5 cause", "%s is finished and was never commanded", e->request);
	else if (c->finished++)
		violated("I8 once", "%s is finished twice", e->request);
	else if (w->h.cause != c->seq)
		violated("I5 cause", "the end of %s comes of %llu", e->request,
			 (unsigned long long)w->h.cause);
}

static void on_starting(const struct row *w)
{
	const struct process_starting *e = w->body;
	struct life *l = life_of(e->instance);
	char key[120];
	uint32_t at;

	if (l->starting_seq && !rereading)
		violated("I2 intent", "%llu of %s is said to start twice",
			 (unsigned long long)e->instance, w->dep);
	l->starting_seq = w->seq;
	l->port = e->process.port == MSG_NONE ? 0 : (int)e->process.port;
	snprintf(l->id, sizeof l->id, "%s", w->dep);
	snprintf(key, sizeof key, "%llu %s", (unsigned long long)w->h.cause, w->dep);
	at = map_place(&starts, key);
	if (starts.items[at].value.n)
		violated("I8 once", "command %llu starts %s twice, at %llu and %llu",
			 (unsigned long long)w->h.cause, w->dep,
			 (unsigned long long)starts.items[at].value.n, (unsigned long long)w->seq);
	starts.items[at].value.n = w->seq;
}

static bool has_status(const struct process_exited *e, int status)
{
	if (status & 0x7f)
		return e->signal == (status & 0x7f) && e->exit_code == MSG_NONE &&
		       e->core_dumped == ((status & 0x80) != 0);
	return e->exit_code == (status >> 8) && e->signal == MSG_NONE;
}

static void on_exited(const struct row *w)
{
	const struct process_exited *e = w->body;
	struct life *l = life_of(e->instance);
	const char *how = e->how ? e->how : "";

	if (l->exits++)
		violated("I6 exit", "the exit of %llu of %s is recorded twice",
			 (unsigned long long)e->instance, w->dep);
	else if (l->spawned && !l->ended)
		violated("I6 exit", "%llu of %s is said to have ended, and lives",
			 (unsigned long long)e->instance, w->dep);
	else if (l->never ? strcmp(how, "never") != 0 && !l->unwatched && !l->lost
			  : l->spawned && !l->lost && !l->unwatched && !has_status(e, l->status))
		violated("I6 exit", "%llu of %s ended with %x, and code %lld, signal %lld (%s) say",
			 (unsigned long long)e->instance, w->dep, (unsigned)l->status,
			 (long long)e->exit_code, (long long)e->signal, how);
}

struct leftover {
	const struct process_stopped *e;
	const char *dep;
};

static void check_left(void *arg, struct proc *p)
{
	struct leftover *q = arg;

	if (p->instance != q->e->instance)
		return;
	for (uint32_t i = 0; i < q->e->leftover.count; i++)
		if (q->e->leftover.items[i] == p->pid) {
			if (!p->kill_waits)
				violated("I3 orphaned", "%d of %s is given up and was never killed",
					 (int)p->pid, q->dep);
			return;
		}
	violated("I3 orphaned", "%s (%llu) is said to be stopped, and %d of it lives", q->dep,
		 (unsigned long long)p->instance, (int)p->pid);
}

static void on_stopped(const struct row *w)
{
	const struct process_stopped *e = w->body;

	map_at(&leftovers, w->dep)->n = e->leftover.count;
	if (!rereading)
		kernel_each(check_left, &(struct leftover){.e = e, .dep = w->dep});
}

bool oracle_has_leftover(const char *id)
{
	return map_at(&leftovers, id)->n != 0;
}

static void check_gone(void *arg, struct proc *p)
{
	if (p->is_main && strcmp(p->id, arg) == 0)
		violated("I1 lost", "%s is deleted, and %llu of it lives", p->id,
			 (unsigned long long)p->instance);
}

/* Each event of a sender once, in its order. */
static void check_number(const struct row *w)
{
	char key[80];
	struct map_value *last;

	snprintf(key, sizeof key, "%s %llu", w->h.sender, (unsigned long long)w->h.incarnation);
	last = map_at(&numbers, key);
	if (w->h.number <= last->n)
		violated("I8 once", "%llu (%s/%s) is number %llu of %s, which has said %llu",
			 (unsigned long long)w->seq, w->type->topic, w->dep,
			 (unsigned long long)w->h.number, w->h.sender, (unsigned long long)last->n);
	last->n = w->h.number;
}

static void take(const struct row *w)
{
	check_cause(w);
	check_number(w);
	note_key(w);
	if (w->type->flags & COMMAND)
		on_command(w);
	else if (w->type == &MSG_command_finished)
		on_finished(w);
	else if (w->type == &MSG_process_starting)
		on_starting(w);
	else if (w->type == &MSG_process_exited)
		on_exited(w);
	else if (w->type == &MSG_process_stopped)
		on_stopped(w);
	else if (w->type == &MSG_deployment_deleted && !rereading)
		kernel_each(check_gone, (void *)(uintptr_t)w->dep);
}

void oracle_committed(uint64_t seq, const uint8_t *rec, uint32_t len)
{
	static uint8_t copy[MSG_FRAME_MAX];
	struct door_reader r = door_reader_over(copy, len);
	struct door_record parts;
	struct row w = {.seq = seq};
	char dep[MSG_TOPIC_MAX + 1];
	const char *slash;

	memcpy(copy, rec, len);
	codec_arena_reset(&arena);
	if (!door_read_record(&r, &parts) ||
	    msg_header_decode(parts.header, parts.header_len, &w.h) < 0 ||
	    !(w.type = msg_type_of(parts.topic.at, parts.topic.len)) ||
	    !(w.body = codec_arena_alloc(&arena, w.type->body.size)) ||
	    msg_body_decode(&w.type->body, parts.body, parts.body_len, &arena, w.body, NULL) < 0) {
		violated("I12 journal", "row %llu can't be read", (unsigned long long)seq);
		return;
	}
	slash = memchr(parts.topic.at, '/', parts.topic.len);
	snprintf(dep, sizeof dep, "%.*s",
		 slash ? (int)(parts.topic.at + parts.topic.len - slash - 1) : 0,
		 slash ? slash + 1 : "");
	w.dep = dep;
	if (!rereading)
		trace("seq %llu <- %llu: %s/%s", (unsigned long long)seq,
		      (unsigned long long)w.h.cause, w.type->topic, dep);
	take(&w);
}

/* --- horizons --- */

void oracle_broker_died(void)
{
	if (acked_sync > journal_model_committed())
		violated("I12 journal", "%llu was acknowledged, and %llu events are left",
			 (unsigned long long)acked_sync,
			 (unsigned long long)journal_model_committed());
}

static bool reread_row(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	(void)arg;
	oracle_committed(seq, rec, len);
	return true;
}

void oracle_power_cut(void)
{
	oracle_broker_died();
	observer_fell_back(journal_model_committed());
	forget_journal();
	for (uint32_t i = 0; i < n_lives; i++) {
		lives[i].exits = 0;
		lives[i].starting_seq = 0;
		/* Nothing of before the cut is watched; an exit that was journalled may be read
		 * back, and one that was not is unknown. */
		lives[i].lost |= lives[i].ended || lives[i].never;
	}
	rereading = true;
	journal_read(journal_model(), 0, UINT32_MAX, reread_row, NULL);
	rereading = false;
	clients_check_survivors();
}

static bool is_sync(uint64_t seq);

struct one {
	bool sync;
};

static bool look_at_type(void *arg, uint64_t seq, const uint8_t *rec, uint32_t len)
{
	const struct msg_type *type = msg_type_of((const char *)rec + 3, rec[2]);

	(void)seq;
	(void)len;
	((struct one *)arg)->sync = type && (type->flags & SYNC);
	return true;
}

static bool is_sync(uint64_t seq)
{
	struct one q = {0};

	journal_read_one(journal_model(), seq, look_at_type, &q);
	return q.sync;
}

static void on_ack(struct door_reader *r)
{
	uint64_t number, seq, run;

	door_read_uint(r);
	number = door_read_uint(r);
	seq = door_read_uint(r);
	run = door_read_uint(r);
	if (seq > journal_model_committed())
		violated("I12 journal", "seq %llu (number %llu) is acknowledged, not committed",
			 (unsigned long long)seq, (unsigned long long)number);
	for (uint64_t s = seq; s > seq - run && run <= seq; s--)
		if (is_sync(s)) {
			if (s > journal_model_synced())
				violated("I8 survives", "seq %llu is acknowledged, not on the disk",
					 (unsigned long long)s);
			acked_sync = s > acked_sync ? s : acked_sync;
		}
}

static void on_deliver(struct door_reader *records)
{
	struct door_record rec;

	while (door_read_record(records, &rec)) {
		uint64_t seq = msg_header_peek(rec.header, MSG_AT_SEQ);

		if (seq > journal_model_committed())
			violated("I12 journal", "seq %llu is delivered, not committed",
				 (unsigned long long)seq);
	}
}

void oracle_broker_sends(enum part to, const void *head, size_t head_len, const void *payload,
			 size_t payload_len)
{
	static uint8_t copy[2 * MSG_FRAME_MAX];
	struct door_reader r = door_reader_over(copy, head_len);
	uint64_t verb;

	memcpy(copy, head, head_len);
	verb = door_read_uint(&r);
	trace("broker -> %s: verb %llu, %zu bytes", part_name(to), (unsigned long long)verb,
	      head_len + payload_len);
	if (verb == DOOR_ACK)
		on_ack(&r);
	if (verb != DOOR_DELIVER || !payload_len)
		return;
	memcpy(copy, payload, payload_len);
	r = door_reader_over(copy, payload_len);
	on_deliver(&r);
}

void oracle_error(enum part p, const char *text)
{
	if (strncmp(text, "both members", 12) != 0)
		violated("error", "%s says: %s", part_name(p), text);
}

/* --- at rest --- */

uint64_t oracle_command(const char *request)
{
	const struct command *c = command_of(request);

	return c ? c->seq : 0;
}

bool oracle_is_finished(const char *request)
{
	const struct command *c = command_of(request);

	return c && c->finished;
}

void oracle_check_lives(void)
{
	for (uint32_t i = 0; i < n_lives; i++)
		if ((lives[i].ended || lives[i].never) && lives[i].starting_seq &&
		    lives[i].exits != 1)
			violated("I6 exit", "the exit of %llu of %s is recorded %u times",
				 (unsigned long long)lives[i].instance, lives[i].id,
				 lives[i].exits);
}

void oracle_check_commands(void)
{
	for (uint32_t i = 0; i < n_commands; i++)
		if (commands[i].finished != 1)
			violated("I8 once", "%s (seq %llu) is finished %u times",
				 commands[i].request, (unsigned long long)commands[i].seq,
				 commands[i].finished);
}
