/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which process opens which socket, as it happens, from tracepoints that every distribution kernel
 * has: no module, no eBPF. A process that connects, sends and exits is seen as surely as any other,
 * because the kernel writes the record in that process' own context.
 *
 *   fib:fib_table_lookup, fib6:fib6_table_lookup   a route is looked up to send: UDP, ICMP, and the last
 *                                                  lookup of a TCP connect over IPv4
 *   sock:inet_sock_set_state                       TCP connects, and closes
 *   tcp:tcp_rcv_space_adjust                       a process reads from a TCP connection
 *   sched:sched_process_exec                       paths of executables
 *   FORK, COMM and EXIT records of perf            processes
 *
 * One ring for each CPU; records are handed out in the order of time across all of them, up to the
 * moment at which a drain began. A CPU that comes online is found within five seconds, one that was away
 * for a moment only within ten, and what it did until then is told as lost. Needs CAP_PERFMON (before Linux 5.8 CAP_SYS_ADMIN), and
 * CAP_SYS_ADMIN where tracefs is not mounted; 6 descriptors for each CPU.
 *
 * All network namespaces are seen at once and the records do not say which: socket.netns is 0. */

#include <stddef.h>
#include <stdint.h>

#include "flow/flow_event.h"
#include "runtime/loop.h"

struct trace;

struct trace_handlers {
	/* is_proof: "pid" sent on, or connected, a socket with this tuple at "when_ns" in its own
	 * context. The local address is all 0 where the kernel had not chosen one (a UDP socket
	 * that is bound to none): it stands for any. Of other protocols than TCP and UDP there are no
	 * ports: ICMP, some others that programs speak, and 255, what a program sends with an IP
	 * header of its own. TCP: tcp_state is TCP_SYN_SENT, and
	 * when_ns the moment of connect(2); as the source port of IPv6 comes later only, when_ns
	 * may lie before that of events already told. With TCP_FIN_WAIT1, TCP_LAST_ACK or TCP_CLOSE
	 * "pid" closed the connection, of either end: somebody else may have opened it, or hold it
	 * too. Linux before 5.19 does not tell that from a listener's end, which resets what nobody
	 * accepted. With TCP_ESTABLISHED "pid" read from the connection: of the end whose port is
	 * below 32768, of both where none or both ports are.
	 * Else pid is 0, and tcp_state is TCP_CLOSE: the socket was closed. */
	void (*on_socket)(void *userdata, const struct socket_event *event);
	void (*on_process)(void *userdata, const struct process_event *event);
	/* Records of this span may be missing: answers about it need another method. */
	void (*on_lost)(void *userdata, uint64_t from_ns, uint64_t until_ns);
	/* No more records of UDP sent from this local port, or of TCP read there, come: what was
	 * told of these until now gets stale, forget it. */
	void (*on_port_excluded)(void *userdata, uint8_t protocol, uint16_t port);
	void *userdata;
};

struct trace_options {
	struct trace_handlers handlers; /* each may be NULL */
	size_t ring_bytes;		/* of each CPU; 0: 1 MiB, some 10,000 records */
	/* A local UDP port that sends so many datagrams a second is excluded for a minute: an
	 * unconnected socket makes a record for each. So is a TCP port at which is read so often.
	 * 0: never. */
	uint32_t busy_port_rate;
};

struct trace_counters {
	uint64_t records, sockets, processes; /* read; told */
	uint64_t lost, lost_spans;	      /* records that the kernel dropped; on_lost() calls */
	uint64_t malformed;		      /* could not be read */
	uint64_t borrowed;  /* not done by the task that the record names: softirq and such */
	uint64_t unmatched; /* TCP lookups without a connect (a route that changed), left out */
	uint64_t late;	    /* handed out after a record with a later time */
	uint64_t joined, connects_dropped, connects_pending;
	uint64_t drains;
	uint64_t rings, ring_bytes, rings_reopened;
	uint64_t ports_excluded, ports_excluded_ever; /* now; since the start */
};

enum { TRACE_REASON_SIZE = 256 };

/* Opens the rings; events are told from the loop and from trace_drain(), never from this call. 0,
 * or a negative errno, and then "reason" says for people what is missing and what would mend it. A
 * kernel without IPv6 lacks its tracepoint: that is no error. */
int trace_new(struct loop *loop, const struct trace_options *options,
	      char reason[TRACE_REASON_SIZE], struct trace **ret);
void trace_free(struct trace *trace);

/* Hands out everything that happened before this call. Call it before a flow is resolved: its
 * sender's record was written before the flow came to be. Does not block; costs under a
 * microsecond a CPU when there is nothing. Handlers must not call it (it does nothing then). */
void trace_drain(struct trace *trace);

/* Excludes a local UDP port for good; see on_port_excluded. 0; -EEXIST; -ENOSPC beyond
 * TRACE_PORTS_MAX; or a negative errno (then the port stays in). */
int trace_exclude_port(struct trace *trace, uint16_t port);

const struct trace_counters *trace_get_counters(struct trace *trace);
