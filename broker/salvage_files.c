/*
 * The files of a salvage: copies, drafts, and who takes whose place. Each step may be the last one
 * before a kill. See broker/salvage.h.
 */
#include "broker/salvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void path_in(const char *dir, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", dir, name);
}

static bool is_there(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	path_in(dir, name, path);
	return lstat(path, &st) == 0;
}

static int move(const char *dir, const char *from, const char *to)
{
	char a[PATH_MAX], b[PATH_MAX];

	path_in(dir, from, a);
	path_in(dir, to, b);
	return rename(a, b) < 0 && errno != ENOENT ? -errno : 0;
}

static int sync_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

void salvage_clear(const char *state_dir)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct dirent *e;
	DIR *d;

	path_in(state_dir, SALVAGE_DIR, dir);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		path_in(dir, e->d_name, path);
		if (e->d_name[0] != '.')
			unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

int salvage_folder(const char *state_dir)
{
	char dir[PATH_MAX];

	salvage_clear(state_dir);
	path_in(state_dir, SALVAGE_DIR, dir);
	return mkdir(dir, 0700) < 0 ? -errno : 0;
}

static int copy_bytes(int from, int to)
{
	static char buffer[1 << 16];
	ssize_t n;

	while ((n = read(from, buffer, sizeof buffer)) > 0)
		for (ssize_t done = 0, w; done < n; done += w) {
			w = write(to, buffer + done, (size_t)(n - done));
			if (w < 0)
				return -errno;
		}
	return n < 0 ? -errno : 0;
}

/* One that is not there is copied as an empty one. */
static int copy_file(const char *state_dir, const char *from, const char *to)
{
	char a[PATH_MAX], b[PATH_MAX];
	int in, out, err = 0;

	path_in(state_dir, from, a);
	path_in(state_dir, to, b);
	in = open(a, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in < 0 && errno != ENOENT)
		return -errno;
	out = open(b, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0)
		err = -errno;
	if (!err && in >= 0)
		err = copy_bytes(in, out);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return err;
}

int salvage_copy(const char *state_dir)
{
	int err = copy_file(state_dir, "journal.db", SALVAGE_DIR "/broken.db");

	return err ? err : copy_file(state_dir, "journal.db-wal", SALVAGE_DIR "/broken.db-wal");
}

int salvage_lend_first_page(const char *state_dir)
{
	char from[PATH_MAX], to[PATH_MAX];
	unsigned char page[4096];
	int in, out;
	bool ok;

	path_in(state_dir, SALVAGE_DIR "/journal.db", from);
	path_in(state_dir, SALVAGE_DIR "/broken.db", to);
	in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	out = open(to, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	ok = in >= 0 && out >= 0 && pread(in, page, sizeof page, 0) == sizeof page;
	if (ok) {
		/* The change counter differs from its copy: then the number of pages is what the
		 * file's size says. */
		page[24] = (unsigned char)(page[92] + 1);
		ok = pwrite(out, page, sizeof page, 0) == sizeof page;
	}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return ok ? 0 : -EIO;
}

static unsigned free_number(const char *state_dir)
{
	char name[64];
	unsigned n = 0;

	do
		snprintf(name, sizeof name, "journal.db.corrupt-%u", ++n);
	while (is_there(state_dir, name));
	return n;
}

/* The log first, the database last: as long as that is in its place, the number is the same. */
static int set_aside(const char *state_dir, unsigned n)
{
	static const char *const suffixes[] = {"-shm", "-wal", ""};
	char from[32], to[64];
	int err = 0;

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes && !err; i++) {
		snprintf(from, sizeof from, "journal.db%s", suffixes[i]);
		snprintf(to, sizeof to, "journal.db.corrupt-%u%s", n, suffixes[i]);
		err = move(state_dir, from, to);
	}
	return err;
}

int salvage_done(const char *state_dir)
{
	int err = move(state_dir, SALVAGE_DIR "/journal.db", "journal.db.new");
	char path[PATH_MAX];

	err = err ? err : sync_folder(state_dir);
	path_in(state_dir, "journal.damaged", path);
	if (!err && unlink(path) < 0 && errno != ENOENT)
		err = -errno;
	return err;
}

/* It is of the journal that goes. */
static int remove_mark(const char *state_dir)
{
	char path[PATH_MAX];

	path_in(state_dir, JOURNAL_MARK, path);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int salvage_finish(const char *state_dir, const char *saved, char *ret_said, size_t size)
{
	unsigned n = free_number(state_dir);
	int err;

	if (!is_there(state_dir, "journal.db.new"))
		return 0;
	err = remove_mark(state_dir);
	err = err ? err : set_aside(state_dir, n);
	err = err ? err : move(state_dir, "journal.db.new", "journal.db");
	err = err ? err : sync_folder(state_dir);
	if (ret_said)
		snprintf(ret_said, size,
			 "the journal was damaged; it is kept as journal.db.corrupt-%u; %s", n,
			 saved);
	return err;
}

int salvage_order(const char *state_dir)
{
	char path[PATH_MAX];
	int fd;

	path_in(state_dir, "journal.damaged", path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

bool salvage_is_ordered(const char *state_dir)
{
	return is_there(state_dir, "journal.damaged");
}
