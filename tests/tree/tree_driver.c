/*
 * lops-init alone: its members killed and stopped while children start and end, with standing
 * orders armed, revoked and taken. Each child says itself what it is and how it will end; at the
 * end the two accounts must agree.
 *
 *   tree_driver BIN_DIR CHILD kill|stop|both|marks|noinfo FAULTS SEED
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "actors/init/pair.h"
#include "tests/tree/oracle.h"
#include "tests/tree/under_test.h"

enum { DEPLOYMENTS = 24, INSTANCES = 400000, SETTLE_S = 60 };

struct instance {
	int recorded, status; /* as the table says; recorded counts */
	enum tree_how how;
	bool revoked, ran;
};

struct logical {
	uint64_t current, next; /* next: its standing order, 0 none */
};

static struct {
	char child[512];
	const char *mode;
	uint64_t seed, faults, wanted, next_instance;
	bool fired[PAIR_MARKS + 1];
} d = {.next_instance = 1};

static struct instance all[INSTANCES];
static struct logical logicals[DEPLOYMENTS];

static uint64_t chance(void)
{
	return d.seed = oracle_mix(d.seed + UINT64_C(0x9e3779b97f4a7c15));
}

/* --- the logical deployments --- */

static uint64_t spec_of(uint64_t instance)
{
	char number[32];

	snprintf(number, sizeof number, "%llu", (unsigned long long)instance);
	return spec_write(instance % 4096,
			  &(struct spec_given){.argv = {d.child, number, t.log}, .captured = true});
}

static uint64_t streams_of(const struct logical *l)
{
	return 1000 + (uint64_t)(l - logicals);
}

static void start_one(struct logical *l)
{
	l->current = d.next_instance++;
	l->next = 0;
	t.out.items[0] = (struct tree_item){
		.instance = l->current, .spec = spec_of(l->current), .streams = streams_of(l)};
	call(TREE_START, 1);
}

static void arm_one(struct logical *l)
{
	uint64_t next = d.next_instance++;
	uint32_t delay = chance() % 4 ? 0 : (uint32_t)(chance() % 8);

	t.out.items[0] = (struct tree_item){.instance = l->current,
					    .next = next,
					    .spec = spec_of(next),
					    .streams = streams_of(l),
					    .delay_ms = delay,
					    .stable_delay_ms = delay};
	call(TREE_ARM, 1);
	if (t.in.items[0].error == 0 || t.in.items[0].error == EEXIST)
		l->next = next;
	else
		all[next].revoked = true;
}

/* true: it will never run. */
static bool revoke_one(uint64_t next)
{
	t.out.items[0] = (struct tree_item){.instance = next};
	call(TREE_REVOKE, 1);
	if (t.in.items[0].error == EALREADY)
		return false;
	all[next].revoked = true;
	return true;
}

static void take_exit(struct logical *l, const struct tree_slot *s)
{
	uint64_t word = atomic_load(&s->word);
	struct instance *x = &all[l->current];
	uint64_t next = l->next;

	x->recorded++;
	x->how = tree_how_of(word);
	x->status = tree_status_of(word);
	if (next && chance() % 6 == 0 && revoke_one(next))
		next = 0;
	t.out.items[0] = (struct tree_item){.instance = l->current};
	call(TREE_CONFIRM, 1);
	if (!next && chance() % 2) { /* its pipes are made anew */
		t.out.items[0] = (struct tree_item){.streams = streams_of(l)};
		call(TREE_RELEASE, 1);
	}
	*l = (struct logical){.current = next};
}

static bool turn(bool stopping)
{
	bool any = false;

	for (int i = 0; i < DEPLOYMENTS && d.next_instance + 4 < INSTANCES; i++) {
		struct logical *l = &logicals[i];
		struct tree_slot *s;

		if (!l->current) {
			if (stopping)
				continue;
			start_one(l);
		}
		any = true;
		s = slot_of(l->current);
		if (!s) {
			fprintf(stderr, "VIOLATION: the slot of instance %llu is gone\n",
				(unsigned long long)l->current);
			all[l->current].revoked = true;
			*l = (struct logical){0};
		} else if (tree_state_of(atomic_load(&s->word)) == TREE_EXITED) {
			take_exit(l, s);
		} else if (stopping && l->next && revoke_one(l->next)) {
			l->next = 0;
		} else if (!stopping && !l->next && chance() % 4 == 0) {
			arm_one(l);
		}
	}
	return any;
}

/* --- faults --- */

static int32_t some_member(void)
{
	int32_t pids[TREE_MEMBERS];
	int n = 0;

	for (int k = 0; k < TREE_MEMBERS; k++)
		if (atomic_load(&t.table->members[k].state) == TREE_MEMBER_ACTIVE &&
		    atomic_load(&t.table->members[k].pid) > 0)
			pids[n++] = atomic_load(&t.table->members[k].pid);
	return n ? pids[chance() % (uint64_t)n] : 0;
}

static bool is_whole(void)
{
	int n = 0;

	for (int k = 0; k < TREE_MEMBERS; k++)
		n += atomic_load(&t.table->members[k].state) == TREE_MEMBER_ACTIVE;
	return n == 2 && atomic_load(&t.table->ready);
}

static bool wait_for_mark(uint32_t mark)
{
	for (int i = 0; i < 60 && atomic_load(&t.table->mark) == mark; i++) {
		turn(false);
		pause_us(200);
	}
	return atomic_load(&t.table->mark) != mark;
}

/* Most instants come by themselves; those of a takeover do when a member is killed. */
static void strike_at_mark(uint32_t number)
{
	uint32_t mark = number + (chance() % 2 ? 100 : 0), zero = mark;

	atomic_store(&t.table->mark, mark);
	if (!wait_for_mark(mark)) {
		int32_t pid = some_member();

		if (pid)
			kill(pid, SIGKILL);
		wait_for_mark(mark);
	}
	d.fired[number] |= !atomic_compare_exchange_strong(&t.table->mark, &zero, 0);
}

static void strike(void)
{
	int32_t pid = some_member();
	bool stop = strcmp(d.mode, "stop") == 0 || (strcmp(d.mode, "both") == 0 && chance() % 2);

	if (strcmp(d.mode, "marks") == 0) {
		strike_at_mark(1 + (uint32_t)(d.faults++ % PAIR_MARKS));
		return;
	}
	if (!pid || !is_whole() || !process_lives(pid))
		return;
	kill(pid, stop ? SIGSTOP : SIGKILL);
	d.faults++;
}

/* --- the end --- */

static uint64_t read_log(uint64_t *ret_doubled, uint64_t *ret_bad)
{
	FILE *f = fopen(t.log, "re");
	unsigned long long instance;
	int pid, status;
	uint64_t ran = 0;

	while (f && fscanf(f, "%llu %d %d", &instance, &pid, &status) == 3) {
		if (instance >= INSTANCES)
			continue;
		*ret_doubled += all[instance].ran;
		all[instance].ran = true;
		ran++;
		*ret_bad += all[instance].recorded == 1 && all[instance].how != TREE_HOW_UNKNOWN &&
			    (all[instance].status & ~0x80) != status;
	}
	if (f)
		fclose(f);
	return ran;
}

static int report(void)
{
	unsigned fired = 0;
	uint64_t doubled = 0, bad = 0, unrecorded = 0, never_ran = 0, revoked_ran = 0, unknown = 0,
		 more = 0, ran = read_log(&doubled, &bad);

	for (uint64_t i = 1; i < d.next_instance; i++) {
		const struct instance *x = &all[i];

		unrecorded += x->ran && !x->recorded;
		never_ran += x->recorded && !x->ran;
		revoked_ran += x->revoked && x->ran;
		more += x->recorded > 1;
		unknown += x->recorded && x->how == TREE_HOW_UNKNOWN;
	}
	for (int i = 1; i <= PAIR_MARKS; i++)
		fired += d.fired[i];
	printf("%s: %llu faults (marks fired %u of %d), %llu instances ran, takeovers %llu, new "
	       "pairs "
	       "%llu, hang kills %llu, orders taken %llu, sent again %llu; "
	       "unknown statuses %llu; violations: doubled %llu, unrecorded %llu, recorded but "
	       "never ran %llu, wrong status %llu, revoked ran %llu, "
	       "recorded twice %llu\n",
	       d.mode, (unsigned long long)d.faults, fired, PAIR_MARKS, (unsigned long long)ran,
	       (unsigned long long)atomic_load(&t.table->n_takeovers),
	       (unsigned long long)t.reboots,
	       (unsigned long long)atomic_load(&t.table->n_hang_kills),
	       (unsigned long long)atomic_load(&t.table->n_orders_taken),
	       (unsigned long long)t.repeats, (unsigned long long)unknown,
	       (unsigned long long)doubled, (unsigned long long)unrecorded,
	       (unsigned long long)never_ran, (unsigned long long)bad,
	       (unsigned long long)revoked_ran, (unsigned long long)more);
	if (strcmp(d.mode, "marks") == 0 && d.faults >= 1000 && fired < PAIR_MARKS) {
		for (int i = 1; i <= PAIR_MARKS; i++)
			if (!d.fired[i])
				fprintf(stderr, "VIOLATION: mark %d never fired\n", i);
		return 1;
	}
	/* Without PIDFD_GET_INFO, or where both members died at once, an unknown status is the
	 * truth. */
	if (unknown && strcmp(d.mode, "noinfo") != 0 && !t.reboots)
		return 1;
	return doubled || unrecorded || never_ran || bad || revoked_ran || more || ran < 100;
}

static void prepare(char **argv)
{
	if (!realpath(argv[2], d.child))
		fatal(argv[2]);
	d.mode = argv[3];
	d.wanted = strtoull(argv[4], NULL, 10);
	d.seed = strtoull(argv[5], NULL, 10);
	pair_prepare(argv[1], strcmp(d.mode, "noinfo") == 0 ? TREE_FLAG_NO_INFO : 0);
}

int main(int argc, char **argv)
{
	double next, until;

	if (argc != 6)
		return 2;
	prepare(argv);
	next = now_s();
	while (d.faults < d.wanted) {
		turn(false);
		if (chance() % 64 == 0)
			call(TREE_PING, 0); /* both may be stopped with nothing else to ask them */
		if (now_s() >= next) {
			strike();
			next = now_s() + 0.0005 + (double)(chance() % 60000) / 1e6;
		}
		pause_us(150);
	}
	until = now_s() + SETTLE_S;
	while (turn(true)) {
		call(TREE_PING, 0);
		if (now_s() > until) {
			fprintf(stderr, "VIOLATION: instances that never end\n");
			return 1;
		}
		pause_us(200);
	}
	return report();
}
