/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/digits.h"

#define MS_PER_DAY	86400000ull
#define LAST_MS_OF_9999 253402300799999ull

char *digits_add_padded(char *at, uint64_t value, unsigned width)
{
	unsigned left = width;

	/* A division by 100 costs what one by 10 does. */
	for (; left >= 2; left -= 2) {
		unsigned pair = (unsigned)(value % 100);

		at[left - 1] = (char)('0' + pair % 10);
		at[left - 2] = (char)('0' + pair / 10);
		value /= 100;
	}
	if (left > 0)
		at[0] = (char)('0' + value % 10);
	return at + width;
}

static unsigned count_digits(uint64_t value)
{
	static const uint64_t powers[DIGITS_DECIMAL_SIZE] = {
		0ull,
		10ull,
		100ull,
		1000ull,
		10000ull,
		100000ull,
		1000000ull,
		10000000ull,
		100000000ull,
		1000000000ull,
		10000000000ull,
		100000000000ull,
		1000000000000ull,
		10000000000000ull,
		100000000000000ull,
		1000000000000000ull,
		10000000000000000ull,
		100000000000000000ull,
		1000000000000000000ull,
		10000000000000000000ull,
	};
	/* 1233 / 4096 is the logarithm of 2 to base 10, near enough for 64 bits. */
	unsigned guess = (64 - (unsigned)__builtin_clzll(value | 1)) * 1233 >> 12;

	return guess + (value >= powers[guess]);
}

char *digits_add_decimal(char *at, uint64_t value)
{
	return digits_add_padded(at, value, count_digits(value));
}

/* Days since 1970-01-01 to a civil date: years begin in March, so that the leap day is the last one
 * of its year, and 400 years have 146097 days. */
static char *add_date(char *at, uint64_t days)
{
	uint64_t shifted = days + 719468;
	uint64_t era = shifted / 146097;
	uint64_t day_of_era = shifted % 146097;
	uint64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	uint64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint64_t month_from_march = (5 * day_of_year + 2) / 153;
	uint64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
	uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	uint64_t year = year_of_era + era * 400 + (month <= 2);

	at = digits_add_padded(at, year, 4);
	*at++ = '-';
	at = digits_add_padded(at, month, 2);
	*at++ = '-';
	return digits_add_padded(at, day, 2);
}

char *digits_add_timestamp(char *at, uint64_t epoch_ms)
{
	uint64_t ms;

	if (epoch_ms > LAST_MS_OF_9999)
		epoch_ms = LAST_MS_OF_9999;
	ms = epoch_ms % MS_PER_DAY;
	at = add_date(at, epoch_ms / MS_PER_DAY);
	*at++ = 'T';
	at = digits_add_padded(at, ms / 3600000, 2);
	*at++ = ':';
	at = digits_add_padded(at, ms / 60000 % 60, 2);
	*at++ = ':';
	at = digits_add_padded(at, ms / 1000 % 60, 2);
	*at++ = '.';
	at = digits_add_padded(at, ms % 1000, 3);
	*at++ = 'Z';
	return at;
}
