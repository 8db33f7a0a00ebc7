/*
 * The notify protocol (sd_notify): READY=1 and STATUS= from a deployment's processes. The kernel
 * names the sender; its session tells the deployment.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "actors/process-manager/shell.h"

enum { MESSAGE_MAX = 4096, SHARE = 64 };

struct by_pid {
	int64_t pid, session;
	struct deployment *found;
};

static void match(void *arg, struct deployment *d)
{
	struct by_pid *q = arg;

	if (d->pid != MSG_NONE && (d->pid == q->pid || d->pid == q->session))
		q->found = d;
}

static struct deployment *sender(struct actor *a, int64_t pid)
{
	struct by_pid q = {.pid = pid, .session = -1};
	struct proc_stat f;

	if (proc_stat(pid, &f) == 1)
		q.session = f.session;
	deployment_each(manager_of(a), match, &q);
	return q.found;
}

static void take_line(struct actor *a, struct deployment *d, const char *line, size_t len)
{
	if (len == 7 && memcmp(line, "READY=1", 7) == 0) {
		life_ready(a, d);
	} else if (len > 7 && memcmp(line, "STATUS=", 7) == 0) {
		char text[STATUS_TEXT_BYTES];
		size_t n = len - 7 < sizeof text - 1 ? len - 7 : sizeof text - 1;

		memcpy(text, line + 7, n);
		text[n] = 0;
		for (char *c = text; *c; c++)
			if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
				*c = '?';
		deployment_text(&d->status_text, text, sizeof text);
		if (d->status == PROCESS_RUNNING || d->status == PROCESS_STARTING)
			life_changed(a, d, "status_text");
	}
}

static void take(struct actor *a, int64_t pid, const char *text, size_t len)
{
	struct deployment *d = sender(a, pid);

	while (d && len) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) : len;

		take_line(a, d, text, line);
		text += line + (end != NULL);
		len -= line + (end != NULL);
	}
}

static void close_sent_fds(struct cmsghdr *c)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
		close(fd);
	}
}

void notify_read(struct actor *a, int fd, uint32_t events, void *arg)
{
	(void)events;
	(void)arg;
	for (int i = 0; i < SHARE; i++) {
		char text[MESSAGE_MAX];
		union {
			struct cmsghdr head;
			char room[256];
		} control;
		struct iovec part = {.iov_base = text, .iov_len = sizeof text};
		struct msghdr h = {.msg_iov = &part,
				   .msg_iovlen = 1,
				   .msg_control = control.room,
				   .msg_controllen = sizeof control};
		ssize_t n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		int64_t pid = 0;

		if (n < 0)
			return;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
				struct ucred cred;

				memcpy(&cred, CMSG_DATA(c), sizeof cred);
				pid = cred.pid;
			} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
				close_sent_fds(c);
			}
		}
		if (pid > 0 && n > 0 && !(h.msg_flags & MSG_TRUNC))
			take(a, pid, text, (size_t)n);
	}
}
