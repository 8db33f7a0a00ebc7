/*
 * lops doctor: what this kernel offers and what the set stands on. It changes nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "cli/lops.h"
#include "lib/config/folders.h"
#include "lib/tree/cgroups.h"

static int rows;

static void say(const char *name, const char *value, const char *remark)
{
	if (fail_as_json) {
		fputs(rows++ ? ",{\"name\":" : "{\"name\":", stdout);
		msg_json_string(name, strlen(name), stdout);
		fputs(",\"value\":", stdout);
		msg_json_string(value, strlen(value), stdout);
		fputs(",\"remark\":", stdout);
		msg_json_string(remark, strlen(remark), stdout);
		fputs("}", stdout);
	} else {
		printf("%-18s ", name);
		out_text(stdout, value);
		printf("%s%s\n", *remark ? "  " : "", remark);
	}
}

/* Whether the limits of a whole tree are kept, by which hierarchy, and why not. */
static void cgroups(void)
{
	static struct cgroups g;
	char value[CGROUP_PATH + 24];

	cgroups_look(&g, NULL);
	for (int l = 0; l < CGROUP_LIMITS; l++) {
		const struct cgroup_base *b = &g.limits[l];

		if (b->version)
			snprintf(value, sizeof value, "cgroup v%d, %s", b->version, b->folder);
		else
			snprintf(value, sizeof value, "not enforced");
		say(cgroup_limit_key((enum cgroup_limit)l), value, g.why_not[l]);
	}
}

static void kernel(void)
{
	struct utsname u;
	long fd = syscall(SYS_pidfd_open, getpid(), 0);
	/* Of linux/pidfd.h: what PIDFD_GET_INFO fills in, asked for the exit. */
	struct {
		uint64_t mask, cgroup;
		uint32_t ids[11];
		int32_t exit_code;
	} info = {.mask = 8};
	bool tells_exits;

	if (uname(&u) == 0)
		say("kernel", u.release, "");
	tells_exits = fd >= 0 && ioctl((int)fd, _IOWR(0xFF, 11, info), &info) == 0;
	say("pidfd", fd >= 0 ? "yes" : "no", fd >= 0 ? "" : "needed: Linux 5.3");
	if (fd >= 0)
		close((int)fd);
	say("exit of orphans", tells_exits ? "yes" : "no",
	    tells_exits ? "" : "degraded: an exit seen by neither parent has an unknown status");
	say("close_range", syscall(SYS_close_range, ~0U, ~0U, 0) == 0 ? "yes" : "no", "");
	cgroups();
}

static void limits(void)
{
	struct rlimit r;
	char text[64];
	FILE *f = fopen("/proc/sys/fs/pipe-user-pages-soft", "re");

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		snprintf(text, sizeof text, "%llu of %llu", (unsigned long long)r.rlim_cur,
			 (unsigned long long)r.rlim_max);
		say("open files", text, r.rlim_max < 8192 ? "five are needed a deployment" : "");
	}
	if (!f)
		return;
	if (fgets(text, sizeof text, f)) {
		text[strcspn(text, "\n")] = 0;
		say("pipe pages", text, "");
	}
	fclose(f);
}

static void folder(const char *name, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		say(name, path, strerror(errno));
	else if (st.st_uid != geteuid())
		say(name, path, "belongs to another user");
	else
		say(name, path, st.st_mode & 022 ? "others may write to it" : "");
}

static void say_leftover(const char *pid, uint64_t instance)
{
	char text[64];

	snprintf(text, sizeof text, "pid %.12s, instance %llu", pid, (unsigned long long)instance);
	say("left over", text,
	    "started by lops, but not run by this set: left over, or of another set");
}

static void set_state(void)
{
	static struct leftovers known;
	struct api_call call;
	bool as_json = fail_as_json;
	int err;
	char text[40];

	link_new_call(&call, "list");
	fail_as_json = false;
	err = link_call(&call, leftovers_note, &known);
	fail_as_json = as_json;
	snprintf(text, sizeof text, "%u programs run", known.n);
	say("set", err ? "not reachable" : text, err ? "start it with: lops-launch up" : "");
	/* Without the set nothing is known to be right. */
	if (!err)
		leftovers_each(&known, say_leftover);
}

static int run(const struct options *o)
{
	char path[FOLDER_MAX];

	if (o->n_words)
		return fail(EXIT_USAGE, "doctor takes no argument");
	if (fail_as_json)
		fputs("{\"schema_version\":1,\"rows\":[", stdout);
	kernel();
	limits();
	folder_run(path, sizeof path);
	folder("run folder", path);
	folder_state(path, sizeof path);
	folder("state folder", path);
	set_state();
	if (fail_as_json)
		puts("]}");
	return finish_output(EXIT_DONE);
}

static const struct option_row options[] = {OPTION_JSON, OPTION_END};
const struct verb verb_doctor = {
	.name = "doctor",
	.arguments = "",
	.help = "What this kernel offers and what the set stands on",
	.options = options,
	.run = run,
};
