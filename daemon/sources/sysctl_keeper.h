/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Switches sysctls on, and puts them back at the end, even after the end came by SIGKILL: what will
 * be changed is first remembered in the state directory, on disk, and only then changed. Without a
 * state directory that can be written nothing is changed.
 *
 * What a killed daemon left behind is taken over where it is wanted again, rather than put back and
 * switched on anew: entries and tasks that begin between the two would go uncounted. The rest is
 * put back. The sysctls that the whole machine shares belong to the daemon that switched them on:
 * when two run side by side, with a state directory each, the one that came second finds them on
 * and does not keep them on when the first one ends.
 *
 * A privileged process may switch on what the daemon itself is not allowed to, leave it
 * (sysctl_keeper_leave()), and put back afterwards what the daemon had to leave on.
 *
 * This module writes to the log: one line for each thing that it did or could not do. */

#include "sources/sysctl.h"
#include "sources/sysctl_memory.h"

struct sysctl_keeper;

/* Locks the state directory and reads what it remembers. "root_fd" (/proc/sys) is borrowed for the
 * keeper's life; "place" is where the caller runs. 0; -EBUSY where the state directory is in use by
 * another process; -ENOMEM. Another error of the state directory is kept, and told where something
 * would have had to be changed. */
int sysctl_keeper_new(int root_fd, const struct sysctl_place *place, const char *state_directory,
		      struct sysctl_keeper **ret);
/* Switches on what is wanted and off, and puts back what an earlier daemon left on and is not
 * wanted. To be called once. */
void sysctl_keeper_switch_on(struct sysctl_keeper *keeper, const bool wanted[SYSCTL_KEYS]);
/* Monotonic: since when it is on by this keeper or one before it whose work was taken over; 0: it was
 * on before, or that is not known. */
uint64_t sysctl_keeper_get_since(const struct sysctl_keeper *keeper, enum sysctl_key key);
/* Puts everything back, forgets it on disk, and lets the state directory go. Accepts NULL. */
void sysctl_keeper_free(struct sysctl_keeper *keeper);
/* Lets the state directory go, but everything stays on, and remembered: the next keeper there takes
 * it over. Accepts NULL. */
void sysctl_keeper_leave(struct sysctl_keeper *keeper);
