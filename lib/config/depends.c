/*
 * Dependencies: unknown names and cycles; see the header.
 */
#include "lib/config/depends.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct graph {
	const struct deployment_spec *all;
	size_t n;
	const struct deployment_spec **by_name; /* sorted */
	unsigned char *color;                   /* 0 new, 1 on the path, 2 done */
	size_t *path, *next;                    /* the way down, and which dependency comes next */
	depends_fault *fault;
	void *arg;
};

static int by_name(const void *a, const void *b)
{
	const struct deployment_spec *const *x = a, *const *y = b;

	return strcmp((*x)->deployment_id, (*y)->deployment_id);
}

/* The deployment of "NAME:condition", n: none. */
static size_t find(const struct graph *g, const char *pair)
{
	size_t low = 0, high = g->n, len = strcspn(pair, ":");

	while (low < high) {
		size_t middle = (low + high) / 2;
		const char *name = g->by_name[middle]->deployment_id;
		int order = strncmp(name, pair, len);

		if (order == 0 && name[len])
			order = 1;
		if (order == 0)
			return (size_t)(g->by_name[middle] - g->all);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return g->n;
}

static void check_names(const struct graph *g, size_t i)
{
	const struct deployment_spec *s = &g->all[i];
	char text[200];

	for (uint32_t k = 0; k < s->depends_on.count; k++) {
		const char *pair = s->depends_on.items[k];
		size_t other = find(g, pair);

		if (other == g->n)
			snprintf(text, sizeof text, "no deployment of this file is named '%.*s'",
				 (int)strcspn(pair, ":"), pair);
		else if (other == i)
			snprintf(text, sizeof text, "%.64s depends on itself", s->deployment_id);
		else
			continue;
		g->fault(g->arg, i, k, text);
	}
}

/* The way from `back` down to itself. Long ones are cut in the middle of nowhere but end in it. */
static void say_cycle(const struct graph *g, size_t depth, size_t back)
{
	char text[280] = "a cycle of dependencies: ";
	size_t from = depth, used = strlen(text);

	while (g->path[from] != back)
		from--;
	for (size_t i = from; i <= depth; i++) {
		const char *name = g->all[g->path[i]].deployment_id;

		if (used + strlen(name) + 80 > sizeof text) {
			used += (size_t)snprintf(text + used, sizeof text - used, "... -> ");
			break;
		}
		used += (size_t)snprintf(text + used, sizeof text - used, "%s -> ", name);
	}
	snprintf(text + used, sizeof text - used, "%.64s", g->all[back].deployment_id);
	g->fault(g->arg, back, SIZE_MAX, text);
}

static void walk_from(struct graph *g, size_t start)
{
	size_t depth = 0;

	g->path[0] = start;
	g->next[0] = 0;
	g->color[start] = 1;
	for (;;) {
		size_t at = g->path[depth], other;

		if (g->next[depth] == g->all[at].depends_on.count) {
			g->color[at] = 2;
			if (depth == 0)
				return;
			depth--;
			continue;
		}
		other = find(g, g->all[at].depends_on.items[g->next[depth]++]);
		if (other == g->n || other == at)
			continue;
		if (g->color[other] == 1) {
			say_cycle(g, depth, other);
		} else if (g->color[other] == 0) {
			g->color[other] = 1;
			g->path[++depth] = other;
			g->next[depth] = 0;
		}
	}
}

static void *zeroed(size_t n, size_t size)
{
	void *at = calloc(n + 1, size);

	if (!at)
		abort();
	return at;
}

void depends_check(const struct deployment_spec *all, size_t n, depends_fault *fault, void *arg)
{
	struct graph g = {.all = all, .n = n, .fault = fault, .arg = arg};

	g.by_name = zeroed(n, sizeof *g.by_name);
	g.color = zeroed(n, 1);
	g.path = zeroed(n, sizeof *g.path);
	g.next = zeroed(n, sizeof *g.next);
	for (size_t i = 0; i < n; i++)
		g.by_name[i] = &all[i];
	qsort(g.by_name, n, sizeof *g.by_name, by_name);
	for (size_t i = 0; i < n; i++)
		check_names(&g, i);
	for (size_t i = 0; i < n; i++)
		if (g.color[i] == 0)
			walk_from(&g, i);
	free(g.by_name);
	free(g.color);
	free(g.path);
	free(g.next);
}
