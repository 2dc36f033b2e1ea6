/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "attribution/attribution.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "export/exporter_set.h"
#include "listening.h"
#include "packets.h"
#include "pipeline.h"
#include "process/process_table.h"
#include "process_reporter.h"
#include "reload.h"
#include "reporting.h"
#include "runtime/loop.h"
#include "runtime/open_files.h"
#include "sources/conntrack.h"
#include "sources/prerequisites.h"
#include "sources/proc_connector.h"
#include "sources/socket_end.h"
#include "sources/sysdig.h"
#include "sources/trace.h"

#define LOG_MODULE "daemon"
#include "runtime/log.h"

/* The table is listed four times an active or idle timeout, whichever is shorter: a record is then
 * late by a quarter at most. A listing may take a fiftieth of the time between two. */
enum { SWEEPS_PER_TIMEOUT = 4, SWEEP_SHARE = 50, SAMPLES_PER_TURN = 256 };
#define SWEEP_SHORTEST_NS (200 * NS_PER_MS)
#define SWEEP_LONGEST_NS  (10 * NS_PER_SEC)

/* Datagrams a second from one local port: a record for each would cost a hundredth of a CPU, and a DNS
 * server is not found any better by it. */
enum { BUSY_PORT_RATE = 10000 };

/* Half of them at the most keep stat files of processes open. */
#define MOST_OPEN_FILES (1ull << 18)

/* How long the last listing may take before the open flows are reported without it. */
#define LAST_LISTING_NS (2 * NS_PER_SEC)

struct daemon {
	const struct config *config;
	struct daemon_options options;
	int proc_fd;
	struct loop *loop;
	struct prerequisites *prerequisites;
	struct process_table *processes;
	struct attribution *attribution;
	struct trace *trace;		       /* NULL: not among the methods, or not to be had */
	struct proc_connector *proc_connector; /* NULL: not needed, or not to be had */
	struct sysdig *sysdig;		       /* NULL: not wanted */
	struct socket_end *socket_end;	       /* NULL: not to be had */
	struct exporter_set exporters;
	struct ignored_counters ignored;
	struct process_reporter *reporter; /* NULL: no records of processes */
	struct pipeline *pipeline;
	struct conntrack *conntrack;
	struct packets *packets; /* NULL: not wanted, or not to be had */
	struct listening *listening;
	struct reporting *reporting;
	struct loop_source *sweep_timer, *sample_timer, *attribution_timer, *stop_timer;
	struct loop_source *address_source, *exit_source;
	struct loop_source *signals[4];
	uint64_t sweep_began_cpu_ns;
	uint64_t overruns_told, socket_overruns_told;
	bool is_stopping, has_listed_last;
};

DEFINE_CLEANUP(struct daemon *, daemon_free);

static uint64_t cpu_time_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_SEC + (uint64_t)used.tv_nsec;
}

static uint64_t sweep_interval_ns(const struct config *config)
{
	uint64_t shortest = config->flows.active_timeout_ns;

	if (config->flows.idle_timeout_ns < shortest)
		shortest = config->flows.idle_timeout_ns;
	shortest /= SWEEPS_PER_TIMEOUT;
	if (shortest < SWEEP_SHORTEST_NS)
		return SWEEP_SHORTEST_NS;
	return shortest < SWEEP_LONGEST_NS ? shortest : SWEEP_LONGEST_NS;
}

static void stop(struct daemon *daemon)
{
	packets_finish(daemon->packets);
	pipeline_flush(daemon->pipeline);
	process_reporter_flush(daemon->reporter);
	loop_stop(daemon->loop, 0);
}

static void on_stop_due(void *userdata, unused uint64_t now_ns)
{
	log_warning("the last listing of the flow table took too long: open flows are reported "
		    "with the counters of the one before");
	stop(userdata);
}

/* The loop's own turns between two listings cost too, so this bounds the daemon's share from above.
 */
static void arm_sweep_timer(struct daemon *daemon)
{
	uint64_t interval_ns = sweep_interval_ns(daemon->config);
	uint64_t cost_ns = cpu_time_ns() - daemon->sweep_began_cpu_ns;

	if (cost_ns * SWEEP_SHARE > interval_ns)
		interval_ns = cost_ns * SWEEP_SHARE;
	loop_source_set_time(daemon->sweep_timer, clock_now_ns() + interval_ns);
}

static void on_sweep_due(void *userdata, uint64_t now_ns)
{
	struct daemon *daemon = userdata;
	int r;

	if (conntrack_is_listing(daemon->conntrack)) /* its end arms the timer */
		return;
	daemon->sweep_began_cpu_ns = cpu_time_ns();
	r = conntrack_list(daemon->conntrack, CONNTRACK_LISTING_SWEEP);
	if (r == 0)
		return;
	log_warning("cannot list the connection tracking table: %s", strerror(-r));
	loop_source_set_time(daemon->sweep_timer, now_ns + sweep_interval_ns(daemon->config));
}

static void tell_overruns(struct daemon *daemon)
{
	const struct conntrack_counters *counters = conntrack_get_counters(daemon->conntrack);

	if (counters->overruns == daemon->overruns_told ||
	    conntrack_needs_resync(daemon->conntrack))
		return;
	log_warning("events were lost: %" PRIu64 " overruns so far, %" PRIu64
		    " listings to mend them, receive buffer now %" PRIu64 " KiB",
		    counters->overruns, counters->resyncs, counters->receive_buffer_bytes / 1024);
	daemon->overruns_told = counters->overruns;
}

/* Open flows are reported with the counters of a listing that began after the signal and after the last
 * loss of events; on_stop_due() bounds the wait. */
static void list_before_stop(struct daemon *daemon)
{
	if (conntrack_is_listing(daemon->conntrack))
		return; /* on_listed() comes back */
	if (daemon->has_listed_last && !conntrack_needs_resync(daemon->conntrack)) {
		stop(daemon);
		return;
	}
	daemon->has_listed_last = true;
	if (conntrack_list(daemon->conntrack, CONNTRACK_LISTING_SWEEP) < 0)
		stop(daemon);
}

static void on_listed(void *userdata)
{
	struct daemon *daemon = userdata;

	tell_overruns(daemon);
	if (daemon->is_stopping)
		list_before_stop(daemon);
	else
		arm_sweep_timer(daemon);
}

static void on_trace_socket(void *userdata, const struct socket_event *event)
{
	attribution_add_socket(userdata, event);
}

static void on_trace_process(void *userdata, const struct process_event *event)
{
	attribution_add_process(userdata, event);
}

static void on_trace_lost(void *userdata, uint64_t from_ns, uint64_t until_ns)
{
	attribution_add_lost(userdata, from_ns, until_ns);
}

static void on_trace_port_excluded(void *userdata, uint8_t protocol, uint16_t port)
{
	log_info("%s port %u is so busy that it is left out of trace for a minute: sock_diag "
		 "answers for it",
		 protocol == IPPROTO_TCP ? "TCP" : "UDP", port);
	attribution_forget_port(userdata, protocol, port);
}

static void open_trace(struct daemon *daemon)
{
	struct trace_options options = {.handlers = {.on_socket = on_trace_socket,
						     .on_process = on_trace_process,
						     .on_lost = on_trace_lost,
						     .on_port_excluded = on_trace_port_excluded,
						     .userdata = daemon->attribution},
					.busy_port_rate = BUSY_PORT_RATE};
	char reason[TRACE_REASON_SIZE] = "";

	if (!(daemon->config->attribution.methods & CONFIG_METHOD_TRACE))
		return;
	if (trace_new(daemon->loop, &options, reason, &daemon->trace) == 0) {
		attribution_begin_trace(daemon->attribution, clock_now_ns());
		return;
	}
	attribution_drop_trace(daemon->attribution);
	log_warning("the method trace is not to be had: %s; processes that live for a moment only "
		    "will be missed",
		    reason);
}

static void on_processes_lost(void *userdata)
{
	attribution_add_lost(userdata, 0, 0);
}

static void tell_processes(void *userdata)
{
	proc_connector_read(userdata);
}

/* Without trace a short life is found only where the search begins with it. */
static void open_proc_connector(struct daemon *daemon)
{
	struct proc_connector_options options = {.handlers = {.on_process = on_trace_process,
							      .on_lost = on_processes_lost,
							      .userdata = daemon->attribution}};
	int r;

	if (daemon->trace || !(daemon->config->attribution.methods & CONFIG_METHOD_SOCK_DIAG))
		return;
	r = proc_connector_open(&options, &daemon->proc_connector);
	if (r < 0)
		log_info("the proc connector is not to be had: %s; new processes are looked for "
			 "in /proc",
			 strerror(-r));
	else
		attribution_set_process_teller(daemon->attribution, tell_processes,
					       daemon->proc_connector);
}

static void on_address_change(void *userdata, unused uint32_t epoll_events)
{
	struct daemon *daemon = userdata;

	attribution_on_address_change(daemon->attribution);
}

static void on_process_exits(void *userdata, unused uint32_t epoll_events)
{
	struct daemon *daemon = userdata;

	process_table_read_exits(daemon->processes);
}

/* Counters as they stand now go into the last records. A second signal does not wait for them. */
static void on_terminate(void *userdata, unused int signal_number)
{
	struct daemon *daemon = userdata;

	if (daemon->is_stopping) {
		stop(daemon);
		return;
	}
	daemon->is_stopping = true;
	loop_notify("STOPPING=1");
	if (loop_add_timer(daemon->loop, clock_now_ns() + LAST_LISTING_NS, on_stop_due, daemon,
			   &daemon->stop_timer) < 0)
		stop(daemon);
	else
		list_before_stop(daemon);
}

static void tell_socket_overruns(struct daemon *daemon)
{
	uint64_t overruns =
		daemon->socket_end ? socket_end_get_counters(daemon->socket_end)->overruns : 0;

	if (overruns == daemon->socket_overruns_told)
		return;
	log_warning("TCP sockets ended faster than they were read, %" PRIu64
		    " overruns so far: retransmissions and round-trip times of some connections "
		    "are unknown",
		    overruns);
	daemon->socket_overruns_told = overruns;
}

static void on_attribution_due(void *userdata, uint64_t now_ns)
{
	struct daemon *daemon = userdata;

	attribution_expire(daemon->attribution, now_ns);
	tell_socket_overruns(daemon);
	loop_source_set_time(daemon->attribution_timer, now_ns + NS_PER_SEC);
}

static void on_samples_due(void *userdata, uint64_t now_ns)
{
	struct daemon *daemon = userdata;

	/* procflowd -o text | head */
	if (exporter_set_is_closed(&daemon->exporters) && !daemon->is_stopping)
		on_terminate(daemon, SIGPIPE);
	loop_source_set_time(
		daemon->sample_timer,
		process_table_run_schedule(daemon->processes, now_ns, SAMPLES_PER_TURN));
}

static void on_hangup(void *userdata, unused int signal_number)
{
	struct daemon *daemon = userdata;
	struct exporter_context context = {.loop = daemon->loop,
					   .is_terminal = daemon->options.is_terminal,
					   .ignored = &daemon->ignored};
	struct reload_parts parts = {.path = daemon->options.config_path,
				     .must_exist = daemon->options.must_exist,
				     .verbosity = daemon->options.verbosity,
				     .running = daemon->config,
				     .exporters = &daemon->exporters,
				     .context = &context};

	if (!daemon->is_stopping && reload(&parts) == 0)
		exporter_set_reopen(&daemon->exporters);
}

static void on_reopen(void *userdata, unused int signal_number)
{
	struct daemon *daemon = userdata;

	exporter_set_reopen(&daemon->exporters);
}

/* nohup(1): whoever starts us does not want that a terminal's end is ours. Blocked, as the loop has its
 * signals, it would come all the same. */
static bool is_ignored(int signal_number)
{
	struct sigaction action;

	return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static int add_signals(struct daemon *daemon)
{
	const struct {
		int number;
		loop_on_signal handler;
	} handled[] = {{SIGTERM, on_terminate},
		       {SIGINT, on_terminate},
		       {SIGUSR1, on_reopen},
		       {SIGHUP, daemon->options.config_path ? on_hangup : on_terminate}};
	size_t count = array_length(handled);

	_Static_assert(array_length(handled) <= array_length(((struct daemon *)0)->signals), "");
	if (!daemon->options.config_path && is_ignored(SIGHUP))
		count--;
	for (size_t i = 0; i < count; i++) {
		int r = loop_add_signal(daemon->loop, handled[i].number, handled[i].handler, daemon,
					&daemon->signals[i]);

		if (r < 0)
			return r;
	}
	/* A reader of our standard output or a collector that goes away is an error of that write.
	 */
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int open_exporters(struct daemon *daemon)
{
	struct exporter_context context = {.loop = daemon->loop,
					   .is_terminal = daemon->options.is_terminal,
					   .ignored = &daemon->ignored};

	return exporter_set_open(&daemon->exporters, daemon->config, &context);
}

static int open_attribution(struct daemon *daemon)
{
	struct attribution_options options = {
		.methods = daemon->config->attribution.methods,
		.proc_fd = daemon->proc_fd,
		.all_namespaces = daemon->config->attribution.namespaces == CONFIG_NAMESPACES_ALL};
	int r = attribution_new(&options, &daemon->attribution);

	if (r < 0) {
		log_error("cannot ask the kernel for sockets: %s", strerror(-r));
		return r;
	}
	r = attribution_get_namespaces_error(daemon->attribution);
	if (r < 0)
		log_warning("network namespaces other than our own are not looked at: %s%s",
			    strerror(-r), r == -EPERM ? " (CAP_SYS_ADMIN is needed)" : "");
	r = loop_add_timer(daemon->loop, clock_now_ns(), on_attribution_due, daemon,
			   &daemon->attribution_timer);
	if (r < 0)
		return r;
	return loop_add_io(daemon->loop, attribution_get_address_fd(daemon->attribution), EPOLLIN,
			   on_address_change, daemon, &daemon->address_source);
}

/* A table for people has flows alone. Of other exporters a reload may make some that take processes. */
static bool may_take_processes(const struct config *config)
{
	for (size_t i = 0; i < config->exporter_count; i++)
		if (config->exporters[i].type != CONFIG_EXPORTER_TEXT)
			return true;
	return false;
}

static int open_processes(struct daemon *daemon)
{
	const struct prerequisites_state *state = prerequisites_get_state(daemon->prerequisites);
	struct process_table_options options = {
		.proc_fd = daemon->proc_fd,
		.sample_interval_ns = daemon->config->processes.sample_interval_ns,
		.delay_accounting = state->has_delay_accounting,
		.delay_accounting_since_ns = state->delay_accounting_since_ns,
		.command_line = daemon->config->processes.command_line,
		.package_names = daemon->config->processes.package_names,
		.tell_all_ends = daemon->config->processes.report == CONFIG_REPORT_ALL &&
				 may_take_processes(daemon->config),
	};
	int r = process_table_new(&options, &daemon->processes);

	if (r < 0) {
		log_error("cannot watch processes: %s", strerror(-r));
		return r;
	}
	if (!process_table_has_taskstats(daemon->processes))
		log_warning("taskstats is not to be had here (it answers in the initial user "
			    "namespace, with CAP_NET_ADMIN): CPU time is counted in clock ticks, "
			    "I/O wait is unknown");
	if (process_table_get_exit_fd(daemon->processes) >= 0) {
		r = loop_add_io(daemon->loop, process_table_get_exit_fd(daemon->processes), EPOLLIN,
				on_process_exits, daemon, &daemon->exit_source);
		if (r < 0)
			return r;
	}
	return loop_add_timer(daemon->loop, clock_now_ns(), on_samples_due, daemon,
			      &daemon->sample_timer);
}

static int open_conntrack(struct daemon *daemon)
{
	struct conntrack_options options = {
		.receive_buffer_bytes = daemon->config->conntrack.receive_buffer_bytes,
		.receive_buffer_max_bytes = daemon->config->conntrack.receive_buffer_max_bytes,
		.handlers = pipeline_get_conntrack_handlers(daemon->pipeline),
	};
	int r = loop_add_timer(daemon->loop, UINT64_MAX, on_sweep_due, daemon,
			       &daemon->sweep_timer);

	if (r < 0)
		return r;
	pipeline_set_on_listed(daemon->pipeline, on_listed, daemon);
	r = conntrack_new(daemon->loop, &options, &daemon->conntrack);
	if (r < 0) {
		log_error("cannot listen to connection tracking: %s%s", strerror(-r),
			  r == -EPERM ? " (CAP_NET_ADMIN is needed)" : "");
		return r;
	}
	pipeline_set_conntrack(daemon->pipeline, daemon->conntrack);
	return 0;
}

static int open_reporter(struct daemon *daemon)
{
	struct process_reporter_options options = {
		.loop = daemon->loop,
		.processes = daemon->processes,
		.attribution = daemon->attribution,
		.exporters = &daemon->exporters,
		.interval_ns = daemon->config->flows.active_timeout_ns,
		.all = daemon->config->processes.report == CONFIG_REPORT_ALL,
		.report_start = daemon->config->processes.report_start,
	};

	if (daemon->config->processes.report == CONFIG_REPORT_NONE ||
	    !may_take_processes(daemon->config))
		return 0;
	return process_reporter_new(&options, &daemon->reporter);
}

static int open_pipeline(struct daemon *daemon)
{
	struct pipeline_parts parts = {
		.loop = daemon->loop,
		.attribution = daemon->attribution,
		.processes = daemon->processes,
		.trace = daemon->trace,
		.reporter = daemon->reporter,
		.exporters = &daemon->exporters,
		.ignored = &daemon->ignored,
	};

	return pipeline_new(daemon->config, &parts, &daemon->pipeline);
}

static int open_packets(struct daemon *daemon)
{
	const struct prerequisites_state *state = prerequisites_get_state(daemon->prerequisites);
	struct packets_options options = {
		.config = daemon->config,
		.loop = daemon->loop,
		.pipeline = daemon->pipeline,
		.conntrack = daemon->conntrack,
		.may_track = state->is_tracking ||
			     daemon->config->conntrack.activate == CONFIG_ACTIVATE_AUTO,
	};
	int r = packets_new(&options, &daemon->packets);

	if (r == 0)
		pipeline_set_packets(daemon->pipeline, daemon->packets);
	return r;
}

static int open_listening(struct daemon *daemon)
{
	struct listening_options options = {.loop = daemon->loop,
					    .attribution = daemon->attribution,
					    .processes = daemon->processes,
					    .exporters = &daemon->exporters};

	return listening_new(&options, &daemon->listening);
}

static int open_reporting(struct daemon *daemon)
{
	struct counters_parts parts = {
		.config = daemon->config,
		.pipeline = daemon->pipeline,
		.conntrack = daemon->conntrack,
		.socket_end = daemon->socket_end,
		.packets = daemon->packets,
		.proc_connector = daemon->proc_connector,
		.sysdig = daemon->sysdig,
		.trace = daemon->trace,
		.attribution = daemon->attribution,
		.processes = daemon->processes,
		.reporter = daemon->reporter,
		.exporters = &daemon->exporters,
		.proc_fd = daemon->proc_fd,
		.start_ns = clock_now_ns(),
	};

	return reporting_new(daemon->loop, &parts, &daemon->reporting);
}

static void on_sysdig_socket(void *userdata, const struct socket_event *event)
{
	attribution_add_sysdig_socket(userdata, event);
}

static void on_sysdig_process(void *userdata, const struct process_event *event)
{
	attribution_add_sysdig_process(userdata, event);
}

static int open_sysdig(struct daemon *daemon)
{
	const struct config_sysdig *config = &daemon->config->sysdig;
	struct sysdig_options options = {.command = config->command.items,
					 .capture = config->capture,
					 .handlers = {.on_socket = on_sysdig_socket,
						      .on_process = on_sysdig_process,
						      .userdata = daemon->attribution}};

	return config->enable ? sysdig_new(daemon->loop, &options, &daemon->sysdig) : 0;
}

static void open_socket_end(struct daemon *daemon)
{
	struct socket_end_options options = {
		.all_namespaces = daemon->config->attribution.namespaces == CONFIG_NAMESPACES_ALL,
		.on_end = pipeline_on_socket_end,
		.userdata = daemon->pipeline};
	int everywhere = 0;
	int r = socket_end_new(daemon->loop, &options, &everywhere, &daemon->socket_end);

	if (r < 0)
		log_warning("the kernel does not tell of TCP sockets that end: %s; retransmissions "
			    "and round-trip times are unknown",
			    strerror(-r));
	else if (everywhere < 0)
		log_warning("TCP sockets that end in other network namespaces are not heard: %s%s",
			    strerror(-everywhere),
			    everywhere == -EPERM ? " (CAP_NET_BROADCAST is needed)" : "");
	pipeline_set_socket_end(daemon->pipeline, daemon->socket_end);
}

static void raise_open_files(void)
{
	uint64_t limit;
	int r = open_files_raise(MOST_OPEN_FILES, &limit);

	if (r < 0)
		log_warning("RLIMIT_NOFILE stays as it is: %s", strerror(-r));
	else
		log_debug("%" PRIu64 " files may be open", limit);
}

static int open_parts(struct daemon *daemon, const struct daemon_options *options)
{
	int r = add_signals(daemon);

	if (r < 0)
		return r;
	raise_open_files();
	r = prerequisites_new(daemon->config, options->state_directory, &daemon->prerequisites);
	if (r == -EBUSY)
		log_error("%s: another procflowd runs with this state directory",
			  options->state_directory);
	if (r < 0)
		return r;
	r = open_exporters(daemon);
	if (r < 0)
		return r;
	r = open_processes(daemon);
	if (r < 0)
		return r;
	r = open_attribution(daemon);
	if (r < 0)
		return r;
	open_trace(daemon);
	open_proc_connector(daemon);
	r = open_reporter(daemon);
	if (r < 0)
		return r;
	r = open_pipeline(daemon);
	if (r < 0)
		return r;
	open_socket_end(daemon);
	r = open_sysdig(daemon);
	if (r < 0)
		return r;
	r = open_conntrack(daemon);
	if (r < 0)
		return r;
	r = open_packets(daemon);
	if (r < 0)
		return r;
	r = open_listening(daemon);
	if (r < 0)
		return r;
	return open_reporting(daemon);
}

int daemon_new(const struct daemon_options *options, struct daemon **ret)
{
	cleanup(daemon_free_cleanup) struct daemon *daemon = calloc(1, sizeof(*daemon));
	int r;

	if (!daemon)
		return -ENOMEM;
	daemon->config = options->config;
	daemon->options = *options;
	daemon->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (daemon->proc_fd < 0) {
		r = -errno;
		log_error("/proc: %s", strerror(-r));
		return r;
	}
	r = loop_new(&daemon->loop);
	if (r < 0)
		return r;
	r = open_parts(daemon, options);
	if (r < 0)
		return r;
	*ret = steal_pointer(&daemon);
	return 0;
}

void daemon_free(struct daemon *daemon)
{
	if (!daemon)
		return;
	loop_source_free(daemon->stop_timer);
	loop_source_free(daemon->sweep_timer);
	loop_source_free(daemon->sample_timer);
	loop_source_free(daemon->attribution_timer);
	loop_source_free(daemon->address_source);
	loop_source_free(daemon->exit_source);
	for (size_t i = 0; i < array_length(daemon->signals); i++)
		loop_source_free(daemon->signals[i]);
	reporting_free(daemon->reporting);
	listening_free(daemon->listening);
	conntrack_free(daemon->conntrack);
	socket_end_free(daemon->socket_end);
	sysdig_free(daemon->sysdig);
	pipeline_free(daemon->pipeline);
	packets_free(daemon->packets); /* behind the flows, which leave it one by one */
	trace_free(daemon->trace);
	attribution_free(daemon->attribution);
	proc_connector_close(daemon->proc_connector);
	process_reporter_free(daemon->reporter);
	process_table_free(daemon->processes);
	exporter_set_close(&daemon->exporters);
	prerequisites_free(daemon->prerequisites);
	loop_free(daemon->loop);
	if (daemon->proc_fd >= 0)
		close(daemon->proc_fd);
	free(daemon);
}

int daemon_run(struct daemon *daemon)
{
	loop_use_watchdog(daemon->loop);
	loop_notify("READY=1");
	return loop_run(daemon->loop);
}
