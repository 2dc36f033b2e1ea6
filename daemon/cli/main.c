/* SPDX-License-Identifier: GPL-2.0-or-later */

/* procflow, the client. */

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json_text.h"
#include "base/macros.h"
#include "cli/connection.h"
#include "cli/options.h"
#include "cli/show.h"
#include "config/config.h"
#include "config/reader.h"
#include "sources/host_check.h"

#define DEFAULT_CONFIG PROCFLOW_SYSCONFDIR "/procflow/procflow.yaml"

enum exit_code {
	EXIT_FINE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_ABSENT = 3,
};
_Static_assert((int)EXIT_FAILED == (int)CONNECTION_FAILED, "outcomes are exit codes");
_Static_assert((int)EXIT_ABSENT == (int)CONNECTION_ABSENT, "outcomes are exit codes");

static const struct shown {
	const char *command;
	int (*show)(const struct show *show, const json_t *items);
} shown[] = {
	{"status", show_status},
	{"exporters", show_exporters},
	{"flows", show_flows},
	{"processes", show_processes},
};

/* As it came: a program reads it. Kept until the answer is whole, because the daemon does not wait for
 * somebody who turns pages ("procflow flows --json | less"). */
static int on_json_item(void *userdata, const char *line, size_t length)
{
	struct buffer *lines = userdata;

	buffer_add(lines, line, length);
	buffer_add_byte(lines, '\n');
	return lines->failed ? -ENOMEM : 0;
}

static int on_item(void *userdata, const char *line, size_t length)
{
	json_t *item = json_loadb(line, length, 0, NULL);

	if (!item)
		return -EBADMSG;
	return json_array_append_new(userdata, item);
}

static struct show find_show(void)
{
	struct show show = {.out = stdout};
	const char *no_colour = getenv("NO_COLOR"), *columns = getenv("COLUMNS");
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return show;
	if (columns && atoi(columns) > 0)
		show.width = (unsigned)atoi(columns);
	else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		show.width = size.ws_col;
	show.has_colours = !no_colour || no_colour[0] == '\0';
	return show;
}

static int finish(int outcome)
{
	if (fflush(stdout) == EOF || ferror(stdout)) {
		if (errno != EPIPE)
			fprintf(stderr, "procflow: standard output: %s\n", strerror(errno));
		return outcome ? outcome : EXIT_FAILED;
	}
	return outcome;
}

static int ask_json(const struct options *options)
{
	struct buffer lines;
	const struct connection_handler handler = {.on_item = on_json_item, .userdata = &lines};
	struct connection_end end = {0};
	int outcome;

	buffer_init(&lines);
	outcome = (int)connection_ask(options->socket, options->request, &handler, &end);
	if (lines.length > 0)
		fwrite(lines.bytes, 1, lines.length, stdout);
	buffer_fini(&lines);
	return finish(outcome);
}

static int ask(const struct options *options,
	       int (*show_items)(const struct show *show, const json_t *items))
{
	json_t *items = json_array();
	const struct connection_handler handler = {.on_item = on_item, .userdata = items};
	const struct show show = find_show();
	struct connection_end end = {0};
	int outcome = (int)connection_ask(options->socket, options->request, &handler, &end);

	if (outcome == EXIT_FINE && show_items(&show, items) < 0) {
		fputs("procflow: the daemon's answer cannot be shown\n", stderr);
		outcome = EXIT_FAILED;
	}
	json_decref(items);
	if (outcome == EXIT_FINE && end.shown < end.matched)
		fprintf(stderr, "%llu of %llu\n", (unsigned long long)end.shown,
			(unsigned long long)end.matched);
	return finish(outcome);
}

static int on_daemon_version(void *userdata, const char *line, size_t length)
{
	return on_item(userdata, line, length);
}

/* The daemon's is told where one runs; that none does is no failure here. */
static int tell_version(const struct options *options)
{
	json_t *items = json_array(), *answer;
	const struct connection_handler handler = {.on_item = on_daemon_version, .userdata = items};
	struct connection_end end = {0};
	const json_t *daemon;
	bool is_there = access(options->socket, W_OK) == 0 &&
			connection_ask(options->socket, options->request, &handler, &end) ==
				CONNECTION_FINE;

	daemon = is_there ? json_array_get(items, 0) : NULL;
	if (options->is_json) {
		answer = json_pack("{s:s, s:s}", "version", PROCFLOW_VERSION, "features",
				   PROCFLOW_FEATURES);
		if (daemon)
			json_object_set(answer, "daemon", (json_t *)daemon);
		json_dumpf(answer, stdout, JSON_COMPACT);
		json_decref(answer);
		putchar('\n');
	} else {
		printf("procflow %s (%s)\n", PROCFLOW_VERSION, PROCFLOW_FEATURES);
		if (daemon)
			printf("procflowd %s (%s), process %llu\n",
			       show_get_text(daemon, "version"), show_get_text(daemon, "features"),
			       (unsigned long long)show_get_number(daemon, "pid"));
		else
			puts("procflowd does not run, or may not be asked");
	}
	json_decref(items);
	return finish(EXIT_FINE);
}

static void on_check_line(unused void *userdata, const char *status, const char *what,
			  const char *text)
{
	struct buffer out;

	buffer_init(&out);
	json_text_open_object(&out, NULL);
	json_text_add_string(&out, "status", text_from(status));
	json_text_add_string(&out, "what", text_from(what));
	json_text_add_string(&out, "text", text_from(text));
	json_text_close_object(&out);
	buffer_add_byte(&out, '\n');
	fwrite(out.bytes, 1, out.length, stdout);
	buffer_fini(&out);
}

static int check(const struct options *options)
{
	const char *path = options->config_path ? options->config_path : DEFAULT_CONFIG;
	struct config *config = NULL;
	struct buffer mistakes;
	unsigned missing;
	int r;

	buffer_init(&mistakes);
	r = config_read_file(path, options->config_path != NULL, &config, &mistakes);
	if (mistakes.length > 0)
		fwrite(mistakes.bytes, 1, mistakes.length, stderr);
	else if (r < 0)
		fprintf(stderr, "procflow: %s: %s\n", path, strerror(-r));
	buffer_fini(&mistakes);
	if (r < 0)
		return EXIT_FAILED;
	missing = options->is_json ? host_check_each(config, on_check_line, NULL)
				   : host_check(config, stdout);
	config_free(config);
	return finish(missing == 0 ? EXIT_FINE : EXIT_FAILED);
}

static int run(const struct options *options)
{
	if (strcmp(options->command, "check") == 0)
		return check(options);
	if (strcmp(options->command, "version") == 0)
		return tell_version(options);
	if (options->is_json)
		return ask_json(options);
	for (size_t i = 0; i < array_length(shown); i++)
		if (strcmp(shown[i].command, options->command) == 0)
			return ask(options, shown[i].show);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct options options;
	int r;

	setlocale(LC_CTYPE, "");
	r = options_parse(argc, argv, &options);
	if (r == OPTIONS_RUN)
		r = run(&options);
	else
		r = r == OPTIONS_SHOWN ? finish(EXIT_FINE) : EXIT_USAGE;
	options_fini(&options);
	return r;
}
