/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "config/keys.h"
#include "procfs/text_file.h"
#include "process/cgroup_table.h"
#include "process/packages.h"
#include "runtime/log.h"

enum source {
	SOURCE_FIGURES,
	SOURCE_FLOWS,
	SOURCE_PIPELINE,
	SOURCE_CONNTRACK,
	SOURCE_SOCKET_END,
	SOURCE_ENDED_SOCKETS,
	SOURCE_NFLOG,
	SOURCE_PACKETS,
	SOURCE_SYSDIG,
	SOURCE_TRACE,
	SOURCE_ATTRIBUTION,
	SOURCE_PROCESSES,
	SOURCE_REPORTER,
	SOURCE_CGROUPS,
	SOURCE_PACKAGES,
	SOURCE_PROC_CONNECTOR,
	SOURCE_CONTROL,
	SOURCE_EXPORTER,
	SOURCE_COUNT,
};
_Static_assert((int)SOURCE_COUNT <= (int)STATISTICS_SOURCES_MAX, "room for every source");

static const char *get_method(unsigned number)
{
	return number == OWNERSHIP_UNKNOWN ? NULL
					   : ownership_method_name((enum ownership_method)number);
}

static const char *get_reason(unsigned number)
{
	return number == OWNERSHIP_REASON_NONE
		       ? NULL
		       : ownership_reason_name((enum ownership_reason)number);
}

static const char *get_fault(unsigned number)
{
	return number == PACKET_FINE ? NULL : packet_fault_get_name((enum packet_fault)number);
}

static const char *get_end_reason(unsigned number)
{
	static const char *const names[] = {
		[FLOW_END_IDLE] = "idle",
		[FLOW_END_ACTIVE] = "active",
		[FLOW_END_DETECTED] = "end",
		[FLOW_END_FORCED] = "forced",
		[FLOW_END_RESOURCES] = "lack_of_resources",
	};

	return number < array_length(names) ? names[number] : NULL;
}

#define ROW(group_, source_, type, member, name_, kind_, help_)                                    \
	.group = group_, .name = name_, .help = help_, .kind = STATISTIC_##kind_,                  \
	.source = SOURCE_##source_, .offset = offsetof(type, member)
#define OWN(group, name, kind, help)                                                               \
	{                                                                                          \
		ROW(group, FIGURES, struct counters_figures, name, #name, kind, help)              \
	}
#define NAMED(group, member, name, kind, help)                                                     \
	{                                                                                          \
		ROW(group, FIGURES, struct counters_figures, member, name, kind, help)             \
	}
#define FLOWS(name, kind, help)                                                                    \
	{                                                                                          \
		ROW("flows", FLOWS, struct flow_table_counters, name, #name, kind, help)           \
	}
#define PIPELINE(name, kind, help)                                                                 \
	{                                                                                          \
		ROW("records", PIPELINE, struct pipeline_counters, name, #name, kind, help)        \
	}
#define CONNTRACK(name, kind, help)                                                                \
	{                                                                                          \
		ROW("conntrack", CONNTRACK, struct conntrack_counters, name, #name, kind, help)    \
	}
#define SOCKET_END(name, kind, help)                                                               \
	{                                                                                          \
		ROW("sockets", SOCKET_END, struct socket_end_counters, name, #name, kind, help)    \
	}
#define ENDED_SOCKETS(name, kind, help)                                                            \
	{                                                                                          \
		ROW("sockets", ENDED_SOCKETS, struct ended_sockets_counters, name, #name, kind,    \
		    help)                                                                          \
	}
#define NFLOG(name, kind, help)                                                                    \
	{                                                                                          \
		ROW("nflog", NFLOG, struct nflog_counters, name, #name, kind, help)                \
	}
#define PACKETS(name, kind, help)                                                                  \
	{                                                                                          \
		ROW("packets", PACKETS, struct packets_counters, name, #name, kind, help)          \
	}
#define SYSDIG(name, kind, help)                                                                   \
	{                                                                                          \
		ROW("sysdig", SYSDIG, struct sysdig_counters, name, #name, kind, help)             \
	}
#define TRACE(name, kind, help)                                                                    \
	{                                                                                          \
		ROW("trace", TRACE, struct trace_counters, name, #name, kind, help)                \
	}
#define ATTRIBUTION(name, kind, help)                                                              \
	{                                                                                          \
		ROW("attribution", ATTRIBUTION, struct attribution_counters, name, #name, kind,    \
		    help)                                                                          \
	}
#define PROCESSES(name, kind, help)                                                                \
	{                                                                                          \
		ROW("processes", PROCESSES, struct process_table_counters, name, #name, kind,      \
		    help)                                                                          \
	}
#define REPORTER(member, name, kind, help)                                                         \
	{                                                                                          \
		ROW("processes", REPORTER, struct process_reporter_counters, member, name, kind,   \
		    help)                                                                          \
	}
#define CGROUPS(name, kind, help)                                                                  \
	{                                                                                          \
		ROW("cgroups", CGROUPS, struct cgroup_table_counters, name, #name, kind, help)     \
	}
#define CONTROL(name, kind, help)                                                                  \
	{                                                                                          \
		ROW("control", CONTROL, struct control_counters, name, #name, kind, help)          \
	}
#define EXPORTER(name, kind, help)                                                                 \
	{                                                                                          \
		ROW("exporter", EXPORTER, struct exporter_counters, name, #name, kind, help)       \
	}
#define PACKAGES(name, kind, help)                                                                 \
	{                                                                                          \
		ROW("packages", PACKAGES, struct packages_counters, name, #name, kind, help)       \
	}
#define CONNECTOR(name, kind, help)                                                                \
	{                                                                                          \
		ROW("proc_connector", PROC_CONNECTOR, struct proc_connector_counters, name, #name, \
		    kind, help)                                                                    \
	}
#define LABELS(key, function, number) .label_key = key, .get_label = function, .count = number

static const struct statistic rows[] = {
	NAMED("daemon", start_ns, "start_time_ns", GAUGE_ONCE, "When the daemon started."),
	OWN("daemon", cpu_user_ns, SECONDS, "CPU time of the daemon in user mode."),
	OWN("daemon", cpu_system_ns, SECONDS, "CPU time of the daemon in the kernel."),
	OWN("daemon", memory_bytes, GAUGE, "Resident memory of the daemon."),
	OWN("daemon", peak_memory_bytes, GAUGE, "Most resident memory of the daemon so far."),
	OWN("daemon", open_files, GAUGE, "File descriptors that the daemon has open."),
	OWN("daemon", log_held_back, COUNTER, "Repeated log lines that were held back."),

	NAMED("flows", open_flows, "open", GAUGE, "Flows in the table now."),
	NAMED("flows", max_flows, "max", GAUGE, "Flows that the table may hold."),
	FLOWS(opened, COUNTER, "Flows that began, or were found."),
	FLOWS(revived, COUNTER, "Flows with packets after they were reported for good."),
	{ROW("flows", FLOWS, struct flow_table_counters, reports, "reports", COUNTER,
	     "Records by the reason for them."),
	 LABELS("reason", get_end_reason, FLOW_END_RESOURCES + 1)},
	FLOWS(evicted, LOSS, "Flows that were reported early to make room (flows.max_flows)."),
	FLOWS(vanished, COUNTER, "Flows that ended without an event that said so."),
	FLOWS(late_reports, COUNTER, "Records of packets that came after a flow's last record."),
	FLOWS(unknown_destroys, COUNTER, "Flows first heard of at their end; reported whole."),
	FLOWS(dropped_unknown, LOSS, "Ends of flows of which nobody knows what was reported."),
	FLOWS(dropped_no_memory, LOSS, "Flows for which there was no memory."),
	FLOWS(forgotten, COUNTER, "Reported flows that had to be forgotten to make room."),
	FLOWS(ended_forgotten, LOSS,
	      "Flows that ended during a listing and were forgotten: it may show them as open."),
	FLOWS(counters_backwards, COUNTER, "Counters of flows that somebody set back."),

	PIPELINE(records, COUNTER, "Records handed to the exporters."),
	PIPELINE(records_filtered, COUNTER, "Records left out by flows.only_local."),
	PIPELINE(flows_filtered, COUNTER, "Flows left out by flows.include and flows.exclude."),
	PIPELINE(records_held, COUNTER, "Records that waited for a socket of theirs to end."),
	PIPELINE(retries, COUNTER, "Ends of flows whose owner was asked for again."),
	PIPELINE(retries_better, COUNTER, "... and then was known better."),
	PIPELINE(retries_dropped, LOSS, "Ends whose owner could not be asked for again: memory."),
	{ROW("records", PIPELINE, struct pipeline_counters, ends, "ends", COUNTER,
	     "Ends of flows in records, by how their process was found."),
	 LABELS("method", get_method, OWNERSHIP_METHOD_COUNT)},
	{ROW("records", PIPELINE, struct pipeline_counters, ends_unknown, "ends_unknown", COUNTER,
	     "Ends of flows in records without a process, by the reason."),
	 LABELS("reason", get_reason, OWNERSHIP_REASON_COUNT)},

	NAMED("conntrack", conntrack_entries, "entries", GAUGE,
	      "Entries in the kernel's connection tracking table."),
	NAMED("conntrack", conntrack_max, "max_entries", GAUGE,
	      "Entries that the kernel's table may hold."),
	CONNTRACK(events_new, COUNTER, "Events of new connections."),
	CONNTRACK(events_update, COUNTER, "Events of connections that changed."),
	CONNTRACK(events_destroy, COUNTER, "Events of connections that ended."),
	CONNTRACK(overruns, LOSS, "Times that the kernel dropped events; the table was listed."),
	CONNTRACK(resyncs, COUNTER, "Listings because events were lost."),
	CONNTRACK(listings, COUNTER, "Listings of the kernel's table."),
	CONNTRACK(listed_entries, COUNTER, "Entries read in them."),
	CONNTRACK(torn_listings, COUNTER, "Listings that changes of the table disturbed."),
	CONNTRACK(failed_listings, COUNTER, "Listings that an error ended; the next one begins anew."),
	CONNTRACK(queries, COUNTER, "Entries asked for one by one."),
	CONNTRACK(queries_missed, COUNTER, "... that were gone."),
	CONNTRACK(malformed, LOSS, "Messages that could not be read."),
	CONNTRACK(receive_errors, LOSS, "Errors of the event socket other than overruns."),
	CONNTRACK(filter_errors, COUNTER, "1: the kernel refused the filter of events."),
	CONNTRACK(receive_buffer_bytes, GAUGE, "Receive buffer of the event socket, as the kernel counts."),

	SOCKET_END(ends, COUNTER, "TCP sockets that the kernel told to have ended."),
	SOCKET_END(unconnected, COUNTER, "... that had no peer."),
	SOCKET_END(untold, COUNTER, "... without figures."),
	SOCKET_END(malformed, LOSS, "Messages that could not be read."),
	SOCKET_END(overruns, LOSS, "Times that the kernel dropped messages: figures are missing."),
	ENDED_SOCKETS(joined, COUNTER, "Ends of sockets that are in a record."),
	ENDED_SOCKETS(stale, COUNTER, "... that were of an earlier connection."),
	ENDED_SOCKETS(ambiguous, COUNTER, "... of several namespaces, left out."),
	ENDED_SOCKETS(expired, COUNTER, "... that no record asked for."),
	ENDED_SOCKETS(forgotten, LOSS, "... that had to make room."),
	NFLOG(packets, COUNTER, "Logged packets that were read."),
	NFLOG(lost, LOSS, "Logged packets that were lost on their way from the kernel."),
	NFLOG(overruns, LOSS, "Times that the kernel found the receive buffer full."),
	{ROW("nflog", NFLOG, struct nflog_counters, faults, "faults", LOSS,
	     "Logged packets that could not be read, by what was wrong with them."),
	 LABELS("fault", get_fault, PACKET_FAULTS)},
	NFLOG(malformed, LOSS, "Messages that could not be read."),
	NFLOG(receive_errors, LOSS, "Errors of the socket other than overruns."),

	PACKETS(matched, COUNTER, "Packets of flows that conntrack tells."),
	PACKETS(of_own_flows, COUNTER, "Packets of flows that nothing tracks."),
	PACKETS(flows, COUNTER, "Flows made from packets alone."),
	PACKETS(icmp_errors, COUNTER, "ICMP errors about packets of flows."),
	PACKETS(other_icmp, COUNTER, "ICMP that neither asks nor answers (neighbours, routers)."),
	PACKETS(stray_fragments, LOSS, "Fragments without their first one."),
	PACKETS(late, LOSS, "Packets behind the end of their connection."),
	PACKETS(foreign, COUNTER, "Packets of tracked flows that are not in the table."),
	PACKETS(dropped, LOSS, "Packets for whose flow there was no room."),

	SYSDIG(lines, COUNTER, "Lines that sysdig wrote."),
	SYSDIG(sockets, COUNTER, "... that told of a socket."),
	SYSDIG(processes, COUNTER, "... that told of a process."),
	SYSDIG(useless, COUNTER, "... that told nothing about the owner of a tuple."),
	SYSDIG(malformed, LOSS, "Lines that could not be read."),
	SYSDIG(unknown, LOSS, "Lines about events that nobody asked for."),
	SYSDIG(too_long, LOSS, "Lines that were too long."),
	SYSDIG(too_old, COUNTER, "Lines of a time before this host was started."),
	SYSDIG(starts, COUNTER, "Times that sysdig was started."),
	SYSDIG(ends, COUNTER, "Times that it ended."),
	SYSDIG(failures, COUNTER, "Times that it could not be started."),
	SYSDIG(complaints, COUNTER, "Lines that it wrote to standard error."),

	TRACE(records, COUNTER, "Records of tracepoints that were read."),
	TRACE(sockets, COUNTER, "... that told of a socket."),
	TRACE(processes, COUNTER, "... that told of a process."),
	TRACE(lost, LOSS, "Records that the kernel dropped; sock_diag answers instead."),
	TRACE(lost_spans, COUNTER, "Spans of time in which records were lost."),
	TRACE(malformed, LOSS, "Records that could not be read."),
	TRACE(borrowed, COUNTER, "Records that were not of the task that they name."),
	TRACE(unmatched, COUNTER, "TCP lookups without a connect, left out."),
	TRACE(late, COUNTER, "Records handed out after one with a later time."),
	TRACE(joined, COUNTER, "Connects joined of two records."),
	TRACE(connects_dropped, LOSS, "Connects of which only one record came."),
	TRACE(connects_pending, GAUGE, "Connects whose second record has not come yet."),
	TRACE(drains, COUNTER, "Times that the rings were read."),
	TRACE(rings, GAUGE, "Rings, one a CPU."),
	TRACE(ring_bytes, GAUGE, "Memory of all rings."),
	TRACE(rings_reopened, COUNTER, "Rings opened again after their CPU came back."),
	TRACE(ports_excluded, GAUGE, "Busy UDP ports that are left out now."),
	TRACE(ports_excluded_ever, COUNTER, "Times that a busy UDP port was left out."),

	{ROW("attribution", ATTRIBUTION, struct attribution_counters, answers, "answers", COUNTER,
	     "Questions for a flow's process, by the method of the answer; an end may be asked "
	     "for several times."),
	 LABELS("method", get_method, OWNERSHIP_METHOD_COUNT)},
	{ROW("attribution", ATTRIBUTION, struct attribution_counters, reasons, "reasons", COUNTER,
	     "Questions without an answer, by the reason."),
	 LABELS("reason", get_reason, OWNERSHIP_REASON_COUNT)},
	ATTRIBUTION(trace_records, COUNTER, "What trace told that was kept."),
	ATTRIBUTION(trace_lost, LOSS, "Questions about a time whose trace records were lost."),
	ATTRIBUTION(socket_queries, COUNTER, "Questions to sock_diag."),
	ATTRIBUTION(socket_errors, LOSS, "Questions to sock_diag that failed."),
	ATTRIBUTION(inode_hits, COUNTER, "Processes of sockets that were known."),
	ATTRIBUTION(inode_newborns, COUNTER, "... found in a process that had just started."),
	ATTRIBUTION(inode_stale, COUNTER, "Processes of sockets that were not true any more."),
	ATTRIBUTION(processes_scanned, COUNTER, "Directories /proc/PID/fd that were read."),
	ATTRIBUTION(scans_refused, LOSS, "Searches of /proc that the budget did not allow."),
	ATTRIBUTION(namespaces, GAUGE, "Other network namespaces that are known."),
	ATTRIBUTION(namespace_answers, COUNTER, "Questions about other namespaces' addresses."),
	ATTRIBUTION(namespace_shared, COUNTER, "... that several namespaces have."),
	ATTRIBUTION(namespace_errors, LOSS, "Network namespaces that could not be entered."),

	PROCESSES(processes, GAUGE, "Processes that open flows refer to."),
	PROCESSES(remembered, GAUGE, "Processes that are remembered for a while."),
	PROCESSES(acquired, COUNTER, "Processes that were looked at."),
	PROCESSES(vanished, COUNTER, "... that were gone by then."),
	PROCESSES(traced, COUNTER, "... of which the records of trace told all the same."),
	PROCESSES(without_procps, COUNTER, "Processes that the procps library failed to find."),
	PROCESSES(samples, COUNTER, "Samples of processes."),
	PROCESSES(sample_errors, LOSS, "Samples that failed."),
	PROCESSES(samples_shared, COUNTER, "Samples that served several flows."),
	PROCESSES(samples_idle, COUNTER, "Samples of processes that had not run."),
	PROCESSES(samples_backwards, COUNTER, "Samples with a counter below the one before."),
	PROCESSES(iowait_impossible, LOSS,
		  "Processes whose waits for I/O the kernel told as longer than can be."),
	PROCESSES(exit_records, COUNTER, "Exit records of tasks."),
	PROCESSES(exit_records_lost, LOSS, "Times that the kernel dropped exit records."),
	PROCESSES(descriptors_closed, COUNTER, "Kept descriptors that were given up for others."),
	PROCESSES(ends_without_leader, LOSS, "Ends whose record with the name was lost."),
	REPORTER(records, "records", COUNTER, "Records of processes handed to the exporters."),
	REPORTER(processes, "reported", GAUGE, "Processes that have records now."),
	REPORTER(late, "reported_late", COUNTER,
		 "Flows that came after the last record of their process."),
	REPORTER(refused, "refused", LOSS, "Processes that there was no room to report."),
	REPORTER(unconfirmed, "ends_unconfirmed", COUNTER,
		 "Ends that were not told: a thread's, or not known to be a process's."),

	CGROUPS(cgroups, GAUGE, "Control groups that are kept."),
	CGROUPS(ids_resolved, COUNTER, "Control groups of sockets that were found."),
	CGROUPS(ids_gone, COUNTER, "... that were gone."),
	CGROUPS(ids_refused, LOSS, "... that may not be looked up (CAP_DAC_READ_SEARCH)."),

	PACKAGES(paths, GAUGE, "Paths of packages that are known."),
	PACKAGES(packages, GAUGE, "Packages that are known."),
	PACKAGES(bytes, GAUGE, "Memory of the index of packages."),
	PACKAGES(readings, COUNTER, "Times that all lists of packages were read."),
	PACKAGES(dropped, LOSS, "Lists of packages that could not be read."),

	CONNECTOR(events, COUNTER, "Processes told by the proc connector."),
	CONNECTOR(others, COUNTER, "Events of it of other kinds."),
	CONNECTOR(malformed, LOSS, "Events of it that could not be read."),
	CONNECTOR(overruns, LOSS, "Times that the kernel dropped events of it."),

	CONTROL(clients, GAUGE, "Clients of the control socket now."),
	CONTROL(accepted, COUNTER, "Clients of the control socket so far."),
	CONTROL(answered, COUNTER, "Answers that were given whole."),
	CONTROL(refused_full, COUNTER, "Clients refused: too many at once."),
	CONTROL(refused_peers, COUNTER, "Clients refused: not allowed to ask."),
	CONTROL(refused_requests, COUNTER, "Requests refused: not understood."),
	CONTROL(refused_too_long, COUNTER, "Requests refused: longer than a request may be."),
	CONTROL(timeouts_request, COUNTER, "Clients dropped: no request in time."),
	CONTROL(timeouts_stalled, COUNTER, "Clients dropped: they did not read."),
	CONTROL(timeouts_answer, COUNTER, "Clients dropped: they read too slowly."),
	CONTROL(hangups, COUNTER, "Clients that went away before the answer was whole."),
	CONTROL(accept_errors, COUNTER, "Times that no client could be accepted."),
	CONTROL(no_memory, COUNTER, "Clients dropped: no memory."),

	EXPORTER(accepted_records, COUNTER, "Records that the exporter took."),
	EXPORTER(sent_records, COUNTER, "Records sent."),
	EXPORTER(sent_messages, COUNTER, "Messages sent."),
	EXPORTER(sent_bytes, COUNTER, "Bytes sent."),
	EXPORTER(waiting_records, GAUGE, "Records that wait."),
	EXPORTER(dropped_queue_full, LOSS, "Records dropped: the queue was full."),
	EXPORTER(dropped_unreachable, LOSS, "Records dropped: the collector was not reachable."),
	EXPORTER(dropped_too_large, LOSS, "Records dropped: too large for a message."),
	EXPORTER(dropped_refused, LOSS, "Records dropped: the collector will not take them."),
	EXPORTER(dropped_no_memory, LOSS, "Records dropped: no memory."),
	EXPORTER(dropped_spool, LOSS,
		 "Records dropped: the spool was full, damaged or of another type."),
	EXPORTER(refused_messages, LOSS, "Datagrams that nobody took."),
	EXPORTER(templates_sent, COUNTER, "Templates sent."),
	EXPORTER(simplified_records, COUNTER, "Records sent with fewer fields."),
	EXPORTER(connections, COUNTER, "Connections made."),
	EXPORTER(failed_connections, COUNTER, "Attempts to connect, or requests, that failed."),
	EXPORTER(retried_records, COUNTER, "Records given to the collector once more."),
	EXPORTER(spooled_records, GAUGE, "Records that wait on disk."),
	EXPORTER(recovered_records, COUNTER, "Records found on disk at the start."),
};

struct counters {
	struct counters_figures figures;
	struct statistics statistics;
	struct statistics_instance *instances;
	size_t instance_room;
};

int counters_new(struct counters **ret)
{
	struct counters *counters = calloc(1, sizeof(*counters));

	if (!counters)
		return -ENOMEM;
	counters->statistics = (struct statistics){
		.rows = rows, .row_count = array_length(rows), .instance_source = SOURCE_EXPORTER};
	*ret = counters;
	return 0;
}

void counters_free(struct counters *counters)
{
	if (!counters)
		return;
	free(counters->instances);
	free(counters);
}

static uint64_t read_number(int proc_fd, const char *path)
{
	char text[64];
	unsigned long long number;

	if (procfs_read_text(proc_fd, path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu", &number) != 1)
		return STATISTIC_UNKNOWN;
	return number;
}

static uint64_t to_ns(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * NS_PER_SEC + (uint64_t)time->tv_usec * 1000;
}

static void read_own(struct counters_figures *figures, int proc_fd)
{
	unsigned long long pages;
	struct rusage usage;
	struct stat status;
	char text[128];

	figures->memory_bytes = figures->open_files = STATISTIC_UNKNOWN;
	/* The number of open descriptors since Linux 6.2 (proc_fd_getattr()), 0 before. */
	if (fstatat(proc_fd, "self/fd", &status, 0) == 0 && status.st_size > 0)
		figures->open_files = (uint64_t)status.st_size;
	if (procfs_read_text(proc_fd, "self/statm", text, sizeof(text)) > 0 &&
	    sscanf(text, "%*u %llu", &pages) == 1)
		figures->memory_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	getrusage(RUSAGE_SELF, &usage);
	figures->cpu_user_ns = to_ns(&usage.ru_utime);
	figures->cpu_system_ns = to_ns(&usage.ru_stime);
	figures->peak_memory_bytes = (uint64_t)usage.ru_maxrss * 1024;
}

static void read_figures(struct counters *counters, const struct counters_parts *parts,
			 uint64_t now_ns)
{
	struct counters_figures *figures = &counters->figures;

	read_own(figures, parts->proc_fd);
	figures->uptime_ns = now_ns - parts->start_ns;
	figures->start_ns = clock_wall_ns() - figures->uptime_ns;
	figures->open_flows = flow_table_get_size(pipeline_get_flows(parts->pipeline));
	figures->max_flows = parts->config->flows.max_flows;
	figures->conntrack_entries =
		read_number(parts->proc_fd, "sys/net/netfilter/nf_conntrack_count");
	figures->conntrack_max = read_number(parts->proc_fd, "sys/net/netfilter/nf_conntrack_max");
	figures->log_held_back = log_get_held_back();
}

/* 0 or -ENOMEM. */
static int read_exporters(struct counters *counters, const struct counters_parts *parts)
{
	if (counters->instance_room < parts->exporters->count) {
		struct statistics_instance *room =
			reallocarray(counters->instances, parts->exporters->count, sizeof(*room));

		if (!room)
			return -ENOMEM;
		counters->instances = room;
		counters->instance_room = parts->exporters->count;
	}
	for (size_t i = 0; i < parts->exporters->count; i++)
		counters->instances[i] = (struct statistics_instance){
			.name = exporter_get_name(parts->exporters->items[i]),
			.type = config_exporter_type_get_name(
				exporter_get_config(parts->exporters->items[i])->type),
			.to = exporter_get_config(parts->exporters->items[i])->to.text,
			.values = exporter_get_counters(parts->exporters->items[i]),
		};
	counters->statistics.instances = counters->instances;
	counters->statistics.instance_count = parts->exporters->count;
	return 0;
}

const struct statistics *counters_read(struct counters *counters,
				       const struct counters_parts *parts, uint64_t now_ns)
{
	const void **sources = counters->statistics.sources;

	if (read_exporters(counters, parts) < 0)
		return NULL;
	read_figures(counters, parts, now_ns);
	sources[SOURCE_FIGURES] = &counters->figures;
	sources[SOURCE_FLOWS] = flow_table_get_counters(pipeline_get_flows(parts->pipeline));
	sources[SOURCE_PIPELINE] = pipeline_get_counters(parts->pipeline);
	sources[SOURCE_CONNTRACK] = conntrack_get_counters(parts->conntrack);
	sources[SOURCE_SOCKET_END] =
		parts->socket_end ? socket_end_get_counters(parts->socket_end) : NULL;
	sources[SOURCE_ENDED_SOCKETS] = pipeline_get_socket_counters(parts->pipeline);
	sources[SOURCE_NFLOG] = packets_get_nflog_counters(parts->packets);
	sources[SOURCE_PACKETS] = packets_get_counters(parts->packets);
	sources[SOURCE_SYSDIG] = parts->sysdig ? sysdig_get_counters(parts->sysdig) : NULL;
	sources[SOURCE_TRACE] = parts->trace ? trace_get_counters(parts->trace) : NULL;
	sources[SOURCE_ATTRIBUTION] = attribution_get_counters(parts->attribution);
	sources[SOURCE_PROCESSES] = process_table_get_counters(parts->processes);
	sources[SOURCE_REPORTER] =
		parts->reporter ? process_reporter_get_counters(parts->reporter) : NULL;
	sources[SOURCE_CGROUPS] =
		cgroup_table_get_counters(process_table_get_cgroups(parts->processes));
	sources[SOURCE_PACKAGES] = process_table_get_packages_counters(parts->processes);
	sources[SOURCE_PROC_CONNECTOR] =
		parts->proc_connector ? proc_connector_get_counters(parts->proc_connector) : NULL;
	sources[SOURCE_CONTROL] = parts->control ? control_get_counters(parts->control) : NULL;
	return &counters->statistics;
}

const struct counters_figures *counters_get_figures(const struct counters *counters)
{
	return &counters->figures;
}
