/*
 * One request over the API door: sent, sent again with the same id when the connection is lost, and
 * answered within its time or not at all.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "cli/lops.h"
#include "lib/config/folders.h"

double link_patience_seconds = 30;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void link_new_call(struct api_call *call, const char *verb)
{
	static char id[33];
	uint8_t bytes[16];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		abort();
	for (int i = 0; i < 16; i++) {
		id[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		id[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	msg_body_init(&REC_api_call, call);
	call->request = id;
	call->verb = verb;
}

/* Whoever listens must be the folder's owner, or root. */
static bool is_owned_by(int fd, uid_t owner)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == owner || peer.uid == 0);
}

/* A connection, or -errno; -EKEYREJECTED: what is there is not to be believed, with why. */
static int reach(const char **ret_why)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char run[FOLDER_MAX];
	uid_t owner = (uid_t)-1;
	int fd, err;

	folder_run(run, sizeof run);
	if (strlen(run) + sizeof "/api.sock" > sizeof at.sun_path)
		return -ENAMETOOLONG;
	*ret_why = folder_distrust(run, &owner);
	if (*ret_why)
		return -EKEYREJECTED;
	memcpy(at.sun_path, run, strlen(run));
	memcpy(at.sun_path + strlen(run), "/api.sock", sizeof "/api.sock");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (struct sockaddr *)&at, sizeof at) < 0 ? -errno : 0;
	if (!err && !is_owned_by(fd, owner)) {
		*ret_why = "another user than its owner answers in it";
		err = -EKEYREJECTED;
	}
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int unreachable(int err, const char *why)
{
	char run[FOLDER_MAX];

	folder_run(run, sizeof run);
	if (err == -EKEYREJECTED)
		return fail(EXIT_NOT_PERMITTED, "the run folder %s is not used: %s", run, why);
	if (err == -EACCES || err == -EPERM)
		return fail(EXIT_NOT_PERMITTED,
			    "the set in %s belongs to another user and is not open to you", run);
	return fail(EXIT_UNREACHABLE, "no set answers in %s (%s); start it with: lops-launch %sup",
		    run, strerror(-err), folder_is_system() ? "--system " : "");
}

/* What came and was not looked at yet: one read takes many frames. */
static struct {
	uint8_t data[API_HEAD_BYTES + API_FRAME_MAX];
	size_t at, len;
} inbox;

/* Until so many bytes are there, within the time: 0, -ETIMEDOUT, -EPIPE. */
static int fill_to(int fd, size_t want, double deadline)
{
	if (inbox.len - inbox.at >= want)
		return 0;
	memmove(inbox.data, inbox.data + inbox.at, inbox.len - inbox.at);
	inbox.len -= inbox.at;
	inbox.at = 0;
	while (inbox.len < want) {
		ssize_t n = recv(fd, inbox.data + inbox.len, sizeof inbox.data - inbox.len,
				 MSG_DONTWAIT);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		double left;

		if (n > 0) {
			inbox.len += (size_t)n;
			continue;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return -EPIPE;
		left = deadline - now_s();
		if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) == 0)
			return -ETIMEDOUT;
	}
	return 0;
}

/* The next frame's body, borrowed until the next call. */
static int next_frame(int fd, double deadline, const uint8_t **ret_body, size_t *ret_len)
{
	int err = fill_to(fd, API_HEAD_BYTES, deadline);

	if (err)
		return err;
	*ret_len = api_frame_length(inbox.data + inbox.at);
	if (*ret_len > API_FRAME_MAX)
		return -EPROTO;
	err = fill_to(fd, API_HEAD_BYTES + *ret_len, deadline);
	*ret_body = inbox.data + inbox.at + API_HEAD_BYTES;
	inbox.at += err ? 0 : API_HEAD_BYTES + *ret_len;
	return err;
}

static int send_call(int fd, const struct api_call *call)
{
	struct codec_buffer b = {0};
	int err = api_frame_append(&REC_api_call, call, &b);
	size_t at = 0;

	while (!err && at < b.len) {
		ssize_t n = send(fd, b.data + at, b.len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			err = -EPIPE;
		at += n > 0 ? (size_t)n : 0;
	}
	codec_buffer_done(&b);
	return err;
}

struct receipt {
	int status;
	uint64_t parts; /* handed on already */
	bool is_handed_on;
	char message[1024];
};

static void say_notes(const struct api_answer *answer)
{
	for (uint32_t i = 0; i < answer->notes.count; i++) {
		out_text(stderr, answer->notes.items[i]);
		fputc('\n', stderr);
	}
	for (uint32_t i = 0; answer->outcomes.count > 1 && i < answer->outcomes.count; i++) {
		fprintf(stderr, "lops: %s: ", answer->outcomes.items[i].deployment_id);
		out_text(stderr, answer->outcomes.items[i].message
					 ? answer->outcomes.items[i].message
					 : "failed");
		fputc('\n', stderr);
	}
	if (answer->as_of > 0)
		fputs("lops: the bus is away; what is shown may be old\n", stderr);
}

/* Of a part that a lost connection brought twice, the second is passed over. */
static void take(struct receipt *r, const struct api_answer *answer, link_part_fn *part, void *arg)
{
	r->status = (int)answer->status;
	snprintf(r->message, sizeof r->message, "%s", answer->message ? answer->message : "");
	if (answer->part < r->parts)
		return;
	r->parts = answer->part + 1;
	say_notes(answer);
	r->is_handed_on = part && answer->status && answer->processes.count;
	if (part && (answer->status == 0 || r->is_handed_on))
		part(arg, answer);
}

static int receive(int fd, double deadline, struct receipt *ret_r, link_part_fn *part, void *arg)
{
	static struct codec_arena arena;
	struct api_answer answer = {.more = true};

	inbox.at = inbox.len = 0;
	while (answer.more) {
		const uint8_t *body;
		size_t len;
		int err = next_frame(fd, deadline, &body, &len);

		codec_arena_reset(&arena);
		if (!err && msg_body_decode(&REC_api_answer, body, len, &arena, &answer, NULL) < 0)
			err = -EPROTO;
		if (err)
			return err;
		take(ret_r, &answer, part, arg);
	}
	return 0;
}

static int tell(const struct receipt *r)
{
	if (r->is_handed_on)
		return r->status;
	if (r->status)
		return fail(r->status, "%s", r->message[0] ? r->message : "it failed");
	return 0;
}

int link_call(struct api_call *call, link_part_fn *part, void *arg)
{
	double deadline = now_s() + link_patience_seconds;
	struct receipt r = {0};
	const char *why;
	int fd = reach(&why), err;

	if (fd == -ENOENT || fd == -EACCES || fd == -ENAMETOOLONG || fd == -EKEYREJECTED)
		return unreachable(fd, why);
	for (;;) {
		err = fd < 0 ? fd : send_call(fd, call);
		if (err == -EINVAL || err == -EMSGSIZE)
			return fail(EXIT_USAGE, "the request is not UTF-8, or larger than 256 KiB");
		err = err ? err : receive(fd, deadline, &r, part, arg);
		if (fd >= 0)
			close(fd);
		if (!err)
			return tell(&r);
		if (err == -ETIMEDOUT)
			return fail(EXIT_TIMED_OUT, "no answer within %g s; the outcome is open",
				    link_patience_seconds);
		if (err == -EPROTO)
			return fail(EXIT_FAILED, "the set's answer is not understood");
		if (now_s() > deadline || (!call->again && fd < 0 && err == -ECONNREFUSED &&
					   now_s() > deadline - link_patience_seconds + 2))
			return unreachable(err, why);
		/* The coordinator is being replaced. */
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
		call->again = call->again || fd >= 0;
		fd = reach(&why);
	}
}

void call_targets(struct api_call *call, const struct options *o)
{
	call->targets = (struct msg_strs){.items = o->words, .count = (uint32_t)o->n_words};
	call->all = option_given(o, "all");
	if (!call->all && o->n_words == 0)
		exit(fail(EXIT_USAGE, "name a deployment, or use --all"));
}
