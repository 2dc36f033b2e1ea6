/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macros.h"
#include "sources/trace_format.h"

#define COMMON                                                                                     \
	"format:\n"                                                                                \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"                     \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"                     \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"             \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"

#define STATE_FIELDS                                                                               \
	"\tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;\n"                            \
	"\tfield:int oldstate;\toffset:16;\tsize:4;\tsigned:1;\n"                                  \
	"\tfield:int newstate;\toffset:20;\tsize:4;\tsigned:1;\n"                                  \
	"\tfield:__u16 sport;\toffset:24;\tsize:2;\tsigned:0;\n"                                   \
	"\tfield:__u16 dport;\toffset:26;\tsize:2;\tsigned:0;\n"                                   \
	"\tfield:__u16 family;\toffset:28;\tsize:2;\tsigned:0;\n"                                  \
	"\tfield:__u16 protocol;\toffset:30;\tsize:2;\tsigned:0;\n"                                \
	"\tfield:__u8 saddr[4];\toffset:32;\tsize:4;\tsigned:0;\n"                                 \
	"\tfield:__u8 daddr[4];\toffset:36;\tsize:4;\tsigned:0;\n"                                 \
	"\tfield:__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;\n"

/* Linux 6.18. */
static const char state_text[] = "name: inet_sock_set_state\nID: 2287\n" COMMON STATE_FIELDS
				 "\tfield:__u8 daddr_v6[16];\toffset:56;\tsize:16;\tsigned:0;\n"
				 "\nprint fmt: \"%p\", REC->skaddr\n";

static const char state_short_text[] = "name: inet_sock_set_state\nID: 2287\n" COMMON STATE_FIELDS
				       "\nprint fmt: \"%p\", REC->skaddr\n";

/* Linux 5.10: without a family. */
static const char receive_text[] = "name: tcp_rcv_space_adjust\nID: 1333\n" COMMON
				   "\tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;\n"
				   "\tfield:__u16 sport;\toffset:16;\tsize:2;\tsigned:0;\n"
				   "\tfield:__u16 dport;\toffset:18;\tsize:2;\tsigned:0;\n"
				   "\tfield:__u8 saddr[4];\toffset:20;\tsize:4;\tsigned:0;\n"
				   "\tfield:__u8 daddr[4];\toffset:24;\tsize:4;\tsigned:0;\n"
				   "\tfield:__u8 saddr_v6[16];\toffset:28;\tsize:16;\tsigned:0;\n"
				   "\tfield:__u8 daddr_v6[16];\toffset:44;\tsize:16;\tsigned:0;\n"
				   "\tfield:__u64 sock_cookie;\toffset:64;\tsize:8;\tsigned:0;\n"
				   "\nprint fmt: \"%p\", REC->skaddr\n";

/* Not of any kernel: the same names at other places and in other sizes. */
static const char lookup_text[] = "name: fib_table_lookup\nID: 77\n" COMMON
				  "\tfield:u16 dport;\toffset:8;\tsize:2;\tsigned:0;\n"
				  "\tfield:__u8 dst[4];\toffset:11;\tsize:4;\tsigned:0;\n"
				  "\tfield:u32 proto;\toffset:16;\tsize:4;\tsigned:0;\n"
				  "\tfield:u16 sport;\toffset:21;\tsize:2;\tsigned:0;\n"
				  "\tfield:__u8 src[4];\toffset:23;\tsize:4;\tsigned:0;\n"
				  "\nprint fmt: \"%u\", some_unknown_helper(REC->proto)\n";

static const char wide_port_text[] = "name: fib_table_lookup\nID: 77\n" COMMON
				     "\tfield:u16 dport;\toffset:8;\tsize:2;\tsigned:0;\n"
				     "\tfield:__u8 dst[4];\toffset:11;\tsize:4;\tsigned:0;\n"
				     "\tfield:u32 proto;\toffset:16;\tsize:4;\tsigned:0;\n"
				     "\tfield:u32 sport;\toffset:21;\tsize:4;\tsigned:0;\n"
				     "\tfield:__u8 src[4];\toffset:25;\tsize:4;\tsigned:0;\n"
				     "\nprint fmt: \"%u\", REC->proto\n";

static const char exec_text[] =
	"name: sched_process_exec\nID: 365\n" COMMON
	"\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n"
	"\tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;\n"
	"\nprint fmt: \"filename=%s\", __get_str(filename)\n";

static int parse(enum trace_tracepoint tracepoint, const char *text, struct trace_format *format,
		 const char **missing)
{
	*missing = NULL;
	return trace_format_parse(tracepoint, text, strlen(text), format, missing);
}

static void test_fields_are_found_by_name(unused void **state)
{
	uint8_t raw[27] = {77, 0, 0x10};
	struct trace_format format;
	struct trace_lookup lookup;
	const char *missing;
	uint16_t port;

	assert_int_equal(parse(TRACE_LOOKUP_V4, lookup_text, &format, &missing), 0);
	assert_int_equal(format.id, 77);
	assert_int_equal(format.length, 27);
	raw[16] = IPPROTO_UDP;
	port = 53;
	memcpy(raw + 8, &port, 2);
	port = 40000;
	memcpy(raw + 21, &port, 2);
	memcpy(raw + 11, "\x0a\x00\x00\x09", 4);
	memcpy(raw + 23, "\x0a\x00\x00\x05", 4);
	assert_int_equal(trace_format_read_id(raw, sizeof(raw)), 77);
	assert_true(trace_format_read_lookup(&format, TRACE_LOOKUP_V4, raw, sizeof(raw), &lookup));
	assert_int_equal(lookup.context, TRACE_CONTEXT_SOFTIRQ);
	assert_int_equal(lookup.socket.local_port, 40000);
	assert_int_equal(lookup.socket.remote_port, 53);
	assert_int_equal(lookup.socket.protocol, IPPROTO_UDP);
	assert_int_equal(lookup.socket.family, IP_FAMILY_V4);
	assert_memory_equal(lookup.socket.local.bytes, "\x0a\x00\x00\x05", 4);
	assert_memory_equal(lookup.socket.remote.bytes, "\x0a\x00\x00\x09", 4);
	raw[16] = 0;
	assert_false(trace_format_read_lookup(&format, TRACE_LOOKUP_V4, raw, sizeof(raw), &lookup));
}

static void test_a_reading_has_either_family(unused void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 9};
	static const uint8_t pure[16] = {0x20, 0x01, [15] = 1};
	uint8_t raw[60] = {[2] = 0x10, [8] = 5, [16] = 80, [18] = 90};
	struct trace_format format;
	struct trace_receive told;
	const char *missing;

	assert_int_equal(parse(TRACE_RECEIVE, receive_text, &format, &missing), 0);
	assert_int_equal(format.length, sizeof(raw));
	memcpy(raw + 28, mapped, 16);
	memcpy(raw + 44, mapped, 16);
	assert_true(trace_format_read_receive(&format, raw, sizeof(raw), &told));
	assert_int_equal(told.socket.family, IP_FAMILY_V4);
	assert_int_equal(told.socket.protocol, IPPROTO_TCP);
	assert_int_equal(told.socket.local_port, 80);
	assert_int_equal(told.socket.remote_port, 90);
	assert_int_equal(told.socket_address, 5);
	assert_int_equal(told.context, TRACE_CONTEXT_SOFTIRQ);
	assert_memory_equal(told.socket.local.bytes, "\x0a\x00\x00\x09", 4);
	memcpy(raw + 28, pure, 16);
	memcpy(raw + 44, pure, 16);
	assert_true(trace_format_read_receive(&format, raw, sizeof(raw), &told));
	assert_int_equal(told.socket.family, IP_FAMILY_V6);
	assert_memory_equal(told.socket.remote.bytes, pure, 16);
	assert_false(trace_format_read_receive(&format, raw, sizeof(raw) - 1, &told));
}

static void test_short_records_are_refused(unused void **state)
{
	uint8_t raw[72] = {0};
	struct trace_format format;
	struct trace_state told;
	const char *missing;

	assert_int_equal(parse(TRACE_STATE, state_text, &format, &missing), 0);
	assert_int_equal(format.length, 72);
	raw[28] = AF_INET;
	raw[30] = IPPROTO_TCP;
	assert_true(trace_format_read_state(&format, raw, 72, &told));
	for (size_t length = 0; length < 72; length++)
		assert_false(trace_format_read_state(&format, raw, length, &told));
	assert_int_equal(trace_format_read_id(raw, 1), -EBADMSG);
}

static void test_what_is_missing_is_named(unused void **state)
{
	struct trace_format format;
	const char *missing;

	assert_int_equal(parse(TRACE_STATE, state_short_text, &format, &missing), -ENOENT);
	assert_string_equal(missing, "daddr_v6");
	assert_int_equal(parse(TRACE_LOOKUP_V4, wide_port_text, &format, &missing), -ENOENT);
	assert_string_equal(missing, "sport");
	assert_int_equal(parse(TRACE_LOOKUP_V4, state_text, &format, &missing), -EBADMSG);
	assert_int_equal(parse(TRACE_LOOKUP_V4, "", &format, &missing), -EBADMSG);
	assert_int_equal(parse(TRACE_LOOKUP_V4, "name: \xff\xff\nID: x\n", &format, &missing),
			 -EBADMSG);
}

/* An IPv6 socket's IPv4 fields hold garbage unless it is a mapped one. */
static void test_mapped_addresses_are_ipv4(unused void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 9};
	static const uint8_t pure[16] = {0x20, 0x01, [15] = 1};
	uint8_t raw[72] = {[28] = AF_INET6, [30] = IPPROTO_TCP, [32] = 127, [35] = 6};
	struct trace_format format;
	struct trace_state told;
	const char *missing;

	assert_int_equal(parse(TRACE_STATE, state_text, &format, &missing), 0);
	memcpy(raw + 56, mapped, 16);
	memcpy(raw + 40, mapped, 16);
	assert_true(trace_format_read_state(&format, raw, sizeof(raw), &told));
	assert_int_equal(told.socket.family, IP_FAMILY_V4);
	assert_memory_equal(told.socket.remote.bytes, "\x0a\x00\x00\x09", 4);
	assert_memory_equal(told.socket.local.bytes, "\x0a\x00\x00\x09", 4);
	memcpy(raw + 56, pure, 16);
	memcpy(raw + 40, pure, 16);
	assert_true(trace_format_read_state(&format, raw, sizeof(raw), &told));
	assert_int_equal(told.socket.family, IP_FAMILY_V6);
	assert_memory_equal(told.socket.local.bytes, pure, 16);
	raw[28] = AF_UNIX;
	assert_false(trace_format_read_state(&format, raw, sizeof(raw), &told));
}

static void test_exec_path_stays_in_record(unused void **state)
{
	uint8_t raw[32] = {0};
	struct trace_format format;
	const char *missing;
	uint32_t location;

	assert_int_equal(parse(TRACE_EXEC, exec_text, &format, &missing), 0);
	memcpy(raw + 16, "/bin/true", 10);
	location = 16 | 10u << 16;
	memcpy(raw + 8, &location, 4);
	assert_string_equal(trace_format_read_exec(&format, raw, sizeof(raw)), "/bin/true");
	assert_null(trace_format_read_exec(&format, raw, 20)); /* goes beyond the end */
	location = 16 | 9u << 16;
	memcpy(raw + 8, &location, 4);
	assert_null(trace_format_read_exec(&format, raw, sizeof(raw))); /* not ended */
	location = 0xffff | 10u << 16;
	memcpy(raw + 8, &location, 4);
	assert_null(trace_format_read_exec(&format, raw, sizeof(raw)));
	assert_null(trace_format_read_exec(&format, raw, 11));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_found_by_name),
		cmocka_unit_test(test_a_reading_has_either_family),
		cmocka_unit_test(test_short_records_are_refused),
		cmocka_unit_test(test_what_is_missing_is_named),
		cmocka_unit_test(test_mapped_addresses_are_ipv4),
		cmocka_unit_test(test_exec_path_stays_in_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
