/*
 * Control groups by what the kernel says of them; see the header.
 */
#include "lib/policy/cgroup_rule.h"

#include <string.h>

enum { PERIOD_US = 100000, FIELDS = 16, LINE_MAX = 2 * CGROUP_PATH };

struct words {
	char text[LINE_MAX];
	char *at[FIELDS];
	size_t n;
};

/* One line cut at the separator, \040 and its like of mountinfo taken back. */
static bool cut(const char *line, size_t len, char separator, size_t fields, struct words *w)
{
	char *out = w->text;

	w->n = 0;
	if (len >= sizeof w->text)
		return false;
	w->at[w->n++] = out;
	for (size_t i = 0; i < len; i++) {
		if (line[i] == separator && w->n < fields) {
			*out++ = 0;
			w->at[w->n++] = out;
		} else if (line[i] == '\\' && len - i > 3 && line[i + 1] >= '0' &&
			   line[i + 1] <= '3') {
			*out++ = (char)((line[i + 1] - '0') * 64 + (line[i + 2] - '0') * 8 +
					(line[i + 3] - '0'));
			i += 3;
		} else {
			*out++ = line[i];
		}
	}
	*out = 0;
	return true;
}

static bool list_has(const char *list, const char *word, const char *separators)
{
	size_t len = strlen(word);

	while (*list) {
		size_t n = strcspn(list, separators);

		if (n == len && memcmp(list, word, len) == 0)
			return true;
		list += n;
		list += strspn(list, separators);
	}
	return false;
}

bool cgroup_list_has(const char *list, const char *word)
{
	return list_has(list, word, " \n");
}

static bool join(char out[CGROUP_PATH], const char *folder, const char *path)
{
	size_t n = strlen(folder), more = strcmp(path, "/") == 0 ? 0 : strlen(path);

	if (n + more >= CGROUP_PATH)
		return false;
	memcpy(out, folder, n);
	memcpy(out + n, path, more);
	out[n + more] = 0;
	return true;
}

/* The path of our own group within what is mounted of the hierarchy; one that lies outside of it,
 * or above our namespace, is not reachable: its top is taken. */
static const char *within(const char *root, const char *path)
{
	size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, "/..", 3) == 0 || strncmp(path, root, n) != 0)
		return "/";
	path += n;
	return *path == '/' ? path : "/";
}

static void place(struct cgroup_place *p, int version, const char *root, const char *mounted,
		  const char *path)
{
	if (p->version) /* mounted twice: the first is as good */
		return;
	if (join(p->own, mounted, within(root, path)) && join(p->top, mounted, "/"))
		p->version = version;
}

/* Our path in the hierarchy: by a controller of it, or "" for version 2. */
static bool own_path(const char *self, const char *controller, struct words *w)
{
	for (const char *line = self; *line;) {
		size_t len = strcspn(line, "\n");

		if (cut(line, len, ':', 3, w) && w->n == 3 && w->at[2][0] == '/' &&
		    (*controller ? list_has(w->at[1], controller, ",") : !w->at[1][0]))
			return true;
		line += len + (line[len] == '\n');
	}
	return false;
}

/* ID PARENT DEV ROOT MOUNT OPTIONS [TAGS…] - TYPE SOURCE SUPER_OPTIONS */
static void take_mount(struct words *w, const char *self, struct cgroup_places *p)
{
	struct words path;
	size_t dash = 6;

	while (dash < w->n && strcmp(w->at[dash], "-") != 0)
		dash++;
	if (dash + 3 >= w->n)
		return;
	if (strcmp(w->at[dash + 1], "cgroup2") == 0 && own_path(self, "", &path))
		place(&p->v2, 2, w->at[3], w->at[4], path.at[2]);
	if (strcmp(w->at[dash + 1], "cgroup") != 0)
		return;
	for (int l = 0; l < CGROUP_LIMITS; l++)
		if (list_has(w->at[dash + 3], cgroup_controller((enum cgroup_limit)l), ",") &&
		    own_path(self, cgroup_controller((enum cgroup_limit)l), &path))
			place(&p->v1[l], 1, w->at[3], w->at[4], path.at[2]);
}

void cgroup_places(const char *mountinfo, const char *self, struct cgroup_places *ret_p)
{
	struct words w;

	memset(ret_p, 0, sizeof *ret_p);
	for (const char *line = mountinfo; *line;) {
		size_t len = strcspn(line, "\n");

		if (cut(line, len, ' ', FIELDS, &w) && w.n >= 10)
			take_mount(&w, self, ret_p);
		line += len + (line[len] == '\n');
	}
}

const char *cgroup_limit_key(enum cgroup_limit l)
{
	static const char *const keys[] = {"memory_max_mb", "cpu_percent", "pids_max"};

	return keys[l];
}

const char *cgroup_controller(enum cgroup_limit l)
{
	static const char *const names[] = {"memory", "cpu", "pids"};

	return names[l];
}

const char *cgroup_limit_file(enum cgroup_limit l, int version)
{
	static const char *const v1[] = {"memory.limit_in_bytes", "cpu.cfs_quota_us", "pids.max"};
	static const char *const v2[] = {"memory.max", "cpu.max", "pids.max"};

	return version == 1 ? v1[l] : v2[l];
}

static size_t put_number(char *out, uint64_t n)
{
	char digits[24];
	size_t at = sizeof digits, len;

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	len = sizeof digits - at;
	memcpy(out, digits + at, len);
	out[len] = 0;
	return len;
}

void cgroup_limit_value(enum cgroup_limit l, int version, int64_t value,
			char ret_text[CGROUP_VALUE])
{
	uint64_t n = value < 0 ? 0 : (uint64_t)value;
	size_t len;

	if (l == CGROUP_MEMORY)
		n = n > INT64_MAX >> 20 ? INT64_MAX : n << 20;
	else if (l == CGROUP_CPU)
		n = n * (PERIOD_US / 100);
	len = put_number(ret_text, n);
	if (l == CGROUP_CPU && version == 2) {
		ret_text[len++] = ' ';
		put_number(ret_text + len, PERIOD_US);
	}
}

void cgroup_name(const char *id, uint64_t instance, char ret_name[CGROUP_NAME])
{
	size_t n = strnlen(id, CGROUP_NAME - 26);

	memcpy(ret_name, id, n);
	ret_name[n++] = '@';
	put_number(ret_name + n, instance);
}

uint64_t cgroup_name_instance(const char *name)
{
	const char *at = strrchr(name, '@');
	uint64_t n = 0;

	if (!at || at == name || !at[1] || strlen(at) > 21)
		return 0;
	for (at++; *at; at++) {
		if (*at < '0' || *at > '9' || n > (UINT64_MAX - 9) / 10)
			return 0;
		n = n * 10 + (uint64_t)(*at - '0');
	}
	return n;
}

uint64_t cgroup_oom_kills(const char *text)
{
	static const char key[] = "oom_kill ";
	uint64_t n = 0;

	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, key, sizeof key - 1) == 0)
			for (const char *c = line + sizeof key - 1;
			     *c >= '0' && *c <= '9' && n < UINT64_MAX / 10 - 9; c++)
				n = n * 10 + (uint64_t)(*c - '0');
		line += len + (line[len] == '\n');
	}
	return n;
}
