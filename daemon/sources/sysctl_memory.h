/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a state file remembers: whose sysctls were changed, and from what to what.
 *
 *     procflow-sysctl 1
 *     boot 5b4a3e0c-3a7c-4c1e-9b8e-0f5f3c2b1a09
 *     netns 4026531833 1
 *     change net.netfilter.nf_conntrack_acct 0 1
 *     end
 *
 * Of the machine's sysctls, the monotonic time of the change in nanoseconds stands behind the two
 * values. Text, so that an administrator can read it. Only the names of our own table are taken, so that no
 * file, whoever wrote it, makes the daemon write any other sysctl.
 *
 * There are two files: "sysctl-net-INODE" for one network namespace, and "sysctl-kernel" for what
 * the whole machine shares, because the next daemon may run in another namespace. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/text.h"
#include "sources/sysctl.h"

enum { BOOT_ID_SIZE = 37 };

/* A network namespace of one run of the kernel. Inode numbers are given again when a namespace is
 * gone; the cookie (SO_NETNS_COOKIE, kernel 5.14) never is within one boot, and is 0 where the
 * kernel has none. */
struct sysctl_place {
	char boot_id[BOOT_ID_SIZE];
	uint64_t netns_inode, netns_cookie;
};

struct sysctl_memory {
	struct sysctl_place place;
	struct sysctl_changes changes;
};

enum { SYSCTL_MEMORY_NAME_SIZE = 40 };
#define SYSCTL_MEMORY_PREFIX "sysctl-"

/* The file's name: of the machine's sysctls, or of those of the place's network namespace. */
void sysctl_memory_format_name(bool of_namespace, const struct sysctl_place *place,
			       char name[SYSCTL_MEMORY_NAME_SIZE]);
void sysctl_memory_encode(const struct sysctl_memory *memory, struct buffer *out);
/* 0, or -EBADMSG: not a whole and well-formed state file. */
int sysctl_memory_parse(struct text text, struct sysctl_memory *ret_memory);

/* Where a remembered change is to be put back. */
enum sysctl_relation {
	SYSCTL_RELATION_HERE,	/* in our network namespace (or on this machine) and boot */
	SYSCTL_RELATION_AWAY,	/* in another network namespace of this boot */
	SYSCTL_RELATION_NOWHERE /* that boot, or that namespace, is over */
};

enum sysctl_relation sysctl_memory_relate(const struct sysctl_place *remembered,
					  const struct sysctl_place *ours, enum sysctl_key key);

/* Reads our own place: the boot id below "root_fd" (/proc/sys), the namespace of the calling
 * thread. 0 or a negative errno. */
int sysctl_place_read(int root_fd, struct sysctl_place *ret_place);
