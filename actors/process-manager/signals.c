/*
 * Signals on their way to lops-init: each is kept until it was answered for, and sent again to
 * whoever answers next, so that none is lost with a lops-init that dies. One that was carried out
 * and whose answer was lost comes twice; none comes to another instance than the one it was meant
 * for.
 */
#include <stdlib.h>
#include <string.h>
#include "actors/process-manager/shell.h"

void signals_add(struct shell *s, uint64_t instance, uint32_t value)
{
	if (s->n_signals == s->cap_signals) {
		s->cap_signals = s->cap_signals ? 2 * s->cap_signals : 16;
		s->signals = realloc(s->signals, s->cap_signals * sizeof *s->signals);
		if (!s->signals)
			abort();
	}
	s->signals[s->n_signals++] = (struct tree_item){.instance = instance, .value = value};
}

/* One message at a time: a thousand would not fit into the socket. */
void signals_send(struct actor *a)
{
	static struct tree_message m;
	struct shell *s = shell_of(a);

	if (s->fd < 0 || s->n_signals_sent || !s->n_signals)
		return;
	m = (struct tree_message){.op = TREE_SIGNAL, .count = s->n_signals};
	if (m.count > TREE_BATCH)
		m.count = TREE_BATCH;
	memcpy(m.items, s->signals, m.count * sizeof *m.items);
	if (tree_port_send(a, &m))
		s->n_signals_sent = m.count;
}

void signals_answered(struct actor *a)
{
	struct shell *s = shell_of(a);

	s->n_signals -= s->n_signals_sent;
	memmove(s->signals, s->signals + s->n_signals_sent, s->n_signals * sizeof *s->signals);
	s->n_signals_sent = 0;
	signals_send(a);
}
