/*
 * The program whose start is timed: it says when it runs and which process it is, as its first act,
 * and then does nothing until it is killed.
 *
 *   tick FIFO
 */
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec t;
	uint64_t said[2];
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &t);
	fd = argc == 2 ? open(argv[1], O_WRONLY) : -1;
	said[0] = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	said[1] = (uint64_t)getpid();
	if (fd < 0 || write(fd, said, sizeof said) != sizeof said)
		return 1;
	for (;;)
		pause();
}
