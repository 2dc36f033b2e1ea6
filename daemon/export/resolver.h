/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Looks a host up without waiting: addresses at once, names by the C library's own helper thread
 * (getaddrinfo_a(3)), for getaddrinfo() may wait many seconds. The result is asked for again and
 * again, every RESOLVER_POLL_NS or so. */

#include <netdb.h>
#include <stdint.h>

#include "base/clock.h"

struct resolver;

#define RESOLVER_POLL_NS (20 * NS_PER_MS)

/* The host is copied; "socket_type" is SOCK_STREAM or SOCK_DGRAM. 0, or -ENOMEM. */
int resolver_new(const char *host, uint16_t port, int socket_type, struct resolver **ret);
/* Accepts NULL. A lookup under way is given up; its memory, where its thread still uses it, is left
 * to the end of the process. */
void resolver_free(struct resolver *resolver);

/* 0, and *ret is the list, borrowed; RESOLVER_PENDING; -EADDRNOTAVAIL, and resolver_get_reason()
 * says why. */
enum { RESOLVER_PENDING = 1 };
int resolver_poll(struct resolver *resolver, const struct addrinfo **ret);
const char *resolver_get_reason(const struct resolver *resolver);
