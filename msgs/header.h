/*
 * The header that every event carries, and where its fields lie on the wire.
 *
 * On the wire it is a msgpack array of 13 values in the order of the struct. Every integer but the
 * version is written as uint64 (0xcf and 8 bytes, big endian) whatever its value, and the sender is
 * a str8, so that the broker can write its fields in place without knowing msgpack. It never holds
 * anything about what the event means: that is the topic and the body.
 */
#ifndef LOPS_MSGS_HEADER_H
#define LOPS_MSGS_HEADER_H

#include <stddef.h>
#include <stdint.h>

#define MSG_VERSION    1
#define MSG_SENDER_MAX 31  /* bytes, without the NUL */
#define MSG_HEADER_MAX 160 /* bytes on the wire */
#define MSG_TOPIC_MAX  128 /* bytes */
#define MSG_FRAME_MAX  (256 * 1024)
#define MSG_DEPTH_MAX  16
#define MSG_NODES_MAX  4096

/* Fixed places of what the broker writes over. uid is the last 9 bytes of the header. */
#define MSG_AT_EPOCH  2
#define MSG_AT_SEQ    11
#define MSG_AT_PREV   20
#define MSG_AT_DPREV  29
#define MSG_AT_CAUSE  38
#define MSG_AT_SENDER 47

struct msg_header {
	uint32_t version; /* MSG_VERSION */
	uint64_t epoch;   /* of the journal; written by the broker */
	uint64_t seq;     /* place in the journal, from 1; 0 for an ephemeral event */
	uint64_t prev;    /* seq of the previous event of the same topic, 0: none */
	uint64_t dprev;   /* same of the same deployment, 0: none retained */
	uint64_t cause;   /* seq of the event that led here; 0: a root. On the way to
			     the broker, MSG_CAUSE_OWN | number names one's own event
			     that is not acknowledged yet */
	char sender[MSG_SENDER_MAX + 1]; /* actor's name */
	uint64_t incarnation;            /* of the sender; greater than any before */
	uint64_t number;                 /* of the event within the incarnation, from 1 */
	uint64_t did;                    /* derived id, 0: none; the broker drops a second one */
	uint64_t time_ns;                /* wall clock, for people */
	uint64_t mono_ns;                /* CLOCK_BOOTTIME */
	uint64_t uid;                    /* who caused a root; MSG_UID_NONE: nobody */
};

#define MSG_CAUSE_OWN (UINT64_C(1) << 63)
#define MSG_UID_NONE  UINT64_MAX

/* Returns the bytes written (<= MSG_HEADER_MAX); out must have room for MSG_HEADER_MAX. */
size_t msg_header_encode(const struct msg_header *h, uint8_t *out);

/* The bytes that only this event's header has, as they lie in it: sender, incarnation, number.
 * Returns how many; out must have room for MSG_ID_BYTES_MAX. */
#define MSG_ID_BYTES_MAX (2 + MSG_SENDER_MAX + 18)
size_t msg_header_id(const char *sender, uint64_t incarnation, uint64_t number, uint8_t *out);

/* 0, or -EBADMSG when it is not exactly a header, -EPROTONOSUPPORT for a newer version. */
int msg_header_decode(const uint8_t *data, size_t len, struct msg_header *ret_h);

/* Writes a fixed-width integer over the one at AT; no check. */
void msg_header_patch(uint8_t *header, size_t at, uint64_t value);
uint64_t msg_header_peek(const uint8_t *header, size_t at);

/* A derived id from parts of a fact (FNV-1a, 64 bit); never 0. */
uint64_t msg_did(const char *kind, const char *text, uint64_t a, uint64_t b);

#endif
