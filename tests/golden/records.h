/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A fixed set of records that the golden files, the judges and the benchmark export; and random
 * ones with hostile texts for the property tests. */

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "flow/flow_record.h"
#include "flow/ownership.h"

/* 2026-11-23T12:19:35.735Z, and the host had been up for an hour. */
#define RECORDS_START_MS 1795436375735ull
#define RECORDS_START_NS (3600 * NS_PER_SEC)
#define RECORDS_BOOT_NS	 (1000 * NS_PER_SEC)

enum {
	RECORD_CURL,	  /* v4, a local client: the one of the documentation */
	RECORD_LOOPBACK,  /* v4, both ends local: all twenty fields */
	RECORD_V6,	  /* v6, a local server, still going on */
	RECORD_NAT,	  /* v4, a container behind NAT */
	RECORD_UNKNOWN,	  /* v4, none with a reason, the socket's user known */
	RECORD_UNCOUNTED, /* v6, without counters */
	RECORD_PING,	  /* ICMP */
	RECORD_PING6,	  /* ICMPv6 */
	RECORD_FORWARDED, /* v6, both ends elsewhere, translated */
	RECORDS_COUNT,
};

static inline struct flow_record records_make_flow(uint64_t id, const char *src, uint16_t src_port,
						   const char *dst, uint16_t dst_port,
						   uint8_t protocol)
{
	struct flow_record record = {
		.flow_id = id,
		.start_ns = RECORDS_START_NS + id * NS_PER_SEC,
		.start_ms = RECORDS_START_MS + id * 1000,
		.end_reason = FLOW_END_DETECTED,
		.direction = 1,
		.key.protocol = protocol,
		.key.tuple = {.src_port = src_port, .dst_port = dst_port},
		.src.method = OWNERSHIP_REMOTE,
		.dst.method = OWNERSHIP_REMOTE,
	};
	enum ip_family family = IP_FAMILY_NONE;

	ip_address_parse(src, &family, &record.key.tuple.src);
	ip_address_parse(dst, &family, &record.key.tuple.dst);
	record.key.family = (uint8_t)family;
	record.ip_version = (uint8_t)family;
	record.parts = family == IP_FAMILY_V4 ? RECORD_IPV4 : RECORD_IPV6;
	record.end_ns = record.start_ns + 2 * NS_PER_MS;
	record.end_ms = record.start_ms + 2;
	return record;
}

static inline void records_set_counters(struct flow_record *record, uint64_t in_bytes,
					uint64_t in_packets, uint64_t out_bytes,
					uint64_t out_packets)
{
	record->parts |= RECORD_COUNTERS;
	record->counters = (struct flow_counters){in_bytes, in_packets, out_bytes, out_packets};
}

static inline void records_set_process(struct flow_record *record, unsigned side, uint32_t pid,
				       const char *name, uint32_t uid, const char *user)
{
	struct record_end *end = side == RECORD_SRC ? &record->src : &record->dst;

	record->parts |= RECORD_END(side, END_PROCESS) | RECORD_END(side, END_USER);
	end->method = OWNERSHIP_TRACE;
	end->pid = pid;
	end->name = text_from(name);
	end->uid = uid;
	end->user_name = text_from(user);
	end->start_ms = RECORDS_START_MS - 5000;
}

static inline void records_set_parent(struct flow_record *record, unsigned side, uint32_t pid,
				      const char *name)
{
	struct record_end *end = side == RECORD_SRC ? &record->src : &record->dst;

	record->parts |= RECORD_END(side, END_PARENT) | RECORD_END(side, END_PARENT_NAME);
	end->parent_pid = pid;
	end->parent_name = text_from(name);
}

static inline void records_set_usage(struct flow_record *record, unsigned side, uint64_t memory,
				     uint64_t peak, uint64_t load, uint64_t faults, uint64_t iowait)
{
	struct record_end *end = side == RECORD_SRC ? &record->src : &record->dst;

	record->parts |= RECORD_END(side, END_MEMORY) | RECORD_END(side, END_USAGE) |
			 RECORD_END(side, END_FAULTS) | RECORD_END(side, END_IOWAIT);
	end->memory_bytes = memory;
	end->peak_memory_bytes = peak;
	end->cpu_load_pct100 = load;
	end->page_faults = faults;
	end->minor_faults = faults - faults / 10;
	end->major_faults = faults / 10;
	end->iowait_pct100 = iowait;
}

static inline struct flow_record records_make_curl(void)
{
	struct flow_record record =
		records_make_flow(1, "10.0.0.5", 50684, "10.0.0.9", 8099, IPPROTO_TCP);

	records_set_counters(&record, 450, 7, 979, 6);
	records_set_process(&record, RECORD_SRC, 4890, "curl", 1000, "alice");
	records_set_parent(&record, RECORD_SRC, 4849, "bash");
	records_set_usage(&record, RECORD_SRC, 9437184, 9437184, 8312, 412, 0);
	return record;
}

static inline struct flow_record records_make_loopback(void)
{
	struct flow_record record =
		records_make_flow(2, "127.0.0.1", 40000, "127.0.0.1", 5432, IPPROTO_TCP);

	records_set_counters(&record, 123456789012, 98765432, 4321, 21);
	record.parts |= RECORD_TCP_FLAGS;
	record.tcp_flags = 0x1b;
	record.end_ns = record.start_ns + 61500 * NS_PER_MS;
	record.end_ms = record.start_ms + 61500;
	records_set_process(&record, RECORD_SRC, 101, "psql", 1001, "bob");
	records_set_parent(&record, RECORD_SRC, 100, "zsh");
	records_set_usage(&record, RECORD_SRC, 5000001, 6000002, 1203, 34, 56);
	records_set_process(&record, RECORD_DST, 202, "postgres", 112, "postgres");
	records_set_parent(&record, RECORD_DST, 200, "systemd");
	/* More than 4 bytes hold: saturated on the wire, whole in JSON. */
	records_set_usage(&record, RECORD_DST, 7000003, 6000000000, 25075, 7890, 4321);
	record.dst.method = OWNERSHIP_SOCK_DIAG;
	record.parts |= RECORD_END(RECORD_DST, END_UNIT) | RECORD_END(RECORD_DST, END_EXECUTABLE) |
			RECORD_END(RECORD_DST, END_CGROUP) | RECORD_END(RECORD_DST, END_PACKAGE);
	record.dst.unit = text_from("postgresql@15-main.service");
	record.dst.executable = text_from("/usr/lib/postgresql/15/bin/postgres");
	record.dst.cgroup = text_from("/system.slice/postgresql@15-main.service");
	record.dst.package = text_from("postgresql-15");
	return record;
}

static inline struct flow_record records_make_v6(void)
{
	struct flow_record record =
		records_make_flow(3, "2001:db8:85a3:8d3:1319:8a2e:370:7348", 65535,
				  "2001:db8:1234:5678:9abc:def0:1234:5678", 443, IPPROTO_TCP);

	records_set_counters(&record, 5300, 12, 1048576, 900);
	record.end_reason = FLOW_END_ACTIVE;
	record.end_ns = record.start_ns + 60 * NS_PER_SEC;
	record.end_ms = record.start_ms + 60000;
	records_set_process(&record, RECORD_DST, 777, "nginx", 33, "www-data");
	record.dst.method = OWNERSHIP_SHARED;
	records_set_parent(&record, RECORD_DST, 776, "nginx");
	records_set_usage(&record, RECORD_DST, 12000000, 13000000, 40, 3, 0);
	return record;
}

static inline struct flow_record records_make_nat(void)
{
	struct flow_record record =
		records_make_flow(4, "172.17.0.2", 33333, "192.0.2.53", 53, IPPROTO_UDP);

	records_set_counters(&record, 64, 1, 120, 1);
	record.parts |= RECORD_NAT_IPV4 | RECORD_NAT_PORTS;
	record.translated = record.key.tuple;
	record.translated.src = ip_address_from_v4(htonl(0xc6336407));
	record.translated.src_port = 61234;
	record.end_reason = FLOW_END_IDLE;
	records_set_process(&record, RECORD_SRC, 31337, "systemd-resolved", 65534,
			    "systemd-resolve");
	record.parts |=
		RECORD_END(RECORD_SRC, END_CONTAINER) | RECORD_END(RECORD_SRC, END_COMMAND_LINE);
	record.src.container = text_from("0123456789ab");
	record.src.command_line =
		text_from("/lib/systemd/systemd-resolved --label \"\303\251t\303\251\"");
	return record;
}

static inline struct flow_record records_make_unknown(void)
{
	struct flow_record record =
		records_make_flow(5, "10.0.0.5", 40001, "198.51.100.7", 80, IPPROTO_TCP);

	records_set_counters(&record, 2300, 4, 1900000, 1300);
	record.parts |=
		RECORD_END(RECORD_SRC, END_REASON) | RECORD_END(RECORD_SRC, END_USER);
	record.src.method = OWNERSHIP_NONE;
	record.src.reason = OWNERSHIP_REASON_EXITED;
	record.src.uid = 1000;
	record.src.user_name = text_from("alice");
	return record;
}

static inline struct flow_record records_make_ping(void)
{
	struct flow_record record =
		records_make_flow(7, "10.0.0.5", 0, "192.0.2.1", 8 * 256, IPPROTO_ICMP);

	records_set_counters(&record, 252, 3, 252, 3);
	record.parts |= RECORD_ICMP;
	record.icmp_type = 8;
	records_set_process(&record, RECORD_SRC, 555, "ping", 0, "root");
	return record;
}

static inline struct flow_record records_make_ping6(void)
{
	struct flow_record record =
		records_make_flow(8, "fe80::1", 0, "ff02::2", 133 * 256, IPPROTO_ICMPV6);

	records_set_counters(&record, 56, 1, 0, 0);
	record.parts |= RECORD_ICMP | RECORD_END(RECORD_SRC, END_REASON);
	record.icmp_type = 133;
	record.src.method = OWNERSHIP_NONE;
	record.src.reason = OWNERSHIP_REASON_KERNEL;
	return record;
}

static inline struct flow_record records_make_forwarded(void)
{
	struct flow_record record =
		records_make_flow(9, "fd00::2", 1234, "2001:db8::53", 53, IPPROTO_UDP);
	enum ip_family family;

	records_set_counters(&record, 80, 1, 200, 1);
	record.parts |= RECORD_NAT_IPV6;
	record.translated = record.key.tuple;
	ip_address_parse("2001:db8::1", &family, &record.translated.src);
	record.end_reason = FLOW_END_RESOURCES;
	return record;
}

static inline struct flow_record records_make(unsigned which)
{
	switch (which) {
	case RECORD_CURL:
		return records_make_curl();
	case RECORD_LOOPBACK:
		return records_make_loopback();
	case RECORD_V6:
		return records_make_v6();
	case RECORD_NAT:
		return records_make_nat();
	case RECORD_UNKNOWN:
		return records_make_unknown();
	case RECORD_PING:
		return records_make_ping();
	case RECORD_PING6:
		return records_make_ping6();
	case RECORD_FORWARDED:
		return records_make_forwarded();
	default:
		return records_make_flow(6, "2001:db8::1", 9999, "2001:db8::2", 8888, IPPROTO_UDP);
	}
}

enum {
	RECORD_ENDED,	/* a process that ended: all there is to tell */
	RECORD_RUNNING, /* an interim record: a name that NetFlow v9 has to cut */
	RECORD_SHORT,	/* known by its exit record alone, ended by a signal */
	RECORDS_PROCESS_COUNT,
};

static inline struct flow_record records_make_process_record(uint64_t id, uint32_t pid,
							     const char *name, const char *event)
{
	struct flow_record record = {
		.parts = RECORD_PROCESS,
		.flow_id = 1ull << 63 | id,
		.number = 1,
		.start_ns = RECORDS_START_NS + id * NS_PER_SEC,
		.start_ms = RECORDS_START_MS + id * 1000,
		.end_reason = FLOW_END_DETECTED,
		.life.event = text_from(event),
	};

	record.end_ns = record.start_ns + 1500 * NS_PER_MS;
	record.end_ms = record.start_ms + 1500;
	records_set_process(&record, RECORD_SRC, pid, name, 1000, "alice");
	record.src.start_ms = record.start_ms;
	return record;
}

static inline struct flow_record records_make_ended(void)
{
	struct flow_record record = records_make_process_record(1, 4890, "curl", "end");

	records_set_parent(&record, RECORD_SRC, 4849, "bash");
	records_set_usage(&record, RECORD_SRC, 9437184, 6000000000, 8312, 412, 17);
	record.parts |=
		RECORD_LIFE(LIFE_EXIT_CODE) | RECORD_LIFE(LIFE_PEAK) | RECORD_LIFE(LIFE_CPU) |
		RECORD_LIFE(LIFE_CPU_SPLIT) | RECORD_LIFE(LIFE_IO) | RECORD_LIFE(LIFE_SWITCHES) |
		RECORD_LIFE(LIFE_FLOWS) | RECORD_LIFE(LIFE_TRAFFIC) |
		RECORD_END(RECORD_SRC, END_PARENT_USER) | RECORD_END(RECORD_SRC, END_EXECUTABLE) |
		RECORD_END(RECORD_SRC, END_PACKAGE) | RECORD_END(RECORD_SRC, END_PARENT_PACKAGE) |
		RECORD_END(RECORD_SRC, END_COMMAND_LINE) | RECORD_END(RECORD_SRC, END_CGROUP) |
		RECORD_END(RECORD_SRC, END_CONTAINER) | RECORD_END(RECORD_SRC, END_UNIT);
	record.src.parent_uid = 1001;
	record.src.parent_user_name = text_from("bob");
	record.src.executable = text_from("/usr/bin/curl");
	record.src.package = text_from("curl");
	record.src.parent_package = text_from("bash");
	record.src.command_line = text_from("curl -s https://example.org/");
	record.src.cgroup = text_from("/system.slice/docker-0123456789ab.scope");
	record.src.container = text_from("0123456789ab");
	record.src.unit = text_from("docker-0123456789ab.scope");
	record.life.exit_code = 22;
	record.life.cpu_us = 124680;
	record.life.user_us = 100000;
	record.life.system_us = 24680;
	record.life.read_bytes = 8192;
	record.life.written_bytes = 4096;
	record.life.voluntary_switches = 12;
	record.life.involuntary_switches = 3;
	record.life.flows = 2;
	record.life.sent_bytes = 861;
	record.life.received_bytes = 21184;
	return record;
}

static inline struct flow_record records_make_running(void)
{
	struct flow_record record =
		records_make_process_record(2, 31337, "systemd-networkd-wait", "interim");

	records_set_parent(&record, RECORD_SRC, 1, "systemd");
	records_set_usage(&record, RECORD_SRC, 12000000, 13000000, 25075, 7890, 0);
	record.parts |= RECORD_LIFE(LIFE_PEAK) | RECORD_LIFE(LIFE_CPU) | RECORD_LIFE(LIFE_FLOWS);
	record.parts &= ~RECORD_END(RECORD_SRC, END_IOWAIT);
	record.end_reason = FLOW_END_ACTIVE;
	record.src.start_ms = RECORDS_START_MS - 5000;
	record.life.cpu_us = 3761250;
	return record;
}

static inline struct flow_record records_make_short(void)
{
	struct flow_record record = records_make_process_record(3, 777, "sh", "end");

	record.parts |= RECORD_END(RECORD_SRC, END_PARENT) | RECORD_END(RECORD_SRC, END_USAGE) |
			RECORD_LIFE(LIFE_EXIT_SIGNAL) | RECORD_LIFE(LIFE_PEAK) |
			RECORD_LIFE(LIFE_CPU);
	record.src.parent_pid = 776;
	record.src.peak_memory_bytes = 1048576;
	record.src.cpu_load_pct100 = 9;
	record.life.cpu_us = 1400;
	record.life.exit_signal = 9;
	return record;
}

static inline struct flow_record records_make_process(unsigned which)
{
	switch (which) {
	case RECORD_ENDED:
		return records_make_ended();
	case RECORD_RUNNING:
		return records_make_running();
	default:
		return records_make_short();
	}
}

/* xorshift64*: the same sequence everywhere for a seed. */
static inline uint64_t records_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static inline uint64_t records_random_value(uint64_t *state)
{
	uint64_t choice = records_random(state) % 16;

	if (choice < 2)
		return choice ? UINT64_MAX : 0;
	return records_random(state) >> (records_random(state) % 64);
}

static inline struct text records_random_text(uint64_t *state)
{
	static const char *const hostile[] = {
		"",
		"curl",
		"fifteen-letters",
		"exactly-sixteen!",
		"seventeen-letters",
		"quote\"back\\slash",
		"new\nline\ttab\r",
		"\033[31mred\033[0m",
		"\xff\xfe bad \xc3",
		"cut at the \xf0\x9f\x90\xa7\xf0\x9f\x90\xa7",
		"cut at th\xc3\xa9 wid\xc3\xa9\xc3\xa9\xc3\xa9",
		"\xc2\x85\xc2\x9f c1",
		"\xed\xa0\x80 surrogate",
		"\xf4\x90\x80\x80",
		"\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97",
		"</script>\x7f",
	};
	static const char with_nul[] = "nul\0nul";
	static const size_t lengths[] = {15, 16, 17, 32, 33, 254, 255, 256, 4096};
	static char lengthy[2][4096];
	uint64_t choice = records_random(state) % (array_length(hostile) + 3);
	size_t length;

	if (choice < array_length(hostile))
		return text_from(hostile[choice]);
	if (choice == array_length(hostile))
		return (struct text){with_nul, sizeof(with_nul) - 1};
	for (size_t i = 0; i < sizeof(lengthy[0]); i++)
		lengthy[choice % 2][i] = (char)(choice % 2 ? 'a' + i % 26 : 0x80 + i % 64);
	/* 254 is the longest with one byte of length, 16 and 32 are widths of NetFlow v9. */
	length = records_random(state) % 2
			 ? lengths[records_random(state) % array_length(lengths)]
			 : records_random(state) % (choice % 2 ? 300 : 60);
	return (struct text){lengthy[choice % 2], length};
}

static inline void records_random_end(uint64_t *state, struct flow_record *record, unsigned side)
{
	struct record_end *end = side == RECORD_SRC ? &record->src : &record->dst;

	for (unsigned part = END_PROCESS; part < END_PART_COUNT; part++)
		if (records_random(state) % 3)
			record->parts |= RECORD_END(side, part);
	*end = (struct record_end){
		.method = (uint8_t)(1 + records_random(state) % (OWNERSHIP_METHOD_COUNT - 1)),
		.reason = (uint8_t)(records_random(state) % OWNERSHIP_REASON_COUNT),
		.pid = (uint32_t)records_random_value(state),
		.uid = (uint32_t)records_random_value(state),
		.gid = (uint32_t)records_random_value(state),
		.parent_pid = (uint32_t)records_random_value(state),
		.parent_uid = (uint32_t)records_random_value(state),
		.start_ms = records_random_value(state),
		.name = records_random_text(state),
		.user_name = records_random_text(state),
		.parent_name = records_random_text(state),
		.parent_user_name = records_random_text(state),
		.executable = records_random_text(state),
		.cgroup = records_random_text(state),
		.unit = records_random_text(state),
		.container = records_random_text(state),
		.package = records_random_text(state),
		.command_line = records_random_text(state),
		.parent_package = records_random_text(state),
		.memory_bytes = records_random_value(state),
		.peak_memory_bytes = records_random_value(state),
		.cpu_load_pct100 = records_random_value(state),
		.iowait_pct100 = records_random_value(state),
		.minor_faults = records_random_value(state),
		.major_faults = records_random_value(state),
		.page_faults = records_random_value(state),
		.retransmissions = (uint32_t)records_random_value(state),
		.rtt_us = (uint32_t)records_random_value(state),
		.min_rtt_us = (uint32_t)records_random_value(state),
		.delivered_bytes = records_random_value(state),
	};
}

static inline void records_random_packets(uint64_t *state, struct record_packets *packets)
{
	uint8_t *bytes = (uint8_t *)packets;

	for (size_t i = 0; i < offsetof(struct record_packets, prefix); i++)
		bytes[i] = (uint8_t)records_random(state);
	packets->prefix = records_random_text(state);
}

static inline struct flow_record records_make_random(uint64_t *state)
{
	struct flow_record record = {0};
	uint8_t *key = (uint8_t *)&record.key, *translated = (uint8_t *)&record.translated;
	bool is_v4 = records_random(state) % 2;

	for (size_t i = 0; i < sizeof(record.key); i++)
		key[i] = (uint8_t)records_random(state);
	for (size_t i = 0; i < sizeof(record.translated); i++)
		translated[i] = (uint8_t)records_random(state);
	record.parts = is_v4 ? RECORD_IPV4 : RECORD_IPV6;
	record.ip_version = is_v4 ? 4 : 6;
	for (unsigned bit = 2; bit <= 22; bit++)
		if (records_random(state) % 2)
			record.parts |= RECORD_PART(bit);
	record.parts &= ~(is_v4 ? RECORD_NAT_IPV6 : RECORD_NAT_IPV4);
	record.flow_id = records_random(state);
	record.start_ns = records_random_value(state);
	record.end_ns = records_random_value(state);
	record.start_ms = records_random_value(state);
	record.end_ms = records_random_value(state);
	record.counters =
		(struct flow_counters){records_random_value(state), records_random_value(state),
				       records_random_value(state), records_random_value(state)};
	record.end_reason = (uint8_t)(1 + records_random(state) % 5);
	record.direction = 1;
	record.tcp_flags = (uint8_t)records_random(state);
	record.icmp_type = (uint8_t)records_random(state);
	record.icmp_code = (uint8_t)records_random(state);
	records_random_packets(state, &record.packets);
	records_random_end(state, &record, RECORD_SRC);
	records_random_end(state, &record, RECORD_DST);
	return record;
}

static inline struct flow_record records_make_random_process(uint64_t *state)
{
	static const char *const events[] = {"start", "interim", "end"};
	struct flow_record record = records_make_random(state);

	record.parts = RECORD_PROCESS;
	records_random_end(state, &record, RECORD_SRC);
	for (unsigned part = LIFE_EXIT_CODE; part <= LIFE_TRAFFIC; part++)
		if (records_random(state) % 2)
			record.parts |= RECORD_LIFE(part);
	record.life = (struct record_life){
		.event = text_from(events[records_random(state) % array_length(events)]),
		.exit_code = (uint32_t)records_random(state) % 256,
		.exit_signal = (uint32_t)records_random(state) % 65,
		.cpu_us = records_random_value(state),
		.user_us = records_random_value(state),
		.system_us = records_random_value(state),
		.read_bytes = records_random_value(state),
		.written_bytes = records_random_value(state),
		.voluntary_switches = records_random_value(state),
		.involuntary_switches = records_random_value(state),
		.flows = records_random_value(state),
		.sent_bytes = records_random_value(state),
		.received_bytes = records_random_value(state),
	};
	return record;
}
