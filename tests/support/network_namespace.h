/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A network namespace for one test: the process goes into it and it is gone with the process (or
 * with the next call), whatever the test did there. */

/* Puts the calling thread into a new network namespace with the loopback interface up. 0 or a
 * negative errno (-EPERM: CAP_SYS_ADMIN). */
int network_namespace_enter(void);

/* Writes "value" to /proc/sys/net/NAME; 0 or a negative errno. Only names that are per network
 * namespace. */
int network_namespace_set(const char *name, const char *value);
/* The number that /proc/sys/net/NAME holds, or a negative errno. */
int network_namespace_get(const char *name);

/* Runs nft commands through libnftables. 0, or -ENOTSUP where it is not built in or refuses them;
 * what it says goes to the standard error. */
int network_namespace_run_nft(const char *commands);

/* One rule with "ct state" on input and output each: the namespace tracks connections from then on.
 * The result of network_namespace_run_nft(). */
int network_namespace_track(void);
