/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A finished record about a flow, or about a process (RECORD_PROCESS): what exporters take. All values
 * are plain; texts are borrowed and valid during the call that hands the record over. What is not known is not in "parts", and then
 * no exporter may write it, not even as 0. */

#include <stdint.h>

#include "base/text.h"
#include "flow/flow_event.h"
#include "flow/flow_key.h"

/* Groups of values that are known or unknown together; each field of the catalogue names the part
 * that it belongs to. The parts of one end stand at RECORD_SRC or RECORD_DST plus the end's part.
 */
#define RECORD_PART(bit) (1ull << (bit))
#define RECORD_ALWAYS	 0ull
#define RECORD_IPV4	 RECORD_PART(0)
#define RECORD_IPV6	 RECORD_PART(1)
#define RECORD_COUNTERS	 RECORD_PART(2)
#define RECORD_ICMP	 RECORD_PART(3)
#define RECORD_NAT_IPV4	 RECORD_PART(4)
#define RECORD_NAT_IPV6	 RECORD_PART(5)
#define RECORD_NAT_PORTS RECORD_PART(6)
#define RECORD_TCP_FLAGS RECORD_PART(7)
/* What packets tell (NFLOG). */
#define RECORD_INITIATOR_PACKETS   RECORD_PART(8) /* TOS and TTL */
#define RECORD_RESPONDER_PACKETS   RECORD_PART(9) /* TOS */
#define RECORD_INPUT		   RECORD_PART(10)
#define RECORD_OUTPUT		   RECORD_PART(11)
#define RECORD_SOURCE_MAC	   RECORD_PART(12)
#define RECORD_DESTINATION_MAC	   RECORD_PART(13)
#define RECORD_VLAN		   RECORD_PART(14)
#define RECORD_CLIENT_FLAGS	   RECORD_PART(15)
#define RECORD_SERVER_FLAGS	   RECORD_PART(16)
#define RECORD_FRAGMENTS	   RECORD_PART(17)
#define RECORD_CLIENT_LATENCY	   RECORD_PART(18)
#define RECORD_SERVER_LATENCY	   RECORD_PART(19)
#define RECORD_APPLICATION_LATENCY RECORD_PART(20)
#define RECORD_MARK		   RECORD_PART(21)
#define RECORD_PREFIX		   RECORD_PART(22)

enum record_end_part {
	END_PROCESS,	 /* pid, name, start */
	END_PARENT,	 /* parent's pid */
	END_PARENT_NAME, /* ... and name: it may have gone before it was asked */
	END_MEMORY,	 /* actual and peak */
	END_USAGE,	 /* CPU load */
	END_FAULTS,	 /* page faults */
	END_IOWAIT,
	END_EXECUTABLE,
	END_CGROUP,
	END_UNIT,
	END_CONTAINER,
	END_PACKAGE,
	END_COMMAND_LINE,
	END_REASON,	 /* method none: why */
	END_USER,	 /* uid and user: the process', or without one the socket's */
	END_PARENT_USER, /* parent's uid and user name */
	END_PARENT_PACKAGE,
	END_SOCKET_GROUP, /* no process, but the gid of the socket that sent */
	END_TCP_SOCKET,	  /* the end's socket told how the connection was: what it sent */
	END_ROUND_TRIP,	  /* ... and how long a round trip took */
	END_PART_COUNT,
};
enum { RECORD_SRC = 23, RECORD_DST = 43 };
_Static_assert(RECORD_SRC + END_PART_COUNT <= RECORD_DST && RECORD_DST + END_PART_COUNT <= 63, "");
#define RECORD_END(side, part) RECORD_PART((side) + (part))

/* The record is about a process: "src" is it, "life" what it did in the interval. Of the rest
 * flow_id (another range than flows have), number, times and end_reason are set: end_ is when it
 * ended, or was last seen. Its catalogue is process_field.h. */
#define RECORD_PROCESS RECORD_PART(63)

/* Parts of such a record, in the place of those of a destination. */
enum record_life_part {
	LIFE_EXIT_CODE,
	LIFE_EXIT_SIGNAL,
	LIFE_PEAK, /* peak memory, also where the actual is not known */
	LIFE_CPU,
	LIFE_CPU_SPLIT, /* user and system */
	LIFE_IO,
	LIFE_SWITCHES,
	LIFE_FLOWS,
	LIFE_TRAFFIC,
};
#define RECORD_LIFE(part) RECORD_END(RECORD_DST, part)

struct record_end {
	uint8_t method; /* enum ownership_method; always known */
	uint8_t reason; /* enum ownership_reason */
	uint32_t pid, uid, gid;
	uint32_t parent_pid, parent_uid;
	uint64_t start_ms; /* epoch */
	struct text name, user_name;
	struct text parent_name, parent_user_name;
	struct text executable, cgroup, unit, container, package, command_line;
	struct text parent_package;
	uint64_t memory_bytes, peak_memory_bytes;
	uint64_t cpu_load_pct100; /* CPU time during the record's span / span, percent * 100 */
	uint64_t iowait_pct100;
	uint64_t minor_faults, major_faults, page_faults; /* page_faults is the sum */
	/* TCP, of the whole connection: what this end sent. */
	uint64_t delivered_bytes;
	uint32_t retransmissions;
	uint32_t rtt_us, min_rtt_us;
};

/* What a process did in the interval of its record. */
struct record_life {
	struct text event; /* "start", "interim", "end" */
	uint32_t exit_code, exit_signal;
	uint64_t cpu_us, user_us, system_us;
	uint64_t read_bytes, written_bytes; /* of storage */
	uint64_t voluntary_switches, involuntary_switches;
	uint64_t flows; /* reported for the first time */
	uint64_t sent_bytes, received_bytes;
};

/* What was seen in packets themselves; "source" is the initiator's side of the flow. */
struct record_packets {
	uint32_t input_interface, output_interface; /* indexes, of the initiator's packets */
	uint8_t source_mac[6];			    /* of the initiator's frames */
	uint8_t destination_mac[6];		    /* the responder's side: of its frames */
	uint16_t vlan;				    /* outer 802.1Q id of the initiator's frames */
	uint16_t src_fragments, dst_fragments;
	uint8_t src_tos, dst_tos;	    /* or-ed */
	uint8_t min_ttl, max_ttl;	    /* of the initiator's packets */
	uint8_t client_flags, server_flags; /* TCP, or-ed */
	uint32_t client_latency_us, server_latency_us, application_latency_us;
	uint32_t mark;
	struct text prefix; /* of the rule that logged the first packet */
};

enum flow_end_reason { /* RFC 5102 5.11.3, flowEndReason */
		       FLOW_END_IDLE = 1,
		       FLOW_END_ACTIVE = 2,
		       FLOW_END_DETECTED = 3,
		       FLOW_END_FORCED = 4,
		       FLOW_END_RESOURCES = 5,
};

struct flow_record {
	uint64_t parts;
	uint64_t flow_id;
	uint64_t start_ns, end_ns; /* monotonic: what this record covers */
	uint64_t start_ms, end_ms; /* the same as epoch milliseconds */
	struct flow_key key;
	struct flow_tuple translated;  /* after NAT, in the direction of the key: RECORD_NAT_ */
	struct flow_counters counters; /* since the last record of this flow */
	uint32_t number;	       /* of this record: rises with each one of its flow, from 1 */
	uint8_t end_reason;	       /* enum flow_end_reason */
	uint8_t ip_version;	       /* 4 or 6 */
	uint8_t direction;	       /* BIFLOW_DIRECTION: 1, the source is the initiator */
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
	struct record_packets packets;
	struct record_end src, dst;
	struct record_life life;
};
