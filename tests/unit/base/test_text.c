/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/macros.h"
#include "base/text.h"

struct sanitise_case {
	const char *in;
	size_t length;
	const char *out;
};

#define IN(literal) literal, sizeof(literal) - 1

static void test_sanitise(unused void **state)
{
	static const struct sanitise_case cases[] = {
		{IN(""), ""},
		{IN("plain text"), "plain text"},
		{IN("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7"),
		 "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7"},
		/* the ends of every row of RFC 3629 4 */
		{IN("\xc2\xa0\xdf\xbf"), "\xc2\xa0\xdf\xbf"},
		{IN("\xe0\xa0\x80\xec\xbf\xbf\xed\x80\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"),
		 "\xe0\xa0\x80\xec\xbf\xbf\xed\x80\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"},
		{IN("\xf0\x90\x80\x80\xf1\x80\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf"),
		 "\xf0\x90\x80\x80\xf1\x80\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf"},
		/* controls */
		{IN("a\0b\tc\nd\x1b[31m\x7f"), "a?b?c?d?[31m?"},
		{IN("\xc2\x80\xc2\x9b\xc2\x9f"), "???"},
		/* bytes that are never in UTF-8 */
		{IN("\xff\xfe\xc0\xc1\xf5"), "?????"},
		/* a continuation without a start */
		{IN("\x80x\xbf"), "?x?"},
		/* overlong "/", and the first of the three and four byte rows */
		{IN("\xc0\xaf"), "??"},
		{IN("\xe0\x80\xaf"), "???"},
		{IN("\xe0\x9f\xbf"), "???"},
		{IN("\xf0\x80\x80\xaf"), "????"},
		{IN("\xf0\x8f\xbf\xbf"), "????"},
		/* surrogates, and beyond U+10FFFF */
		{IN("\xed\xa0\x80\xed\xbf\xbf"), "??????"},
		{IN("\xf4\x90\x80\x80"), "????"},
		/* cut in the middle: the rest is taken for what it is */
		{IN("a\xc3"), "a?"},
		{IN("\xe2\x82"), "??"},
		{IN("\xf0\x9f\x90"), "???"},
		{IN("\xe2\x82(\xc3("), "?"
				       "?(?("},
		{IN("\xf0\x9f\x90\xc3\xa9"), "???\xc3\xa9"},
	};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct text text = {.at = cases[i].in, .length = cases[i].length};
		char out[64];
		size_t length = text_sanitise(text, out, sizeof(out));

		if (length != strlen(cases[i].out) || memcmp(out, cases[i].out, length) != 0)
			fail_msg("case %zu: \"%.*s\"", i, (int)length, out);
	}
}

static void test_cut_between_characters(unused void **state)
{
	struct text text = text_from("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7\x01z");
	/* bytes that come out where there is room for so many */
	static const size_t written[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 12, 12};

	for (size_t size = 0; size < array_length(written); size++) {
		char out[16];

		memset(out, 'X', sizeof(out));
		assert_int_equal(text_sanitise(text, out, size), written[size]);
		for (size_t i = size; i < sizeof(out); i++)
			assert_int_equal(out[i], 'X');
	}
}

static void test_text_of_nothing(unused void **state)
{
	assert_true(text_is_empty(text_from(NULL)));
	assert_true(text_is_empty(text_from("")));
	assert_false(text_is_empty(text_from(" ")));
	assert_int_equal(text_from("abc").length, 3);
}

/* What comes out of random bytes is sane: nothing in it is replaced a second time, but "?" itself.
 */
static void test_random_bytes(unused void **state)
{
	for (uint64_t turn = 0; turn < 20000; turn++) {
		char in[24], once[24], twice[24];
		size_t length = hash_u64(1, turn) % (sizeof(in) + 1), first, second;

		for (size_t i = 0; i < length; i++) {
			uint64_t drawn = hash_u64(turn + 2, i);

			/* High bytes are the ones that matter. */
			in[i] = (char)(drawn % 4 ? drawn >> 8 | 0x80 : drawn >> 8);
		}
		first = text_sanitise((struct text){.at = in, .length = length}, once,
				      sizeof(once));
		second = text_sanitise((struct text){.at = once, .length = first}, twice,
				       sizeof(twice));
		assert_in_range(first, 0, length);
		assert_int_equal(first, second);
		assert_memory_equal(once, twice, first);
	}
}

static void test_nearest_word(unused void **state)
{
	static const char *const words[] = {
		"active_timeout", "idle_timeout", "max_flows", "include", "exclude", "to", "type"};
	static const struct {
		const char *word, *nearest;
	} cases[] = {
		{"active_timeot", "active_timeout"},
		{"ACTIVE_TIMEOUT", "active_timeout"},
		{"activetimeout", "active_timeout"},
		{"actve_tmeot", "active_timeout"},
		{"idel_timeout", "idle_timeout"},
		{"maxflows", "max_flows"},
		{"inclde", "include"},
		{"xclude", "exclude"},
		{"typ", "type"},
		{"tpye", "type"},
		/* nothing in common, though two changes are allowed */
		{"<<", NULL},
		{"x", NULL},
		{"", NULL},
		{"zebra", NULL},
		{"something_else_entirely", NULL},
		{"active_timeout_active_timeout_active_timeout_active_timeout_active_timeout",
		 NULL},
	};

	for (size_t i = 0; i < array_length(cases); i++) {
		const char *nearest = text_find_nearest(cases[i].word, words, array_length(words));

		if (!nearest != !cases[i].nearest ||
		    (nearest && strcmp(nearest, cases[i].nearest) != 0))
			fail_msg("\"%s\": %s", cases[i].word, nearest ? nearest : "none");
	}
	assert_null(text_find_nearest("include", words, 0));
}

/* Of two words equally near the first one counts, and a nearer one behind it wins. */
static void test_nearest_of_several(unused void **state)
{
	static const char *const words[] = {"cart", "card", "care"};

	assert_string_equal(text_find_nearest("carx", words, 3), "cart");
	assert_string_equal(text_find_nearest("care", words, 3), "care");
}

/* Whatever stands behind it: the memory ends with the text. */
static void test_copy(unused void **state)
{
	char *source = malloc(4), *copy;

	assert_non_null(source);
	memcpy(source, "abcd", 4);
	copy = text_copy((struct text){.at = source, .length = 4});
	assert_string_equal(copy, "abcd");
	free(copy);
	copy = text_copy((struct text){.at = source, .length = 2});
	assert_string_equal(copy, "ab");
	free(copy);
	copy = text_copy(text_from(NULL));
	assert_string_equal(copy, "");
	free(copy);
	free(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_sanitise),
		cmocka_unit_test(test_cut_between_characters),
		cmocka_unit_test(test_text_of_nothing),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_nearest_word),
		cmocka_unit_test(test_nearest_of_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
