/*
 * Whether a port can be bound, and who holds it. A port with outgoing or TIME_WAIT sockets only can
 * be bound; SO_REUSEADDR makes the probe see it so.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "actors/process-manager/shell.h"

static bool can_bind(int family, const struct sockaddr *at, socklen_t size)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	bool ok;

	if (fd < 0)
		return true; /* no such family here: nothing can be in the way */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	ok = bind(fd, at, size) == 0 && listen(fd, 1) == 0;
	close(fd);
	return ok;
}

bool port_occupied(struct actor *a, int port)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	int probe;

	(void)a;
	if (!can_bind(AF_INET, (struct sockaddr *)&four, sizeof four))
		return true;
	probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return false;
	close(probe);
	return !can_bind(AF_INET6, (struct sockaddr *)&six, sizeof six);
}

/* The inode of a listening socket on the port, 0: none. */
static unsigned long listening_inode(const char *table, int port)
{
	FILE *f = fopen(table, "re");
	char line[512];
	unsigned long found = 0;

	while (f && !found && fgets(line, sizeof line, f)) {
		unsigned local, state;
		unsigned long inode;

		if (sscanf(line,
			   " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u "
			   "%*u %lu",
			   &local, &state, &inode) == 3 &&
		    local == (unsigned)port && state == 0x0a)
			found = inode;
	}
	if (f)
		fclose(f);
	return found;
}

static bool has_socket(const char *pid, unsigned long inode)
{
	char path[300], target[64], wanted[64];
	bool found = false;
	DIR *fds;

	snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	fds = opendir(path);
	for (struct dirent *e; fds && !found && (e = readdir(fds));) {
		ssize_t n = readlinkat(dirfd(fds), e->d_name, target, sizeof target - 1);

		if (n > 0) {
			target[n] = 0;
			found = strcmp(target, wanted) == 0;
		}
	}
	if (fds)
		closedir(fds);
	return found;
}

static void name_of(const char *pid, char *name, size_t size)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(name, (int)size, f))
		snprintf(name, size, "?");
	if (f)
		fclose(f);
	name[strcspn(name, "\n")] = 0;
	for (char *c = name; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

void port_holder(struct actor *a, int port, char *ret_text, size_t size)
{
	unsigned long inode = listening_inode("/proc/net/tcp", port);
	DIR *proc;
	bool found = false;
	char name[64];

	(void)a;
	if (!inode)
		inode = listening_inode("/proc/net/tcp6", port);
	snprintf(ret_text, size, "%s",
		 inode ? "a process of another user" : "somebody who is gone by now");
	proc = inode ? opendir("/proc") : NULL;
	for (struct dirent *e; proc && !found && (e = readdir(proc));) {
		if (!isdigit((unsigned char)e->d_name[0]) || !has_socket(e->d_name, inode))
			continue;
		found = true;
		name_of(e->d_name, name, sizeof name);
		snprintf(ret_text, size, "%s (pid %.12s)", name, e->d_name);
	}
	if (proc)
		closedir(proc);
}
