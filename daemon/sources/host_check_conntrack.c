/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <string.h>

#include "base/cleanup.h"
#include "netlink/channel.h"
#include "sources/host_checks.h"
#include "sources/sysctl.h"
#include "sources/tracking_probe.h"
#include "sources/tracking_table.h"

DEFINE_CLEANUP(struct netlink_channel *, netlink_channel_close);

static const char tracking_name[] = "connection tracking";

/* Nothing tracks; would the daemon's table? */
static void check_table(struct host_report *report, const char *untracked)
{
	struct buffer reason;
	int r;

	buffer_init(&reason);
	r = tracking_table_check(&reason);
	if (r == 0)
		host_report_write(report, HOST_OK, tracking_name,
				  "nothing tracks %s here yet: the daemon switches it on by an nft "
				  "table of its own, for as long as it runs",
				  untracked);
	else if (r == NFT_TABLE_TAKEN)
		host_report_write(
			report, HOST_MISSING, tracking_name,
			"nothing tracks %s here, and an nft table \"inet procflow\" is in "
			"the way; nft delete table inet procflow",
			untracked);
	else
		host_report_write(report, HOST_MISSING, tracking_name,
				  "nothing tracks %s here, and no nft table can be made: %.*s; %s",
				  untracked, r == -EIO ? (int)reason.length : 256,
				  r == -EIO	     ? (char *)reason.bytes
				  : r == -EOPNOTSUPP ? "built without libnftables"
						     : strerror(-r),
				  TRACKING_TABLE_COMMAND);
	buffer_fini(&reason);
}

void host_check_tracking(struct host_report *report)
{
	struct tracking_status status = tracking_probe_read_status();

	if (status.v4 == -EPERM && !host_report_has_capability(report, CAP_NET_ADMIN))
		host_report_write(report, HOST_MISSING, tracking_name,
				  "conntrack cannot be asked without CAP_NET_ADMIN; run as root");
	else if (status.v4 == -EINVAL || status.v4 == -EPROTONOSUPPORT)
		host_report_write(report, HOST_MISSING, tracking_name,
				  "the kernel has no ctnetlink; modprobe nf_conntrack_netlink");
	else if (!status.untracked)
		host_report_write(report, HOST_OK, tracking_name,
				  "a rule of this host tracks connections already (%s)",
				  status.v6 == TRACKING_PROBE_TRACKED ? "IPv4 and IPv6" : "IPv4");
	else if (report->config->conntrack.activate == CONFIG_ACTIVATE_NEVER)
		host_report_write(report, HOST_MISSING, tracking_name,
				  "nothing tracks %s here and conntrack.activate is never; %s",
				  status.untracked, TRACKING_TABLE_COMMAND);
	else
		check_table(report, status.untracked);
}

struct sysctl_check {
	enum sysctl_key key;
	const char *what, *setting;
	bool is_wanted;
};

/* 0, or why the daemon could not write it: a negative errno. */
static int check_writable(const struct host_report *report, int root_fd, enum sysctl_key key)
{
	if (faccessat(root_fd, sysctl_rows[key].path, W_OK, AT_EACCESS) < 0)
		return -errno;
	/* sysctl_delayacct(), kernel/delayacct.c, asks for it beside the file's mode. */
	if (key == SYSCTL_DELAY_ACCOUNTING && !host_report_has_capability(report, CAP_SYS_ADMIN))
		return -EPERM;
	return 0;
}

static void write_no_sysctl(struct host_report *report, const struct sysctl_check *check)
{
	const struct sysctl_row *row = &sysctl_rows[check->key];

	if (row->of_namespace)
		host_report_write(report, check->is_wanted ? HOST_MISSING : HOST_NOTE, check->what,
				  "the kernel has no %s: %s; modprobe nf_conntrack", row->dotted,
				  row->lack);
	else
		host_report_write(report, HOST_NOTE, check->what,
				  "the kernel has no %s, which came with Linux 5.14: it counts "
				  "delays by itself, unless it was booted with nodelayacct",
				  row->dotted);
}

static void check_sysctl(struct host_report *report, int root_fd, const struct sysctl_check *check)
{
	const struct sysctl_row *row = &sysctl_rows[check->key];
	unsigned value;
	int r = sysctl_read(root_fd, check->key, &value);

	if (r == 0 && value != 0)
		host_report_write(report, HOST_OK, check->what, "%s is %u", row->dotted, value);
	else if (r == -ENOENT)
		write_no_sysctl(report, check);
	else if (r < 0)
		host_report_write(report, check->is_wanted ? HOST_MISSING : HOST_NOTE, check->what,
				  "%s cannot be read: %s; mount -t proc proc /proc", row->dotted,
				  strerror(-r));
	else if (!check->is_wanted)
		host_report_write(report, HOST_NOTE, check->what,
				  "%s is 0 and %s is false: %s; sysctl -w %s=1", row->dotted,
				  check->setting, row->lack, row->dotted);
	else if ((r = check_writable(report, root_fd, check->key)) < 0)
		host_report_write(report, HOST_MISSING, check->what,
				  "%s is 0 and the daemon cannot change it (%s): %s; as root: "
				  "sysctl -w %s=1",
				  row->dotted, strerror(-r), row->lack, row->dotted);
	else
		host_report_write(report, HOST_OK, check->what,
				  "%s is 0: the daemon switches it on, and back off at exit",
				  row->dotted);
}

void host_check_sysctls(struct host_report *report)
{
	const struct config *config = report->config;
	const struct sysctl_check checks[] = {
		{SYSCTL_ACCOUNTING, "accounting", "conntrack.accounting",
		 config->conntrack.accounting},
		{SYSCTL_TIMESTAMP, "timestamps", "conntrack.accounting",
		 config->conntrack.accounting},
		{SYSCTL_EVENTS, "conntrack events", "", true},
		{SYSCTL_DELAY_ACCOUNTING, "delay accounting", "processes.delay_accounting",
		 config->processes.delay_accounting},
	};
	cleanup_close int root_fd =
		openat(report->proc_fd, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < array_length(checks); i++)
		check_sysctl(report, root_fd, &checks[i]);
}

enum { FILL_ALARM_PCT = 80 };

void host_check_conntrack_fill(struct host_report *report)
{
	const uint32_t max_flows = report->config->flows.max_flows;
	int64_t count, most;
	long long percent;

	if (host_report_read_number(report, "sys/net/netfilter/nf_conntrack_count", &count) < 0 ||
	    host_report_read_number(report, "sys/net/netfilter/nf_conntrack_max", &most) < 0 ||
	    most <= 0)
		return; /* told by the lines on tracking and sysctls */
	percent = (long long)(count * 100 / most);
	if (percent >= FILL_ALARM_PCT)
		host_report_write(report, HOST_NOTE, "conntrack fill",
				  "%lld of %lld entries, %lld %%: a full table drops new "
				  "connections; sysctl -w net.netfilter.nf_conntrack_max=%lld",
				  (long long)count, (long long)most, percent, 2 * (long long)most);
	else
		host_report_write(report, HOST_OK, "conntrack fill",
				  "%lld of %lld entries, %lld %% (net.netfilter.nf_conntrack_max)",
				  (long long)count, (long long)most, percent);
	if (most > max_flows)
		host_report_write(
			report, HOST_NOTE, "flow table",
			"flows.max_flows is %u and conntrack may hold %lld: above %u flows "
			"the oldest idle one is exported early; set flows.max_flows: %lld",
			max_flows, (long long)most, max_flows, (long long)most);
}

void host_check_receive_buffer(struct host_report *report)
{
	cleanup(netlink_channel_close_cleanup) struct netlink_channel *channel = NULL;
	uint64_t wanted = report->config->conntrack.receive_buffer_max_bytes;
	int r = netlink_channel_open(NETLINK_NETFILTER, &channel);
	ssize_t got = r < 0 ? r : netlink_channel_set_receive_buffer(channel, wanted);

	if (got < 0)
		host_report_write(report, HOST_MISSING, "receive buffer",
				  "no netlink socket for conntrack: %s; modprobe nfnetlink",
				  strerror((int)-got));
	/* The kernel counts its own overhead in and tells twice what it was asked for. */
	else if ((uint64_t)got / 2 < wanted)
		host_report_write(
			report, HOST_NOTE, "receive buffer",
			"grows to %llu KiB of the %llu KiB of "
			"conntrack.receive_buffer_max, so that bursts lose events sooner; "
			"sysctl -w net.core.rmem_max=%llu, or give CAP_NET_ADMIN",
			(unsigned long long)got / 2048, (unsigned long long)wanted / 1024,
			(unsigned long long)wanted);
	else
		host_report_write(report, HOST_OK, "receive buffer",
				  "may grow to %llu KiB (conntrack.receive_buffer_max)",
				  (unsigned long long)wanted / 1024);
}
