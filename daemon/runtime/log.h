/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The log: one line an event, module tag first, then the object, errno last:
 *
 *     procflowd: conntrack: receive buffer enlarged to 32 MiB after an overrun
 *
 * Under systemd a line goes to the journal with MODULE= and PRIORITY=, and those about an exporter with
 * EXPORTER=; else to standard error. A
 * line that repeats (same place in the source) more than ten times in ten seconds is held back, and
 * their number is told when the ten seconds are over. Library code does not log, its caller does.
 *
 * Each file says who it is before it includes this header: #define LOG_MODULE "conntrack" */

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};
enum log_target { LOG_TARGET_AUTO, LOG_TARGET_JOURNAL, LOG_TARGET_STDERR };

/* May be called again (reload). AUTO is the journal where standard error is connected to it
 * (JOURNAL_STREAM), else standard error. */
void log_configure(enum log_level level, enum log_target target);
/* Whether a line of this level would be written: guards costly arguments. */
bool log_is_on(enum log_level level);
/* Tells how many lines were held back, of places that are quiet now; to be called every few seconds. */
void log_run(uint64_t now_ns);
/* Tells how many lines were held back so far and not told; called at exit. */
void log_flush(void);

/* Lines that were held back since the start, told or not. */
uint64_t log_get_held_back(void);

void log_write(enum log_level level, const char *module, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef LOG_MODULE
#define log_error(...)	 log_write(LOG_LEVEL_ERROR, LOG_MODULE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, LOG_MODULE, __VA_ARGS__)
#define log_notice(...)	 log_write(LOG_LEVEL_NOTICE, LOG_MODULE, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, LOG_MODULE, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_is_on(LOG_LEVEL_DEBUG))                                                    \
			log_write(LOG_LEVEL_DEBUG, LOG_MODULE, __VA_ARGS__);                       \
	} while (0)
#endif
