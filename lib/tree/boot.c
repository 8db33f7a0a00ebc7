/*
 * The boot's id; see the header.
 */
#include "lib/tree/boot.h"

#include <fcntl.h>
#include <unistd.h>

void boot_read_id(char ret_id[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_id, 36);

	ret_id[n == 36 ? 36 : 0] = 0;
	if (fd >= 0)
		close(fd);
}
