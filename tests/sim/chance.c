/*
 * Random numbers, the trace with its hash, and violations: seed, step, invariant and the last lines
 * of the trace are all that is needed to look into one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/sim/world.h"

enum { LINES = 200, LINE = 240 };

struct world world;
static char lines[LINES][LINE];
static uint64_t n_lines;

uint64_t chance(uint64_t below)
{
	uint64_t x = world.random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return below ? x % below : x;
}

bool one_in(uint64_t n)
{
	return chance(n) == 0;
}

uint64_t world_wall_ns(void)
{
	return UINT64_C(1700000000) * SIM_SECOND + world.now_ns + (uint64_t)world.wall_offset_ns;
}

void trace_begin(void)
{
	n_lines = 0;
	world.hash = UINT64_C(14695981039346656037);
}

void trace(const char *fmt, ...)
{
	char *line = lines[n_lines++ % LINES];
	int at = snprintf(line, LINE, "%6llu.%06llu ",
			  (unsigned long long)(world.now_ns / SIM_SECOND),
			  (unsigned long long)(world.now_ns % SIM_SECOND / 1000));
	va_list args;

	va_start(args, fmt);
	vsnprintf(line + at, LINE - (size_t)at, fmt, args);
	va_end(args);
	for (const char *c = line; *c; c++)
		world.hash = (world.hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
	if (getenv("LOPS_SIM_TRACE"))
		fprintf(stderr, "%s\n", line);
}

void violated(const char *invariant, const char *fmt, ...)
{
	va_list args;

	if (world.violations++)
		return;
	fprintf(stderr, "--- the last lines of the trace\n");
	for (uint64_t i = n_lines > LINES ? n_lines - LINES : 0; i < n_lines; i++)
		fprintf(stderr, "%s\n", lines[i % LINES]);
	fprintf(stderr,
		"VIOLATION seed %llu step %llu at %.6f s: %s: ", (unsigned long long)world.seed,
		(unsigned long long)world.steps, (double)world.now_ns / 1e9, invariant);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}
