/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/macros.h"
#include "base/text.h"
#include "cli/connection.h"

static const char usage_text[] =
	"Usage: procflow [-s SOCKET] COMMAND [--json] [OPTION...]\n"
	"\n"
	"Asks procflowd what it sees.\n"
	"\n"
	"  status     the daemon's health: flows, attribution, exporters, what was lost\n"
	"  flows      open flows with the processes at both ends\n"
	"  processes  processes on the network: what they used and sent, in the last minute too\n"
	"  exporters  what each exporter sent, holds and dropped\n"
	"  check      looks at this host as procflowd --check does (-c FILE: its configuration)\n"
	"  version    of this program and of the daemon that runs\n"
	"\n"
	"      --json            for programs: one object a line\n"
	"  -s, --socket SOCKET   not " CONNECTION_DEFAULT_SOCKET "\n"
	"  -V, --version         print the version\n"
	"  -h, --help            print this\n"
	"\n"
	"flows and processes take filters, of which all must hold:\n"
	"      --process NAME    --pid N    --user USER    --container ID\n"
	"      --port N          --host ADDRESS|NETWORK    (of either end; flows only)\n"
	"      --sort bytes|cpu|age    the largest first; processes also by memory\n"
	"      --limit N               no more than N\n"
	"\n"
	"Exit status: 0 fine, 1 a failed check or answer, 2 wrong usage, 3 the daemon does not "
	"run,\n"
	"or may not be asked. See procflow(1).\n";

enum {
	OPTION_JSON = 256,
	OPTION_PROCESS,
	OPTION_PID,
	OPTION_USER,
	OPTION_PORT,
	OPTION_HOST,
	OPTION_CONTAINER,
	OPTION_SORT,
	OPTION_LIMIT,
};

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"process", required_argument, NULL, OPTION_PROCESS},
	{"pid", required_argument, NULL, OPTION_PID},
	{"user", required_argument, NULL, OPTION_USER},
	{"port", required_argument, NULL, OPTION_PORT},
	{"host", required_argument, NULL, OPTION_HOST},
	{"container", required_argument, NULL, OPTION_CONTAINER},
	{"sort", required_argument, NULL, OPTION_SORT},
	{"limit", required_argument, NULL, OPTION_LIMIT},
	{"config", required_argument, NULL, 'c'},
	{"socket", required_argument, NULL, 's'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* Which options mean something to a command. */
enum { TAKES_PROCESS = 1, TAKES_FLOW = 2, TAKES_CONFIG = 4 };

static const struct command {
	const char *name;
	unsigned takes;
	const char *sorts;
} commands[] = {
	{"status", 0, NULL},
	{"flows", TAKES_PROCESS | TAKES_FLOW, "bytes cpu age"},
	{"processes", TAKES_PROCESS, "bytes cpu age memory"},
	{"exporters", 0, NULL},
	{"check", TAKES_CONFIG, NULL},
	{"version", 0, NULL},
};

static int refuse(const char *message, const char *word)
{
	fprintf(stderr, "procflow: %s%s\nTry 'procflow --help'.\n", message, word);
	return -EINVAL;
}

static unsigned find_needed(int option)
{
	switch (option) {
	case OPTION_PORT:
	case OPTION_HOST:
		return TAKES_FLOW;
	case 'c':
		return TAKES_CONFIG;
	case OPTION_JSON:
	case 's':
		return 0;
	default:
		return TAKES_PROCESS;
	}
}

static int set_number(json_t *request, const char *key, unsigned long long least,
		      unsigned long long most)
{
	char *end, message[64];
	unsigned long long number;

	errno = 0;
	number = strtoull(optarg, &end, 10);
	if (optarg[0] < '0' || optarg[0] > '9' || *end != '\0' || errno || number < least ||
	    number > most) {
		snprintf(message, sizeof(message), "--%s takes a number from %llu to %llu, not ",
			 key, least, most);
		return refuse(message, optarg);
	}
	json_object_set_new(request, key, json_integer((json_int_t)number));
	return 0;
}

static int set_text(json_t *request, const char *key, size_t most)
{
	char message[64];
	json_t *text = json_string(optarg); /* NULL where it is no UTF-8 */

	if (!text || optarg[0] == '\0' || strlen(optarg) > most) {
		json_decref(text);
		snprintf(message, sizeof(message), "--%s: this cannot be: ", key);
		return refuse(message, optarg);
	}
	json_object_set_new(request, key, text);
	return 0;
}

static int set_host(json_t *request)
{
	struct ip_prefix prefix;

	if (ip_prefix_parse(optarg, &prefix) < 0)
		return refuse("--host takes an address or a network (10.0.0.0/8), not ", optarg);
	return set_text(request, "host", 64);
}

static bool is_word_of(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = words; at && (at = strstr(at, word)); at++)
		if (length > 0 && (at == words || at[-1] == ' ') &&
		    (at[length] == ' ' || at[length] == '\0'))
			return true;
	return false;
}

static int set_sort(const struct command *command, json_t *request)
{
	char message[64];

	if (is_word_of(command->sorts, optarg))
		return set_text(request, "sort", 16);
	snprintf(message, sizeof(message), "%s can be sorted by %s, not by ", command->name,
		 command->sorts);
	return refuse(message, optarg);
}

static int take_option(int option, const struct command *command, struct options *options)
{
	if (find_needed(option) & ~command->takes) {
		fprintf(stderr, "procflow: %s has no such option\nTry 'procflow --help'.\n",
			command->name);
		return -EINVAL;
	}
	switch (option) {
	case OPTION_JSON:
		options->is_json = true;
		return 0;
	case OPTION_PROCESS:
		return set_text(options->request, "process", 255);
	case OPTION_USER:
		return set_text(options->request, "user", 63);
	case OPTION_CONTAINER:
		return set_text(options->request, "container", 64);
	case OPTION_PID:
		return set_number(options->request, "pid", 1, INT32_MAX);
	case OPTION_PORT:
		return set_number(options->request, "port", 0, UINT16_MAX);
	case OPTION_LIMIT:
		return set_number(options->request, "limit", 1, UINT32_MAX);
	case OPTION_HOST:
		return set_host(options->request);
	case OPTION_SORT:
		return set_sort(command, options->request);
	case 's':
		options->socket = optarg;
		return 0;
	case 'c':
		options->config_path = optarg;
		return 0;
	default:
		fputs("Try 'procflow --help'.\n", stderr);
		return -EINVAL;
	}
}

static int find_command(const char *name, const struct command **ret)
{
	const char *names[array_length(commands)], *nearest;

	for (size_t i = 0; i < array_length(commands); i++) {
		names[i] = commands[i].name;
		if (strcmp(name, commands[i].name) == 0) {
			*ret = &commands[i];
			return 0;
		}
	}
	nearest = text_find_nearest(name, names, array_length(names));
	fprintf(stderr, "procflow: there is no command %s%s%s%s\nTry 'procflow --help'.\n", name,
		nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	return -EINVAL;
}

/* The command is the first word that is no option; what stands before it is read again with it. */
static const char *find_word(int argc, char **argv)
{
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "+s:c:Vh", long_options, NULL)) >= 0)
		;
	opterr = 1;
	return optind < argc ? argv[optind] : NULL;
}

static int parse_all(int argc, char **argv, const struct command *command, struct options *options)
{
	int option, r;

	optind = 0; /* glibc: from the start, and words may stand between options again */
	while ((option = getopt_long(argc, argv, "s:c:Vh", long_options, NULL)) >= 0) {
		if (option == 'h') {
			fputs(usage_text, stdout);
			return OPTIONS_SHOWN;
		}
		if (option == 'V') {
			printf("procflow %s\n%s\n", PROCFLOW_VERSION, PROCFLOW_FEATURES);
			return OPTIONS_SHOWN;
		}
		if (option == '?') {
			fputs("Try 'procflow --help'.\n", stderr);
			return -EINVAL;
		}
		if (!command)
			continue;
		r = take_option(option, command, options);
		if (r < 0)
			return r;
	}
	if (!command) {
		fputs(usage_text, stderr);
		return -EINVAL;
	}
	if (optind + 1 < argc)
		return refuse("unexpected argument ", argv[optind + 1]);
	return OPTIONS_RUN;
}

int options_parse(int argc, char **argv, struct options *ret)
{
	const struct command *command = NULL;
	const char *word = find_word(argc, argv);

	*ret = (struct options){.socket = CONNECTION_DEFAULT_SOCKET, .request = json_object()};
	if (!ret->request)
		return -ENOMEM;
	if (word && find_command(word, &command) < 0)
		return -EINVAL;
	if (command) {
		ret->command = command->name;
		json_object_set_new(ret->request, "command", json_string(command->name));
	}
	return parse_all(argc, argv, command, ret);
}

void options_fini(struct options *options)
{
	json_decref(options->request);
	options->request = NULL;
}
