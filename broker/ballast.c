/*
 * The reserve on the journal's disk; see the header.
 */
#include "broker/ballast.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { BALLAST_BYTES = 4 * 1024 * 1024 };

static void path_of(const char *state_dir, char *path, size_t size)
{
	snprintf(path, size, "%s/ballast", state_dir);
}

bool ballast_give_up(const char *state_dir)
{
	char path[PATH_MAX];
	struct stat st;

	path_of(state_dir, path, sizeof path);
	return lstat(path, &st) == 0 && unlink(path) == 0;
}

bool ballast_take(const char *state_dir)
{
	char path[PATH_MAX];
	struct statvfs fs;
	struct stat st;
	int fd, err;

	path_of(state_dir, path, sizeof path);
	if (lstat(path, &st) == 0 && st.st_size == BALLAST_BYTES)
		return true;
	/* Not the last room there is: what is taken must not be given up at the next turn. */
	if (statvfs(state_dir, &fs) < 0 || fs.f_bavail * fs.f_frsize < 2 * BALLAST_BYTES)
		return false;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	err = posix_fallocate(fd, 0, BALLAST_BYTES);
	close(fd);
	if (err)
		unlink(path);
	return err == 0;
}
