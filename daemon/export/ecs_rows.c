/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/ecs_rows.h"

#include "base/macros.h"
#include "flow/process_field.h"

/* What is known of one end, under "prefix". */
#define END_ROWS(prefix, side, is_main_)                                                           \
	{prefix "process", "pid", ECS_VALUE, FIELD_##side##_PROC_PID, is_main_, NULL},             \
		{prefix "process", "name", ECS_VALUE, FIELD_##side##_PROC_NAME, is_main_, NULL},   \
		{prefix "process",	  "executable", ECS_VALUE,                                 \
		 FIELD_##side##_PROC_EXE, is_main_,	NULL},                                     \
		{prefix "process", "command_line",                                                 \
		 ECS_VALUE,	   FIELD_##side##_PROC_CMDLINE,                                    \
		 is_main_,	   NULL},                                                          \
		{prefix "process", "start", ECS_DATE, FIELD_##side##_PROC_START_MILLISECONDS,      \
		 is_main_,	   NULL},                                                          \
		{prefix "process.parent",	 "pid",	   ECS_VALUE,                              \
		 FIELD_##side##_FATHER_PROC_PID, is_main_, NULL},                                  \
		{prefix "process.parent",	  "name",   ECS_VALUE,                             \
		 FIELD_##side##_FATHER_PROC_NAME, is_main_, NULL},                                 \
		{prefix "process.parent.user",	 "id",	   ECS_STRING,                             \
		 FIELD_##side##_FATHER_PROC_UID, is_main_, NULL},                                  \
		{prefix "process.parent.user",	       "name",	 ECS_VALUE,                        \
		 FIELD_##side##_FATHER_PROC_USER_NAME, is_main_, NULL},                            \
		{prefix "user", "id", ECS_STRING, FIELD_##side##_PROC_UID, is_main_, NULL},        \
		{prefix "user", "name", ECS_VALUE, FIELD_##side##_PROC_USER_NAME, is_main_, NULL}, \
		{prefix "container", "id", ECS_VALUE, FIELD_##side##_PROC_CONTAINER_ID,            \
		 is_main_,	     NULL},                                                        \
	{                                                                                          \
		prefix "package", "name", ECS_VALUE, FIELD_##side##_PROC_PKG_NAME, is_main_, NULL  \
	}

#define ROW(object, key, kind, field)                                                              \
	{                                                                                          \
		object, key, kind, FIELD_##field, false, NULL                                      \
	}
#define CONSTANT(object, key, literal)                                                             \
	{                                                                                          \
		object, key, ECS_RAW, FIELD_FLOW_ID, false, literal                                \
	}

static const struct ecs_row rows[] = {
	ROW("", "@timestamp", ECS_DATE, FLOW_END_MILLISECONDS),
	CONSTANT("ecs", "version", "\"" ECS_VERSION "\""),
	CONSTANT("event", "kind", "\"event\""),
	CONSTANT("event", "category", "[\"network\"]"),
	ROW("event", "type", ECS_EVENT_TYPE, FLOW_END_REASON),
	CONSTANT("event", "action", "\"network_flow\""),
	CONSTANT("event", "dataset", "\"procflow.flow\""),
	ROW("event", "sequence", ECS_SEQUENCE, FLOW_ID),
	ROW("event", "start", ECS_DATE, FLOW_START_MILLISECONDS),
	ROW("event", "end", ECS_DATE, FLOW_END_MILLISECONDS),
	ROW("event", "duration", ECS_DURATION, FLOW_END_MILLISECONDS),
	ROW("flow", "id", ECS_STRING, FLOW_ID),
	ROW("flow", "final", ECS_IS_FINAL, FLOW_END_REASON),
	ROW("network", "type", ECS_FAMILY, IP_PROTOCOL_VERSION),
	ROW("network", "iana_number", ECS_STRING, PROTOCOL),
	ROW("network", "transport", ECS_TRANSPORT, PROTOCOL),
	ROW("network", "bytes", ECS_ALL_BYTES, IN_BYTES),
	ROW("network", "packets", ECS_ALL_PACKETS, IN_PKTS),
	ROW("network.vlan", "id", ECS_STRING, SRC_VLAN),
	END_ROWS("", SRC, true),
	ROW("source", "ip", ECS_VALUE, IPV4_SRC_ADDR),
	ROW("source", "ip", ECS_VALUE, IPV6_SRC_ADDR),
	ROW("source", "mac", ECS_MAC, IN_SRC_MAC),
	ROW("source", "port", ECS_PORT, L4_SRC_PORT),
	ROW("source", "bytes", ECS_VALUE, IN_BYTES),
	ROW("source", "packets", ECS_VALUE, IN_PKTS),
	ROW("source.nat", "ip", ECS_VALUE, POST_NAT_SRC_IPV4_ADDR),
	ROW("source.nat", "ip", ECS_VALUE, POST_NAT_SRC_IPV6_ADDR),
	ROW("source.nat", "port", ECS_VALUE, POST_NAPT_SRC_TRANSPORT_PORT),
	END_ROWS("source.", SRC, false),
	ROW("destination", "ip", ECS_VALUE, IPV4_DST_ADDR),
	ROW("destination", "ip", ECS_VALUE, IPV6_DST_ADDR),
	ROW("destination", "mac", ECS_MAC, OUT_DST_MAC),
	ROW("destination", "port", ECS_PORT, L4_DST_PORT),
	ROW("destination", "bytes", ECS_VALUE, OUT_BYTES),
	ROW("destination", "packets", ECS_VALUE, OUT_PKTS),
	ROW("destination.nat", "ip", ECS_VALUE, POST_NAT_DST_IPV4_ADDR),
	ROW("destination.nat", "ip", ECS_VALUE, POST_NAT_DST_IPV6_ADDR),
	ROW("destination.nat", "port", ECS_VALUE, POST_NAPT_DST_TRANSPORT_PORT),
	END_ROWS("destination.", DST, false),
};

#define PROCESS_ROW(object, key, kind, field)                                                      \
	{                                                                                          \
		object, key, kind, PROCESS_FIELD_##field, false, NULL                              \
	}
#define PROCESS_CONSTANT(object, key, literal)                                                     \
	{                                                                                          \
		object, key, ECS_RAW, PROCESS_FIELD_PROC_PID, false, literal                       \
	}

static const struct ecs_row process_rows[] = {
	PROCESS_ROW("", "@timestamp", ECS_DATE, PROC_END_MILLISECONDS),
	PROCESS_CONSTANT("ecs", "version", "\"" ECS_VERSION "\""),
	PROCESS_CONSTANT("event", "kind", "\"metric\""),
	PROCESS_CONSTANT("event", "category", "[\"process\"]"),
	PROCESS_ROW("event", "type", ECS_PROCESS_EVENT_TYPE, PROC_EVENT),
	PROCESS_CONSTANT("event", "dataset", "\"procflow.process\""),
	PROCESS_ROW("event", "sequence", ECS_SEQUENCE, PROC_PID),
	PROCESS_ROW("event", "start", ECS_DATE, INTERVAL_START_MILLISECONDS),
	PROCESS_ROW("event", "end", ECS_DATE, PROC_END_MILLISECONDS),
	PROCESS_ROW("event", "duration", ECS_DURATION, PROC_END_MILLISECONDS),
	PROCESS_ROW("process", "pid", ECS_VALUE, PROC_PID),
	PROCESS_ROW("process", "name", ECS_VALUE, PROC_NAME),
	PROCESS_ROW("process", "executable", ECS_VALUE, PROC_EXE),
	PROCESS_ROW("process", "command_line", ECS_VALUE, PROC_CMDLINE),
	PROCESS_ROW("process", "start", ECS_DATE, PROC_START_MILLISECONDS),
	PROCESS_ROW("process", "exit_code", ECS_VALUE, PROC_EXIT_CODE),
	PROCESS_ROW("process.parent", "pid", ECS_VALUE, FATHER_PROC_PID),
	PROCESS_ROW("process.parent", "name", ECS_VALUE, FATHER_PROC_NAME),
	PROCESS_ROW("process.parent.user", "id", ECS_STRING, FATHER_PROC_UID),
	PROCESS_ROW("process.parent.user", "name", ECS_VALUE, FATHER_PROC_USER_NAME),
	PROCESS_ROW("user", "id", ECS_STRING, PROC_UID),
	PROCESS_ROW("user", "name", ECS_VALUE, PROC_USER_NAME),
	PROCESS_ROW("container", "id", ECS_VALUE, PROC_CONTAINER_ID),
	PROCESS_ROW("package", "name", ECS_VALUE, PROC_PKG_NAME),
};

#define HAS_NAME(field)	    [FIELD_##field] = true
#define END_HAS_NAME(field) [FIELD_SRC_##field] = true, [FIELD_DST_##field] = true

/* Those of the catalogue that stand in a row, and the two times that are there in milliseconds. */
static const bool has_name[FIELD_COUNT] = {
	HAS_NAME(FLOW_ID),
	HAS_NAME(IP_PROTOCOL_VERSION),
	HAS_NAME(PROTOCOL),
	HAS_NAME(IPV4_SRC_ADDR),
	HAS_NAME(IPV6_SRC_ADDR),
	HAS_NAME(L4_SRC_PORT),
	HAS_NAME(IPV4_DST_ADDR),
	HAS_NAME(IPV6_DST_ADDR),
	HAS_NAME(L4_DST_PORT),
	HAS_NAME(IN_SRC_MAC),
	HAS_NAME(OUT_DST_MAC),
	HAS_NAME(SRC_VLAN),
	HAS_NAME(POST_NAT_SRC_IPV4_ADDR),
	HAS_NAME(POST_NAT_DST_IPV4_ADDR),
	HAS_NAME(POST_NAT_SRC_IPV6_ADDR),
	HAS_NAME(POST_NAT_DST_IPV6_ADDR),
	HAS_NAME(POST_NAPT_SRC_TRANSPORT_PORT),
	HAS_NAME(POST_NAPT_DST_TRANSPORT_PORT),
	HAS_NAME(IN_BYTES),
	HAS_NAME(IN_PKTS),
	HAS_NAME(OUT_BYTES),
	HAS_NAME(OUT_PKTS),
	HAS_NAME(FIRST_SWITCHED),
	HAS_NAME(LAST_SWITCHED),
	HAS_NAME(FLOW_START_MILLISECONDS),
	HAS_NAME(FLOW_END_MILLISECONDS),
	END_HAS_NAME(PROC_PID),
	END_HAS_NAME(PROC_NAME),
	END_HAS_NAME(PROC_EXE),
	END_HAS_NAME(PROC_CMDLINE),
	END_HAS_NAME(PROC_START_MILLISECONDS),
	END_HAS_NAME(FATHER_PROC_PID),
	END_HAS_NAME(FATHER_PROC_NAME),
	END_HAS_NAME(FATHER_PROC_UID),
	END_HAS_NAME(FATHER_PROC_USER_NAME),
	END_HAS_NAME(PROC_UID),
	END_HAS_NAME(PROC_USER_NAME),
	END_HAS_NAME(PROC_CONTAINER_ID),
	END_HAS_NAME(PROC_PKG_NAME),
};

static const bool process_has_name[PROCESS_FIELD_COUNT] = {
	[PROCESS_FIELD_PROC_PID] = true,
	[PROCESS_FIELD_PROC_START_MILLISECONDS] = true,
	[PROCESS_FIELD_INTERVAL_START_MILLISECONDS] = true,
	[PROCESS_FIELD_PROC_END_MILLISECONDS] = true,
	[PROCESS_FIELD_PROC_NAME] = true,
	[PROCESS_FIELD_PROC_USER_NAME] = true,
	[PROCESS_FIELD_PROC_UID] = true,
	[PROCESS_FIELD_FATHER_PROC_PID] = true,
	[PROCESS_FIELD_FATHER_PROC_NAME] = true,
	[PROCESS_FIELD_FATHER_PROC_UID] = true,
	[PROCESS_FIELD_FATHER_PROC_USER_NAME] = true,
	[PROCESS_FIELD_PROC_EXIT_CODE] = true,
	[PROCESS_FIELD_PROC_EXE] = true,
	[PROCESS_FIELD_PROC_PKG_NAME] = true,
	[PROCESS_FIELD_PROC_CMDLINE] = true,
	[PROCESS_FIELD_PROC_CONTAINER_ID] = true,
};

const struct ecs_record_kind ecs_record_kinds[ECS_RECORD_KINDS] = {
	[ECS_FLOWS] = {rows, array_length(rows), field_table, FIELD_COUNT, has_name, false},
	[ECS_PROCESSES] = {process_rows, array_length(process_rows), process_field_table,
			   PROCESS_FIELD_COUNT, process_has_name, true},
};
