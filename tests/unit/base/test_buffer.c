/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/macros.h"

static void test_numbers_are_big_endian(unused void **state)
{
	static const uint8_t expected[] = {0xab, 0x01, 0x02, 0x01, 0x02, 0x03, 0x04, 0x01,
					   0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
	struct buffer buffer;

	buffer_init(&buffer);
	buffer_add_byte(&buffer, 0xab);
	buffer_add_u16(&buffer, 0x0102);
	buffer_add_u32(&buffer, 0x01020304);
	buffer_add_u64(&buffer, 0x0102030405060708);
	assert_int_equal(buffer.length, sizeof(expected));
	assert_memory_equal(buffer.bytes, expected, sizeof(expected));
	buffer_fini(&buffer);
}

static void test_texts(unused void **state)
{
	static const char expected[] = "a:0,18446744073709551615,4294967296,x=7";
	struct buffer buffer;

	buffer_init(&buffer);
	buffer_add_text(&buffer, "a:");
	buffer_add_text(&buffer, "");
	buffer_add_decimal(&buffer, 0);
	buffer_add_byte(&buffer, ',');
	buffer_add_decimal(&buffer, UINT64_MAX);
	buffer_add_byte(&buffer, ',');
	buffer_add_decimal(&buffer, 1ull << 32);
	buffer_add_format(&buffer, ",%s=%d", "x", 7);
	assert_int_equal(buffer.length, sizeof(expected) - 1);
	assert_memory_equal(buffer.bytes, expected, sizeof(expected) - 1);
	buffer_fini(&buffer);
}

static void test_grows_and_keeps(unused void **state)
{
	static uint8_t model[200000];
	struct buffer buffer;
	size_t length = 0;

	buffer_init(&buffer);
	for (uint64_t turn = 0; length < sizeof(model) - 1000; turn++) {
		size_t more = hash_u64(7, turn) % 1000;

		for (size_t i = 0; i < more; i++)
			model[length + i] = (uint8_t)hash_u64(turn, i);
		if (turn % 2) {
			void *room = buffer_extend(&buffer, more);

			assert_non_null(room);
			memcpy(room, model + length, more);
		} else {
			buffer_add(&buffer, model + length, more);
		}
		length += more;
		assert_int_equal(buffer.length, length);
	}
	assert_memory_equal(buffer.bytes, model, length);
	assert_false(buffer.failed);
	buffer_fini(&buffer);
}

static void test_nothing_is_room_too(unused void **state)
{
	struct buffer buffer;

	buffer_init(&buffer);
	buffer_add(&buffer, NULL, 0);
	assert_int_equal(buffer.length, 0);
	assert_non_null(buffer_extend(&buffer, 0));
	assert_false(buffer.failed);
	buffer_fini(&buffer);
	assert_null(buffer.bytes);
}

static void test_failure_is_remembered_until_cleared(unused void **state)
{
	struct buffer buffer;

	buffer_init(&buffer);
	buffer_add_text(&buffer, "abc");
	assert_null(buffer_extend(&buffer, SIZE_MAX));
	assert_true(buffer.failed);
	buffer_add_text(&buffer, "def");
	assert_null(buffer_extend(&buffer, 1));
	assert_int_equal(buffer.length, 3);
	buffer_clear(&buffer);
	assert_false(buffer.failed);
	buffer_add_text(&buffer, "ghi");
	assert_int_equal(buffer.length, 3);
	assert_memory_equal(buffer.bytes, "ghi", 3);
	buffer_fini(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_big_endian),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_grows_and_keeps),
		cmocka_unit_test(test_nothing_is_room_too),
		cmocka_unit_test(test_failure_is_remembered_until_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
