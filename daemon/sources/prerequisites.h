/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What must be switched on in the kernel before there is anything to see, and put back at exit:
 *
 *   nf_conntrack_acct, nf_conntrack_timestamp   of the network namespace; new entries only
 *   nf_conntrack_events                         likewise; only where it is 0
 *   kernel.task_delayacct                       of the machine; new tasks only
 *   an nft table with a "ct state" rule         where nothing tracks yet (tracking_table.h)
 *
 * The old values are written to the state directory before anything is changed, with the boot id
 * and the network namespace (sysctl_memory.h). A file found at the start tells of a daemon that was
 * killed: what it left on and is wanted stays on and is put back at exit, the rest is put back at
 * once. A value that somebody else changed meanwhile is theirs and stays. The nft table carries
 * "flags owner": the kernel removes it with the process (nft_rcv_nl_event(),
 * net/netfilter/nf_tables_api.c). Where the kernel does not know that flag, what a killed daemon
 * left is removed at the next one's exit. */

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

struct prerequisites;

struct prerequisites_state {
	bool has_accounting; /* new flows carry byte counters */
	bool has_timestamps;
	bool has_delay_accounting; /* or cannot be asked: true before Linux 5.14, and no proof */
	/* Monotonic: when it was switched on by us, or by a daemon before us whose work was taken over;
	 * 0: it was on before. It counts for tasks that were created later only. */
	uint64_t delay_accounting_since_ns;
	bool is_tracking; /* something makes the kernel track connections */
	bool owns_table;
};

/* Applies what "config" asks for. What fails is logged once, each with the reason and the command
 * that would mend it, and is told by the state; only a state directory that is in use by another
 * daemon is an error: -EBUSY. "state_directory" is made when it is not there. */
int prerequisites_new(const struct config *config, const char *state_directory,
		      struct prerequisites **ret);
const struct prerequisites_state *
prerequisites_get_state(const struct prerequisites *prerequisites);
/* Puts everything back and removes the state file. Accepts NULL. */
void prerequisites_free(struct prerequisites *prerequisites);

/* For a daemon that will run without the rights to do it itself (kernel.task_delayacct belongs to
 * root whatever the capabilities, kernel/sysctl.c): switches the sysctls on, and leaves them and
 * their memory to that daemon. What fails is logged; -EBUSY as above. */
int prerequisites_prepare(const struct config *config, const char *state_directory);
/* Puts back what an ended daemon could not. -EBUSY where one still runs. */
int prerequisites_restore(const char *state_directory);
