/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/macros.h"

static void commas_come_by_themselves(unused void **state)
{
	struct buffer out;

	buffer_init(&out);
	json_text_open_object(&out, NULL);
	json_text_add_number(&out, "a", 1);
	json_text_open_array(&out, "b");
	json_text_add_number(&out, NULL, UINT64_MAX);
	json_text_add_bool(&out, NULL, false);
	json_text_open_object(&out, NULL);
	json_text_close_object(&out);
	json_text_close_array(&out);
	json_text_add_string(&out, "c", text_from(NULL));
	json_text_close_object(&out);
	buffer_add_byte(&out, '\n');
	json_text_open_object(&out, NULL);
	json_text_close_object(&out);
	buffer_add_byte(&out, 0);
	assert_string_equal((char *)out.bytes,
			    "{\"a\":1,\"b\":[18446744073709551615,false,{}],\"c\":\"\"}\n{}");
	buffer_fini(&out);
}

/* Whatever the bytes are, a reader of JSON gets what text_sanitise() makes of them. */
static void any_bytes_can_be_read_back(unused void **state)
{
	srand(7);
	for (int round = 0; round < 2000; round++) {
		char bytes[64], clean[64];
		size_t length = (size_t)rand() % sizeof(bytes), clean_length;
		struct buffer out;
		json_t *read;

		for (size_t i = 0; i < length; i++)
			bytes[i] = (char)(rand() % 3 ? "\"\\/a\n\xc3\xa9{"[rand() % 8] : rand());
		clean_length = text_sanitise((struct text){bytes, length}, clean, sizeof(clean));
		buffer_init(&out);
		json_text_open_array(&out, NULL);
		json_text_add_string(&out, NULL, (struct text){bytes, length});
		json_text_close_array(&out);
		read = json_loadb((char *)out.bytes, out.length, 0, NULL);
		assert_non_null(read);
		assert_int_equal(json_string_length(json_array_get(read, 0)), clean_length);
		assert_memory_equal(json_string_value(json_array_get(read, 0)), clean,
				    clean_length);
		json_decref(read);
		buffer_fini(&out);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_come_by_themselves),
		cmocka_unit_test(any_bytes_can_be_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
