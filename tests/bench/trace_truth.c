/* SPDX-License-Identifier: GPL-2.0-or-later */

/* trace_truth [-n FLOWS] [-p PARALLEL] [-l HOLDERS] [-r RING_BYTES] [-c CELLS] SENDER
 *
 * How often trace names the right process: for each cell of the matrix, FLOWS processes that open
 * one flow and exit, PARALLEL at once at full speed, beside HOLDERS processes that live long and
 * hold sockets. Prints a row for each cell; status 1 where a process was named wrongly. "server":
 * the end that answers, right/wrong/none; "name": parent and name of the sender, gone by then;
 * "rec/fl", "us/fl": records of all of this host's processes, and CPU of the reader, for each flow;
 * "drop": records that the kernel dropped. In a network namespace of its own. CELLS, as in
 * "tcp/v4/exec,udp-send/v6/fork", are the cells to run; else all. */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attribution/ownership_ranges.h"
#include "attribution/trace_processes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "sources/trace.h"
#include "support/network_namespace.h"
#include "truth.h"

struct bench {
	size_t flows, parallel, holders, ring_bytes;
	const char *sender;
	const char *cells; /* NULL: all */
	struct loop *loop;
	struct loop_source *children;
	struct trace *trace;
	struct ownership_ranges *ranges;
	struct trace_processes *processes;
	pid_t *spawners;
	size_t running;
};

struct score {
	size_t sent, right, wrong, none, lost;
	size_t answers_right, answers_wrong, answers_none;
	size_t names_right, names_wrong, names_none;
	size_t doubled; /* tuples that came twice: left out */
};

static void on_socket(void *userdata, const struct socket_event *event)
{
	struct bench *bench = userdata;

	if (ownership_ranges_add(bench->ranges, event) < 0)
		abort();
}

static void on_process(void *userdata, const struct process_event *event)
{
	struct bench *bench = userdata;

	if (trace_processes_add(bench->processes, event) < 0)
		abort();
}

static void on_lost(void *userdata, uint64_t from_ns, uint64_t until_ns)
{
	struct bench *bench = userdata;

	ownership_ranges_add_lost(bench->ranges, from_ns, until_ns);
	trace_processes_add_lost(bench->processes, from_ns, until_ns);
}

static int open_trace(struct bench *bench)
{
	const struct ownership_ranges_options ranges = {
		.max_ranges = 262144, .max_age_ns = 600 * NS_PER_SEC, .tolerance_ns = NS_PER_MS};
	const struct trace_processes_options processes = {.max_processes = 65536,
							  .keep_ns = 600 * NS_PER_SEC};
	const struct trace_options options = {.handlers = {.on_socket = on_socket,
							   .on_process = on_process,
							   .on_lost = on_lost,
							   .userdata = bench},
					      .ring_bytes = bench->ring_bytes};
	char reason[TRACE_REASON_SIZE];
	int r;

	if (ownership_ranges_new(&ranges, &bench->ranges) < 0 ||
	    trace_processes_new(&processes, &bench->processes) < 0 || loop_new(&bench->loop) < 0)
		abort();
	r = trace_new(bench->loop, &options, reason, &bench->trace);
	if (r < 0)
		fprintf(stderr, "trace: %s\n", reason);
	return r;
}

static void close_trace(struct bench *bench)
{
	trace_free(bench->trace);
	loop_free(bench->loop);
	ownership_ranges_free(bench->ranges);
	trace_processes_free(bench->processes);
}

static void on_child(void *userdata, unused int signal_number)
{
	struct bench *bench = userdata;
	int status;

	for (size_t i = 0; i < bench->parallel; i++) {
		if (bench->spawners[i] == 0 ||
		    waitpid(bench->spawners[i], &status, WNOHANG) != bench->spawners[i])
			continue;
		bench->spawners[i] = 0;
		if (--bench->running == 0)
			loop_stop(bench->loop, 0);
	}
}

static struct socket_tuple make_tuple(const struct truth_cell *cell, const struct truth_flow *flow,
				      bool is_server)
{
	struct socket_tuple tuple = {
		.local_port = is_server ? flow->remote_port : flow->local_port,
		.remote_port = is_server ? flow->local_port : flow->remote_port,
		.family = cell->family == AF_INET ? IP_FAMILY_V4 : IP_FAMILY_V6,
		.protocol = cell->kind == TRUTH_TCP ? IPPROTO_TCP : IPPROTO_UDP};
	struct ip_address loopback = {0};

	if (cell->family == AF_INET)
		loopback = (struct ip_address){.bytes = {127, 0, 0, 1}};
	else
		loopback.bytes[15] = 1;
	tuple.local = loopback;
	tuple.remote = loopback;
	return tuple;
}

static void score_answer(struct bench *bench, const struct truth_cell *cell,
			 const struct truth_flow *flow, pid_t server, struct score *score)
{
	struct ownership_ranges_query query = {.socket = make_tuple(cell, flow, true),
					       .earliest_ns = flow->before_ns,
					       .latest_ns = clock_now_ns()};
	struct ownership_range told;

	if (ownership_ranges_find(bench->ranges, &query, &told) != 0)
		score->answers_none++;
	else if (told.ownership.process.pid == server)
		score->answers_right++;
	else
		score->answers_wrong++;
}

static void score_name(struct bench *bench, const struct truth_cell *cell,
		       const struct truth_flow *flow, struct score *score)
{
	const struct trace_process *process =
		trace_processes_find(bench->processes, flow->pid, flow->after_ns);
	const char *wanted = cell->is_exec ? "truth_sender" : "truth_spawner";

	if (!process)
		score->names_none++;
	else if (process->parent == flow->parent && process->exit_ns >= flow->after_ns &&
		 strcmp(trace_process_get_name(process, flow->after_ns), wanted) == 0)
		score->names_right++;
	else
		score->names_wrong++;
}

static int compare_flows(const void *a, const void *b)
{
	const struct truth_flow *left = a, *right = b;

	if (left->remote_port != right->remote_port)
		return left->remote_port < right->remote_port ? -1 : 1;
	return left->local_port - right->local_port;
}

static void score_flow(struct bench *bench, const struct truth_cell *cell,
		       const struct truth_flow *flow, struct score *score)
{
	/* What conntrack tells of a new flow: when its event was read, which is later. */
	struct ownership_ranges_query query = {.socket = make_tuple(cell, flow, false),
					       .earliest_ns = flow->after_ns,
					       .latest_ns = flow->after_ns};
	struct ownership_range told;
	int r = ownership_ranges_find(bench->ranges, &query, &told);

	if (r == OWNERSHIP_RANGES_LOST)
		score->lost++;
	else if (r != 0)
		score->none++;
	else if (told.ownership.process.pid == flow->pid)
		score->right++;
	else
		score->wrong++;
}

static struct score score_cell(struct bench *bench, const struct truth_cell *cell,
			       const struct truth_server *server, struct truth_flow *flows)
{
	struct score score = {0};

	qsort(flows, bench->flows, sizeof(flows[0]), compare_flows);
	for (size_t i = 0; i < bench->flows; i++) {
		if (flows[i].pid == 0)
			continue;
		score.sent++;
		if ((i > 0 && compare_flows(&flows[i - 1], &flows[i]) == 0) ||
		    (i + 1 < bench->flows && compare_flows(&flows[i + 1], &flows[i]) == 0)) {
			score.doubled++;
			continue;
		}
		score_flow(bench, cell, &flows[i], &score);
		score_name(bench, cell, &flows[i], &score);
		if (cell->kind == TRUTH_UDP_ANSWER)
			score_answer(bench, cell, &flows[i], server->pid, &score);
	}
	return score;
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static void print_row(const struct bench *bench, const struct truth_cell *cell,
		      const struct score *score, double seconds, uint64_t used_ns)
{
	static const char *const kinds[] = {"TCP", "UDP answer", "UDP send"};
	const struct trace_counters *counters = trace_get_counters(bench->trace);
	double sent = score->sent ? (double)score->sent : 1;

	printf("%-10s %-4s %-9s %6zu %7.0f/s %6zu %5zu %4zu %4zu %7zu %5zu/%zu/%zu %5zu/%zu/%zu "
	       "%6.1f %6.2f %5" PRIu64 "\n",
	       kinds[cell->kind], cell->family == AF_INET ? "v4" : "v6",
	       cell->is_exec ? "fork+exec" : "fork", score->sent, sent / seconds, score->right,
	       score->wrong, score->none, score->lost, score->doubled, score->answers_right,
	       score->answers_wrong, score->answers_none, score->names_right, score->names_wrong,
	       score->names_none, (double)counters->records / sent, (double)used_ns / 1000 / sent,
	       counters->lost);
	fflush(stdout);
}

/* The number of flows of which a process was named that it was not. */
static size_t run_cell(struct bench *bench, const struct truth_cell *cell)
{
	struct truth_server server;
	struct truth_senders senders = {.cell = cell,
					.server = &server,
					.program = bench->sender,
					.count = bench->flows,
					.parallel = bench->parallel};
	struct score score;
	uint64_t start_ns, used_ns;

	if (open_trace(bench) < 0)
		exit(77);
	truth_server_start(cell, &server);
	senders.flows = truth_map(bench->flows, &senders.flows_fd);
	start_ns = clock_now_ns();
	if (loop_add_signal(bench->loop, SIGCHLD, on_child, bench, &bench->children) < 0)
		abort();
	for (size_t i = 0; i < bench->parallel; i++)
		bench->spawners[i] = truth_spawner_start(&senders, i);
	used_ns = cpu_ns();
	bench->running = bench->parallel;
	if (loop_run(bench->loop) < 0)
		abort();
	loop_source_free(bench->children);
	trace_drain(bench->trace);
	used_ns = cpu_ns() - used_ns;
	start_ns = clock_now_ns() - start_ns;
	score = score_cell(bench, cell, &server, senders.flows);
	truth_server_stop(&server);
	print_row(bench, cell, &score, (double)start_ns / 1e9, used_ns);
	close(senders.flows_fd);
	close_trace(bench);
	return score.wrong + score.answers_wrong + score.names_wrong;
}

/* Long-lived processes with sockets of their own, which are never the answer. */
static void start_holder(void)
{
	struct truth_cell cell = {.kind = TRUTH_UDP_SEND, .family = AF_INET};
	struct truth_server server;

	truth_server_start(&cell, &server);
}

static bool is_wanted(const struct bench *bench, const struct truth_cell *cell)
{
	static const char *const kinds[] = {"tcp", "udp-answer", "udp-send"};
	const char *text = bench->cells;
	char name[32];
	size_t length;

	if (!text)
		return true;
	length = (size_t)snprintf(name, sizeof(name), "%s/%s/%s", kinds[cell->kind],
				  cell->family == AF_INET ? "v4" : "v6",
				  cell->is_exec ? "exec" : "fork");
	for (; *text; text += strspn(text, ",")) {
		size_t taken = strcspn(text, ",");

		if (taken == length && strncmp(text, name, length) == 0)
			return true;
		text += taken;
	}
	return false;
}

static int parse_options(int argc, char **argv, struct bench *bench)
{
	int option;

	while ((option = getopt(argc, argv, "n:p:l:r:c:")) != -1) {
		size_t value = option == '?' ? 0 : strtoul(optarg, NULL, 10);

		switch (option) {
		case 'n':
			bench->flows = value;
			break;
		case 'p':
			bench->parallel = value;
			break;
		case 'l':
			bench->holders = value;
			break;
		case 'r':
			bench->ring_bytes = value;
			break;
		case 'c':
			bench->cells = optarg;
			break;
		default:
			return -EINVAL;
		}
	}
	if (optind != argc - 1 || bench->flows == 0 || bench->parallel == 0)
		return -EINVAL;
	bench->sender = argv[optind];
	return 0;
}

int main(int argc, char **argv)
{
	struct bench bench = {.flows = 2000, .parallel = 8};
	size_t wrong = 0, cells = 0;

	if (parse_options(argc, argv, &bench) < 0) {
		fprintf(stderr, "trace_truth [-n FLOWS] [-p PARALLEL] [-l HOLDERS] [-r RING_BYTES] "
				"[-c CELLS] SENDER\n");
		return 2;
	}
	if (network_namespace_enter() < 0) {
		printf("SKIP trace_truth: no network namespace of its own (CAP_SYS_ADMIN)\n");
		return 77;
	}
	bench.spawners = calloc(bench.parallel, sizeof(*bench.spawners));
	if (!bench.spawners)
		return 1;
	for (size_t i = 0; i < bench.holders; i++)
		start_holder();
	printf("%-10s %-4s %-9s %6s %9s %6s %5s %4s %4s %7s %9s %9s %6s %6s %5s\n", "flow", "",
	       "by", "sent", "rate", "right", "wrong", "none", "lost", "doubled", "server r/w/n",
	       "name r/w/n", "rec/fl", "us/fl", "drop");
	for (int kind = 0; kind < TRUTH_KINDS; kind++)
		for (int family = 0; family < 2; family++)
			for (int is_exec = 0; is_exec < 2; is_exec++) {
				struct truth_cell cell = {.kind = (enum truth_kind)kind,
							  .family = family ? AF_INET6 : AF_INET,
							  .is_exec = is_exec};

				if (!is_wanted(&bench, &cell))
					continue;
				wrong += run_cell(&bench, &cell);
				cells++;
			}
	free(bench.spawners);
	if (cells == 0)
		fprintf(stderr, "no cell is named %s\n", bench.cells);
	return wrong > 0 || cells == 0;
}
