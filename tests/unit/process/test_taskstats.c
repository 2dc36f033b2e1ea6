/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The parser alone, over bytes as kernels of several versions lay them out. */

#include "process/taskstats.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/genetlink.h>
#include <linux/taskstats.h>

#include "base/macros.h"

enum { LARGEST = 1024, PLAIN_LENGTH = 432 };

static void put(uint8_t *bytes, size_t offset, uint64_t value)
{
	memcpy(bytes + offset, &value, sizeof(value));
}

/* One task's statistics. "shift" bytes stand behind each of the six delays in front of ac_tgid. */
static void fill(uint8_t *bytes, uint16_t version, size_t shift)
{
	static const char name[] = "fifteen bytes..";
	uint32_t small;

	memset(bytes, 0, LARGEST);
	memcpy(bytes, &version, sizeof(version));
	small = 0x0300;
	memcpy(bytes + 4, &small, sizeof(small));
	bytes[8] = 0x21;		       /* AGROUP and AFORK */
	put(bytes, 16, 2);		       /* cpu_count */
	put(bytes, 24, 1000);		       /* cpu_delay_total */
	put(bytes, 32 + shift, 3);	       /* blkio_count */
	put(bytes, 40 + shift, 5000);	       /* blkio_delay_total */
	put(bytes, 48 + 2 * shift, 4);	       /* swapin_count */
	put(bytes, 56 + 2 * shift, 70000);     /* swapin_delay_total */
	put(bytes, 72 + 3 * shift, 123456789); /* cpu_run_virtual_total */
	memcpy(bytes + 80 + 3 * shift, name, sizeof(name));
	small = 1000;
	memcpy(bytes + 120 + 3 * shift, &small, sizeof(small));
	small = 4711;
	memcpy(bytes + 128 + 3 * shift, &small, sizeof(small));
	small = 42;
	memcpy(bytes + 132 + 3 * shift, &small, sizeof(small));
	put(bytes, 144 + 3 * shift, 777);  /* ac_etime */
	put(bytes, 168 + 3 * shift, 88);   /* ac_minflt */
	put(bytes, 176 + 3 * shift, 9);	   /* ac_majflt */
	put(bytes, 200 + 3 * shift, 2048); /* hiwater_rss, KiB */
	put(bytes, 272 + 3 * shift, 6);	   /* nvcsw */
	put(bytes, 312 + 3 * shift, 10);   /* freepages_count */
	put(bytes, 328 + 4 * shift, 20);   /* thrashing_count */
	put(bytes, 352 + 5 * shift, 30);   /* compact_count */
	small = 4710;
	memcpy(bytes + 368 + 6 * shift, &small, sizeof(small));
	put(bytes, 376 + 6 * shift, 778); /* ac_tgetime */
	put(bytes, 400 + 6 * shift, 40);  /* wpcopy_count */
}

static void check_common(const struct task_figures *figures)
{
	assert_int_equal(figures->exit_code, 0x0300);
	assert_int_equal(figures->run_count, 2);
	assert_int_equal(figures->run_delay_ns, 1000);
	assert_int_equal(figures->cpu_ns, 123456789);
	assert_string_equal(figures->name, "fifteen bytes..");
	assert_int_equal(figures->uid, 1000);
	assert_int_equal(figures->pid, 4711);
	assert_int_equal(figures->parent, 42);
	assert_int_equal(figures->elapsed_us, 777);
	assert_int_equal(figures->minor_faults, 88);
	assert_int_equal(figures->major_faults, 9);
	assert_int_equal(figures->peak_memory_bytes, 2048 * 1024);
	assert_int_equal(figures->voluntary_switches, 6);
}

/* Length and layout of the kernels named. */
static const struct layout {
	const char *kernel;
	uint16_t version;
	size_t length, shift;
	uint64_t io_delay, delay_count;
	pid_t group;
} layouts[] = {
	{"4.19", 9, 344, 0, 75000, 37, 0},
	{"5.10", 10, 352, 0, 75000, 37, 0},
	{"5.18", 11, 368, 0, 5000, 67, 0},
	{"6.1", 13, 416, 0, 5000, 107, 4710},
	{"6.12", 14, 432, 0, 5000, 107, 4710},
	{"6.14", 14, 560, 16, 5000, 107, 4710},
	{"6.15", 15, 560, 16, 5000, 107, 4710},
	{"6.18", 16, 560, 0, 5000, 107, 4710},
	{"one to come", 40, 900, 0, 5000, 107, 4710},
};

static void each_version_is_read_by_its_own_layout(void **state)
{
	uint8_t bytes[LARGEST];
	struct task_figures figures;

	(void)state;
	for (size_t i = 0; i < array_length(layouts); i++) {
		const struct layout *layout = &layouts[i];

		print_message("Linux %s\n", layout->kernel);
		fill(bytes, layout->version, layout->shift);
		assert_int_equal(taskstats_parse(bytes, layout->length, &figures), 0);
		check_common(&figures);
		assert_int_equal(figures.io_delay_ns, layout->io_delay);
		assert_int_equal(figures.delay_count, layout->delay_count);
		assert_int_equal(figures.group, layout->group);
		assert_int_equal(figures.group_ended, layout->group != 0);
		assert_int_equal(figures.group_elapsed_us, layout->group ? 778 : 0);
	}
}

static void every_length_is_survived(void **state)
{
	uint8_t bytes[LARGEST];
	struct task_figures figures;

	(void)state;
	for (uint16_t version = 0; version < 20; version++) {
		fill(bytes, version, 0);
		for (size_t length = 0; length <= 600; length++) {
			uint8_t *exact = malloc(length ? length : 1);
			int r;

			memcpy(exact, bytes, length);
			r = taskstats_parse(exact, length, &figures);
			assert_int_equal(r, length < 280 ? -EBADMSG : 0);
			free(exact);
		}
	}
}

static void exit_cpu_of_what_never_slept_is_its_life(void **state)
{
	struct task_figures figures = {.elapsed_us = 3000, .run_count = 1, .run_delay_ns = 400000};

	(void)state;
	assert_int_equal(taskstats_find_exit_cpu(&figures), 2600000);
	figures.voluntary_switches = 1;
	figures.cpu_ns = 1500000;
	assert_int_equal(taskstats_find_exit_cpu(&figures), 1500000);
	figures.voluntary_switches = 0;
	figures.elapsed_us = 100000; /* a hypervisor took the rest */
	assert_int_equal(taskstats_find_exit_cpu(&figures), 11500000);
	figures.elapsed_us = 1000;
	assert_int_equal(taskstats_find_exit_cpu(&figures), 1500000);
	figures.run_delay_ns = 2000000;
	assert_int_equal(taskstats_find_exit_cpu(&figures), 1500000);
	figures = (struct task_figures){.elapsed_us = 3000}; /* not counted by this kernel */
	assert_int_equal(taskstats_find_exit_cpu(&figures), 0);
}

static void put_aggregate(struct nlmsghdr *message, uint16_t type, uint16_t id_type, uint32_t id,
			  const uint8_t *statistics)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	mnl_attr_put_u32(message, id_type, id);
	mnl_attr_put(message, TASKSTATS_TYPE_NULL, 0, NULL);
	mnl_attr_put(message, TASKSTATS_TYPE_STATS, PLAIN_LENGTH, statistics);
	mnl_attr_nest_end(message, nest);
}

static struct nlmsghdr *build_group_exit(uint8_t *bytes)
{
	uint8_t statistics[LARGEST];
	struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->cmd = TASKSTATS_CMD_NEW;
	header->version = 1;
	fill(statistics, 14, 0);
	put_aggregate(message, TASKSTATS_TYPE_AGGR_PID, TASKSTATS_TYPE_PID, 4711, statistics);
	put(statistics, 72, 999);
	put_aggregate(message, TASKSTATS_TYPE_AGGR_TGID, TASKSTATS_TYPE_TGID, 4710, statistics);
	return message;
}

static void group_exit_has_task_and_group(void **state)
{
	uint8_t bytes[4096] = {0};
	struct nlmsghdr *message = build_group_exit(bytes);
	struct taskstats_message parsed;

	(void)state;
	assert_int_equal(taskstats_parse_message(message, &parsed), 0);
	assert_true(parsed.has_task && parsed.has_group);
	assert_int_equal(parsed.pid, 4711);
	assert_int_equal(parsed.group, 4710);
	check_common(&parsed.task_figures);
	assert_int_equal(parsed.group_figures.cpu_ns, 999);
}

/* Its end is that of the message to the byte: behind it stands somebody else's. */
static void a_cut_record_is_not_read(void **state)
{
	uint8_t bytes[4096] = {0};
	struct nlmsghdr *message = build_group_exit(bytes);
	struct taskstats_message parsed;

	(void)state;
	for (int cut = 1; cut <= 3; cut++) {
		message->nlmsg_len--;
		assert_int_equal(taskstats_parse_message(message, &parsed), 0);
		assert_true(parsed.has_task);
		assert_false(parsed.has_group);
	}
}

/* Cut short anywhere, and with any byte changed: read within bounds (under ASan), never believed
 * without an id and statistics. */
static void broken_messages_are_survived(void **state)
{
	uint8_t bytes[4096] = {0};
	const size_t length = build_group_exit(bytes)->nlmsg_len;
	struct taskstats_message parsed;

	(void)state;
	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		size_t left = round < length ? round : length;
		uint8_t *exact = malloc(length);
		struct nlmsghdr *message = (struct nlmsghdr *)(void *)exact;

		memcpy(exact, bytes, length);
		if (left < NLMSG_HDRLEN)
			left = NLMSG_HDRLEN;
		message->nlmsg_len = (uint32_t)left;
		if (round >= length)
			for (unsigned i = 0; i < 3; i++)
				exact[NLMSG_HDRLEN + (size_t)rand() % (length - NLMSG_HDRLEN)] =
					(uint8_t)rand();
		if (taskstats_parse_message(message, &parsed) == 0)
			assert_true(parsed.has_task || parsed.has_group);
		free(exact);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_version_is_read_by_its_own_layout),
		cmocka_unit_test(every_length_is_survived),
		cmocka_unit_test(exit_cpu_of_what_never_slept_is_its_life),
		cmocka_unit_test(group_exit_has_task_and_group),
		cmocka_unit_test(a_cut_record_is_not_read),
		cmocka_unit_test(broken_messages_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
