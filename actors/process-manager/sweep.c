/*
 * What is left of a deployment's tree after its main process ended: whoever is in its session or
 * carries its LOPS_INSTANCE. One walk over /proc serves all that are being swept; signals go
 * through pidfds, to the process that was looked at and no other.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "actors/process-manager/shell.h"
#include "lib/policy/sweep_rule.h"

enum { GATHER_MS = 2, AGAIN_MS = 30, LEFT_MAX = 64, ENVIRON_MAX = 256 * 1024 };

struct leftovers {
	int64_t pids[LEFT_MAX];
	uint32_t n;
	bool main_is_it;
};

/* The instance that the process's environment names, 0: none. */
static uint64_t instance_of(int64_t pid)
{
	static char text[ENVIRON_MAX + 1];
	static const char key[] = "LOPS_INSTANCE=";
	char path[40], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%lld/environ", (long long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, ENVIRON_MAX);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	for (at = text; at < text + n; at += strlen(at) + 1)
		if (strncmp(at, key, sizeof key - 1) == 0)
			return strtoull(at + sizeof key - 1, NULL, 10);
	return 0;
}

static void send_signal(int64_t pid, int signo, const struct proc_stat *seen)
{
	struct proc_stat now;
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);

	if (fd < 0)
		return;
	if (proc_stat(pid, &now) == 1 && now.start_ticks == seen->start_ticks)
		syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
	close(fd);
}

static bool is_the_main(const struct deployment *d)
{
	struct proc_stat f;

	return d->pid != MSG_NONE && proc_stat(d->pid, &f) == 1 && f.start_ticks == d->start_ticks;
}

static void note_left(struct leftovers *left, int64_t pid)
{
	for (uint32_t i = 0; i < left->n; i++)
		if (left->pids[i] == pid)
			return;
	if (left->n < LEFT_MAX)
		left->pids[left->n++] = pid;
}

static void look_at(struct shell *s, int64_t pid, struct leftovers *left)
{
	struct proc_stat f;
	uint64_t instance;

	if (proc_stat(pid, &f) != 1 || f.state == 'Z' || f.state == 'X')
		return;
	instance = instance_of(pid);
	for (uint32_t i = 0; i < s->n_sweeping; i++) {
		struct deployment *d = s->sweeping[i];

		if (!sweep_rule(&(struct sweep_facts){.pid = pid,
						      .session = f.session,
						      .instance = instance,
						      .main_pid = d->pid,
						      .main_is_it = left[i].main_is_it,
						      .main_instance = d->instance}))
			continue;
		note_left(&left[i], pid);
		if (s->sweep_signal[i])
			send_signal(pid, s->sweep_signal[i], &f);
		if (s->sweep_signal[i] && s->sweep_signal[i] != 9)
			send_signal(pid, 18, &f);
	}
}

/* Whoever is in its control groups is its own, whatever it calls itself. */
static void look_at_members(struct shell *s, const struct deployment *d, int signo,
			    struct leftovers *left)
{
	int64_t pids[LEFT_MAX];
	uint32_t n = limits_members(s, d, pids, LEFT_MAX);

	for (uint32_t i = 0; i < n; i++) {
		struct proc_stat f;

		if ((pids[i] == d->pid && left->main_is_it) || proc_stat(pids[i], &f) != 1 ||
		    f.state == 'Z' || f.state == 'X')
			continue;
		note_left(left, pids[i]);
		if (signo)
			send_signal(pids[i], signo, &f);
	}
}

void sweep_run(struct actor *a, struct actor_timer *t)
{
	struct shell *s = shell_of(a);
	struct leftovers *left = calloc(s->n_sweeping + 1, sizeof *left);
	uint32_t n = s->n_sweeping;
	struct deployment **swept = calloc(n + 1, sizeof(struct deployment *));
	DIR *proc = opendir("/proc");

	(void)t;
	if (!left || !swept)
		abort();
	for (uint32_t i = 0; i < n; i++) {
		left[i].main_is_it = is_the_main(s->sweeping[i]);
		if (s->sweep_signal[i] == 9)
			limits_kill(s, s->sweeping[i]);
	}
	for (struct dirent *e; proc && (e = readdir(proc));)
		if (isdigit((unsigned char)e->d_name[0]))
			look_at(s, strtoll(e->d_name, NULL, 10), left);
	if (proc)
		closedir(proc);
	for (uint32_t i = 0; i < n; i++)
		look_at_members(s, s->sweeping[i], s->sweep_signal[i], &left[i]);
	memcpy(swept, s->sweeping, n * sizeof(struct deployment *));
	s->n_sweeping = 0;
	for (uint32_t i = 0; i < n; i++)
		if (swept[i]->sweep_wanted) {
			struct deployment *d = swept[i];
			bool signalled = s->sweep_signal[i] != 0;

			life_swept(a, d, left[i].pids, left[i].n);
			/* Somebody is left: looked for again until the stop's own timer takes over.
			 */
			if (left[i].n && !d->sweep_wanted && d->status == PROCESS_STOPPING &&
			    !signalled)
				sweep_ask(a, d, 0);
		}
	free(left);
	free(swept);
	if (s->n_sweeping)
		actor_timer_set(a, &s->sweep, actor_now_ms(a) + AGAIN_MS);
}

void sweep_ask(struct actor *a, struct deployment *d, int signo)
{
	struct shell *s = shell_of(a);

	d->sweep_wanted = true;
	for (uint32_t i = 0; i < s->n_sweeping; i++)
		if (s->sweeping[i] == d) {
			s->sweep_signal[i] = signo ? signo : s->sweep_signal[i];
			return;
		}
	if (s->n_sweeping < TREE_SLOTS) {
		s->sweeping[s->n_sweeping] = d;
		s->sweep_signal[s->n_sweeping++] = signo;
	}
	s->sweep.fn = sweep_run;
	if (!s->sweep.due_ms)
		actor_timer_set(a, &s->sweep, actor_now_ms(a) + GATHER_MS);
}
