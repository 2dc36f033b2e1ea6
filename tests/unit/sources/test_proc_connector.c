/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "sources/proc_connector.h"

enum { FORK = 1, EXEC = 2, UID = 4, COMM = 0x200, HEADER = 20, EVENT = 16, DATA = 24 };
#define EXIT 0x80000000u

/* struct cn_msg and struct proc_event, as the kernel sends them: 24 bytes of data, whatever the kind. */
struct message {
	uint32_t index, value, sequence, acknowledgement;
	uint16_t length, flags;
	uint32_t what, cpu;
	uint64_t when_ns;
	uint32_t data[DATA / 4];
} __attribute__((packed));

_Static_assert(sizeof(struct message) == HEADER + EVENT + DATA, "");

static struct message make(uint32_t what, uint32_t first, uint32_t second, uint32_t third,
			   uint32_t fourth)
{
	return (struct message){.index = 1,
				.value = 1,
				.sequence = 77,
				.acknowledgement = 0,
				.length = EVENT + DATA,
				.what = what,
				.cpu = 1,
				.when_ns = 123456789012ull,
				.data = {first, second, third, fourth}};
}

/* With what follows out of bounds for the sanitisers. */
static int parse(const void *bytes, size_t size, struct process_event *event,
		 struct proc_connector_answer *answer)
{
	void *copy = malloc(size ? size : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	r = proc_connector_parse(copy, size, event, answer);
	free(copy);
	return r;
}

static int parse_message(const struct message *message, struct process_event *event)
{
	struct proc_connector_answer answer;

	return parse(message, sizeof(*message), event, &answer);
}

static void test_events(unused void **state)
{
	struct message fork = make(FORK, 10, 9, 12, 11), exec = make(EXEC, 21, 20, 0, 0),
		       exit = make(EXIT, 31, 30, 0, 17);
	struct process_event event;

	assert_int_equal(parse_message(&fork, &event), PROC_CONNECTOR_EVENT);
	assert_int_equal(event.type, PROCESS_EVENT_FORK);
	assert_int_equal(event.parent, 9);
	assert_int_equal(event.thread, 12);
	assert_int_equal(event.pid, 11);
	assert_true(event.when_ns == 123456789012ull);
	assert_int_equal(parse_message(&exec, &event), PROC_CONNECTOR_EVENT);
	assert_int_equal(event.type, PROCESS_EVENT_EXEC);
	assert_int_equal(event.thread, 21);
	assert_int_equal(event.pid, 20);
	assert_string_equal(event.name, "");
	assert_int_equal(parse_message(&exit, &event), PROC_CONNECTOR_EVENT);
	assert_int_equal(event.type, PROCESS_EVENT_EXIT);
	assert_int_equal(event.thread, 31);
	assert_int_equal(event.pid, 30);
}

static void test_what_is_not_wanted(unused void **state)
{
	static const uint32_t kinds[] = {UID,	     0x40,	 0x80, 0x100,	  COMM,
					 0x20000000, 0x40000000, 3,    0xffffffff};
	struct process_event event = {.pid = 5};
	struct message message;

	for (size_t i = 0; i < array_length(kinds); i++) {
		message = make(kinds[i], 10, 9, 12, 11);
		assert_int_equal(parse_message(&message, &event), PROC_CONNECTOR_OTHER);
	}
	message = make(FORK, 10, 9, 12, 11);
	message.index = 2;
	assert_int_equal(parse_message(&message, &event), PROC_CONNECTOR_OTHER);
	message = make(FORK, 10, 9, 12, 11);
	message.value = 0x10001;
	assert_int_equal(parse_message(&message, &event), PROC_CONNECTOR_OTHER);
	assert_int_equal(event.pid, 5);
}

static void test_answer(unused void **state)
{
	struct message message = make(0, 0, 0, 0, 0);
	struct proc_connector_answer answer;
	struct process_event event;

	message.acknowledgement = 4712;
	assert_int_equal(parse(&message, sizeof(message), &event, &answer), PROC_CONNECTOR_ACK);
	assert_int_equal(answer.number, 4711);
	assert_int_equal(answer.error, 0);
	message.data[0] = EPERM;
	assert_int_equal(parse(&message, sizeof(message), &event, &answer), PROC_CONNECTOR_ACK);
	assert_int_equal(answer.error, -EPERM);
	message.data[0] = 0x80000000;
	assert_int_equal(parse(&message, sizeof(message), &event, &answer), PROC_CONNECTOR_ACK);
	assert_int_equal(answer.error, -EPROTO);
}

static void test_every_cut(unused void **state)
{
	static const struct {
		uint32_t what;
		size_t needed;
	} kinds[] = {{FORK, 16}, {EXEC, 8}, {EXIT, 8}, {0, 4}};
	struct proc_connector_answer answer;
	struct process_event event;

	for (size_t i = 0; i < array_length(kinds); i++) {
		struct message message = make(kinds[i].what, 10, 9, 12, 11);

		/* Cut on the way, and shorter than it says. */
		for (size_t size = 0; size < sizeof(message); size++)
			assert_int_equal(parse(&message, size, &event, &answer), -EBADMSG);
		/* Made shorter by its sender. */
		for (uint16_t length = 0; length <= EVENT + DATA; length++) {
			int wanted = length < EVENT + kinds[i].needed ? -EBADMSG
				     : kinds[i].what		      ? PROC_CONNECTOR_EVENT
								      : PROC_CONNECTOR_ACK;

			message.length = length;
			assert_int_equal(parse(&message, HEADER + length, &event, &answer), wanted);
		}
		message.length = UINT16_MAX;
		assert_int_equal(parse(&message, sizeof(message), &event, &answer), -EBADMSG);
	}
}

static void test_numbers_that_are_no_pids(unused void **state)
{
	const struct message messages[] = {
		make(FORK, 10, 9, 12, 0),	   make(FORK, 10, 9, 0, 11),
		make(FORK, 10, 9, 12, 0x80000000), make(FORK, 10, 0xffffffff, 12, 11),
		make(EXEC, 0, 20, 0, 0),	   make(EXEC, 20, 0, 0, 0),
		make(EXIT, 0x80000001, 20, 0, 0),  make(EXIT, 20, 0xffffffff, 0, 0)};
	struct message first = make(FORK, 0, 0, 1, 1);
	struct process_event event = {.pid = 5};

	for (size_t i = 0; i < array_length(messages); i++)
		assert_int_equal(parse_message(&messages[i], &event), -EBADMSG);
	assert_int_equal(event.pid, 5);
	assert_int_equal(parse_message(&first, &event), PROC_CONNECTOR_EVENT);
	assert_int_equal(event.parent, 0);
}

static void test_random_bytes(unused void **state)
{
	unsigned seed = 1;

	for (unsigned round = 0; round < 200000; round++) {
		struct message message = make(FORK, 1, 1, 1, 1);
		uint8_t *bytes = (uint8_t *)&message;
		struct proc_connector_answer answer;
		struct process_event event;
		size_t size = (size_t)rand_r(&seed) % (sizeof(message) + 1);
		int r;

		for (int i = 0; i < 4; i++)
			bytes[(size_t)rand_r(&seed) % sizeof(message)] = (uint8_t)rand_r(&seed);
		r = parse(&message, size, &event, &answer);
		if (r == PROC_CONNECTOR_EVENT)
			assert_true(event.pid > 0 && event.thread > 0 && event.parent >= 0);
		else
			assert_true(r == -EBADMSG || r == PROC_CONNECTOR_OTHER ||
				    r == PROC_CONNECTOR_ACK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_what_is_not_wanted),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_numbers_that_are_no_pids),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
