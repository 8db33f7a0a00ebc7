/*
 * The captured streams: each pipe is a port of the loop, one bounded piece a turn, so that a flood
 * in one holds up neither the others nor the bus. While the disk refuses, bytes are dropped and
 * counted, for a program must not stand still because a disk is full, and the disk is tried again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "actors/log-monitor/log_monitor.h"

enum { TURN_BYTES = 65536, RETRY_MS = 1000, TELL_MS = 10000 };

static struct stream **place_of(struct log_monitor *m, uint64_t key)
{
	return &m->streams[(key ^ key >> 32) % (sizeof m->streams / sizeof *m->streams)];
}

static void each_stream(struct actor *a, void (*fn)(struct actor *, struct stream *, const void *),
			const void *arg)
{
	struct log_monitor *m = monitor_of(a);

	for (size_t i = 0; i < sizeof m->streams / sizeof *m->streams; i++)
		for (struct stream *s = m->streams[i], *next; s; s = next) {
			next = s->next;
			fn(a, s, arg);
		}
}

/* --- what was dropped --- */

static void tell_dropped(struct actor *a, struct stream *s)
{
	struct log_dropped e = {.stream = s->err ? "err" : "out",
				.bytes = s->dropped,
				.reason = s->error ? strerror(s->error) : NULL};

	actor_log(a, ACTOR_WARN, "%s: dropped %llu bytes of std%s: %s", s->id,
		  (unsigned long long)s->dropped, e.stream, e.reason ? e.reason : "");
	publish_log_dropped(
		a, &(struct publish){.deployment = s->id, .uid = MSG_UID_NONE, .root = true}, &e);
	s->dropped = 0;
	s->told_ms = actor_now_ms(a);
}

static void tell_if_due(struct actor *a, struct stream *s, const void *arg)
{
	(void)arg;
	if (!s->dropped)
		return;
	if (!s->told_ms || actor_now_ms(a) >= s->told_ms + TELL_MS)
		tell_dropped(a, s);
	else
		actor_timer_set(a, &monitor_of(a)->tell, s->told_ms + TELL_MS);
}

void every_tell(struct actor *a, struct actor_timer *t)
{
	(void)t;
	each_stream(a, tell_if_due, NULL);
}

/* --- moving --- */

static ssize_t drop_piece(struct actor *a, struct stream *s)
{
	ssize_t n = log_store_drop(&monitor_of(a)->store, s->pipe, TURN_BYTES);

	if (n > 0) {
		s->dropped += (uint64_t)n;
		if (!monitor_of(a)->tell.due_ms)
			actor_timer_set(a, &monitor_of(a)->tell,
					s->told_ms ? s->told_ms + TELL_MS : actor_now_ms(a));
	}
	return n;
}

/* One piece: to the file, or dropped. */
static ssize_t pump(struct actor *a, struct stream *s)
{
	uint64_t now = actor_now_ms(a);
	ssize_t n;

	if (s->retry_ms > now)
		return drop_piece(a, s);
	n = log_file_pump(&monitor_of(a)->store, &s->file, s->id, s->pipe, TURN_BYTES);
	if (n >= 0 || n == -EAGAIN || n == -EINTR) {
		s->retry_ms = 0;
		return n;
	}
	if (!s->retry_ms)
		actor_log(a, ACTOR_ERROR, "%s: %s can't be written: %s", s->id, s->file.name,
			  strerror((int)-n));
	s->error = (int)-n;
	s->retry_ms = now + RETRY_MS;
	log_file_close(&s->file);
	return drop_piece(a, s);
}

static void stop_watching(struct actor *a, struct stream *s)
{
	if (s->pipe < 0)
		return;
	actor_port_remove(a, s->pipe);
	close(s->pipe);
	s->pipe = -1;
}

static void on_bytes(struct actor *a, int fd, uint32_t events, void *arg)
{
	struct stream *s = arg;
	ssize_t n = pump(a, s);

	(void)fd;
	(void)events;
	/* The end, with no writer left: lops-init holds one as long as the deployment is known. */
	if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR))
		stop_watching(a, s);
}

/* All that the pipe still holds: nobody else will read it. */
static void drain(struct actor *a, struct stream *s)
{
	for (int i = 0; s->pipe >= 0 && i < 64; i++)
		if (pump(a, s) <= 0)
			break;
}

/* --- coming and going --- */

static void stream_end(struct actor *a, struct stream *s)
{
	struct stream **at = place_of(monitor_of(a), s->key);

	drain(a, s);
	if (s->dropped)
		tell_dropped(a, s);
	stop_watching(a, s);
	log_file_close(&s->file);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	free(s);
}

static struct stream *stream_find(struct log_monitor *m, uint64_t key, bool err)
{
	struct stream *s = *place_of(m, key);

	while (s && (s->key != key || s->err != err))
		s = s->next;
	return s;
}

static struct stream *stream_new(struct actor *a, uint64_t key, const char *id, bool err)
{
	struct stream **at = place_of(monitor_of(a), key), *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->key = key;
	s->err = err;
	s->pipe = s->file.fd = -1;
	s->file.name = err ? "err.log" : "out.log";
	snprintf(s->id, sizeof s->id, "%s", id);
	s->next = *at;
	*at = s;
	return s;
}

void stream_take(struct actor *a, uint64_t key, const char *id, bool err, int pipe)
{
	struct stream *s = stream_find(monitor_of(a), key, err);
	struct stat st;

	if (fstat(pipe, &st) < 0 || !S_ISFIFO(st.st_mode) ||
	    (s && s->inode == st.st_ino && s->pipe >= 0)) {
		close(pipe);
		return;
	}
	s = s ? s : stream_new(a, key, id, err);
	if (!s || (drain(a, s), stop_watching(a, s), false) ||
	    actor_port_add(a, pipe, EPOLLIN, on_bytes, s) < 0) {
		actor_log(a, ACTOR_ERROR, "%s: its output can't be watched", id);
		close(pipe);
		return;
	}
	s->pipe = pipe;
	s->inode = st.st_ino;
}

void streams_gone(struct actor *a, uint64_t key)
{
	for (int err = 0; err < 2; err++) {
		struct stream *s = stream_find(monitor_of(a), key, err);

		if (s)
			stream_end(a, s);
	}
}

static void reopen_one(struct actor *a, struct stream *s, const void *id)
{
	(void)a;
	if (!id || strcmp(s->id, id) == 0)
		log_file_close(&s->file);
}

void streams_reopen(struct actor *a, const char *id)
{
	each_stream(a, reopen_one, id);
}

static void end_one(struct actor *a, struct stream *s, const void *arg)
{
	(void)arg;
	stream_end(a, s);
}

void streams_done(struct actor *a)
{
	each_stream(a, end_one, NULL);
}
