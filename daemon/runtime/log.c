/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"

enum { BURST = 10, PLACES = 64, SHOWN = 80, OBJECT = 128 };
#define INTERVAL_NS (10 * NS_PER_SEC)

/* One place in the source, known by its format string. */
struct place {
	const char *format, *module;
	enum log_level level;
	uint64_t since_ns;
	unsigned written, held_back;
	char last[SHOWN]; /* of what was held back, its begin */
	char object
		[OBJECT]; /* that all of them are about, as a field of the journal; "": several, none */
};

static struct {
	enum log_level level;
	bool journal;
	struct place places[PLACES];
	uint64_t held_back;
} sink = {.level = LOG_LEVEL_NOTICE};

static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};

/* Whether standard error is what systemd connected to the journal, and not a terminal or a file in a shell
 * that has the variable from its own service (systemd.exec(5), $JOURNAL_STREAM). */
static bool is_journal_stream(void)
{
	const char *told = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return told && sscanf(told, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
	       status.st_ino == inode;
}

void log_configure(enum log_level level, enum log_target target)
{
	sink.level = level;
	sink.journal =
		target == LOG_TARGET_JOURNAL || (target == LOG_TARGET_AUTO && is_journal_stream());
}

bool log_is_on(enum log_level level)
{
	return level <= sink.level;
}

/* Modules whose lines begin with the name of the object that they are about ("%s: "), and the journal's
 * field for that name. */
static const struct {
	const char *module, *field;
} objects[] = {{"export", "EXPORTER"}};

static const char *find_object_field(const char *module, const char *format)
{
	for (size_t i = 0; i < array_length(objects); i++)
		if (strcmp(objects[i].module, module) == 0 && strncmp(format, "%s: ", 4) == 0)
			return objects[i].field;
	return NULL;
}

/* "object" as "EXPORTER=name", or NULL. */
static int send_to_journal(enum log_level level, const char *module, const char *object,
			   const char *text)
{
	return sd_journal_send("MESSAGE=%s: %s", module, text, "PRIORITY=%i", priorities[level],
			       "MODULE=%s", module, "SYSLOG_IDENTIFIER=procflowd",
			       object ? "%s" : NULL, object, NULL);
}

static void emit(enum log_level level, const char *module, const char *object, const char *text)
{
	if (sink.journal && send_to_journal(level, module, object, text) >= 0)
		return;
	fprintf(stderr, "procflowd: %s: %s\n", module, text);
}

static void tell_held_back(struct place *place)
{
	char text[SHOWN + 64];

	if (place->held_back == 0)
		return;
	snprintf(text, sizeof(text), "%u more lines were held back, the last of them \"%s\"",
		 place->held_back, place->last);
	emit(place->level, place->module, place->object[0] ? place->object : NULL, text);
	place->held_back = 0;
}

/* Whether a line from this place may be written now. Places share slots by their address: two that
 * collide push each other out, which at worst lets a line more through. */
static bool is_allowed(enum log_level level, const char *module, const char *format,
		       struct place **ret)
{
	struct place *place = *ret = &sink.places[((uintptr_t)format >> 3) % PLACES];
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

void log_run(uint64_t now_ns)
{
	for (size_t i = 0; i < PLACES; i++)
		if (sink.places[i].format && now_ns - sink.places[i].since_ns >= INTERVAL_NS)
			tell_held_back(&sink.places[i]);
}

__attribute__((format(printf, 3, 0))) static void hold_back(struct place *place, const char *object,
							    const char *format, va_list arguments)
{
	if (place->held_back == 1)
		snprintf(place->object, sizeof(place->object), "%s", object);
	else if (strcmp(place->object, object) != 0)
		place->object[0] = '\0';
	vsnprintf(place->last, sizeof(place->last), format, arguments);
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
	const char *field;
	struct place *place = NULL;
	char text[1024], object[OBJECT] = "";
	va_list arguments;

	if (!log_is_on(level))
		return;
	field = find_object_field(module, format);
	if (field) {
		va_start(arguments, format);
		snprintf(object, sizeof(object), "%s=%s", field, va_arg(arguments, const char *));
		va_end(arguments);
	}
	va_start(arguments, format);
	if (level == LOG_LEVEL_DEBUG || is_allowed(level, module, format, &place)) {
		vsnprintf(text, sizeof(text), format, arguments);
		emit(level, module, field ? object : NULL, text);
	} else {
		hold_back(place, object, format, arguments);
	}
	va_end(arguments);
}
