/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "../export/unit.h"

#include <errno.h>

#include "flow/field.h"

static const struct field *find(const char *name)
{
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (strcmp(field_table[i].name, name) == 0)
			return &field_table[i];
	fail_msg("no field %s", name);
	return NULL;
}

/* The users' requirement: both sides, exactly these numbers. */
static void test_the_twenty(unused void **state)
{
	static const struct {
		const char *name;
		uint16_t v9, ipfix, width;
	} expected[] = {
		{"SRC_PROC_PID", 57640, 168, 4},
		{"DST_PROC_PID", 57847, 375, 4},
		{"SRC_PROC_NAME", 57641, 169, 16},
		{"DST_PROC_NAME", 57848, 376, 16},
		{"SRC_PROC_USER_NAME", 57844, 372, 16},
		{"DST_PROC_USER_NAME", 57849, 377, 16},
		{"SRC_FATHER_PROC_PID", 57845, 373, 4},
		{"DST_FATHER_PROC_PID", 57850, 378, 4},
		{"SRC_FATHER_PROC_NAME", 57846, 374, 16},
		{"DST_FATHER_PROC_NAME", 57851, 379, 16},
		{"SRC_PROC_ACTUAL_MEMORY", 57855, 383, 4},
		{"DST_PROC_ACTUAL_MEMORY", 57859, 387, 4},
		{"SRC_PROC_PEAK_MEMORY", 57856, 384, 4},
		{"DST_PROC_PEAK_MEMORY", 57860, 388, 4},
		{"SRC_PROC_AVERAGE_CPU_LOAD", 57857, 385, 4},
		{"DST_PROC_AVERAGE_CPU_LOAD", 57861, 389, 4},
		{"SRC_PROC_NUM_PAGE_FAULTS", 57858, 386, 4},
		{"DST_PROC_NUM_PAGE_FAULTS", 57862, 390, 4},
		{"SRC_PROC_PCTG_IOWAIT", 57865, 393, 4},
		{"DST_PROC_PCTG_IOWAIT", 57866, 394, 4},
	};

	for (size_t i = 0; i < array_length(expected); i++) {
		const struct field *field = find(expected[i].name);

		assert_int_equal(field->v9_id, expected[i].v9);
		assert_int_equal(field->ipfix_id, expected[i].ipfix);
		assert_int_equal(field->pen, 35632);
		assert_int_equal(field->v9_width, expected[i].width);
		assert_int_equal(field->ipfix_width,
				 field->kind == FIELD_KIND_TEXT ? 0xffff : expected[i].width);
		assert_true(field->sets & FIELD_SET_PROCFLOW);
		assert_true(field->sets & FIELD_SET_JSON);
		assert_false(field->sets & FIELD_SET_STANDARD);
	}
}

static void test_other_process_fields(unused void **state)
{
	static const struct {
		const char *name;
		uint16_t v9, ipfix;
	} expected[] = {
		{"SRC_PROC_UID", 57897, 425},
		{"DST_PROC_UID", 57898, 426},
		{"SRC_PROC_PKG_NAME", 58012, 540},
		{"DST_PROC_PKG_NAME", 58013, 541},
		{"SRC_PROC_CMDLINE", 58028, 556},
		{"DST_PROC_CMDLINE", 58029, 557},
		{"SRC_PROC_CONTAINER_ID", 58030, 558},
		{"DST_PROC_CONTAINER_ID", 58031, 559},
		{"SRC_FATHER_PROC_PKG_NAME", 58033, 561},
		{"DST_FATHER_PROC_PKG_NAME", 58035, 563},
		{"SRC_FATHER_PROC_UID", 58036, 564},
		{"DST_FATHER_PROC_UID", 58039, 567},
		{"SRC_FATHER_PROC_USER_NAME", 58037, 565},
		{"DST_FATHER_PROC_USER_NAME", 58040, 568},
	};

	for (size_t i = 0; i < array_length(expected); i++) {
		assert_int_equal(find(expected[i].name)->v9_id, expected[i].v9);
		assert_int_equal(find(expected[i].name)->ipfix_id, expected[i].ipfix);
	}
}

static void test_packet_fields(unused void **state)
{
	static const struct {
		const char *name;
		uint16_t v9, ipfix, width;
		uint32_t pen;
	} expected[] = {
		{"CLIENT_TCP_FLAGS", 57550, 78, 1, 35632},
		{"SERVER_TCP_FLAGS", 57551, 79, 1, 35632},
		{"INPUT_SNMP", 10, 10, 4, 0},
		{"OUTPUT_SNMP", 14, 14, 4, 0},
		{"SRC_TOS", 5, 5, 1, 0},
		{"DST_TOS", 55, 55, 1, 0},
		{"MIN_TTL", 52, 52, 1, 0},
		{"MAX_TTL", 53, 53, 1, 0},
		{"IN_SRC_MAC", 56, 56, 6, 0},
		{"OUT_DST_MAC", 57, 57, 6, 0},
		{"SRC_VLAN", 58, 58, 2, 0},
		{"SRC_FRAGMENTS", 57552, 80, 2, 35632},
		{"DST_FRAGMENTS", 57553, 81, 2, 35632},
		{"CLIENT_NW_LATENCY_MS", 57595, 123, 4, 35632},
		{"SERVER_NW_LATENCY_MS", 57596, 124, 4, 35632},
		{"APPL_LATENCY_MS", 57597, 125, 4, 35632},
	};

	for (size_t i = 0; i < array_length(expected); i++) {
		const struct field *field = find(expected[i].name);

		assert_int_equal(field->v9_id, expected[i].v9);
		assert_int_equal(field->ipfix_id, expected[i].ipfix);
		assert_int_equal(field->v9_width, expected[i].width);
		assert_int_equal(field->ipfix_width, expected[i].width);
		assert_int_equal(field->pen, expected[i].pen);
	}
}

static void test_no_number_and_no_name_twice(unused void **state)
{
	for (size_t i = 0; i < FIELD_COUNT; i++)
		for (size_t j = 0; j < i; j++) {
			const struct field *a = &field_table[i], *b = &field_table[j];

			assert_string_not_equal(a->name, b->name);
			if (a->v9_id && a->v9_id == b->v9_id)
				fail_msg("v9 id of %s and %s", a->name, b->name);
			if (a->ipfix_id && a->ipfix_id == b->ipfix_id && a->pen == b->pen)
				fail_msg("IPFIX id of %s and %s", a->name, b->name);
		}
}

static void check_row(const struct field *field)
{
	if (field->pen == FIELD_PEN_NTOP) {
		assert_int_equal(field->v9_id, FIELD_V9_NTOP + field->ipfix_id);
		assert_false(field->sets & FIELD_SET_STANDARD);
	} else {
		assert_int_equal(field->pen, 0);
	}
	if (field->sets & FIELD_SET_STANDARD)
		assert_true(field->v9_id < 512);
	assert_int_equal(field->v9_id != 0, field->v9_width != 0);
	assert_int_equal(field->ipfix_id != 0, field->ipfix_width != 0);
	if (field->v9_id || field->ipfix_id)
		assert_true(field->sets & (FIELD_SET_PROCFLOW | FIELD_SET_STANDARD));
	else
		assert_int_equal(field->sets, FIELD_SET_JSON);
	assert_true(field->ipfix_id < 0x8000);
	assert_true(field->offset + field->size <= sizeof(struct flow_record));
	assert_true(strlen(field->meaning) > 0);
	if (strncmp(field->name + 4, "PROC_", 5) == 0 ||
	    strncmp(field->name + 4, "FATHER_", 7) == 0)
		assert_true(field->offset >= offsetof(struct flow_record, src));
}

static void test_rows_are_whole(unused void **state)
{
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		print_message("%s\n", field_table[i].name);
		check_row(&field_table[i]);
	}
}

static void test_known_by_any_part(unused void **state)
{
	const struct field *user = find("USER_NAME");

	assert_true(field_is_known(user, RECORD_END(RECORD_SRC, END_USER)));
	assert_true(field_is_known(user, RECORD_END(RECORD_DST, END_USER)));
	assert_false(field_is_known(user, RECORD_END(RECORD_SRC, END_PROCESS)));
	assert_true(field_is_known(find("FLOW_ID"), 0));
	assert_false(field_is_known(find("IN_BYTES"), ~RECORD_COUNTERS));
}

static void test_values_by_size(unused void **state)
{
	struct flow_record record = {.ip_version = 6,
				     .flow_id = UINT64_MAX - 1,
				     .dst.pid = 70000,
				     .key.tuple.src_port = 443};

	assert_int_equal(field_get_unsigned(find("IP_PROTOCOL_VERSION"), &record), 6);
	assert_int_equal(field_get_unsigned(find("FLOW_ID"), &record), UINT64_MAX - 1);
	assert_int_equal(field_get_unsigned(find("DST_PROC_PID"), &record), 70000);
	assert_int_equal(field_get_unsigned(find("L4_SRC_PORT"), &record), 443);
}

static void test_set_names(unused void **state)
{
	enum field_set set = FIELD_SET_JSON;

	assert_int_equal(field_set_parse("procflow", &set), 0);
	assert_int_equal(set, FIELD_SET_PROCFLOW);
	assert_int_equal(field_set_parse("standard", &set), 0);
	assert_int_equal(set, FIELD_SET_STANDARD);
	assert_int_equal(field_set_parse("Standard", &set), -EINVAL);
	assert_int_equal(set, FIELD_SET_STANDARD);
}

static void test_lists(unused void **state)
{
	struct field_list list = {0};
	struct text wrong;

	assert_true(field_list_is_one("%PROTOCOL"));
	assert_true(field_list_is_one("PROTOCOL IN_BYTES"));
	assert_false(field_list_is_one("procflow"));
	assert_int_equal(field_list_parse(&list, "%PROTOCOL\t%IN_BYTES%IN_PKTS ", &wrong), 0);
	assert_int_equal(list.count, 3);
	assert_int_equal(list.items[2], FIELD_IN_PKTS);
	assert_int_equal(field_list_parse(&list, "%OUT_BYTES %IN_PKTS", &wrong),
			 FIELD_LIST_E_TWICE);
	assert_int_equal(wrong.length, 7);
	assert_int_equal(field_list_parse(&list, "%NOTHING", &wrong), FIELD_LIST_E_UNKNOWN);
	assert_string_equal(wrong.at, "NOTHING");
	assert_int_equal(field_list_parse(&list, "%SRC_PROC_NAM", &wrong), FIELD_LIST_E_UNKNOWN);
	assert_string_equal(field_find_nearest("SRC_PROC_NAM"), "SRC_PROC_NAME");
}

static void test_widths_in_lists(unused void **state)
{
	static const char *const wrong_ones[] = {
		"SRC_PROC_NAME:0",    "SRC_PROC_NAME:1025", "SRC_PROC_NAME:",
		"SRC_PROC_NAME:1x",   "PROTOCOL:4",	    "IN_BYTES:2",
		"FLOW_ID:4",	      "IPV4_SRC_ADDR:16",   "FLOW_START_MILLISECONDS:4",
		"SRC_PROC_NAME:1 :2", "OUT_DST_MAC:8",	    "SRC_PROC_NAME:18446744073709551617",
	};
	struct field_list list = {0};
	struct text wrong;

	assert_int_equal(field_list_parse(&list,
					  "%SRC_PROC_NAME:32%IPV4_SRC_ADDR:4 IN_BYTES:4 "
					  "OUT_PKTS:8 USER_NAME:1024 PROTOCOL",
					  &wrong),
			 0);
	field_list_complete_families(&list);
	assert_int_equal(list.count, 7);
	for (size_t i = 0; i < list.count; i++)
		assert_int_equal(list.widths[i], ((uint16_t[]){32, 4, 0, 4, 8, 1024, 0})[i]);
	assert_int_equal(list.items[2], FIELD_IPV6_SRC_ADDR);
	for (size_t i = 0; i < array_length(wrong_ones); i++) {
		list = (struct field_list){0};
		assert_true(field_list_parse(&list, wrong_ones[i], &wrong) > 0);
	}
	list = (struct field_list){0};
	assert_int_equal(field_list_parse(&list, "PROTOCOL:4 X", &wrong), FIELD_LIST_E_WIDTH);
	assert_int_equal(wrong.length, strlen("PROTOCOL:4"));
}

/* Every field named, and all its twins: nothing is written behind the list. */
static void test_a_list_of_all(unused void **state)
{
	struct field_list list = {0};
	struct text wrong;

	for (size_t i = 0; i < FIELD_COUNT; i++)
		assert_int_equal(field_list_parse(&list, field_table[i].name, &wrong), 0);
	field_list_complete_families(&list);
	assert_int_equal(list.count, FIELD_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_twenty),
		cmocka_unit_test(test_other_process_fields),
		cmocka_unit_test(test_packet_fields),
		cmocka_unit_test(test_no_number_and_no_name_twice),
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_known_by_any_part),
		cmocka_unit_test(test_values_by_size),
		cmocka_unit_test(test_set_names),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_widths_in_lists),
		cmocka_unit_test(test_a_list_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
