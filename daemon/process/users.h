/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* User names by uid, from /etc/passwd alone. getpwuid_r(3) would ask every service of nsswitch.conf
 * as well, and an LDAP server that does not answer would stop the event loop for seconds, while the
 * kernel drops events. A user that is not in the file is told by the digits of its uid. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct users;

enum { USER_NAME_SIZE = 64 };

/* "path" is copied; the file may be missing. 0 or -ENOMEM. */
int users_new(const char *path, struct users **ret);
void users_free(struct users *users);

/* Writes the name, or the digits. Looks whether the file has changed at most once a second. */
void users_find_name(struct users *users, uid_t uid, uint64_t now_ns, char ret[USER_NAME_SIZE]);
