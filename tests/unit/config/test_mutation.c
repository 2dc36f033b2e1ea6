/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The example file with bytes changed at random: whatever comes out, it is a configuration or a
 * list of mistakes, and the list can be shown on a terminal. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/macros.h"
#include "base/text.h"
#include "config/reader.h"

enum { ROUNDS = 2000, MOST_CHANGES = 8, CUT = 7 };

struct random {
	uint64_t seed, turn;
};

static size_t draw(struct random *random, size_t below)
{
	return (size_t)(hash_u64(random->seed, random->turn++) % below);
}

/* Characters that mean something to YAML come more often than others. */
static uint8_t draw_byte(struct random *random)
{
	static const char special[] = "\t\n\r -:?[]{}#&*!|>'\"%@`~,\\\0\x1b\xff";

	if (draw(random, 2) == 0)
		return (uint8_t)special[draw(random, sizeof(special) - 1)];
	return (uint8_t)draw(random, 256);
}

static void mutate(struct random *random, struct buffer *text)
{
	size_t at = draw(random, text->length);
	size_t length = 1 + draw(random, text->length - at < 40 ? text->length - at : 40);

	switch (draw(random, 4)) {
	case 0:
		text->bytes[at] = draw_byte(random);
		break;
	case 1: /* a piece is lost */
		memmove(text->bytes + at, text->bytes + at + length, text->length - at - length);
		text->length -= length;
		break;
	case 2: /* a byte comes in */
		buffer_add_byte(text, 0);
		memmove(text->bytes + at + 1, text->bytes + at, text->length - 1 - at);
		text->bytes[at] = draw_byte(random);
		break;
	default: /* a piece stands elsewhere too */
		memmove(text->bytes + at, text->bytes + draw(random, text->length - length),
			length);
		break;
	}
}

static bool can_be_shown(const struct buffer *mistakes)
{
	struct text rest = {.at = (const char *)mistakes->bytes, .length = mistakes->length};

	while (rest.length > 0) {
		size_t length = text_measure_character(rest);
		unsigned char first = (unsigned char)rest.at[0];

		if (length == 0 || (first < 0x20 && first != '\n') || first == 0x7f ||
		    (first == 0xc2 && (unsigned char)rest.at[1] < 0xa0))
			return false;
		rest.at += length;
		rest.length -= length;
	}
	return true;
}

static void check(unsigned round, const struct buffer *text, unsigned outcomes[2])
{
	struct config *config = NULL;
	struct buffer mistakes;
	int r;

	buffer_init(&mistakes);
	r = config_read_text("f", (const char *)text->bytes, text->length, &config, &mistakes);
	if ((r != 0 && r != -EINVAL) || (r == 0) != (mistakes.length == 0) ||
	    (r == 0) != (config != NULL) || !can_be_shown(&mistakes))
		fail_msg("round %u: %d\n%.*s\n%.*s", round, r, (int)mistakes.length,
			 (const char *)mistakes.bytes, (int)text->length,
			 (const char *)text->bytes);
	outcomes[r == 0]++;
	config_free(config);
	buffer_fini(&mistakes);
}

static void test_changed_bytes_are_survived(unused void **state)
{
	struct random random = {.seed = 20261123};
	unsigned outcomes[2] = {0};
	struct buffer example, text;

	buffer_init(&example);
	buffer_init(&text);
	config_write_example(&example);
	for (unsigned round = 0; round < ROUNDS; round++) {
		buffer_clear(&text);
		buffer_add(&text, example.bytes, example.length);
		for (size_t changes = draw(&random, MOST_CHANGES) + 1; changes > 0; changes--)
			mutate(&random, &text);
		check(round, &text, outcomes);
	}
	/* Both ways out were taken, or the changes are no test. */
	assert_in_range(outcomes[0], ROUNDS / 20, ROUNDS);
	assert_in_range(outcomes[1], ROUNDS / 20, ROUNDS);
	buffer_fini(&example);
	buffer_fini(&text);
}

/* A file may be cut anywhere, by a full disk say. */
static void test_cut_files_are_survived(unused void **state)
{
	unsigned outcomes[2] = {0};
	struct buffer example;

	buffer_init(&example);
	config_write_example(&example);
	for (; example.length > CUT; example.length -= CUT)
		check((unsigned)example.length, &example, outcomes);
	assert_int_not_equal(outcomes[0], 0);
	assert_int_not_equal(outcomes[1], 0);
	buffer_fini(&example);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changed_bytes_are_survived),
		cmocka_unit_test(test_cut_files_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
