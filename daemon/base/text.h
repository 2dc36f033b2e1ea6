/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed run of characters, not necessarily ended by NUL. */
struct text {
	const char *at;
	size_t length;
};

static inline bool text_is_empty(struct text text)
{
	return text.length == 0;
}

/* The text of a C string; of NULL the empty one. */
struct text text_from(const char *string);

/* A C string with the same bytes, to be freed; NULL: no memory. (strndup() may look for a NUL as far
 * as its source goes, and a text has none.) */
char *text_copy(struct text text);

/* The length in bytes of the UTF-8 character that "text" (not empty) starts with, or 0 where its
 * bytes are not one (the well-formed sequences of RFC 3629 4: nothing overlong, no surrogate). */
size_t text_measure_character(struct text text);

/* Copies "text" into "out" (at most "size" bytes, no NUL is added) as valid UTF-8 without control
 * characters: bad bytes, NUL and C0/C1 controls become '?', and nothing is cut in the middle of a
 * character. Returns the bytes written. RFC 7011 6.1.6 asks for valid UTF-8; /proc promises none.
 */
size_t text_sanitise(struct text text, char *out, size_t size);

/* The candidate nearest to "word" by edit distance, or NULL where none is near enough (a third of
 * the word's length, at least 2, and less than either word) to be worth naming. */
const char *text_find_nearest(const char *word, const char *const *candidates, size_t count);
