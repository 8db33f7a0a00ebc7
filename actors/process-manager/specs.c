/*
 * From a deployment's spec to what lops-init can exec: users and groups looked up, the environment
 * composed, placeholders replaced, the candidates for the program from the PATH that results, all
 * laid out as one block. Nothing can be looked up later than here.
 */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "actors/process-manager/manager.h"
#include "lib/policy/exit_rule.h"

enum {
	BLOCK_MAX = 256 * 1024,
	TEXT_MAX = 192 * 1024,
	STRING_MAX = 131072,
	ENV_MAX = 1024,
	PATHS_MAX = 32
};

struct builder {
	const struct deployment *d;
	const struct deployment_spec *s;
	const struct spec_place *place;
	uint8_t *data;
	uint32_t at;
	size_t text_bytes; /* of argv and environment */
	char *why;
	size_t why_size;
	int status;
	const char *env[ENV_MAX];
	uint32_t n_env;
	char *owned[ENV_MAX + TREE_STRINGS_MAX];
	uint32_t n_owned;
	gid_t groups[TREE_GROUPS_MAX];
};

static void fail(struct builder *b, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void fail(struct builder *b, int status, const char *fmt, ...)
{
	va_list args;

	if (b->status)
		return;
	b->status = status;
	va_start(args, fmt);
	vsnprintf(b->why, b->why_size, fmt, args);
	va_end(args);
}

static struct tree_spec *head(struct builder *b)
{
	return (struct tree_spec *)(void *)b->data;
}

static uint32_t put(struct builder *b, const void *data, size_t len, uint32_t align)
{
	uint32_t at = (b->at + align - 1) / align * align;

	if (at + len > BLOCK_MAX) {
		fail(b, 2, "command and environment are larger than %d KiB", TEXT_MAX / 1024);
		return 0;
	}
	memcpy(b->data + at, data, len);
	b->at = at + (uint32_t)len;
	return at;
}

static uint32_t put_string(struct builder *b, const char *text)
{
	return put(b, text, strlen(text) + 1, 1);
}

static char *own(struct builder *b, char *text)
{
	if (!text || b->n_owned == sizeof b->owned / sizeof *b->owned)
		abort();
	return b->owned[b->n_owned++] = text;
}

/* {{port}} and {{id}} replaced. */
static const char *replaced(struct builder *b, const char *text)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f;

	if (!strstr(text, "{{"))
		return text;
	f = open_memstream(&out, &len);
	if (!f)
		abort();
	while (*text) {
		if (strncmp(text, "{{port}}", 8) == 0) {
			if (b->d->port == MSG_NONE)
				fail(b, 2, "{{port}} is used, but no port was asked for");
			fprintf(f, "%" PRId64, b->d->port);
			text += 8;
		} else if (strncmp(text, "{{id}}", 6) == 0) {
			fputs(b->d->id, f);
			text += 6;
		} else {
			fputc(*text++, f);
		}
	}
	fclose(f);
	return own(b, out);
}

/* --- environment: later settings replace earlier ones --- */

static void set_env(struct builder *b, const char *pair)
{
	const char *eq = strchr(pair, '=');
	size_t key = eq ? (size_t)(eq - pair) + 1 : 0;
	uint32_t i = 0;

	if (!key)
		return;
	while (i < b->n_env && strncmp(b->env[i], pair, key) != 0)
		i++;
	if (i == ENV_MAX) {
		fail(b, 2, "more than %d environment variables", ENV_MAX);
		return;
	}
	b->env[i] = pair;
	if (i == b->n_env)
		b->n_env++;
}

static void set_env_text(struct builder *b, const char *key, const char *value)
{
	char *pair = NULL;

	if (asprintf(&pair, "%s=%s", key, value) < 0)
		abort();
	set_env(b, own(b, pair));
}

static void set_env_all(struct builder *b, const struct msg_strs *list, bool replace)
{
	for (uint32_t i = 0; i < list->count; i++)
		set_env(b, replace ? replaced(b, list->items[i]) : list->items[i]);
}

static const char *env_of(const struct builder *b, const char *key)
{
	size_t len = strlen(key);

	for (uint32_t i = 0; i < b->n_env; i++)
		if (strncmp(b->env[i], key, len) == 0 && b->env[i][len] == '=')
			return b->env[i] + len + 1;
	return NULL;
}

/* --- users --- */

static bool is_number(const char *text, uint32_t *ret_n)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*ret_n = (uint32_t)n;
	return *text >= '0' && *text <= '9' && !*end && n < UINT32_MAX;
}

static uint32_t group_of(struct builder *b, const char *name)
{
	uint32_t n;
	struct group *g;

	if (is_number(name, &n))
		return n;
	g = getgrnam(name);
	if (!g)
		fail(b, 2, "there is no group %s", name);
	return g ? g->gr_gid : UINT32_MAX;
}

static void set_user(struct builder *b)
{
	struct tree_spec *t = head(b);
	uint32_t n;
	struct passwd *p;

	t->uid = t->gid = UINT32_MAX;
	if (b->s->user) {
		p = is_number(b->s->user, &n) ? getpwuid(n) : getpwnam(b->s->user);
		if (!p && !is_number(b->s->user, &n)) {
			fail(b, 2, "there is no user %s", b->s->user);
			return;
		}
		t->uid = p ? p->pw_uid : n;
		t->gid = p ? p->pw_gid : n;
		if (t->uid != geteuid() && geteuid() != 0) {
			fail(b, 9, "only root may run it as %s", b->s->user);
			return;
		}
		if (p) {
			int count = TREE_GROUPS_MAX;

			if (getgrouplist(p->pw_name, p->pw_gid, b->groups, &count) >= 0)
				t->n_groups = (uint32_t)count;
			set_env_text(b, "HOME", p->pw_dir);
			set_env_text(b, "USER", p->pw_name);
			set_env_text(b, "LOGNAME", p->pw_name);
			set_env_text(b, "SHELL", p->pw_shell);
		}
	}
	if (b->s->group)
		t->gid = group_of(b, b->s->group);
	for (uint32_t i = 0; i < b->s->supplementary_groups.count && t->n_groups < TREE_GROUPS_MAX;
	     i++)
		b->groups[t->n_groups++] = group_of(b, b->s->supplementary_groups.items[i]);
	if (t->uid == geteuid() && geteuid() != 0)
		t->uid = t->gid = UINT32_MAX;
}

/* --- limits and streams --- */

static int64_t limit_of(int64_t v, int64_t unit)
{
	return v == MSG_NONE ? TREE_UNSET : v * unit;
}

static void set_limits(struct builder *b)
{
	struct tree_spec *t = head(b);
	const struct limits_record *l = &b->s->limits;

	t->nofile = limit_of(l->nofile, 1);
	t->nproc = limit_of(l->nproc, 1);
	t->core_bytes = limit_of(l->core_bytes, 1);
	t->address_space_bytes = limit_of(l->address_space_mb, 1024 * 1024);
	t->nice = limit_of(l->nice, 1);
	t->oom_score_adj = limit_of(l->oom_score_adj, 1);
	t->umask = b->s->umask == MSG_NONE ? 022 : (int32_t)b->s->umask;
	t->no_new_privs = b->s->no_new_privs;
}

static void set_streams(struct builder *b)
{
	const char *out = b->s->stdout_log, *err = b->s->stderr_log;
	struct tree_spec *t;
	uint32_t out_file = out && out[0] == '/' ? put_string(b, replaced(b, out)) : 0;
	uint32_t err_file = err && err[0] == '/' ? put_string(b, replaced(b, err)) : 0;

	t = head(b);
	t->out = !out ? TREE_CAPTURE : out_file ? TREE_FILE : TREE_NULL;
	t->err = !err                         ? TREE_CAPTURE
		 : err_file                   ? TREE_FILE
		 : strcmp(err, "stdout") == 0 ? TREE_JOIN
					      : TREE_NULL;
	t->out_file = out_file;
	t->err_file = err_file;
}

static void set_folder(struct builder *b)
{
	struct stat st;
	const char *dir = b->s->working_directory;

	if (!dir)
		return;
	dir = replaced(b, dir);
	if (stat(dir, &st) < 0)
		fail(b, 1, "working directory %s: %s", dir, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		fail(b, 1, "working directory %s is not a folder", dir);
	head(b)->folder = put_string(b, dir);
}

/* --- program --- */

static uint32_t put_array(struct builder *b, const uint32_t *items, uint32_t n)
{
	return put(b, items, n * sizeof *items, 8);
}

static void put_text(struct builder *b, uint32_t *items, uint32_t i, const char *text)
{
	size_t len = strlen(text) + 1;

	b->text_bytes += len;
	if (len > STRING_MAX)
		fail(b, 2, "%.40s… is longer than %d bytes", text, STRING_MAX - 1);
	if (b->text_bytes > TEXT_MAX)
		fail(b, 2, "command and environment are larger than %d KiB, at %.40s",
		     TEXT_MAX / 1024, text);
	if (!b->status)
		items[i] = put_string(b, text);
}

static void set_command(struct builder *b)
{
	uint32_t items[TREE_STRINGS_MAX];

	if (b->s->command.count == 0 || b->s->command.count > TREE_STRINGS_MAX) {
		fail(b, 2, "the command has %u words", b->s->command.count);
		return;
	}
	for (uint32_t i = 0; i < b->s->command.count; i++)
		put_text(b, items, i, replaced(b, b->s->command.items[i]));
	head(b)->n_argv = b->s->command.count;
	head(b)->argv = put_array(b, items, b->s->command.count);
}

static void set_paths(struct builder *b)
{
	const char *program = replaced(b, b->s->command.items[0]), *path = env_of(b, "PATH");
	uint32_t items[PATHS_MAX], n = 0;

	if (strchr(program, '/')) {
		items[n++] = put_string(b, program);
	} else {
		const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin";

		while (at && n < PATHS_MAX) {
			const char *colon = strchr(at, ':');
			int len = colon ? (int)(colon - at) : (int)strlen(at);
			char *candidate = NULL;

			/* An empty part means the current folder: never by accident. */
			if (len > 0 && asprintf(&candidate, "%.*s/%s", len, at, program) >= 0)
				items[n++] = put_string(b, own(b, candidate));
			at = colon ? colon + 1 : NULL;
		}
	}
	head(b)->n_paths = n;
	head(b)->paths = put_array(b, items, n);
}

static void set_environment(struct builder *b)
{
	uint32_t items[ENV_MAX];
	char port[24], notify[PATH_MAX];

	set_env_all(b, &b->s->base_environment, false);
	set_user(b);
	set_env_all(b, &b->s->file_environment, false);
	set_env_all(b, &b->s->environment, true);
	if (b->d->port != MSG_NONE) {
		snprintf(port, sizeof port, "%" PRId64, b->d->port);
		set_env_text(b, "PORT", port);
	}
	set_env_text(b, "LOPS_DEPLOYMENT", b->d->id);
	if (b->s->ready && strcmp(b->s->ready, "notify") == 0) {
		snprintf(notify, sizeof notify, "%s/notify.sock", b->place->run_dir);
		set_env_text(b, "NOTIFY_SOCKET", notify);
	}
	for (uint32_t i = 0; i < b->n_env; i++)
		put_text(b, items, i, b->env[i]);
	head(b)->n_envp = b->n_env;
	head(b)->envp = put_array(b, items, b->n_env);
}

static void set_cgroups(struct builder *b)
{
	uint32_t items[TREE_CGROUPS_MAX];

	for (uint32_t i = 0; i < b->place->n_cgroups; i++)
		items[i] = put_string(b, b->place->cgroups[i]);
	head(b)->n_cgroups = b->place->n_cgroups;
	head(b)->cgroups = put_array(b, items, b->place->n_cgroups);
}

int spec_build(const struct deployment *d, const struct spec_place *place,
	       struct spec_block *ret_block, char *ret_why, size_t size)
{
	struct builder *b = calloc(1, sizeof *b);
	int status;

	if (!b || !d->spec)
		abort();
	*b = (struct builder){
		.d = d, .s = d->spec, .place = place, .why = ret_why, .why_size = size};
	b->data = calloc(1, BLOCK_MAX);
	if (!b->data)
		abort();
	b->at = sizeof(struct tree_spec);
	head(b)->magic = TREE_SPEC_MAGIC;
	head(b)->generation = d->generation;
	memcpy(head(b)->deployment, d->id, sizeof d->id);
	set_limits(b);
	set_streams(b);
	set_folder(b);
	set_cgroups(b);
	set_environment(b);
	set_command(b);
	if (!b->status)
		set_paths(b);
	if (!b->status)
		head(b)->groups = put_array(b, b->groups, head(b)->n_groups);
	head(b)->length = (b->at + 7) / 8 * 8;
	for (uint32_t i = 0; i < b->n_owned; i++)
		free(b->owned[i]);
	status = b->status;
	if (status)
		free(b->data);
	else
		*ret_block = (struct spec_block){.data = b->data, .length = head(b)->length};
	free(b);
	return status;
}

/* A program that is there and executable, yet exec says "not found": its interpreter is missing. */
static bool interpreter_is_missing(const struct deployment *d)
{
	const char *program = d->spec && d->spec->command.count ? d->spec->command.items[0] : "";

	return strchr(program, '/') && access(program, X_OK) == 0;
}

void spec_explain(const struct deployment *d, uint32_t stage, int error, char *ret_text,
		  size_t size)
{
	const char *program = d->spec && d->spec->command.count ? d->spec->command.items[0] : "?";

	switch (stage) {
	case TREE_STAGE_EXEC:
		if (error == ENOENT && interpreter_is_missing(d))
			snprintf(ret_text, size,
				 "%s: its interpreter (the first line, or the dynamic loader) is "
				 "not there: %s",
				 program, strerror(error));
		else if (error == ENOENT)
			snprintf(ret_text, size, "%s: command not found: %s", program,
				 strerror(error));
		else if (error == ENOEXEC)
			snprintf(ret_text, size, "%s is not a program: %s", program,
				 strerror(error));
		else
			snprintf(ret_text, size, "%s cannot be executed: %s", program,
				 strerror(error));
		return;
	case TREE_STAGE_FOLDER:
		snprintf(ret_text, size, "working directory %s: %s",
			 d->spec && d->spec->working_directory ? d->spec->working_directory : "?",
			 strerror(error));
		return;
	case TREE_STAGE_USER:
		snprintf(ret_text, size, "cannot become the user %s: %s",
			 d->spec && d->spec->user ? d->spec->user : "?", strerror(error));
		return;
	case TREE_STAGE_CGROUP:
		snprintf(ret_text, size,
			 "the control group that keeps its limits cannot be entered: %s",
			 strerror(error));
		return;
	case TREE_STAGE_LIMITS:
		snprintf(ret_text, size, "a limit cannot be set: %s", strerror(error));
		return;
	case TREE_STAGE_PIPES:
		snprintf(ret_text, size,
			 "no descriptors for its output: %s (raise the limit on open files)",
			 strerror(error));
		return;
	case TREE_STAGE_LOG:
		snprintf(ret_text, size, "its log file cannot be opened: %s", strerror(error));
		return;
	case TREE_STAGE_CLONE:
		snprintf(ret_text, size,
			 "no process can be made: %s (limits on processes or memory)",
			 strerror(error));
		return;
	default:
		snprintf(ret_text, size, "it cannot be started: %s", strerror(error));
	}
}
