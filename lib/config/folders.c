/*
 * The rules for run and state folder; see the header. lops-launch follows the same.
 */
#include "lib/config/folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_system;

void folder_use_system(void)
{
	is_system = true;
}

bool folder_is_system(void)
{
	return is_system;
}

static bool is_roots(void)
{
	return is_system || geteuid() == 0;
}

static const char *variable(const char *name)
{
	const char *value = is_system ? NULL : getenv(name);

	return value && *value ? value : NULL;
}

/* XDG: what is not absolute is to be ignored. */
static const char *xdg_variable(const char *name)
{
	const char *value = variable(name);

	return value && value[0] == '/' ? value : NULL;
}

static void absolute(const char *given, char *ret_path, size_t size)
{
	char here[FOLDER_MAX];

	if (given[0] == '/' || !getcwd(here, sizeof here))
		snprintf(ret_path, size, "%s", given);
	else
		snprintf(ret_path, size, "%s/%s", here, given);
}

void folder_state(char *ret_path, size_t size)
{
	const char *given = variable("LOPS_STATE_DIR"), *xdg = xdg_variable("XDG_STATE_HOME"),
		   *home = variable("HOME");

	if (given)
		absolute(given, ret_path, size);
	else if (is_roots())
		snprintf(ret_path, size, "/var/lib/lops");
	else if (xdg)
		snprintf(ret_path, size, "%s/lops", xdg);
	else if (home)
		snprintf(ret_path, size, "%s/.local/state/lops", home);
	else
		ret_path[0] = 0;
}

/* --- what is to be believed --- */

static bool is_theirs_alone(const struct stat *st, mode_t kind, uid_t owner)
{
	return (st->st_mode & S_IFMT) == kind && !(st->st_mode & 022) && st->st_uid == owner;
}

/* What the set that uses this state folder has recorded. */
static bool recorded(char *ret_path, size_t size)
{
	char state[FOLDER_MAX];
	uid_t owner = is_system ? 0 : geteuid();
	struct stat st;
	ssize_t n = -1;
	int dir, fd = -1;

	folder_state(state, sizeof state);
	dir = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir >= 0 && fstat(dir, &st) == 0 && is_theirs_alone(&st, S_IFDIR, owner))
		fd = openat(dir, "run-dir", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && is_theirs_alone(&st, S_IFREG, owner))
		n = read(fd, ret_path, size - 1);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	if (n <= 0)
		return false;
	ret_path[n] = 0;
	ret_path[strcspn(ret_path, "\n")] = 0;
	return ret_path[0] == '/';
}

/* A set that is gone left its record behind. */
static bool is_in_use(const char *run)
{
	char path[FOLDER_MAX + 16];
	struct stat st;

	snprintf(path, sizeof path, "%s/init.sock", run);
	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

void folder_run(char *ret_path, size_t size)
{
	const char *given = variable("LOPS_RUN_DIR"), *xdg = xdg_variable("XDG_RUNTIME_DIR");

	if (given)
		absolute(given, ret_path, size);
	else if (recorded(ret_path, size) && is_in_use(ret_path))
		return;
	else if (is_roots())
		snprintf(ret_path, size, "/run/lops");
	else if (xdg)
		snprintf(ret_path, size, "%s/lops", xdg);
	else
		snprintf(ret_path, size, "/tmp/lops-%u", (unsigned)geteuid());
}

const char *folder_distrust(const char *run, uid_t *ret_owner)
{
	bool was_named = variable("LOPS_RUN_DIR") != NULL;
	struct stat st;

	if (lstat(run, &st) < 0)
		return errno == EACCES ? "it is closed to you"
				       : NULL; /* connecting says the rest */
	*ret_owner = st.st_uid;
	if (S_ISLNK(st.st_mode))
		return "it is a symbolic link, which is not followed";
	if (!S_ISDIR(st.st_mode))
		return "it is not a folder";
	if (st.st_mode & 022)
		return "others may write to it";
	if (!was_named && st.st_uid != (is_system ? 0 : geteuid()))
		return "it belongs to another user, who may have laid it out for you; "
		       "LOPS_RUN_DIR names it if it is meant";
	return NULL;
}
