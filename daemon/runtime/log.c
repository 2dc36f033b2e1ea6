/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"

enum { BURST = 10, PLACES = 64 };
#define INTERVAL_NS (10 * NS_PER_SEC)

/* One place in the source, known by its format string. */
struct place {
	const char *format, *module;
	enum log_level level;
	uint64_t since_ns;
	unsigned written, held_back;
};

static struct {
	enum log_level level;
	bool journal;
	struct place places[PLACES];
	uint64_t held_back;
} sink = {.level = LOG_LEVEL_NOTICE};

static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};

void log_configure(enum log_level level, enum log_target target)
{
	sink.level = level;
	sink.journal = target == LOG_TARGET_JOURNAL ||
		       (target == LOG_TARGET_AUTO && getenv("JOURNAL_STREAM"));
}

bool log_is_on(enum log_level level)
{
	return level <= sink.level;
}

static void emit(enum log_level level, const char *module, const char *text)
{
	if (sink.journal &&
	    sd_journal_send("MESSAGE=%s: %s", module, text, "PRIORITY=%i", priorities[level],
			    "MODULE=%s", module, "SYSLOG_IDENTIFIER=procflowd", NULL) >= 0)
		return;
	fprintf(stderr, "procflowd: %s: %s\n", module, text);
}

static void tell_held_back(struct place *place)
{
	char text[96];

	if (place->held_back == 0)
		return;
	snprintf(text, sizeof(text), "%u more lines like the last of these were held back",
		 place->held_back);
	emit(place->level, place->module, text);
	place->held_back = 0;
}

/* Whether a line from this place may be written now. Places share slots by their address: two that
 * collide push each other out, which at worst lets a line more through. */
static bool is_allowed(enum log_level level, const char *module, const char *format)
{
	struct place *place = &sink.places[((uintptr_t)format >> 3) % PLACES];
	uint64_t now_ns = clock_now_ns();

	if (place->format != format || now_ns - place->since_ns >= INTERVAL_NS) {
		if (place->format)
			tell_held_back(place);
		*place = (struct place){
			.format = format, .module = module, .level = level, .since_ns = now_ns};
	}
	if (place->written < BURST) {
		place->written++;
		return true;
	}
	place->held_back++;
	sink.held_back++;
	return false;
}

uint64_t log_get_held_back(void)
{
	return sink.held_back;
}

void log_flush(void)
{
	for (size_t i = 0; i < PLACES; i++)
		if (sink.places[i].format)
			tell_held_back(&sink.places[i]);
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	if (!log_is_on(level) || (level != LOG_LEVEL_DEBUG && !is_allowed(level, module, format)))
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	emit(level, module, text);
}
