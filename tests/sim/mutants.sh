#!/bin/sh
# What the simulator is worth: each deliberate bug below, written into a copy of one source file, must
# be found. Every mutant is compiled on its own and linked before the libraries that hold the original.
#
#   mutants.sh SOURCE-FOLDER WORK-FOLDER COMPILER "COMPILE-FLAGS" "LINK-ARGUMENTS" [OBJECT...]
#
# The first lines of the table are the short form; LOPS_TEST_FULL=1 takes all.
set -u
source=$1
work=$2
compiler=$3
flags=$4
link=$5
shift 5
seeds=40
tried=0
missed=0

# NAME FILE SED-EXPRESSION
mutants() {
	cat <<'END'
spawn-before-intent|actors/process-manager/lifecycle.c|s/^\t\tm->starting\[m->n_starting++\] = d;/\t\tlife_send_start(a, d), m->os->flush(a);/
ack-before-commit|broker/core.c|s/^\tif (!c->error \&\& c->turn_dirty)$/\tacknowledge(c);\n&/
exit-said-twice|actors/process-manager/lifecycle.c|s/^\td->exit_instance = d->instance;$/\tto.did = 0;\n&/
sweep-skipped|actors/process-manager/lifecycle.c|s/^\t\tbegin_sweep(a, d, d->killed ? 9 : 0);/\t\tstopped(a, d, NULL, 0);/
commit-before-acked|lib/actor/bus_client.c|s/ \&\& c->commits\[done\].number <= c->acked_number)/)/
start-not-idempotent|actors/init/door.c|/^static void start_one/,/^}/s/^\tif (slot < 0)$/\tif (true)/
confirm-before-ack|actors/process-manager/lifecycle.c|s/^\tsay_exited(a, d, e, how, pid);/&\n\tmanager_of(a)->os->confirm(a, d->instance), manager_of(a)->os->flush(a);/
release-forgotten|actors/process-manager/lifecycle.c|s/^\tm->os->release(a, d->streams);//
did-without-instance|actors/process-manager/lifecycle.c|s/msg_did(kind, d->id, d->instance, 0)/msg_did(kind, d->id, 0, 0)/
did-not-looked-up|broker/publish.c|s/^\tif (seq \&\& h->did)$/\tif (false)/
number-not-looked-up|broker/publish.c|s/ \&\& h.number > p->number)$/)/
handled-again|actors/process-manager/commands.c|/^static bool is_new_for/,/^}/s/return .*/return d->handled_seq <= j->seq;/
command-not-synced|broker/publish.c|s/^\tc->turn_sync |= .*//
start-not-finished|actors/init/worker.c|/^static void take_stock/,/^}/s/^\t\t\t\tworker_start(i);//
status-not-looked-at|actors/init/reap.c|s/return (si->si_status \& 0xff) << 8;/return 0;/
outbox-not-sent-again|lib/actor/bus_client.c|s/^\tc->unsent = c->first;$//
events-of-absence-lost|lib/actor/bus_client.c|s/subscribe(c, BUS_LIVE, DOOR_AFTER, c->live_seq/subscribe(c, BUS_LIVE, DOOR_LIVE, c->live_seq/
one-event-skipped|broker/deliver.c|s/^\ts->place = c->batch.to;/\ts->place = c->batch.to + (c->head % 50 == 0);/
chain-broken|broker/publish.c|s/MSG_AT_PREV, seq ? journal_last_of(c->journal, topic) : 0/MSG_AT_PREV, 0/
last-value-kept-late|broker/publish.c|/^static int keep_last/,/^}/s/return journal_set_last/return seq % 20 == 0 ? 0 : journal_set_last/
cause-forgotten|actors/process-manager/lifecycle.c|s/^\t\t\t\t.cause = d->handled_seq, .*//
resent-and-resolved-anew|actors/coordinator/requests.c|s/ \&\& (r->again || v->handle/ \&\& (v->handle/
started-again-at-reconnect|actors/process-manager/adopt.c|s/^\t\tif (!d->start_number)$/\t\tif (true)/
stopped-before-it-started|actors/process-manager/lifecycle.c|s/ || d->start_sent)$/)/
waiting-not-said|actors/process-manager/commands.c|s/^\tlife_changed(a, d, "commands");$//
exit-lost-by-delete|actors/process-manager/commands.c|s/ \&\& d->exit_number > actor_acked(a)) {/ \&\& false) {/
killed-tree-left|actors/process-manager/lifecycle.c|/^static void kill_tree/,/^}/s/begin_sweep(a, d, 9)/begin_sweep(a, d, 0)/
END
}

build() { # FILE: the mutant of it, linked
	defines=
	[ "$1" = actors/coordinator/coordinator.c ] && defines=-Dactor_spec_main=coordinator_spec_main
	# shellcheck disable=SC2086 # flags are words
	"$compiler" $flags -DLOPS_MARKS $defines -I"$source" -c "$work/mutant.c" -o "$work/mutant.o" || return 1
	objects=
	for object in $all_objects; do
		case $object in
		*/"$1".o) ;;
		*) objects="$objects $object" ;;
		esac
	done
	# shellcheck disable=SC2086
	"$compiler" $flags $objects "$work/mutant.o" $link -o "$work/mutant"
}

try() { # NAME FILE EXPRESSION
	tried=$((tried + 1))
	sed "$3" "$source/$2" >"$work/mutant.c"
	if cmp -s "$source/$2" "$work/mutant.c"; then
		echo "$1: there is nothing to mutate in $2 any more"
		missed=$((missed + 1))
		return
	fi
	if ! build "$2" 2>"$work/$1.log"; then
		echo "$1: it does not compile"
		tail -n 5 "$work/$1.log"
		missed=$((missed + 1))
		return
	fi
	seed=1
	while [ $seed -le $seeds ]; do
		if ! "$work/mutant" --hours 3 --seed $seed >"$work/$1.log" 2>&1; then
			echo "$1: found with seed $seed: $(sed -n 's/^VIOLATION seed [0-9]* //p' "$work/$1.log" | head -n 1)"
			return
		fi
		seed=$((seed + 1))
	done
	echo "$1: NOT FOUND within $seeds seeds"
	missed=$((missed + 1))
}

all_objects=$*
mkdir -p "$work"
table=$(mutants)
[ "${LOPS_TEST_FULL:-0}" = 1 ] || table=$(printf '%s\n' "$table" | head -n 6)
while IFS='|' read -r name file expression; do
	try "$name" "$file" "$expression"
done <<END
$table
END
echo "$tried mutants, $missed not found"
[ $missed -eq 0 ]
