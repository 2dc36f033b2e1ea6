/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/host_check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "sources/host_checks.h"
#include "sources/state_directory.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif

static bool needs_always(unused const struct host_report *report)
{
	return true;
}

static bool needs_namespaces(const struct host_report *report)
{
	return report->config->attribution.namespaces == CONFIG_NAMESPACES_ALL;
}

/* Where it is on there is nothing to switch. */
static bool needs_delays(const struct host_report *report)
{
	int64_t value;

	return report->config->processes.delay_accounting && !needs_namespaces(report) &&
	       host_report_read_number(report, "sys/kernel/task_delayacct", &value) == 0 &&
	       value == 0;
}

static bool needs_perfmon(const struct host_report *report)
{
	return report->config->attribution.methods & CONFIG_METHOD_TRACE;
}

static const struct right {
	unsigned capability, instead; /* either will do */
	const char *name, *use;
	bool (*is_needed)(const struct host_report *report);
} rights[] = {
	{CAP_NET_ADMIN, CAP_NET_ADMIN, "CAP_NET_ADMIN",
	 "conntrack, taskstats and the nft table need it", needs_always},
	{CAP_SYS_PTRACE, CAP_SYS_PTRACE, "CAP_SYS_PTRACE",
	 "without it only processes of the same user are told apart", needs_always},
	{CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, "CAP_DAC_READ_SEARCH",
	 "without it the descriptors of other users' processes cannot be listed", needs_always},
	{CAP_SYS_ADMIN, CAP_SYS_ADMIN, "CAP_SYS_ADMIN",
	 "the network namespaces of containers (attribution.namespaces: all) cannot be entered "
	 "without it",
	 needs_namespaces},
	{CAP_SYS_ADMIN, CAP_SYS_ADMIN, "CAP_SYS_ADMIN",
	 "kernel.task_delayacct (processes.delay_accounting) cannot be switched on without it",
	 needs_delays},
	{CAP_NET_BROADCAST, CAP_NET_BROADCAST, "CAP_NET_BROADCAST",
	 "TCP sockets that end in other network namespaces (attribution.namespaces: all) are not "
	 "heard without it",
	 needs_namespaces},
	{CAP_PERFMON, CAP_SYS_ADMIN, "CAP_PERFMON",
	 "attribution by tracepoints (attribution.methods: trace) needs it", needs_perfmon},
};

static void read_capabilities(struct host_report *report)
{
	struct buffer text;

	buffer_init(&text);
	if (host_report_read_text(report, "self/status", &text) < 0 ||
	    host_report_parse_capabilities((struct text){(char *)text.bytes, text.length},
					   &report->capabilities) < 0)
		host_report_write(report, HOST_MISSING, "rights",
				  "/proc/self/status cannot be read; mount -t proc proc /proc");
	buffer_fini(&text);
}

static void check_rights(struct host_report *report)
{
	struct buffer held;

	buffer_init(&held);
	for (size_t i = 0; i < array_length(rights); i++) {
		const struct right *right = &rights[i];

		if (!right->is_needed(report))
			continue;
		if (host_report_has_capability(report, right->capability) ||
		    host_report_has_capability(report, right->instead))
			buffer_add_format(&held, "%s%s", held.length ? " " : "", right->name);
		else
			host_report_write(report, HOST_MISSING, "rights",
					  "%s is not held: %s; run as root, or give it to the "
					  "service: AmbientCapabilities=%s",
					  right->name, right->use, right->name);
	}
	if (held.length > 0)
		host_report_write(report, HOST_OK, "rights", "%.*s", (int)held.length,
				  (char *)held.bytes);
	buffer_fini(&held);
}

static void check_state_directory(struct host_report *report)
{
	const char *path = state_directory_get_path();
	int r = state_directory_check(path);

	if (r == 0)
		host_report_write(report, HOST_OK, "state directory", "%s can be written to", path);
	else if (r == STATE_DIRECTORY_ABSENT)
		host_report_write(report, HOST_OK, "state directory", "%s will be made", path);
	else if (r == -EBUSY)
		host_report_write(report, HOST_NOTE, "state directory",
				  "%s is in use: a procflowd runs with it, and a second one cannot",
				  path);
	else
		host_report_write(report, HOST_MISSING, "state directory",
				  "%s cannot be used: %s; run as root, or name another one: "
				  "STATE_DIRECTORY=DIR",
				  path, strerror(-r));
}

static void check_build(struct host_report *report)
{
#ifdef HAVE_LIBNFTABLES
	host_report_write(report, HOST_OK, "libnftables", "built in");
#else
	host_report_write(report, HOST_NOTE, "libnftables",
			  "not built in: where nothing tracks connections the daemon cannot switch "
			  "it on by itself; install libnftables-dev and build again");
#endif
}

static unsigned run_checks(struct host_report *report)
{
	static void (*const checks[])(struct host_report *) = {
		read_capabilities,	   check_rights,
		check_state_directory,	   check_build,
		host_check_tracking,	   host_check_sysctls,
		host_check_conntrack_fill, host_check_receive_buffer,
		host_check_trace,	   host_check_socket_lookup,
		host_check_nflog,	   host_check_taskstats,
		host_check_proc,	   host_check_namespaces,
		host_check_sysdig,
	};
	cleanup_close int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	report->proc_fd = proc_fd;
	for (size_t i = 0; i < array_length(checks); i++)
		checks[i](report);
	return report->missing;
}

unsigned host_check(const struct config *config, FILE *out)
{
	struct host_report report = {.config = config, .out = out};

	return run_checks(&report);
}

unsigned host_check_each(const struct config *config,
			 void (*on_line)(void *userdata, const char *status, const char *what,
					 const char *text),
			 void *userdata)
{
	struct host_report report = {.config = config, .on_line = on_line, .userdata = userdata};

	return run_checks(&report);
}
