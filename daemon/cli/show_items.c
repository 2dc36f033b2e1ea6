/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/show.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/macros.h"
#include "cli/format.h"
#include "cli/table.h"

enum { CELL_SIZE = 320 };

static uint64_t now_ms(void)
{
	return clock_wall_ns() / NS_PER_MS;
}

/* Since then; "" where it is not known. */
static const char *show_age(const json_t *item, const char *key, char room[FORMAT_SIZE])
{
	uint64_t since_ms, now = now_ms();

	if (!show_find_number(item, key, &since_ms))
		return "";
	return format_duration(now > since_ms ? (now - since_ms) * NS_PER_MS : 0, room);
}

static const char *show_bytes(const json_t *item, const char *key, char room[FORMAT_SIZE])
{
	uint64_t bytes;

	return show_find_number(item, key, &bytes) ? format_bytes(bytes, room) : "";
}

static const char *show_count(const json_t *item, const char *key, char room[FORMAT_SIZE])
{
	uint64_t count;

	return show_find_number(item, key, &count) ? format_count(count, room) : "";
}

static const char *show_percent(const json_t *item, const char *key, char room[FORMAT_SIZE])
{
	uint64_t pct100;

	return show_find_number(item, key, &pct100) ? format_percent(pct100, room) : "";
}

static const char *get_side_text(const json_t *flow, const char *side, const char *name)
{
	char key[64];

	snprintf(key, sizeof(key), "%s_%s", side, name);
	return show_get_text(flow, key);
}

/* "curl[26669] alice"; "(exited)" where the reason is all there is; "" for a remote end. */
static void show_end(const json_t *flow, const char *side, char room[CELL_SIZE])
{
	const char *name = get_side_text(flow, side, "PROC_NAME");
	const char *user = get_side_text(flow, side, "PROC_USER_NAME");
	const char *reason = get_side_text(flow, side, "PROC_ATTRIBUTION_REASON");
	char key[64];

	snprintf(key, sizeof(key), "%s_PROC_PID", side);
	if (name)
		snprintf(room, CELL_SIZE, "%s[%llu] %s", name,
			 (unsigned long long)show_get_number(flow, key), user ? user : "");
	else
		snprintf(room, CELL_SIZE, "%s%s%s%s%s", user ? user : "", user && reason ? " " : "",
			 reason ? "(" : "", reason ? reason : "", reason ? ")" : "");
}

static void show_address(const json_t *flow, const char *side, char room[CELL_SIZE])
{
	uint64_t protocol = show_get_number(flow, "PROTOCOL");
	const char *v4, *v6;
	char key[64], port[16] = "";

	snprintf(key, sizeof(key), "IPV4_%s_ADDR", side);
	v4 = show_get_text(flow, key);
	snprintf(key, sizeof(key), "IPV6_%s_ADDR", side);
	v6 = show_get_text(flow, key);
	snprintf(key, sizeof(key), "L4_%s_PORT", side);
	if (protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6)
		snprintf(port, sizeof(port), ":%llu",
			 (unsigned long long)show_get_number(flow, key));
	snprintf(room, CELL_SIZE, "%s%s%s%s", !v4 && port[0] ? "[" : "",
		 v4   ? v4
		 : v6 ? v6
		      : "",
		 !v4 && port[0] ? "]" : "", port);
}

static const char *show_protocol(const json_t *flow, char room[FORMAT_SIZE])
{
	uint64_t protocol = show_get_number(flow, "PROTOCOL");

	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmp6";
	default:
		snprintf(room, FORMAT_SIZE, "%llu", (unsigned long long)protocol);
		return room;
	}
}

/* Of both ends where both are here: "19/66%". */
static void show_loads(const json_t *flow, char room[CELL_SIZE])
{
	char src[FORMAT_SIZE], dst[FORMAT_SIZE];
	const char *first = show_percent(flow, "SRC_PROC_AVERAGE_CPU_LOAD", src);
	const char *second = show_percent(flow, "DST_PROC_AVERAGE_CPU_LOAD", dst);

	snprintf(room, CELL_SIZE, "%s%s%s", first, *first && *second ? "/" : "", second);
}

static int add_flow(struct table *table, const json_t *flow)
{
	char protocol[FORMAT_SIZE], src[CELL_SIZE], dst[CELL_SIZE];
	char src_address[CELL_SIZE], dst_address[CELL_SIZE], loads[CELL_SIZE];
	char sent[FORMAT_SIZE], received[FORMAT_SIZE], age[FORMAT_SIZE], idle[FORMAT_SIZE];
	const char *const texts[] = {
		show_protocol(flow, protocol),
		src,
		src_address,
		dst,
		dst_address,
		show_bytes(flow, "IN_BYTES", sent),
		show_bytes(flow, "OUT_BYTES", received),
		show_age(flow, "FLOW_START_MILLISECONDS", age),
		show_age(flow, "LAST_SEEN_MILLISECONDS", idle),
		loads,
	};

	show_end(flow, "SRC", src);
	show_end(flow, "DST", dst);
	show_address(flow, "SRC", src_address);
	show_address(flow, "DST", dst_address);
	show_loads(flow, loads);
	return table_add(table, texts);
}

static int add_process(struct table *table, const json_t *process)
{
	char pid[FORMAT_SIZE], age[FORMAT_SIZE], memory[FORMAT_SIZE], load[FORMAT_SIZE];
	char minute_sent[FORMAT_SIZE], minute_received[FORMAT_SIZE], minute_flows[FORMAT_SIZE];
	char cpu[FORMAT_SIZE] = "", iowait[FORMAT_SIZE], sent[FORMAT_SIZE], received[FORMAT_SIZE],
	     flows[FORMAT_SIZE];
	const char *container = show_get_text(process, "PROC_CONTAINER_ID");
	uint64_t cpu_us;
	const char *const texts[] = {
		pid,
		show_get_text(process, "PROC_NAME"),
		show_get_text(process, "PROC_USER_NAME"),
		container ? container : show_get_text(process, "PROC_UNIT"),
		show_age(process, "PROC_START_MILLISECONDS", age),
		show_bytes(process, "PROC_ACTUAL_MEMORY", memory),
		show_percent(process, "LAST_MINUTE_AVERAGE_CPU_LOAD", load),
		show_percent(process, "LAST_MINUTE_PCTG_IOWAIT", iowait),
		show_bytes(process, "LAST_MINUTE_SENT_BYTES", minute_sent),
		show_bytes(process, "LAST_MINUTE_RECEIVED_BYTES", minute_received),
		show_count(process, "LAST_MINUTE_FLOWS", minute_flows),
		cpu,
		show_bytes(process, "PROC_SENT_BYTES", sent),
		show_bytes(process, "PROC_RECEIVED_BYTES", received),
		show_count(process, "PROC_FLOWS", flows),
	};

	snprintf(pid, sizeof(pid), "%llu",
		 (unsigned long long)show_get_number(process, "PROC_PID"));
	if (show_find_number(process, "PROC_CPU_MICROSECONDS", &cpu_us))
		format_duration(cpu_us * 1000, cpu);
	return table_add(table, texts);
}

static int show_table(const struct show *show, const json_t *items,
		      const struct table_column *columns, size_t count,
		      int (*add)(struct table *table, const json_t *item))
{
	struct table *table = table_new(columns, count);
	const json_t *item;
	int r = 0;
	size_t i;

	if (!table)
		return -ENOMEM;
	json_array_foreach((json_t *)items, i, item) if (r == 0) r = add(table, item);
	if (r == 0)
		table_print(table, show->out, show->width, show->has_colours);
	table_free(table);
	return r;
}

int show_flows(const struct show *show, const json_t *items)
{
	static const struct table_column columns[] = {
		{"PROTO", false, false},      {"SOURCE", false, true},	{"ADDRESS", false, true},
		{"DESTINATION", false, true}, {"ADDRESS", false, true}, {"SENT", true, false},
		{"RECV", true, false},	      {"AGE", true, false},	{"IDLE", true, false},
		{"CPU", true, false},
	};

	return show_table(show, items, columns, array_length(columns), add_flow);
}

int show_processes(const struct show *show, const json_t *items)
{
	static const struct table_column columns[] = {
		{"PID", true, false},	    {"NAME", false, true},
		{"USER", false, true},	    {"CONTAINER/UNIT", false, true},
		{"AGE", true, false},	    {"MEMORY", true, false},
		{"CPU/MIN", true, false},   {"IOWAIT", true, false},
		{"SENT/MIN", true, false},  {"RECV/MIN", true, false},
		{"FLOWS/MIN", true, false}, {"CPU", true, false},
		{"SENT", true, false},	    {"RECV", true, false},
		{"FLOWS", true, false},
	};

	return show_table(show, items, columns, array_length(columns), add_process);
}
