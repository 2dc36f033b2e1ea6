/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/format.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

static uint64_t divide_rounded(uint64_t value, uint64_t by)
{
	return value / by + (value % by >= by - by / 2);
}

static const char *format_steps(uint64_t value, const char *unit, char room[FORMAT_SIZE])
{
	static const char steps[] = "kMGTPE";
	uint64_t step = 1000;
	size_t i = 0;

	if (value < 1000) {
		snprintf(room, FORMAT_SIZE, "%" PRIu64 "%s", value, unit);
		return room;
	}
	/* By what it is rounded to: 999,950 is 1.0M and not 1000k. */
	for (; divide_rounded(value, step) >= 1000; step *= 1000)
		i++;
	if (divide_rounded(value, step / 10) < 100)
		snprintf(room, FORMAT_SIZE, "%" PRIu64 ".%" PRIu64 "%c",
			 divide_rounded(value, step / 10) / 10,
			 divide_rounded(value, step / 10) % 10, steps[i]);
	else
		snprintf(room, FORMAT_SIZE, "%" PRIu64 "%c", divide_rounded(value, step), steps[i]);
	return room;
}

const char *format_count(uint64_t value, char room[FORMAT_SIZE])
{
	return format_steps(value, "", room);
}

const char *format_bytes(uint64_t bytes, char room[FORMAT_SIZE])
{
	return format_steps(bytes, "B", room);
}

const char *format_duration(uint64_t ns, char room[FORMAT_SIZE])
{
	uint64_t ms = ns / NS_PER_MS, s = ns / NS_PER_SEC;

	if (ms < 1000)
		snprintf(room, FORMAT_SIZE, "%" PRIu64 "ms", ms);
	else if (s < 60)
		snprintf(room, FORMAT_SIZE, "%" PRIu64 ".%" PRIu64 "s", s, ms / 100 % 10);
	else if (s < 3600)
		snprintf(room, FORMAT_SIZE, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 24 * 3600)
		snprintf(room, FORMAT_SIZE, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(room, FORMAT_SIZE, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return room;
}

const char *format_percent(uint64_t pct100, char room[FORMAT_SIZE])
{
	uint64_t tenths = (pct100 + 5) / 10;

	if (tenths < 100)
		snprintf(room, FORMAT_SIZE, "%" PRIu64 ".%" PRIu64 "%%", tenths / 10, tenths % 10);
	else
		snprintf(room, FORMAT_SIZE, "%" PRIu64 "%%", (tenths + 5) / 10);
	return room;
}
