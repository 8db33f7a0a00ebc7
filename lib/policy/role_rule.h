/*
 * Who may do what with a set: the owner and root administer it, groups of the configuration observe
 * or operate. Each role may do what the ones before it may. Pure.
 */
#ifndef LOPS_POLICY_ROLE_RULE_H
#define LOPS_POLICY_ROLE_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum role { ROLE_NOBODY, ROLE_OBSERVE, ROLE_OPERATE, ROLE_ADMIN, ROLES };

struct role_facts {
	uint32_t uid, owner_uid;
	bool operates, observes; /* in the group that may */
};

enum role role_rule(const struct role_facts *f);
const char *role_name(enum role r);

#endif
