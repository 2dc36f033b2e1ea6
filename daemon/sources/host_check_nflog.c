/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "sources/host_checks.h"
#include "sources/nflog.h"
#include "sources/nflog_rules.h"

static const char name[] = "packets";

static void check_rules(struct host_report *report)
{
	const struct config_nflog *config = &report->config->nflog;
	struct nflog_rules_options options = {
		.group = (uint16_t)config->group,
		.packets = config->packets,
		.uses_conntrack = report->config->conntrack.activate != CONFIG_ACTIVATE_NEVER};
	struct buffer reason;
	int r;

	buffer_init(&reason);
	r = nflog_rules_check(&options, &reason);
	if (r == NFT_TABLE_TAKEN)
		host_report_write(
			report, HOST_MISSING, name,
			"an nft table \"inet procflow_nflog\" is in the way; nft delete table "
			"inet procflow_nflog");
	else if (r != 0)
		host_report_write(
			report, HOST_MISSING, name,
			"no nft table can be made that logs packets: %.*s; modprobe nft_log, "
			"or make rules of your own and set nflog.rules: external",
			r == -EIO ? (int)reason.length : 256,
			r == -EIO	   ? (char *)reason.bytes
			: r == -EOPNOTSUPP ? "built without libnftables"
					   : strerror(-r));
	else
		host_report_write(
			report, HOST_OK, name,
			"NFLOG group %u is free, and an nft table of the daemon's own can "
			"log packets to it",
			config->group);
	buffer_fini(&reason);
}

void host_check_nflog(struct host_report *report)
{
	const struct config_nflog *config = &report->config->nflog;
	int r;

	if (!config->enable) {
		host_report_write(
			report, HOST_NOTE, name,
			"not read: no interfaces, MACs, TOS, TTL and latencies, no flows that "
			"nothing tracks; nflog.enable: true");
		return;
	}
	r = nflog_check((uint16_t)config->group);
	if (r == -EBUSY)
		host_report_write(report, HOST_MISSING, name,
				  "NFLOG group %u is in use by another program (see "
				  "/proc/net/netfilter/nfnetlink_log); set another nflog.group",
				  config->group);
	else if (r < 0)
		host_report_write(report, HOST_MISSING, name,
				  "NFLOG group %u cannot be listened to: %s; %s", config->group,
				  strerror(-r),
				  r == -EPERM ? "run as root" : "modprobe nfnetlink_log");
	else if (config->rules == CONFIG_NFLOG_EXTERNAL)
		host_report_write(report, HOST_OK, name,
				  "NFLOG group %u is free; rules of yours must log to it",
				  config->group);
	else
		check_rules(report);
}
