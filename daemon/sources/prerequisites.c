/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The order matters. The probe comes first: its question makes the kernel load conntrack where that
 * is a module, and the sysctls exist only then. The table comes last, so that the first flows it
 * makes visible are counted already. */

#include "sources/prerequisites.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sources/sysctl_keeper.h"
#include "sources/tracking_probe.h"
#include "sources/tracking_table.h"

#define LOG_MODULE "prerequisites"
#include "runtime/log.h"

struct prerequisites {
	int sysctl_fd;
	struct sysctl_keeper *keeper;
	struct nft_table *table;
	struct prerequisites_state state;
};

DEFINE_CLEANUP(struct prerequisites *, prerequisites_free);

static void make_table(struct prerequisites *prerequisites, const char *untracked)
{
	struct buffer reason;
	int r;

	buffer_init(&reason);
	r = tracking_table_new(&prerequisites->table, &reason);
	if (r == 0) {
		prerequisites->state.owns_table = true;
		prerequisites->state.is_tracking = true;
		log_notice("nothing tracked %s here: switched on by the nft table \"inet "
			   "procflow\", which ends with this process",
			   untracked);
	} else if (r == NFT_TABLE_TAKEN) {
		log_warning("%s may go untracked: there is an nft table \"inet procflow\" already, "
			    "of another procflowd or left by hand; see it by: nft list table inet "
			    "procflow",
			    untracked);
	} else {
		log_warning("%s are not tracked and will not be seen: no nft table could be made: "
			    "%.*s; by hand: %s",
			    untracked, r == -EIO ? (int)reason.length : 256,
			    r == -EOPNOTSUPP ? "built without libnftables"
			    : r == -EIO	     ? (const char *)reason.bytes
					     : strerror(-r),
			    TRACKING_TABLE_COMMAND);
	}
	buffer_fini(&reason);
}

static void switch_tracking_on(struct prerequisites *prerequisites, const struct config *config,
			       const struct tracking_status *tracking)
{
	prerequisites->state.is_tracking = tracking->is_tracking;
	if (!tracking->untracked)
		return;
	if (config->conntrack.activate == CONFIG_ACTIVATE_NEVER)
		log_warning("nothing tracks %s here and conntrack.activate is never: they will not "
			    "be seen; by hand: %s",
			    tracking->untracked, TRACKING_TABLE_COMMAND);
	else
		make_table(prerequisites, tracking->untracked);
}

static int open_keeper(int sysctl_fd, const char *state_directory, struct sysctl_keeper **ret)
{
	struct sysctl_place place = {0};
	int r = sysctl_place_read(sysctl_fd, &place);

	if (r < 0) {
		log_warning("sysctls are left as they are: /proc does not tell the boot and the "
			    "network namespace: %s",
			    strerror(-r));
		return 0;
	}
	return sysctl_keeper_new(sysctl_fd, &place, state_directory, ret);
}

/* "*ret" stays as it is where nothing can be kept. */
static int switch_sysctls_on(int sysctl_fd, const struct config *config,
			     const char *state_directory, struct sysctl_keeper **ret)
{
	const bool wanted[SYSCTL_KEYS] = {
		[SYSCTL_ACCOUNTING] = config->conntrack.accounting,
		[SYSCTL_TIMESTAMP] = config->conntrack.accounting,
		[SYSCTL_EVENTS] = true,
		[SYSCTL_DELAY_ACCOUNTING] = config->processes.delay_accounting,
	};
	int r = open_keeper(sysctl_fd, state_directory, ret);

	if (r == 0 && *ret)
		sysctl_keeper_switch_on(*ret, wanted);
	return r;
}

static int open_sysctls(void)
{
	return open("/proc/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int prerequisites_prepare(const struct config *config, const char *state_directory)
{
	cleanup_close int sysctl_fd = open_sysctls();
	struct sysctl_keeper *keeper = NULL;
	int r;

	(void)tracking_probe_read_status(); /* loads conntrack where that is a module */
	r = switch_sysctls_on(sysctl_fd, config, state_directory, &keeper);
	sysctl_keeper_leave(keeper);
	return r;
}

int prerequisites_restore(const char *state_directory)
{
	cleanup_close int sysctl_fd = open_sysctls();
	struct sysctl_keeper *keeper = NULL;
	int r = open_keeper(sysctl_fd, state_directory, &keeper);

	sysctl_keeper_free(keeper);
	return r;
}

static bool is_on(const struct prerequisites *prerequisites, enum sysctl_key key)
{
	unsigned value;

	return sysctl_read(prerequisites->sysctl_fd, key, &value) == 0 && value != 0;
}

/* Before Linux 5.14 there is no such sysctl, and delays are counted unless it was booted with
 * "nodelayacct": then whoever reads them has to see whether there are any. */
static bool counts_delays(const struct prerequisites *prerequisites)
{
	unsigned value;
	int r = sysctl_read(prerequisites->sysctl_fd, SYSCTL_DELAY_ACCOUNTING, &value);

	return r == 0 ? value != 0 : r == -ENOENT;
}

/* What was not asked for and is off is told too: an absent field must never be a riddle. */
static void tell_unwanted(const struct prerequisites *prerequisites, const struct config *config)
{
	const struct prerequisites_state *state = &prerequisites->state;

	if (!state->has_accounting && !config->conntrack.accounting)
		log_notice("flows will carry no byte and packet counts: "
			   "net.netfilter.nf_conntrack_acct is 0 and conntrack.accounting is "
			   "false; by hand: sysctl -w net.netfilter.nf_conntrack_acct=1");
	if (!state->has_delay_accounting && !config->processes.delay_accounting)
		log_notice("I/O wait is left out: kernel.task_delayacct is 0 and "
			   "processes.delay_accounting is false; by hand: sysctl -w "
			   "kernel.task_delayacct=1");
}

/* Before it is asked whether something tracks: a table that was left does. */
static void take_left_table(struct prerequisites *prerequisites, const struct config *config)
{
	if (tracking_table_take_left(&prerequisites->table) != 0)
		return;
	if (config->conntrack.activate == CONFIG_ACTIVATE_NEVER) {
		nft_table_free(prerequisites->table);
		prerequisites->table = NULL;
		log_notice("removed the nft table \"inet procflow\" that a killed procflowd left");
		return;
	}
	prerequisites->state.owns_table = true;
	log_notice("took over the nft table \"inet procflow\" that a killed procflowd left");
}

int prerequisites_new(const struct config *config, const char *state_directory,
		      struct prerequisites **ret)
{
	cleanup(prerequisites_free_cleanup) struct prerequisites *prerequisites =
		calloc(1, sizeof(*prerequisites));
	struct tracking_status tracking;
	int r;

	if (!prerequisites)
		return -ENOMEM;
	prerequisites->sysctl_fd = open_sysctls();
	r = switch_sysctls_on(prerequisites->sysctl_fd, config, state_directory,
			      &prerequisites->keeper);
	if (r < 0)
		return r;
	take_left_table(prerequisites, config);
	tracking = tracking_probe_read_status();
	switch_tracking_on(prerequisites, config, &tracking);
	prerequisites->state.has_accounting = is_on(prerequisites, SYSCTL_ACCOUNTING);
	prerequisites->state.has_timestamps = is_on(prerequisites, SYSCTL_TIMESTAMP);
	prerequisites->state.has_delay_accounting = counts_delays(prerequisites);
	if (prerequisites->keeper)
		prerequisites->state.delay_accounting_since_ns =
			sysctl_keeper_get_since(prerequisites->keeper, SYSCTL_DELAY_ACCOUNTING);
	tell_unwanted(prerequisites, config);
	*ret = steal_pointer(&prerequisites);
	return 0;
}

const struct prerequisites_state *prerequisites_get_state(const struct prerequisites *prerequisites)
{
	return &prerequisites->state;
}

void prerequisites_free(struct prerequisites *prerequisites)
{
	if (!prerequisites)
		return;
	nft_table_free(prerequisites->table);
	sysctl_keeper_free(prerequisites->keeper);
	if (prerequisites->sysctl_fd >= 0)
		close(prerequisites->sysctl_fd);
	free(prerequisites);
}
