/* SPDX-License-Identifier: GPL-2.0-or-later */

/* NetFlow v9 and IPFIX, byte for byte, for the records of records.h. The golden files hold the
 * bytes in hex, one element a line, with what it is behind '#'. "golden_wire netflow9" (or ipfix, and
 * behind it processes) writes the raw messages instead; annotate.py makes a golden file out of them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>

#include "base/buffer.h"
#include "export/wire_writer.h"
#include "records.h"

static void on_message(void *userdata, const struct wire_message *message)
{
	buffer_add(userdata, message->bytes, message->length);
}

static struct flow_record make(bool processes, unsigned which)
{
	return processes ? records_make_process(which) : records_make(which);
}

/* All records of a kind, in messages small enough to make several. */
static void write_all(enum template_format format, bool processes, struct buffer *out)
{
	const unsigned count = processes ? RECORDS_PROCESS_COUNT : RECORDS_COUNT;
	const struct wire_options options = {
		.template_options = {.format = format, .set = FIELD_SET_PROCFLOW},
		.template_interval_ns = 60 * NS_PER_SEC,
		.template_packets = 1000,
		.max_message_bytes = 1400,
		.domain = 7,
		.boot_ns = RECORDS_BOOT_NS,
	};
	const struct wire_now now = {
		.monotonic_ns = RECORDS_START_NS + 70 * NS_PER_SEC,
		.wall_ns = RECORDS_START_MS * NS_PER_MS + 70 * NS_PER_SEC,
	};
	struct wire_writer *writer;

	assert_int_equal(wire_writer_new(&options, on_message, out, &writer), 0);
	for (unsigned i = 0; i < count; i++) {
		struct flow_record record = make(processes, i);

		assert_int_equal(wire_writer_add(writer, &record, &now), 0);
	}
	wire_writer_finish(writer, &now);
	wire_writer_free(writer);
}

static unsigned hex_digit(char digit)
{
	return (unsigned)(isdigit(digit) ? digit - '0' : digit - 'a' + 10);
}

/* Compares line by line, so that a failure tells the element. */
static void compare(const char *path, const struct buffer *bytes)
{
	FILE *file = fopen(path, "r");
	char line[4096];
	size_t at = 0;

	if (!file)
		fail_msg("cannot open %s", path);
	while (fgets(line, sizeof(line), file)) {
		for (char *digit = line; *digit && *digit != '#' && *digit != '\n';) {
			if (*digit == ' ') {
				digit++;
				continue;
			}
			if (at >= bytes->length ||
			    bytes->bytes[at] != (hex_digit(digit[0]) << 4 | hex_digit(digit[1])))
				fail_msg("%s, byte %zu (of %zu): expected %s", path, at,
					 bytes->length, line);
			at++;
			digit += 2;
		}
	}
	fclose(file);
	assert_int_equal(at, bytes->length);
}

static void check(enum template_format format, bool processes, const char *path)
{
	struct buffer bytes;

	buffer_init(&bytes);
	write_all(format, processes, &bytes);
	compare(path, &bytes);
	buffer_fini(&bytes);
}

static void test_netflow9(unused void **state)
{
	check(TEMPLATE_NETFLOW9, false, "netflow9.golden");
	check(TEMPLATE_NETFLOW9, true, "netflow9_processes.golden");
}

static void test_ipfix(unused void **state)
{
	check(TEMPLATE_IPFIX, false, "ipfix.golden");
	check(TEMPLATE_IPFIX, true, "ipfix_processes.golden");
}

static int write_raw(const char *format, bool processes)
{
	struct buffer bytes;
	size_t written;

	buffer_init(&bytes);
	write_all(strcmp(format, "ipfix") == 0 ? TEMPLATE_IPFIX : TEMPLATE_NETFLOW9, processes,
		  &bytes);
	written = fwrite(bytes.bytes, 1, bytes.length, stdout);
	buffer_fini(&bytes);
	return written > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netflow9),
		cmocka_unit_test(test_ipfix),
	};

	if (argc > 1)
		return write_raw(argv[1], argc > 2 && strcmp(argv[2], "processes") == 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
