/*
 * The floor that the set is compared with: a bare loop of vfork, exec and pidfd, with nothing
 * recorded, captured or published.
 *
 *   floor spawn N    starts N `sleep infinity`, prints the milliseconds until the last has exec'd,
 *                    then kills and reaps them
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static pid_t spawn_sleep(void)
{
	char *const argv[] = {(char[]){"sleep"}, (char[]){"infinity"}, NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		execv("/bin/sleep", argv);
		_exit(127);
	}
	return pid;
}

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int spawn_many(int n)
{
	pid_t *pids = calloc((size_t)n, sizeof *pids);
	int *fds = calloc((size_t)n, sizeof *fds);
	double t0 = now_us();

	for (int i = 0; i < n; i++) {
		pids[i] = spawn_sleep();
		fds[i] = open_pidfd(pids[i]);
		if (pids[i] < 0 || fds[i] < 0) {
			perror("floor: spawn");
			n = i;
			break;
		}
	}
	printf("%.3f\n", (now_us() - t0) / 1e3);
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < n; i++)
		waitpid(pids[i], NULL, 0);
	free(pids);
	free(fds);
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	int n = argc > 2 ? atoi(argv[2]) : 0;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (n > 0 && strcmp(argv[1], "spawn") == 0)
		return spawn_many(n);
	fprintf(stderr, "usage: floor spawn N\n");
	return 2;
}
