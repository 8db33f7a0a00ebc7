/*
 * Which file is the configuration, by the order of the documentation.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <stdio.h>
#include "lib/config/config.h"

static char *if_there(char *path)
{
	if (path && access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static char *joined(const char *dir, const char *name)
{
	char *path = NULL;

	if (dir && *dir && asprintf(&path, "%s/%s", dir, name) < 0)
		abort();
	return path;
}

char *config_find(const char *given)
{
	const char *named = getenv("LOPS_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME");
	char *path;

	if (given || (named && *named))
		return strdup(given ? given : named);
	path = if_there(strdup("lops.yaml"));
	path = path ? path : if_there(strdup(".claude-mpm/local-ops-config.yaml"));
	path = path ? path
		    : if_there(xdg && *xdg ? joined(xdg, "lops/lops.yaml")
					   : joined(getenv("HOME"), ".config/lops/lops.yaml"));
	return path ? path : if_there(strdup("/etc/lops/lops.yaml"));
}
