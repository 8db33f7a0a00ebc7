/*
 * A program that waits at a gate and then ends as it is told: ender exit|signal NUMBER GATE. The
 * gate is a FIFO whose opening for writing lets all go on.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int number = argc == 4 ? atoi(argv[2]) : 0;

	if (argc != 4 || open(argv[3], O_RDONLY) < 0)
		return 111;
	if (strcmp(argv[1], "signal") == 0) {
		signal(number, SIG_DFL);
		kill(getpid(), number);
		for (;;)
			pause();
	}
	_exit(number);
}
