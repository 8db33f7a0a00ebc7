/*
 * The ends of our own parts, from lops-init's table to the bus: each once, also that of the
 * process-manager itself, which the next one finds in the table.
 */
#include <string.h>
#include "actors/process-manager/shell.h"
#include "lib/policy/exit_rule.h"
#include "msgs/codec.h"

static void say(struct actor *a, const struct tree_actor *part, const struct tree_death *d)
{
	enum tree_how how = tree_how_of(d->word);
	struct exit_decision e = exit_rule(
		&(struct exit_facts){.known = how == TREE_HOW_WAIT || how == TREE_HOW_INFO,
				     .status = tree_status_of(d->word)});
	struct actor_died x;

	msg_body_init(&MSG_actor_died.body, &x);
	x.actor = part->name;
	x.pid = d->pid;
	x.reason = d->silent ? "gave no sign of life and was killed" : e.reason;
	publish_actor_died(a,
			   &(struct publish){.did = msg_did("actor.died", part->name,
							    d->ended_wall_ns, (uint64_t)d->pid),
					     .root = true,
					     .uid = MSG_UID_NONE},
			   &x);
}

void deaths_look(struct actor *a)
{
	struct shell *s = shell_of(a);

	for (int i = 0; s->table && i < atomic_load(&s->table->n_actors); i++) {
		const struct tree_actor *part = &s->table->actors[i];
		uint64_t n = atomic_load(&part->n_deaths), from = s->deaths_seen[i];

		if (n > from + TREE_DEATHS)
			from = n - TREE_DEATHS;
		for (; from < n; from++)
			say(a, part, &part->deaths[from % TREE_DEATHS]);
		s->deaths_seen[i] = n;
	}
}
