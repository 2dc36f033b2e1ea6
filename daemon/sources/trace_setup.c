/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "procfs/text_file.h"
#include "sources/trace_files.h"

/* Lookups: only those made to send (flowi_iif is the loopback device, index 1 in every namespace),
 * which found a route. 152 is TRACE_CONTEXT_BORROWED. */
#define SENDS_FILTER  "iif == 1 && !(common_flags & 152) && "
#define LOOKUP_FILTER "err == 0 && " SENDS_FILTER
/* Without a route, IPv4 sends where it is told the device: SO_BINDTODEVICE, IP_MULTICAST_IF
 * (ip_route_output_key_hash_rcu() in net/ipv4/route.c). */
#define LOOKUP_V4_FILTER "(err == 0 || oif != 0) && " SENDS_FILTER

/* What programs send without ports: OSPF, PIM, VRRP, SCTP (whose ports are not told), UDP-Lite (the
 * same), 253 and 254, and 255, packets with a header of the program's own. Tunnels (4, 41, 47, 50, 51)
 * are left out: a packet that goes into one is looked up in the context of whoever sent it. */
#define PORTLESS                                                                                   \
	"proto == 89 || proto == 103 || proto == 112 || proto == 132 || proto == 136 || "          \
	"proto == 253 || proto == 254 || proto == 255"

/* States by number (include/net/tcp_states.h): 1 ESTABLISHED, 2 SYN_SENT, 4 FIN_WAIT1, 7 CLOSE,
 * 9 LAST_ACK, 10 LISTEN. Over IPv4 the lookup tells the source port, so that leaving SYN_SENT matters
 * for family 10 only. */
#define STATE_FILTER                                                                               \
	"(newstate == 7 && oldstate != 10) || (oldstate == 7 && newstate == 2) || "                \
	"newstate == 4 || newstate == 9 || (oldstate == 2 && family == 10)"

/* A process reads from a connection: of the end that answers, told by its port, which is not one of
 * those that the kernel gives out (net.ipv4.ip_local_port_range begins with 32768). Where both or none of
 * the two are, nothing tells. */
#define RECEIVE_FILTER "(sport < 32768 || dport >= 32768) && !(common_flags & 152)"

static const struct {
	const char *filter;
	bool is_optional;
	const char *before_ports, *after_ports; /* around the ports that are left out */
} rows[TRACE_TRACEPOINT_COUNT] = {
	/* TCP over IPv6 has no source port in any lookup. */
	[TRACE_LOOKUP_V4] = {.filter =
				     LOOKUP_V4_FILTER "(sport != 0 || proto == 1 || " PORTLESS ")",
			     .before_ports = " && (proto == 6 || (",
			     .after_ports = "))"},
	[TRACE_LOOKUP_V6] = {.filter = LOOKUP_FILTER
			     "((sport != 0 && proto == 17) || proto == 58 || " PORTLESS ")",
			     .is_optional = true,
			     .before_ports = " && (",
			     .after_ports = ")"},
	[TRACE_STATE] = {.filter = STATE_FILTER},
	[TRACE_RECEIVE] = {.filter = RECEIVE_FILTER,
			   .is_optional = true,
			   .before_ports = " && (",
			   .after_ports = ")"},
	[TRACE_EXEC] = {.is_optional = true},
};

static bool is_locked_down(void)
{
	char modes[128];

	return procfs_read_text(AT_FDCWD, "/sys/kernel/security/lockdown", modes, sizeof(modes)) >
		       0 &&
	       strstr(modes, "[confidentiality]");
}

static int read_format(int tracefs, enum trace_tracepoint tracepoint, struct trace_format *ret,
		       char reason[TRACE_REASON_SIZE])
{
	const char *system = trace_format_get_system(tracepoint);
	const char *name = trace_format_get_name(tracepoint);
	cleanup_free char *text = NULL;
	const char *missing = "";
	char path[128];
	size_t length;
	int r;

	snprintf(path, sizeof(path), "events/%s/%s/format", system, name);
	r = trace_files_read(tracefs, path, &text, &length);
	if (r == -ENOENT) {
		snprintf(reason, TRACE_REASON_SIZE, "this kernel has no tracepoint %s:%s", system,
			 name);
		return rows[tracepoint].is_optional ? 0 : r;
	}
	if (r < 0) {
		snprintf(reason, TRACE_REASON_SIZE, "cannot read tracefs' %s: %s", path,
			 strerror(-r));
		return r;
	}
	r = trace_format_parse(tracepoint, text, length, ret, &missing);
	if (r < 0)
		snprintf(reason, TRACE_REASON_SIZE,
			 "the format of tracepoint %s:%s cannot be used%s%s", system, name,
			 *missing ? ": no field " : "", missing);
	return r;
}

int trace_setup_read_formats(struct trace_format formats[TRACE_TRACEPOINT_COUNT],
			     char reason[TRACE_REASON_SIZE])
{
	cleanup_close int tracefs = -1;
	int r;

	/* tracefs is empty then, and Linux 6.12 crashes where one is mounted and taken away again. */
	if (is_locked_down()) {
		snprintf(reason, TRACE_REASON_SIZE,
			 "the kernel's lockdown (confidentiality) takes its tracepoints away");
		return -EPERM;
	}
	r = trace_files_open(&tracefs);
	if (r < 0) {
		snprintf(reason, TRACE_REASON_SIZE,
			 "tracefs is not mounted and cannot be: %s; needs CAP_SYS_ADMIN, or "
			 "mount -t tracefs nodev /sys/kernel/tracing",
			 strerror(-r));
		return r;
	}
	for (enum trace_tracepoint i = 0; i < TRACE_TRACEPOINT_COUNT; i++) {
		r = read_format(tracefs, i, &formats[i], reason);
		if (r < 0)
			return r;
	}
	return 0;
}

void trace_setup_build_filter(enum trace_tracepoint tracepoint, const struct trace_ports *ports,
			      struct buffer *filter)
{
	buffer_init(filter);
	if (!rows[tracepoint].filter)
		return;
	buffer_add_text(filter, rows[tracepoint].filter);
	if (rows[tracepoint].before_ports && ports->count > 0) {
		buffer_add_text(filter, rows[tracepoint].before_ports);
		for (size_t i = 0; i < ports->count; i++)
			buffer_add_format(filter, "%ssport != %u", i ? " && " : "",
					  ports->ports[i]);
		buffer_add_text(filter, rows[tracepoint].after_ports);
	}
	buffer_add_byte(filter, '\0');
}

bool trace_setup_has_cgroups(const char *file)
{
	static const char controller[] = "perf_event";

	for (const char *line = file; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		/* hierarchy:controllers:path */
		const char *at = line + strcspn(line, ":\n");
		const char *end = at + (*at == ':') + strcspn(at + (*at == ':'), ":\n");

		while (at < end) {
			size_t length = strcspn(++at, ",:\n");

			if (length == sizeof(controller) - 1 &&
			    strncmp(at, controller, length) == 0)
				return false;
			at += length;
		}
	}
	return true;
}

static int read_paranoid(void)
{
	cleanup_file FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int value = 0;

	if (!file || fscanf(file, "%d", &value) != 1)
		return 0;
	return value;
}

void trace_setup_explain_open(int error, enum trace_tracepoint failed,
			      char reason[TRACE_REASON_SIZE])
{
	bool is_ring = failed == TRACE_TRACEPOINT_COUNT;
	const char *system = is_ring ? "perf" : trace_format_get_system(failed);
	const char *name = is_ring ? "ring" : trace_format_get_name(failed);

	if (error == -EACCES || error == -EPERM) {
		snprintf(reason, TRACE_REASON_SIZE,
			 "%s:%s: %s%s; needs CAP_PERFMON (kernel.perf_event_paranoid is %d)",
			 system, name, strerror(-error),
			 is_locked_down() ? " (kernel lockdown: confidentiality)" : "",
			 read_paranoid());
	} else if (error == -ENOSYS || error == -ENOENT) {
		snprintf(reason, TRACE_REASON_SIZE, "%s:%s: this kernel is built without it",
			 system, name);
	} else if (error == -EMFILE) {
		snprintf(reason, TRACE_REASON_SIZE,
			 "%s:%s: too many open files; raise LimitNOFILE (6 for each CPU)", system,
			 name);
	} else {
		snprintf(reason, TRACE_REASON_SIZE, "%s:%s: %s", system, name, strerror(-error));
	}
}
