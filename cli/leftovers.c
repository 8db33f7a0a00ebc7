/*
 * Processes that carry an instance's mark which the set does not run: left over from a set that is
 * gone, or escaped from a stop. It looks into /proc and changes nothing.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/lops.h"

enum { ENVIRON_BYTES = 64 * 1024 };

/* The instance that the process's environment names, 0: none, or not to be seen. */
static uint64_t instance_of(const char *pid)
{
	static const char key[] = "LOPS_INSTANCE=";
	static char text[ENVIRON_BYTES + 1];
	char path[300];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%s/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, ENVIRON_BYTES);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	for (const char *at = text; at < text + n; at += strlen(at) + 1)
		if (strncmp(at, key, sizeof key - 1) == 0)
			return strtoull(at + sizeof key - 1, NULL, 10);
	return 0;
}

static bool is_known(const struct leftovers *known, uint64_t instance)
{
	for (uint32_t i = 0; i < known->n; i++)
		if (known->instances[i] == instance)
			return true;
	return false;
}

void leftovers_note(void *arg, const struct api_answer *part)
{
	struct leftovers *known = arg;

	for (uint32_t i = 0; i < part->processes.count && known->n < LEFTOVERS_MAX; i++)
		if (part->processes.items[i].pid != MSG_NONE)
			known->instances[known->n++] = part->processes.items[i].instance;
}

void leftovers_each(const struct leftovers *known, void (*fn)(const char *pid, uint64_t instance))
{
	DIR *proc = opendir("/proc");

	for (struct dirent *e; proc && (e = readdir(proc));) {
		uint64_t instance =
			isdigit((unsigned char)e->d_name[0]) ? instance_of(e->d_name) : 0;

		if (instance && !is_known(known, instance))
			fn(e->d_name, instance);
	}
	if (proc)
		closedir(proc);
}
