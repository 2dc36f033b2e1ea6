/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Numbers and times as characters, for the paths where printf() costs more than all else. Each
 * writes at "at", adds no NUL, and returns the place behind what it wrote. */

#include <stdint.h>

enum { DIGITS_DECIMAL_SIZE = 20, DIGITS_TIMESTAMP_SIZE = 32 };

/* At most DIGITS_DECIMAL_SIZE characters. */
char *digits_add_decimal(char *at, uint64_t value);

/* Exactly "width" digits, the lowest ones of "value". */
char *digits_add_padded(char *at, uint64_t value, unsigned width);

/* ISO 8601 in UTC with milliseconds: 2026-11-23T12:19:35.740Z. At most DIGITS_TIMESTAMP_SIZE
 * characters; a time after the year 9999 is written as the last moment of that year. */
char *digits_add_timestamp(char *at, uint64_t epoch_ms);
