/*
 * What libzmq meets when it accepts a connection. It aborts when no descriptor is left, so it is
 * never given one of the last: who comes then is accepted and closed, and may come again. The
 * symbol of an executable precedes that of libc for the libraries it is linked with.
 *
 * Works on descriptors only; called from libzmq's own thread.
 */
#include "broker/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* For the journal, its checks, /proc/locks, lops-init and a rest. */
enum { KEPT_FREE = 16 };

static int spare = -1;
static _Atomic uint64_t turned_away;

void accept_prepare(void)
{
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

uint64_t accept_turned_away(void)
{
	return atomic_load(&turned_away);
}

static int highest_for_peers(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur > INT32_MAX)
		return INT32_MAX;
	return (int)files.rlim_cur - KEPT_FREE;
}

/* As if the peer had gone by itself: libzmq goes on then. */
static int turn_away(int fd)
{
	if (fd >= 0)
		close(fd);
	atomic_fetch_add(&turned_away, 1);
	errno = ECONNABORTED;
	return -1;
}

static int accept_real(int listening, void *address, socklen_t *len, int flags)
{
	return (int)syscall(SYS_accept4, listening, address, len, flags);
}

/* By its name in the object only: glibc declares it with a union for the address. */
int accept_within_limit(int listening, void *address, socklen_t *len, int flags) __asm__("accept4");

int accept_within_limit(int listening, void *address, socklen_t *len, int flags)
{
	int fd = accept_real(listening, address, len, flags);

	if (fd >= highest_for_peers())
		return turn_away(fd);
	if (fd >= 0 || errno != EMFILE)
		return fd;
	/* Others took what was kept free: the spare one lets the peer in for as long as it takes to
	 * close, so that the queue does not stay full. */
	close(spare);
	fd = accept_real(listening, address, len, flags);
	turn_away(fd);
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	errno = ECONNABORTED;
	return -1;
}
