/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One daemon a network namespace: two would put back each other's sysctls. The sign is a unix socket with an
 * abstract name, which belongs to the network namespace and goes with the process. */

#include <sys/types.h>

/* A descriptor to be kept open as long as the daemon runs; -EBUSY where another daemon has it, with its
 * pid (0: in a pid namespace that is not seen from here); or another negative errno. Anybody may take the
 * name: where it is neither root's, our own user's nor the user "procflow"'s that has it, -EACCES, and
 * nothing is known about daemons. */
int sole_take(pid_t *ret_other);
