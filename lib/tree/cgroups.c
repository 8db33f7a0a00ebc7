/*
 * Control groups of deployments; see the header.
 */
#include "lib/tree/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { TEXT = 64 * 1024 };

/* --- files --- */

static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = 0;

	text[0] = 0;
	if (fd < 0)
		return false;
	while (used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = 0;
	return n >= 0;
}

static int write_file(const char *path, const char *text)
{
	int err = 0, fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static bool read_of(const char *folder, const char *file, char *text, size_t size)
{
	char path[CGROUPS_PATH];

	snprintf(path, sizeof path, "%s/%s", folder, file);
	return read_file(path, text, size);
}

static int write_of(const char *folder, const char *file, const char *text)
{
	char path[CGROUPS_PATH];

	snprintf(path, sizeof path, "%s/%s", folder, file);
	return write_file(path, text);
}

/* --- looking --- */

/* Folders can be made in it, and processes moved to and fro below it. Sets errno. */
static bool is_writable(const char *folder)
{
	char path[CGROUPS_PATH];

	snprintf(path, sizeof path, "%s/cgroup.procs", folder);
	return access(folder, W_OK) == 0 && access(path, W_OK) == 0;
}

static bool is_handed_over(const char *folder)
{
	static const char *const marks[] = {"trusted.delegate", "user.delegate"};
	char value[8];

	for (int i = 0; i < 2; i++)
		if (getxattr(folder, marks[i], value, sizeof value) == 1 && value[0] == '1')
			return true;
	return false;
}

/* Version 2 hands controllers on from a group that has no process of its own, or from the real top,
 * which has no cgroup.type. */
static bool hands_on(const char *folder, enum cgroup_limit l, char *why, size_t size)
{
	const char *name = cgroup_controller(l);
	char text[4096];

	if (!is_writable(folder)) {
		snprintf(why, size, "%.100s: %s", folder, strerror(errno));
		return false;
	}
	read_of(folder, "cgroup.controllers", text, sizeof text);
	if (!cgroup_list_has(text, name)) {
		snprintf(why, size, "this machine offers no %s controller at %.90s", name, folder);
		return false;
	}
	read_of(folder, "cgroup.subtree_control", text, sizeof text);
	if (cgroup_list_has(text, name) || !read_of(folder, "cgroup.type", text, sizeof text))
		return true;
	if (!read_of(folder, "cgroup.procs", text, sizeof text) || text[0]) {
		snprintf(why, size, "%.100s has processes of its own", folder);
		return false;
	}
	return true;
}

/* Our own group; the one above it, where that was handed over; the top. */
static bool look_v2(struct cgroups *g, const struct cgroup_place *p, enum cgroup_limit l)
{
	char above[CGROUP_PATH], *slash;
	const char *candidates[3];
	size_t n = 0;

	candidates[n++] = p->own;
	snprintf(above, sizeof above, "%s", p->own);
	slash = strrchr(above, '/');
	if (slash && strlen(p->own) > strlen(p->top)) {
		*slash = 0;
		if (geteuid() != 0 || is_handed_over(above))
			candidates[n++] = above;
	}
	candidates[n++] = p->top;
	for (size_t i = 0; i < n; i++)
		if (hands_on(candidates[i], l, g->why_not[l], sizeof g->why_not[l])) {
			g->limits[l].version = 2;
			snprintf(g->limits[l].folder, sizeof g->limits[l].folder, "%s",
				 candidates[i]);
			return true;
		}
	return false;
}

static bool look_v1(struct cgroups *g, const struct cgroup_place *p, enum cgroup_limit l)
{
	const char *const candidates[] = {p->own, p->top};

	for (size_t i = 0; i < 2; i++)
		if (is_writable(candidates[i])) {
			g->limits[l].version = 1;
			snprintf(g->limits[l].folder, sizeof g->limits[l].folder, "%s",
				 candidates[i]);
			return true;
		}
	snprintf(g->why_not[l], sizeof g->why_not[l], "%.100s: %s", p->own, strerror(errno));
	return false;
}

static void look_for(struct cgroups *g, const struct cgroup_places *p, enum cgroup_limit l)
{
	snprintf(g->why_not[l], sizeof g->why_not[l], "this machine offers no %s controller",
		 cgroup_controller(l));
	if (p->v1[l].version ? look_v1(g, &p->v1[l], l) : p->v2.version && look_v2(g, &p->v2, l))
		g->why_not[l][0] = 0;
}

static void look_for_kill(struct cgroups *g, const struct cgroup_places *p)
{
	const char *const candidates[] = {p->v2.own, p->v2.top};

	for (int l = 0; l < CGROUP_LIMITS; l++)
		if (g->limits[l].version == 2) {
			g->kill = g->limits[l];
			return;
		}
	for (size_t i = 0; p->v2.version && i < 2; i++)
		if (is_writable(candidates[i])) {
			g->kill.version = 2;
			snprintf(g->kill.folder, sizeof g->kill.folder, "%s", candidates[i]);
			return;
		}
}

/* Two sets on one machine must not meet: FNV-1a of the run folder's path. */
static void name_set(struct cgroups *g, const char *run_dir)
{
	char real[PATH_MAX];
	uint64_t hash = UINT64_C(14695981039346656037);

	for (const char *c = realpath(run_dir, real) ? real : run_dir; *c; c++)
		hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
	snprintf(g->set, sizeof g->set, "lops-%016llx", (unsigned long long)hash);
}

void cgroups_look(struct cgroups *ret_g, const char *run_dir)
{
	struct cgroup_places *p = malloc(sizeof *p);
	char *mounts = malloc(TEXT), *self = malloc(TEXT);

	if (!p || !mounts || !self)
		abort();
	memset(ret_g, 0, sizeof *ret_g);
	read_file("/proc/self/mountinfo", mounts, TEXT);
	read_file("/proc/self/cgroup", self, TEXT);
	cgroup_places(mounts, self, p);
	for (int l = 0; l < CGROUP_LIMITS; l++)
		look_for(ret_g, p, (enum cgroup_limit)l);
	look_for_kill(ret_g, p);
	if (run_dir)
		name_set(ret_g, run_dir);
	free(p);
	free(mounts);
	free(self);
}

/* --- making --- */

static void folder_of(const struct cgroups *g, const struct cgroup_base *b, const char *name,
		      char ret_path[CGROUPS_PATH])
{
	snprintf(ret_path, CGROUPS_PATH, "%s/%s%s%s", b->folder, g->set, name ? "/" : "",
		 name ? name : "");
}

static int make_folder(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int hand_on(const char *folder, const char *controller)
{
	char text[64], have[4096];

	read_of(folder, "cgroup.subtree_control", have, sizeof have);
	if (cgroup_list_has(have, controller))
		return 0;
	snprintf(text, sizeof text, "+%s", controller);
	return write_of(folder, "cgroup.subtree_control", text);
}

/* controller NULL: a group of version 2 that only has to be there. */
static int make_at(const struct cgroups *g, const struct cgroup_base *b, const char *name,
		   const char *controller, char ret_path[CGROUPS_PATH])
{
	char set[CGROUPS_PATH];
	int err;

	folder_of(g, b, NULL, set);
	folder_of(g, b, name, ret_path);
	if (b->version == 2 && controller && (err = hand_on(b->folder, controller)) < 0)
		return err;
	if ((err = make_folder(set)) < 0)
		return err;
	if (b->version == 2 && controller && (err = hand_on(set, controller)) < 0)
		return err;
	return make_folder(ret_path);
}

static void add_path(char paths[CGROUPS_EACH][CGROUPS_PATH], unsigned *n, const char *folder)
{
	char path[CGROUPS_PATH];

	if (snprintf(path, sizeof path, "%s/cgroup.procs", folder) >= (int)sizeof path)
		return;
	for (unsigned i = 0; i < *n; i++)
		if (strcmp(paths[i], path) == 0)
			return;
	memcpy(paths[(*n)++], path, sizeof path);
}

static int make_limit(const struct cgroups *g, const char *name, enum cgroup_limit l, int64_t value,
		      char ret_folder[CGROUPS_PATH])
{
	const struct cgroup_base *b = &g->limits[l];
	char text[CGROUP_VALUE];
	int err = make_at(g, b, name, cgroup_controller(l), ret_folder);

	if (err < 0)
		return err;
	cgroup_limit_value(l, b->version, value, text);
	return write_of(ret_folder, cgroup_limit_file(l, b->version), text);
}

static void say_why_not(char *why, size_t size, enum cgroup_limit l, const char *reason)
{
	size_t used = strlen(why);

	snprintf(why + used, size - used, "%s%s is not enforced: %s", used ? "; " : "",
		 cgroup_limit_key(l), reason);
}

void cgroups_make(const struct cgroups *g, const char *name, const int64_t limits[CGROUP_LIMITS],
		  char ret_paths[CGROUPS_EACH][CGROUPS_PATH], unsigned *ret_n, char *ret_why,
		  size_t size)
{
	char folder[CGROUPS_PATH], reason[CGROUPS_PATH + 80];

	*ret_n = 0;
	ret_why[0] = 0;
	for (int i = 0; i < CGROUP_LIMITS; i++) {
		enum cgroup_limit l = (enum cgroup_limit)i;
		int err;

		if (limits[l] == INT64_MIN)
			continue;
		if (!g->limits[l].version) {
			say_why_not(ret_why, size, l, g->why_not[l]);
			continue;
		}
		err = make_limit(g, name, l, limits[l], folder);
		if (err == 0) {
			add_path(ret_paths, ret_n, folder);
			continue;
		}
		snprintf(reason, sizeof reason, "%s: %s", g->limits[l].folder, strerror(-err));
		say_why_not(ret_why, size, l, reason);
	}
	if (!*ret_n)
		cgroups_remove(g, name); /* made, and then not to be written */
	if (*ret_n && g->kill.version && make_at(g, &g->kill, name, NULL, folder) == 0)
		add_path(ret_paths, ret_n, folder);
}

/* --- what is there --- */

/* Every base once: several controllers may lie in one hierarchy. */
static unsigned bases(const struct cgroups *g, const struct cgroup_base *ret_b[CGROUPS_EACH])
{
	unsigned n = 0;

	for (int l = 0; l <= CGROUP_LIMITS; l++) {
		const struct cgroup_base *b = l < CGROUP_LIMITS ? &g->limits[l] : &g->kill;
		bool seen = !b->version;

		for (unsigned i = 0; i < n && !seen; i++)
			seen = strcmp(ret_b[i]->folder, b->folder) == 0;
		if (!seen)
			ret_b[n++] = b;
	}
	return n;
}

void cgroups_remove(const struct cgroups *g, const char *name)
{
	const struct cgroup_base *b[CGROUPS_EACH];
	char path[CGROUPS_PATH];
	unsigned n = bases(g, b);

	for (unsigned i = 0; i < n; i++) {
		folder_of(g, b[i], name, path);
		rmdir(path);
		folder_of(g, b[i], NULL, path);
		rmdir(path);
	}
}

void cgroups_each(const struct cgroups *g, void (*fn)(void *arg, const char *name), void *arg)
{
	const struct cgroup_base *b[CGROUPS_EACH];
	char path[CGROUPS_PATH];
	unsigned n = bases(g, b);

	for (unsigned i = 0; i < n; i++) {
		DIR *dir;

		folder_of(g, b[i], NULL, path);
		dir = opendir(path);
		for (struct dirent *e; dir && (e = readdir(dir));)
			if (e->d_type == DT_DIR && e->d_name[0] != '.')
				fn(arg, e->d_name);
		if (dir)
			closedir(dir);
	}
}

unsigned cgroups_members(const struct cgroups *g, const char *name, int64_t *ret_pids, unsigned max)
{
	const struct cgroup_base *b[CGROUPS_EACH];
	unsigned n_bases = bases(g, b), n = 0;
	char path[CGROUPS_PATH];

	for (unsigned i = 0; i < n_bases && n == 0; i++) {
		FILE *f;
		long long pid;

		folder_of(g, b[i], name, path);
		strncat(path, "/cgroup.procs", sizeof path - strlen(path) - 1);
		f = fopen(path, "re");
		while (f && n < max && fscanf(f, "%lld", &pid) == 1)
			ret_pids[n++] = pid;
		if (f)
			fclose(f);
	}
	return n;
}

void cgroups_kill(const struct cgroups *g, const char *name)
{
	char path[CGROUPS_PATH];

	if (!g->kill.version)
		return;
	folder_of(g, &g->kill, name, path);
	write_of(path, "cgroup.kill", "1");
}

uint64_t cgroups_oom_kills(const struct cgroups *g, const char *name)
{
	const struct cgroup_base *b = &g->limits[CGROUP_MEMORY];
	char path[CGROUPS_PATH], text[1024];

	if (!b->version)
		return 0;
	folder_of(g, b, name, path);
	read_of(path, b->version == 1 ? "memory.oom_control" : "memory.events", text, sizeof text);
	return cgroup_oom_kills(text);
}
