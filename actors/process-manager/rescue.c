/*
 * The third watcher: whether a member of lops-init's pair lives, and, where none does, a new pair
 * on the same table. It never speaks to the pair; tree_port.c does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "actors/process-manager/shell.h"

enum { RESCUE_PATIENCE_MS = 3000 };

static bool member_lives(const struct tree_member *m)
{
	pid_t pid = atomic_load(&m->pid);
	struct proc_stat f;

	return atomic_load(&m->state) != TREE_MEMBER_FREE && pid > 0 && kill(pid, 0) == 0 &&
	       proc_stat(pid, &f) == 1 && f.state != 'Z' && f.state != 'X';
}

bool rescue_pair_lives(const struct shell *s)
{
	for (int k = 0; k < TREE_MEMBERS; k++)
		if (member_lives(&s->table->members[k]))
			return true;
	return false;
}

bool rescue_continue(const struct shell *s)
{
	bool any = false;

	for (int k = 0; k < TREE_MEMBERS; k++)
		if (member_lives(&s->table->members[k])) {
			kill(atomic_load(&s->table->members[k].pid), SIGCONT);
			any = true;
		}
	return any;
}

static void exec_pair(struct shell *s, const char *run_dir, const char *state_dir)
{
	char self[PATH_MAX], init[PATH_MAX + 16], fds[64], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *const argv[] = {(char[]){"lops-init"},
			      (char[]){"--run-dir"},
			      strdup(run_dir),
			      (char[]){"--state-dir"},
			      strdup(state_dir),
			      (char[]){"--libexec"},
			      self,
			      (char[]){"--adopt"},
			      fds,
			      NULL};
	sigset_t none;

	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		_exit(1);
	*slash = 0;
	snprintf(init, sizeof init, "%s/lops-init", self);
	/* Above the places that lops-init uses itself; exec keeps them. */
	for (int i = 0; i < 5; i++)
		s->fds[i] = fcntl(s->fds[i], F_DUPFD, 20);
	snprintf(fds, sizeof fds, "%d,%d,%d,%d,%d", s->fds[0], s->fds[1], s->fds[2], s->fds[3],
		 s->fds[4]);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(init, argv);
	_exit(1);
}

void rescue_pair(struct actor *a)
{
	struct shell *s = shell_of(a);
	pid_t pid;

	/* Alive but not answering: it may be stopped. */
	if (rescue_continue(s))
		return;
	if (atomic_load(&s->table->stop) || actor_now_ms(a) < s->rescued_ms + RESCUE_PATIENCE_MS)
		return;
	s->rescued_ms = actor_now_ms(a);
	actor_log(a, ACTOR_ERROR,
		  "both members of lops-init are gone; making a new pair on the same table");
	pid = fork();
	if (pid == 0) {
		if (fork() == 0)
			exec_pair(s, actor_run_dir(a), actor_state_dir(a));
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}
