/*
 * The guardian: waits, records exits of what it is the parent of, and makes a new worker when there
 * is none. It owns no descriptor and speaks to nobody.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include "actors/init/pair.h"

static void never_called(int slot)
{
	(void)slot;
}

enum pair_next guardian_run(void)
{
	prctl(PR_SET_NAME, "lops-guardian");
	for (;;) {
		long tick_ns = (long)pair.table->tick_ms * 1000000;
		struct timespec wait = {.tv_sec = tick_ns / 1000000000,
					.tv_nsec = tick_ns % 1000000000};
		siginfo_t si = {0};
		int signo = sigtimedwait(&pair.signals, &si, &wait), lower = watch_lower_pid();
		bool died;

		/* What is meant for lops-init, sent to either member. */
		if ((signo == SIGHUP || signo == SIGUSR1 || signo == SIGTERM || signo == SIGINT) &&
		    lower)
			kill(lower, signo);
		if (atomic_load(&pair.table->stop))
			return PAIR_EXIT;
		died = reap_all(false, never_called);
		watch_tick();
		watch_upper();
		if (died)
			atomic_fetch_add(&pair.table->n_takeovers, 1);
		if (watch_lower_pid() == 0) {
			sweep_descriptors();
			if (watch_fork_worker() == 1)
				return PAIR_WORK;
		}
	}
}
