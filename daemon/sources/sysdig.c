/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/sysdig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "runtime/program.h"

#define LOG_MODULE "sysdig"
#include "runtime/log.h"

/* Between its end and the next start; one that ran for longer than the longest starts again at the
 * shortest. */
#define SHORTEST_PAUSE_NS (1 * NS_PER_SEC)
#define LONGEST_PAUSE_NS  (60 * NS_PER_SEC)

enum { COMPLAINT_MAX = 240, ADDED_ARGUMENTS = 6 };

/* Bytes on their way to a whole line. */
struct line {
	char bytes[SYSDIG_LINE_MAX];
	size_t length, most;
	bool is_skipped; /* the rest of one that was too long */
	void (*on_line)(struct sysdig *sysdig, const char *bytes, size_t length);
};

struct sysdig {
	struct loop *loop;
	struct sysdig_handlers handlers;
	struct program *program; /* NULL: does not run */
	struct loop_source *timer;
	struct line output, complaint;
	struct sysdig_counters counters;
	uint64_t started_ns, pause_ns;
	int refusal; /* why it could not be started the last time, told once; 0: it could */
	bool is_capture;
	char **arguments; /* ends with NULL */
	size_t argument_count;
};

DEFINE_CLEANUP(struct sysdig *, sysdig_free);

static void start(struct sysdig *sysdig);

static bool to_monotonic(struct sysdig *sysdig, uint64_t *when_ns)
{
	int64_t monotonic = (int64_t)*when_ns - clock_wall_offset_ns();

	if (monotonic <= 0) {
		sysdig->counters.too_old++;
		return false;
	}
	*when_ns = (uint64_t)monotonic;
	return true;
}

static void on_output_line(struct sysdig *sysdig, const char *bytes, size_t length)
{
	struct sysdig_event event;
	int outcome = sysdig_line_parse(bytes, length, &event);
	const struct sysdig_handlers *handlers = &sysdig->handlers;

	sysdig->counters.lines++;
	if (outcome < 0) {
		sysdig->counters.malformed++;
		return;
	}
	if (handlers->on_event)
		handlers->on_event(handlers->userdata, outcome, &event);
	if (outcome == SYSDIG_LINE_E_USELESS) {
		sysdig->counters.useless++;
	} else if (outcome == SYSDIG_LINE_E_UNKNOWN) {
		sysdig->counters.unknown++;
	} else if (outcome == SYSDIG_LINE_SOCKET) {
		if (to_monotonic(sysdig, &event.socket.when_ns) && handlers->on_socket) {
			sysdig->counters.sockets++;
			handlers->on_socket(handlers->userdata, &event.socket);
		}
	} else if (to_monotonic(sysdig, &event.process.when_ns) && handlers->on_process) {
		sysdig->counters.processes++;
		handlers->on_process(handlers->userdata, &event.process);
	}
}

/* What a terminal might obey is not for the log. */
static void on_complaint_line(struct sysdig *sysdig, const char *bytes, size_t length)
{
	char text[COMPLAINT_MAX + 1];

	if (length > COMPLAINT_MAX)
		length = COMPLAINT_MAX;
	for (size_t i = 0; i < length; i++)
		text[i] = bytes[i] >= ' ' && bytes[i] != 0x7f ? bytes[i] : '?';
	text[length] = '\0';
	sysdig->counters.complaints++;
	if (length > 0)
		log_notice("it says: %s", text);
}

static void end_line(struct sysdig *sysdig, struct line *line)
{
	if (!line->is_skipped)
		line->on_line(sysdig, line->bytes, line->length);
	line->is_skipped = false;
	line->length = 0;
}

static void add_bytes(struct sysdig *sysdig, struct line *line, const char *bytes, size_t length)
{
	while (length > 0) {
		const char *end = memchr(bytes, '\n', length);
		size_t part = end ? (size_t)(end - bytes) : length;

		if (!line->is_skipped && line->length + part > line->most) {
			line->is_skipped = true;
			sysdig->counters.too_long++;
		}
		if (!line->is_skipped) {
			memcpy(line->bytes + line->length, bytes, part);
			line->length += part;
		}
		if (!end)
			return;
		end_line(sysdig, line);
		length -= part + 1;
		bytes = end + 1;
	}
}

static void on_output(void *userdata, const char *bytes, size_t length)
{
	struct sysdig *sysdig = userdata;

	add_bytes(sysdig, &sysdig->output, bytes, length);
}

static void on_complaint(void *userdata, const char *bytes, size_t length)
{
	struct sysdig *sysdig = userdata;

	add_bytes(sysdig, &sysdig->complaint, bytes, length);
}

static void tell_end(const struct sysdig *sysdig, int status, uint64_t pause_ns)
{
	const char *name = sysdig->arguments[0];

	if (WIFSIGNALED(status))
		log_warning("%s was ended by signal %d; it is started again in %u s", name,
			    WTERMSIG(status), (unsigned)(pause_ns / NS_PER_SEC));
	else
		log_warning("%s has ended, exit status %d; it is started again in %u s", name,
			    WEXITSTATUS(status), (unsigned)(pause_ns / NS_PER_SEC));
}

static void end_capture(struct sysdig *sysdig, int error)
{
	if (sysdig->handlers.on_captured)
		sysdig->handlers.on_captured(sysdig->handlers.userdata, error);
}

/* A line that its end cut is no line. */
static void drop_rest(struct sysdig *sysdig)
{
	if (sysdig->output.length > 0 && !sysdig->output.is_skipped)
		sysdig->counters.malformed++;
	if (sysdig->complaint.length > 0)
		end_line(sysdig, &sysdig->complaint);
	sysdig->output.length = sysdig->complaint.length = 0;
	sysdig->output.is_skipped = sysdig->complaint.is_skipped = false;
}

static void start_later(struct sysdig *sysdig, uint64_t now_ns)
{
	loop_source_set_time(sysdig->timer, now_ns + sysdig->pause_ns);
	sysdig->pause_ns *= 2;
	if (sysdig->pause_ns > LONGEST_PAUSE_NS)
		sysdig->pause_ns = LONGEST_PAUSE_NS;
}

static void on_end(void *userdata, int status)
{
	struct sysdig *sysdig = userdata;
	uint64_t now_ns = clock_now_ns();

	sysdig->counters.ends++;
	drop_rest(sysdig);
	program_free(steal_pointer(&sysdig->program));
	if (sysdig->is_capture) {
		bool is_good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

		if (!is_good)
			log_warning("the capture could not be read to its end");
		end_capture(sysdig, is_good ? 0 : -EIO);
		return;
	}
	if (now_ns - sysdig->started_ns > LONGEST_PAUSE_NS)
		sysdig->pause_ns = SHORTEST_PAUSE_NS;
	tell_end(sysdig, status, sysdig->pause_ns);
	start_later(sysdig, now_ns);
}

static void tell_refusal(const struct sysdig *sysdig, int r)
{
	log_warning("%s cannot be run: %s%s; the method sysdig finds nobody%s",
		    sysdig->arguments[0], strerror(-r),
		    r == -ENOENT ? " (install it, or tell where it is in sysdig.command)" : "",
		    sysdig->is_capture ? "" : " until it can: it is tried again");
}

static void start(struct sysdig *sysdig)
{
	struct program_handlers handlers = {.on_output = on_output,
					    .on_complaint = on_complaint,
					    .on_end = on_end,
					    .userdata = sysdig};
	int r;

	sysdig->started_ns = clock_now_ns();
	r = program_start(sysdig->loop, sysdig->arguments, &handlers, &sysdig->program);
	if (r == 0) {
		sysdig->counters.starts++;
		sysdig->refusal = 0;
		return;
	}
	sysdig->counters.failures++;
	if (r != sysdig->refusal)
		tell_refusal(sysdig, r);
	sysdig->refusal = r;
	if (sysdig->is_capture)
		end_capture(sysdig, r);
	else
		start_later(sysdig, sysdig->started_ns);
}

static void on_start_due(void *userdata, uint64_t now_ns)
{
	(void)now_ns;
	start(userdata);
}

static int add_argument(struct sysdig *sysdig, const char *text)
{
	sysdig->arguments[sysdig->argument_count] = strdup(text);
	if (!sysdig->arguments[sysdig->argument_count])
		return -ENOMEM;
	sysdig->argument_count++;
	return 0;
}

static int set_arguments(struct sysdig *sysdig, const struct sysdig_options *options)
{
	const char *const live[] = {"--unbuffered", "-j", "-p", SYSDIG_LINE_FORMAT,
				    SYSDIG_LINE_FILTER};
	const char *const capture[] = {"-r", options->capture,	 "-j",
				       "-p", SYSDIG_LINE_FORMAT, SYSDIG_LINE_FILTER};
	const char *const *added = sysdig->is_capture ? capture : live;
	size_t count = sysdig->is_capture ? array_length(capture) : array_length(live);
	size_t words = 0;
	int r;

	while (options->command[words])
		words++;
	sysdig->arguments = calloc(words + ADDED_ARGUMENTS + 1, sizeof(*sysdig->arguments));
	if (!sysdig->arguments)
		return -ENOMEM;
	r = add_argument(sysdig, options->command[0]);
	for (size_t i = 1; r == 0 && !sysdig->is_capture && options->command[i]; i++)
		r = add_argument(sysdig, options->command[i]);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_argument(sysdig, added[i]);
	return r;
}

int sysdig_new(struct loop *loop, const struct sysdig_options *options, struct sysdig **ret)
{
	cleanup(sysdig_free_cleanup) struct sysdig *sysdig = calloc(1, sizeof(*sysdig));
	int r;

	if (!sysdig)
		return -ENOMEM;
	sysdig->loop = loop;
	sysdig->handlers = options->handlers;
	sysdig->pause_ns = SHORTEST_PAUSE_NS;
	sysdig->is_capture = options->capture && options->capture[0] != '\0';
	sysdig->output.most = SYSDIG_LINE_MAX;
	sysdig->output.on_line = on_output_line;
	sysdig->complaint.most = SYSDIG_LINE_MAX;
	sysdig->complaint.on_line = on_complaint_line;
	r = set_arguments(sysdig, options);
	if (r < 0)
		return r;
	/* From the loop: what a start that fails tells may come after this call. */
	r = loop_add_timer(loop, clock_now_ns(), on_start_due, sysdig, &sysdig->timer);
	if (r < 0)
		return r;
	*ret = steal_pointer(&sysdig);
	return 0;
}

void sysdig_free(struct sysdig *sysdig)
{
	if (!sysdig)
		return;
	program_free(sysdig->program);
	loop_source_free(sysdig->timer);
	for (size_t i = 0; i < sysdig->argument_count; i++)
		free(sysdig->arguments[i]);
	free(sysdig->arguments);
	free(sysdig);
}

const struct sysdig_counters *sysdig_get_counters(const struct sysdig *sysdig)
{
	return &sysdig->counters;
}
