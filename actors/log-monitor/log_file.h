/*
 * One captured stream's file on the disk: opened at the first byte, written by splice(2), rotated
 * by size. Knows no bus and no clock.
 */
#ifndef LOPS_LOG_MONITOR_LOG_FILE_H
#define LOPS_LOG_MONITOR_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/policy/rotate_rule.h"

struct log_file {
	const char *name; /* "out.log" */
	int fd;           /* -1: not open */
	off_t size;       /* bytes in it, where the next ones go */
	bool no_splice;   /* this file system can't */
};

/* What all files of a set share. */
struct log_store {
	int logs_fd;       /* STATE/logs, -1: not made yet */
	const char *state; /* the state folder */
	int peek[2], sink; /* a pipe of our own to look into others with; /dev/null */
	struct rotate_limits limits;
};

int log_store_open(struct log_store *s, const char *state);
void log_store_done(struct log_store *s);

/* Moves up to max bytes from the pipe into STATE/logs/ID/NAME. The count, 0: the end of the pipe,
 * -EAGAIN: it is empty, -errno of the disk: nothing was taken. */
ssize_t log_file_pump(struct log_store *s, struct log_file *f, const char *id, int pipe,
		      size_t max);

/* Takes up to max bytes from the pipe and forgets them; result as above. */
ssize_t log_store_drop(struct log_store *s, int pipe, size_t max);

void log_file_close(struct log_file *f);

/* Removes a deployment's files; what is no log of ours stays, with its folder. */
void log_store_forget(struct log_store *s, const char *id);

#endif
