/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_WORD = 63 };

struct text text_from(const char *string)
{
	return (struct text){.at = string, .length = string ? strlen(string) : 0};
}

char *text_copy(struct text text)
{
	char *copy = malloc(text.length + 1);

	if (!copy)
		return NULL;
	if (text.length > 0)
		memcpy(copy, text.at, text.length);
	copy[text.length] = '\0';
	return copy;
}

size_t text_measure_character(struct text text)
{
	const uint8_t *at = (const uint8_t *)text.at;
	size_t length;
	uint8_t lowest = 0x80, highest = 0xbf;

	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (text.length < length)
		return 0;
	if (at[0] == 0xe0)
		lowest = 0xa0;
	else if (at[0] == 0xed)
		highest = 0x9f;
	else if (at[0] == 0xf0)
		lowest = 0x90;
	else if (at[0] == 0xf4)
		highest = 0x8f;
	if (at[1] < lowest || at[1] > highest)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static bool is_control(const uint8_t *at, size_t length)
{
	if (length == 1)
		return at[0] < 0x20 || at[0] == 0x7f;
	return length == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

size_t text_sanitise(struct text text, char *out, size_t size)
{
	size_t written = 0;

	while (text.length > 0) {
		size_t length = text_measure_character(text);

		if (length == 0 || is_control((const uint8_t *)text.at, length)) {
			if (written == size)
				break;
			out[written++] = '?';
			length = length ? length : 1;
		} else {
			if (length > size - written)
				break;
			memcpy(out + written, text.at, length);
			written += length;
		}
		text.at += length;
		text.length -= length;
	}
	return written;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t edit_distance(const char *a, const char *b)
{
	size_t row[LONGEST_WORD + 1];
	size_t length = strlen(b);

	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			size_t above = row[j];
			bool same = tolower((unsigned char)a[i - 1]) ==
				    tolower((unsigned char)b[j - 1]);

			row[j] = smaller(smaller(above, row[j - 1]) + 1, diagonal + !same);
			diagonal = above;
		}
	}
	return row[length];
}

const char *text_find_nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t length = strlen(word);
	size_t limit = length / 3 < 2 ? 2 : length / 3;
	const char *nearest = NULL;

	if (length > LONGEST_WORD)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t other = strlen(candidates[i]);
		size_t distance;

		if (other > LONGEST_WORD)
			continue;
		distance = edit_distance(word, candidates[i]);
		/* At this distance a short word has nothing in common with the other. */
		if (distance >= smaller(length, other) || distance > limit ||
		    (nearest && distance == limit))
			continue;
		nearest = candidates[i];
		limit = distance;
	}
	return nearest;
}
