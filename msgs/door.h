/*
 * The stream door: what an actor or an outside tool and the broker say to each other.
 *
 * One ZeroMQ frame is one packet: a run of msgpack values, the first of which is the verb. An event
 * travels as a record, always written with these tags, so that the broker finds its parts without
 * opening them:
 *
 *   93  d9 LEN topic  c4 LEN header  c6 LEN32 body
 *
 * This file says how packets are built and taken apart (bounded, borrowing from the packet). It
 * never talks to a socket.
 */
#ifndef LOPS_MSGS_DOOR_H
#define LOPS_MSGS_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "msgs/header.h"

#define DOOR_PROTOCOL_MIN 1
#define DOOR_PROTOCOL_MAX 1
#define DOOR_COOKIE_BYTES 32
#define DOOR_PREFIXES_MAX 64
#define DOOR_NAME_MAX     63          /* of a cursor */
#define DOOR_BATCH_BYTES  (64 * 1024) /* target size of a DELIVER */

enum door_verb {
	/* to the broker */
	DOOR_HELLO = 1,       /* proto_min, proto_max, sender, incarnation, cookie(bin) */
	DOOR_PUBLISH = 2,     /* record... */
	DOOR_SUBSCRIBE = 3,   /* sub, start, seq, cursor, credit_bytes, [prefix...], [key...] */
	DOOR_CREDIT = 4,      /* sub, bytes: that much more may be sent */
	DOOR_COMMIT = 5,      /* cursor, seq: handled up to here */
	DOOR_GET = 6,         /* request, by, a, b, sender: one event */
	DOOR_LAST = 7,        /* request, key prefix: last values */
	DOOR_BACK = 8,        /* request, deployment, before_seq (0: newest), limit: newest first */
	DOOR_UNSUBSCRIBE = 9, /* sub */
	DOOR_PING = 10,       /* token */
	DOOR_RETAIN = 11,     /* age_ms, bytes: how much is kept; from the set's own actors only */
	/* from the broker */
	DOOR_WELCOME =
		33,    /* proto, epoch, head_seq, acked number of this incarnation, actor(bool) */
	DOOR_ACK = 34, /* incarnation, number, seq, run: all up to number is settled, and the
			  last `run` numbers have consecutive seqs that end in seq */
	DOOR_DELIVER = 35, /* sub, kind, record... */
	DOOR_LOADED = 36, /* sub, seq: the last values are complete as of seq; the stream follows */
	DOOR_ANSWER = 37, /* request, more(bool), record... : answers GET, LAST, BACK */
	DOOR_REFUSED = 38, /* number (0: the packet), errno, text */
	DOOR_PONG = 39,    /* token, epoch, head_seq */
};

enum door_start { DOOR_LIVE = 0, DOOR_AFTER = 1, DOOR_CURSOR = 2 };
enum door_kind { DOOR_STREAM = 0, DOOR_LAST_VALUE = 1 };
enum door_by {
	DOOR_BY_SEQ = 0 /* a */,
	DOOR_BY_DID = 1 /* a */,
	DOOR_BY_ID = 2 /* a: incarnation, b: number, sender */
};

struct door_text {
	const char *at; /* borrowed from the packet, not NUL-terminated */
	uint32_t len;
};

/* One event as it lies in a packet. */
struct door_record {
	struct door_text topic;
	uint8_t *header; /* may be patched in place */
	uint32_t header_len;
	const uint8_t *body;
	uint32_t body_len;
	const uint8_t *whole; /* the record with its tags */
	uint32_t whole_len;
};

/* Reads values one after another. The first failure sticks in `error` and later reads give 0. */
struct door_reader {
	uint8_t *at, *end;
	int error; /* 0 or -EBADMSG */
};

struct door_reader door_reader_over(void *packet, size_t len);
uint64_t door_read_uint(struct door_reader *r);                      /* any msgpack uint or bool */
struct door_text door_read_str(struct door_reader *r, uint32_t max); /* str of <= max bytes */
struct door_text door_read_bin(struct door_reader *r, uint32_t max);
uint32_t door_read_array(struct door_reader *r, uint32_t max); /* its count */
bool door_read_record(struct door_reader *r,
		      struct door_record *ret_rec);  /* false at the end or on error */
bool door_reader_ended(const struct door_reader *r); /* all used up and no error */

/* Appends values to a packet of the caller's; full sets `error` to -ENOSPC and writes nothing more.
 */
struct door_writer {
	uint8_t *data;
	size_t len, cap;
	int error;
};

struct door_writer door_writer_over(void *data, size_t cap);
void door_write_uint(struct door_writer *w, uint64_t v); /* shortest form */
void door_write_bool(struct door_writer *w, bool v);
void door_write_str(struct door_writer *w, const char *s, size_t len);
void door_write_bin(struct door_writer *w, const void *data, size_t len);
void door_write_array(struct door_writer *w, uint32_t count);
void door_write_record(struct door_writer *w, const char *topic, size_t topic_len,
		       const uint8_t *header, size_t header_len, const uint8_t *body,
		       size_t body_len);
void door_write_raw(struct door_writer *w, const void *data, size_t len);

#endif
