/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Gives up what the daemon does not need, in two steps, because capabilities belong to a thread: those
 * that threads of exporters must not have go before there are any, the rest when all is open.
 *
 * Where libcap-ng or libseccomp is not built in, that part is left out and told at level info. */

#include <stdbool.h>

struct privileges_needs {
	bool namespaces; /* setns(2) into those of others: CAP_SYS_ADMIN */
	/* Root puts kernel.task_delayacct back at the end: CAP_SYS_ADMIN (kernel/delayacct.c). */
	bool delay_accounting;
	bool programs; /* starts sysdig, which needs more than the daemon does: nothing is given up */
};

/* Before anything is open: keeps what opening and running needs, and what only root ever needs (files of
 * others, given to their group). Never more than there is. 0 or a negative errno. */
int privileges_limit(const struct privileges_needs *needs);

/* When all is open: keeps what running needs, forbids to gain anything by exec (no_new_privs, bounding and
 * ambient sets), and every system call but those of system_calls.h, for all threads. 0 or a negative
 * errno. */
int privileges_lock(const struct privileges_needs *needs);
