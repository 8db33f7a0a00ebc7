/*
 * A program under lops-init: tree_child INSTANCE FILE. It says in FILE that it ran, with what
 * status it will end, lives a while and ends so.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "tests/tree/oracle.h"

int main(int argc, char **argv)
{
	uint64_t instance = argc > 2 ? strtoull(argv[1], NULL, 10) : 0,
		 us = oracle_life_us(instance);
	int fd = argc > 2 ? open(argv[2], O_WRONLY | O_APPEND) : -1,
	    status = oracle_status(instance);
	char line[96];
	int len = snprintf(line, sizeof line, "%llu %d %d\n", (unsigned long long)instance,
			   (int)getpid(), status);

	if (fd < 0 || write(fd, line, (size_t)len) != len)
		return 111;
	nanosleep(&(struct timespec){.tv_sec = (time_t)(us / 1000000),
				     .tv_nsec = (long)(us % 1000000 * 1000)},
		  NULL);
	if (status & 0x7f) {
		kill(getpid(), status & 0x7f);
		pause();
	}
	_exit(status >> 8);
}
