/*
 * The helper thread that brings turns without a command to the disk within 20 ms. A sync that
 * failed is never repeated: the next commit ends the broker.
 */
#include "broker/journal_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { SYNC_EVERY_MS = 20 };

static void *sync_now_and_then(void *arg)
{
	struct journal *j = arg;

	pthread_mutex_lock(&j->mutex);
	while (!j->ending) {
		if (!j->unsynced) {
			pthread_cond_wait(&j->wake, &j->mutex);
			continue;
		}
		j->unsynced = false;
		pthread_mutex_unlock(&j->mutex);
		nanosleep(&(struct timespec){.tv_nsec = SYNC_EVERY_MS * 1000000L}, NULL);
		if (fdatasync(j->wal) < 0)
			atomic_store(&j->sync_failed, true);
		pthread_mutex_lock(&j->mutex);
	}
	pthread_mutex_unlock(&j->mutex);
	return NULL;
}

int journal_sync_soon(struct journal *j)
{
	if (!j->has_syncer && pthread_create(&j->syncer, NULL, sync_now_and_then, j) != 0)
		return fdatasync(j->wal) < 0 ? -EIO : 0;
	j->has_syncer = true;
	pthread_mutex_lock(&j->mutex);
	if (!j->unsynced) {
		j->unsynced = true;
		pthread_cond_signal(&j->wake);
	}
	pthread_mutex_unlock(&j->mutex);
	return 0;
}

void journal_sync_end(struct journal *j)
{
	if (!j->has_syncer)
		return;
	pthread_mutex_lock(&j->mutex);
	j->ending = true;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->mutex);
	pthread_join(j->syncer, NULL);
}

int journal_open_wal(struct journal *j)
{
	char path[PATH_MAX + 16];

	if (j->wal >= 0)
		return 0;
	snprintf(path, sizeof path, "%s/journal.db-wal", j->dir);
	j->wal = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return j->wal < 0 ? -errno : 0;
}
