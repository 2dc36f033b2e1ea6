/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Figures for people, each into "room", which is returned. */

#include <stddef.h>
#include <stdint.h>

enum { FORMAT_SIZE = 32 };

/* "999", "1.2k", "34k", "5.6M": steps of 1000. */
const char *format_count(uint64_t value, char room[FORMAT_SIZE]);
/* "512B", "1.2k", "34M": the same, of bytes. */
const char *format_bytes(uint64_t bytes, char room[FORMAT_SIZE]);
/* "12ms", "3.4s", "5m12s", "2h03m", "4d05h". */
const char *format_duration(uint64_t ns, char room[FORMAT_SIZE]);
/* Of percent * 100: "0.4%", "12%". */
const char *format_percent(uint64_t pct100, char room[FORMAT_SIZE]);
