/*
 * Who may do what: the peer's user and groups against the set's owner and the two groups of the
 * configuration, for whom the run folder and the API door are opened. No other socket is.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "actors/coordinator/coordinator.h"

/* --- the groups --- */

static gid_t group_named(struct coordinator *c, const char *key)
{
	const char *name = values_text(c, "security", key, NULL);
	struct group *g;
	char *end;
	unsigned long number;

	if (!name[0])
		return GROUP_NONE;
	g = getgrnam(name);
	if (g)
		return g->gr_gid;
	number = strtoul(name, &end, 10);
	if (!*end && number < GROUP_NONE)
		return (gid_t)number;
	snprintf(c->access_trouble, sizeof c->access_trouble,
		 "security.%s: there is no group %.60s; nobody is let in by it", key, name);
	return GROUP_NONE;
}

/* --- letting them in --- */

/* A second group needs an access list: linux/posix_acl_xattr.h, little endian. */
static int set_second_group(int fd, const char *path, mode_t mode, gid_t group)
{
	struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} rows[5];
	} list = {.version = 2,
		  .rows = {{0x01, mode >> 6 & 7, ~0U},
			   {0x04, mode >> 3 & 7, ~0U},
			   {0x08, mode >> 3 & 7, group},
			   {0x10, mode >> 3 & 7, ~0U},
			   {0x20, mode & 7, ~0U}}};
	const char *name = "system.posix_acl_access";

	if (fd >= 0)
		return fsetxattr(fd, name, &list, sizeof list, 0) < 0 ? -errno : 0;
	return setxattr(path, name, &list, sizeof list, 0) < 0 ? -errno : 0;
}

/* fd < 0: by the path, whose folder is ours alone. */
static int open_for(int fd, const char *path, mode_t mode, gid_t first, gid_t second)
{
	gid_t group = first == GROUP_NONE ? getegid() : first;
	int err;

	if (fd >= 0)
		fremovexattr(fd, "system.posix_acl_access");
	else
		removexattr(path, "system.posix_acl_access");
	err = fd >= 0 ? fchown(fd, (uid_t)-1, group)
		      : fchownat(AT_FDCWD, path, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW);
	if (err < 0)
		return -errno;
	if ((fd >= 0 ? fchmod(fd, mode) : chmod(path, mode)) < 0)
		return -errno;
	return second == GROUP_NONE ? 0 : set_second_group(fd, path, mode, second);
}

static int open_both(const char *run, const char *door, gid_t first, gid_t second)
{
	bool any = first != GROUP_NONE;
	int fd = open(run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = open_for(-1, door, any ? 0660 : 0600, first, second);
	err = err ? err : open_for(fd, NULL, any ? 0750 : 0700, first, second);
	if (err) { /* closed again: rather nobody than whoever */
		(void)!fchmod(fd, 0700);
		(void)!chmod(door, 0600);
	}
	close(fd);
	return err;
}

void roles_configure(struct actor *a)
{
	struct coordinator *c = coordinator_of(a);
	char door[128];
	gid_t first, second;
	int err;

	if (!actor_is_real(a))
		return;
	c->access_trouble[0] = 0;
	c->operators = group_named(c, "operate_group");
	c->observers = group_named(c, "observe_group");
	first = c->operators == GROUP_NONE ? c->observers : c->operators;
	second = c->observers == first ? GROUP_NONE : c->observers;
	snprintf(door, sizeof door, "%s/api.sock", actor_run_dir(a));
	err = open_both(actor_run_dir(a), door, first, second);
	if (err)
		snprintf(c->access_trouble, sizeof c->access_trouble,
			 "security: the run folder can't be opened to the groups: %s%s",
			 strerror(-err),
			 err == -EPERM ? " (its owner must be a member of them)" : "");
	if (c->access_trouble[0])
		actor_log(a, ACTOR_ERROR, "%s", c->access_trouble);
}

void roles_inherit(const char *path, const char *from)
{
	struct stat st;

	/* The second group's entry comes again with the values in force. */
	if (lstat(from, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid() &&
	    fchownat(AT_FDCWD, path, (uid_t)-1, st.st_gid, AT_SYMLINK_NOFOLLOW) == 0)
		(void)!chmod(path, st.st_mode & 0660);
}

/* --- the peer --- */

static bool is_among(gid_t group, const gid_t *groups, size_t n)
{
	for (size_t i = 0; group != GROUP_NONE && i < n; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* The peer's groups, its own first. Malloc'd. */
static gid_t *groups_of(int fd, gid_t own, size_t *ret_n)
{
	socklen_t len = 0;
	gid_t *groups;

	/* Refuses and says how many bytes it takes. */
	(void)!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len);
	groups = malloc(len + sizeof *groups);
	if (!groups)
		abort();
	groups[0] = own;
	if (len && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &len) < 0)
		len = 0;
	*ret_n = 1 + len / sizeof *groups;
	return groups;
}

enum role roles_of_peer(struct actor *a, int fd)
{
	const struct coordinator *c = coordinator_of(a);
	struct role_facts f = {.owner_uid = geteuid()};
	struct ucred peer;
	socklen_t len = sizeof peer;
	gid_t *groups;
	size_t n;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return ROLE_NOBODY;
	f.uid = peer.uid;
	if (peer.uid == 0 || peer.uid == f.owner_uid)
		return role_rule(&f);
	groups = groups_of(fd, peer.gid, &n);
	f.operates = is_among(c->operators, groups, n);
	f.observes = is_among(c->observers, groups, n);
	free(groups);
	return role_rule(&f);
}

static void members(const struct coordinator *c, const char *key, const char *verb, char *at,
		    size_t size)
{
	const char *group = values_text(c, "security", key, NULL);

	if (group[0])
		snprintf(at, size, ", members of the group %.60s may %s", group, verb);
}

void roles_refusal(struct actor *a, const struct api_client *k, const char *verb, enum role needed,
		   char *ret_text, size_t size)
{
	const struct coordinator *c = coordinator_of(a);
	const struct passwd *owner = getpwuid(geteuid());
	char name[40], operate[120] = "", observe[120] = "";

	snprintf(name, sizeof name, "uid %u", (unsigned)geteuid());
	members(c, "operate_group", "operate it", operate, sizeof operate);
	members(c, "observe_group", "observe it", observe, sizeof observe);
	snprintf(
		ret_text, size,
		"%.20s needs the role %s, and uid %u has %s: %.40s and root administer the set%s%s",
		verb, role_name(needed), (unsigned)k->uid,
		k->role == ROLE_NOBODY ? "none" : role_name(k->role), owner ? owner->pw_name : name,
		operate, observe);
}
