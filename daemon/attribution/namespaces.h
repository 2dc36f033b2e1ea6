/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The other network namespaces of this host, and their addresses: containers, "ip netns", unshare.
 *
 * How old the picture may be: a namespace is known a second after it began (or a hundred times what
 * reading them all costs, where that is longer), its addresses, too; an address that comes to or goes
 * from a namespace older than ten seconds within five seconds more. A flow with a private address that
 * nobody is known to have makes it read anew at once, see namespaces_find().
 *
 * A namespace is never kept alive for long: only open sockets do that (a descriptor of the namespace
 * is closed in the call that opened it), and these are closed with the next look that finds neither a
 * process nor a mount of it, and two seconds after the last question. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attribution/local_routes.h"
#include "attribution/socket_space.h"

struct namespaces;
struct network_namespace;

struct namespaces_counters {
	uint64_t looks;		     /* at all processes and mounts */
	uint64_t address_reads;	     /* namespaces whose addresses were read */
	uint64_t entered, unentered; /* sockets opened in one; failed to enter one */
	uint64_t known, open;	     /* now: namespaces, and those with sockets open */
};

/* "proc_fd" is borrowed. Takes the first look. 0; -EPERM without the right to enter namespaces
 * (CAP_SYS_ADMIN); another negative errno. */
int namespaces_new(int proc_fd, uint64_t now_ns, struct namespaces **ret);
void namespaces_free(struct namespaces *namespaces);

/* Looks anew where a second has passed; to be called about once a second. */
void namespaces_refresh(struct namespaces *namespaces, uint64_t now_ns);

/* More of them with one address are not told apart. */
enum { NAMESPACES_MOST_MATCHES = 8 };

struct namespace_match {
	struct network_namespace *netns; /* all borrowed until the next find or refresh */
	const struct local_route *route;
};

struct namespaces_question {
	enum ip_family family;
	struct ip_address address;
	uint64_t when_ns, now_ns; /* the flow began; now */
};

/* How many namespaces have the address, the first NAMESPACES_MOST_MATCHES of them in "out"; those
 * that have ended (up to five seconds ago) only where no other has it. Where nobody has a private
 * address and the last look is older than the flow, looks anew, at most once in ten seconds for one
 * address; -EAGAIN when it was looked so shortly ago that the question has to come again. */
ssize_t namespaces_find(struct namespaces *namespaces, const struct namespaces_question *question,
			struct namespace_match out[NAMESPACES_MOST_MATCHES]);

/* Whether a namespace, or an address of one, that was there at "when_ns" may not be known yet. */
bool namespaces_may_lack(const struct namespaces *namespaces, uint64_t when_ns);

ino_t network_namespace_get_inode(const struct network_namespace *netns);
/* The sockets of one that was found, borrowed until the next refresh or the next call of this. 0;
 * -ESRCH: it has ended; -EPERM, -EACCES: it cannot be entered; another negative errno. */
int namespaces_open_sockets(struct namespaces *namespaces, struct network_namespace *netns,
			    uint64_t now_ns, const struct socket_space **ret);

const struct namespaces_counters *namespaces_get_counters(const struct namespaces *namespaces);
