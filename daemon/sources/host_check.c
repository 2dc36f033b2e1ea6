/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/host_check.h"

#include <fcntl.h>
#include <linux/capability.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "sources/host_checks.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif

static bool needs_always(unused const struct config *config)
{
	return true;
}

static bool needs_sys_admin(const struct config *config)
{
	return config->processes.delay_accounting;
}

static bool needs_perfmon(const struct config *config)
{
	return config->attribution.methods & CONFIG_METHOD_TRACE;
}

static const struct right {
	unsigned capability, instead; /* either will do */
	const char *name, *use;
	bool (*is_needed)(const struct config *config);
} rights[] = {
	{CAP_NET_ADMIN, CAP_NET_ADMIN, "CAP_NET_ADMIN",
	 "conntrack, taskstats and the nft table need it", needs_always},
	{CAP_SYS_PTRACE, CAP_SYS_PTRACE, "CAP_SYS_PTRACE",
	 "without it only processes of the same user are told apart", needs_always},
	{CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, "CAP_DAC_READ_SEARCH",
	 "without it the descriptors of other users' processes cannot be listed", needs_always},
	{CAP_SYS_ADMIN, CAP_SYS_ADMIN, "CAP_SYS_ADMIN",
	 "kernel.task_delayacct (processes.delay_accounting) cannot be switched on without it",
	 needs_sys_admin},
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

		if (!right->is_needed(report->config))
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
		read_capabilities,	   check_rights,	 check_build,
		host_check_tracking,	   host_check_sysctls,	 host_check_conntrack_fill,
		host_check_receive_buffer, host_check_trace,	 host_check_socket_lookup,
		host_check_nflog,	   host_check_taskstats, host_check_proc,
		host_check_namespaces,	   host_check_sysdig,
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
