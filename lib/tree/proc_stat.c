/*
 * /proc/PID/stat; see the header.
 */
#include "lib/tree/proc_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failed(int error)
{
	return error == ENOENT || error == ESRCH ? 0 : -error;
}

int proc_stat(int64_t pid, struct proc_stat *ret_p)
{
	char path[40], text[1024], *at;
	ssize_t n;
	int fd, error;

	snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(errno);
	n = read(fd, text, sizeof text - 1);
	error = errno;
	close(fd);
	if (n <= 0)
		return failed(n < 0 ? error : EIO);
	text[n] = 0;
	at = strrchr(text, ')'); /* the name before it may hold anything */
	if (!at || at[1] != ' ' || !at[2])
		return -EBADMSG;
	ret_p->state = at[2];
	at += 3;
	for (int field = 4; field <= 22; field++) {
		long long v = strtoll(at, &at, 10);

		if (field == 4)
			ret_p->ppid = v;
		else if (field == 6)
			ret_p->session = v;
		else if (field == 22)
			ret_p->start_ticks = (uint64_t)v;
	}
	return 1;
}
