/*
 * Messages over a SEQPACKET socket; see the header.
 */
#include "lib/tree/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int tree_connect(const char *run_dir)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int len = snprintf(a.sun_path, sizeof a.sun_path, "%s/init.sock", run_dir), fd, err;

	if (len < 0 || (size_t)len >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static size_t length_of(const struct tree_message *m)
{
	size_t each = m->op == TREE_STATUS ? sizeof *m->actors : sizeof *m->items;

	return TREE_MESSAGE_HEAD + m->count * each;
}

int tree_send_fds(int fd, const struct tree_message *m, const int *fds, int n_fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(TREE_FDS_MAX * sizeof(int))];
	} control = {0};
	union {
		const void *in;
		void *out;
	} base = {.in = m};
	struct iovec part = {.iov_base = base.out, .iov_len = length_of(m)};
	struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};

	if (n_fds > 0) {
		h.msg_control = control.room;
		h.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, (size_t)n_fds * sizeof(int));
	}
	return sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int tree_send(int fd, const struct tree_message *m)
{
	return tree_send_fds(fd, m, NULL, 0);
}

static void take_fds(struct msghdr *h, int *fds, int room, int *ret_n)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (int i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + (size_t)i * sizeof fd, sizeof fd);
			if (*ret_n < room)
				fds[(*ret_n)++] = fd;
			else
				close(fd);
		}
	}
}

int tree_receive(int fd, struct tree_message *ret_m, int *ret_fds, int *ret_n_fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(TREE_FDS_MAX * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = ret_m, .iov_len = sizeof *ret_m};
	struct msghdr h = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof control};
	int room = ret_n_fds ? *ret_n_fds : 0, n = 0;
	ssize_t got = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return -errno;
	take_fds(&h, ret_fds, room, &n);
	if (ret_n_fds)
		*ret_n_fds = n;
	if (got == 0)
		return 0;
	if (got < TREE_MESSAGE_HEAD || (h.msg_flags & MSG_TRUNC) || ret_m->count > TREE_BATCH ||
	    (ret_m->op == TREE_STATUS && ret_m->count > TREE_ACTORS) ||
	    (size_t)got != length_of(ret_m))
		return -EBADMSG;
	ret_m->text[TREE_NAME_BYTES - 1] = 0;
	return 1;
}

int tree_wait(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) > 0;
}
