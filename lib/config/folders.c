/*
 * The rules for run and state folder; see the header. lops-launch follows the same.
 */
#include "lib/config/folders.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

void folder_state(char *ret_path, size_t size)
{
	const char *given = variable("LOPS_STATE_DIR"), *xdg = variable("XDG_STATE_HOME"),
		   *home = variable("HOME");

	if (given)
		snprintf(ret_path, size, "%s", given);
	else if (geteuid() == 0)
		snprintf(ret_path, size, "/var/lib/lops");
	else if (xdg)
		snprintf(ret_path, size, "%s/lops", xdg);
	else
		snprintf(ret_path, size, "%s/.local/state/lops", home ? home : "");
}

/* What the set that uses this state folder has recorded. */
static int recorded(char *ret_path, size_t size)
{
	char path[FOLDER_MAX + 16], state[FOLDER_MAX];
	ssize_t n;
	int fd;

	folder_state(state, sizeof state);
	snprintf(path, sizeof path, "%s/run-dir", state);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	n = read(fd, ret_path, size - 1);
	close(fd);
	if (n <= 0)
		return 0;
	ret_path[n] = 0;
	ret_path[strcspn(ret_path, "\n")] = 0;
	return ret_path[0] == '/';
}

void folder_run(char *ret_path, size_t size)
{
	const char *given = variable("LOPS_RUN_DIR"), *xdg = variable("XDG_RUNTIME_DIR");

	if (given)
		snprintf(ret_path, size, "%s", given);
	else if (recorded(ret_path, size))
		return;
	else if (geteuid() == 0)
		snprintf(ret_path, size, "/run/lops");
	else if (xdg)
		snprintf(ret_path, size, "%s/lops", xdg);
	else
		snprintf(ret_path, size, "/tmp/lops-%u", (unsigned)geteuid());
}
