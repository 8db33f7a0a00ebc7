/*
 * Peers and subscriptions; see the header.
 */
#include "broker/peers.h"

#include <stdlib.h>
#include <string.h>

static bool is_of(const struct peer *p, const uint8_t *id, size_t id_len)
{
	return p->id_len == id_len && memcmp(p->id, id, id_len) == 0;
}

struct peer *peers_find(struct peers *t, const uint8_t *id, size_t id_len)
{
	if (t->latest && is_of(t->latest, id, id_len))
		return t->latest;
	for (uint32_t i = 0; i < t->n; i++)
		if (is_of(t->all[i], id, id_len))
			return t->latest = t->all[i];
	return NULL;
}

struct peer *peers_add(struct peers *t, const uint8_t *id, size_t id_len, uint64_t uid)
{
	struct peer *p;

	if (t->n == CORE_PEERS_MAX || id_len > CORE_PEER_ID_MAX)
		return NULL;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	memcpy(p->id, id, id_len);
	p->id_len = id_len;
	p->uid = uid;
	return t->all[t->n++] = p;
}

static void sub_free(struct sub *s)
{
	for (uint32_t i = 0; i < s->n_prefixes; i++)
		free(s->prefixes[i].text);
	free(s);
}

static void peer_free(struct peer *p)
{
	for (uint32_t i = 0; i < p->n_subs; i++)
		sub_free(p->subs[i]);
	free(p->ring);
	free(p);
}

void peers_remove(struct peers *t, struct peer *p)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->all[i] == p) {
			t->all[i] = t->all[--t->n];
			break;
		}
	t->latest = NULL;
	peer_free(p);
}

void peers_done(struct peers *t)
{
	while (t->n)
		peers_remove(t, t->all[0]);
}

void peer_begin(struct peer *p, const char *sender, size_t len, uint64_t incarnation)
{
	memset(p->sender, 0, sizeof p->sender);
	memcpy(p->sender, sender, len);
	p->incarnation = incarnation;
	p->number = p->acked = p->said = 0;
	p->in_turn = false;
	while (p->n_subs)
		sub_free(p->subs[--p->n_subs]);
}

void peer_note_seq(struct peer *p, uint64_t number, uint64_t seq)
{
	if (!p->ring)
		p->ring = calloc(PEER_RING, sizeof *p->ring);
	if (p->ring)
		p->ring[number % PEER_RING] = seq;
}

uint64_t peer_seq_of(const struct peer *p, uint64_t number)
{
	if (!p->ring || number == 0 || number > p->number || p->number - number >= PEER_RING)
		return 0;
	return p->ring[number % PEER_RING];
}

bool peer_next_run(struct peer *p, struct peer_run *ret_run)
{
	uint64_t n = p->said + 1;

	if (p->said < p->number && p->number - p->said >= PEER_RING)
		n = p->number - PEER_RING + 1;
	if (p->said >= p->number) {
		/* Sent again although settled: said once more. */
		if (p->said == p->number && p->number && p->in_turn) {
			*ret_run = (struct peer_run){.number = p->number,
						     .seq = peer_seq_of(p, p->number)};
			p->in_turn = false;
			return true;
		}
		return false;
	}
	*ret_run = (struct peer_run){
		.number = n, .seq = peer_seq_of(p, n), .run = peer_seq_of(p, n) ? 1 : 0};
	while (ret_run->run && n < p->number && peer_seq_of(p, n + 1) == ret_run->seq + 1) {
		n++;
		ret_run->number = n;
		ret_run->seq++;
		ret_run->run++;
	}
	p->said = n;
	p->in_turn = false;
	return true;
}

struct sub *peer_sub(struct peer *p, uint64_t id)
{
	for (uint32_t i = 0; i < p->n_subs; i++)
		if (p->subs[i]->id == id)
			return p->subs[i];
	return NULL;
}

void peer_sub_end(struct peer *p, uint64_t id)
{
	for (uint32_t i = 0; i < p->n_subs; i++)
		if (p->subs[i]->id == id) {
			sub_free(p->subs[i]);
			p->subs[i] = p->subs[--p->n_subs];
			return;
		}
}

struct sub *peer_sub_new(struct peer *p, uint64_t id)
{
	struct sub *s;

	peer_sub_end(p, id);
	if (p->n_subs == CORE_SUBS_MAX)
		return NULL;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->id = id;
	s->is_actor = p->is_actor;
	return p->subs[p->n_subs++] = s;
}

void sub_prefix(struct sub *s, uint32_t at, struct door_text text)
{
	char *copy = malloc(text.len + 1);

	if (!copy)
		abort();
	memcpy(copy, text.at, text.len);
	copy[text.len] = 0;
	s->prefixes[at] = (struct sub_prefix){.len = text.len, .text = copy};
}

bool sub_is_like(const struct sub *a, const struct sub *b)
{
	if (a == b)
		return true;
	if (a->n_prefixes != b->n_prefixes || a->is_actor != b->is_actor)
		return false;
	for (uint32_t i = 0; i < a->n_prefixes; i++)
		if (a->prefixes[i].len != b->prefixes[i].len ||
		    memcmp(a->prefixes[i].text, b->prefixes[i].text, a->prefixes[i].len) != 0)
			return false;
	return true;
}
