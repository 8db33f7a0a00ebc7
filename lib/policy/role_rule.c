/*
 * See the header.
 */
#include "lib/policy/role_rule.h"

enum role role_rule(const struct role_facts *f)
{
	if (f->uid == 0 || f->uid == f->owner_uid)
		return ROLE_ADMIN;
	if (f->operates)
		return ROLE_OPERATE;
	return f->observes ? ROLE_OBSERVE : ROLE_NOBODY;
}

const char *role_name(enum role r)
{
	static const char *const names[ROLES] = {"nobody", "observe", "operate", "admin"};

	return names[r];
}
