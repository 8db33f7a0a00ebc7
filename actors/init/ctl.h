/*
 * Client modes of lops-init, for scripts: they ask the one that runs and leave no process behind.
 */
#ifndef LOPS_INIT_CTL_H
#define LOPS_INIT_CTL_H

/* Exit status: 0 done, 1 failed, 5 nobody there, 6 something still runs, 7 timed out. */
int ctl_run(const char *verb, const char *run_dir, int timeout_s, int force);

#endif
