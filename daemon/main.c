/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "capture.h"
#include "config/config.h"
#include "config/reader.h"
#include "export/service_check.h"
#include "daemon.h"
#include "sources/host_check.h"
#include "sources/prerequisites.h"
#include "sources/state_directory.h"

#define LOG_MODULE "main"
#include "runtime/log.h"
#include "runtime/privileges.h"
#include "runtime/sole.h"

#define DEFAULT_CONFIG PROCFLOW_SYSCONFDIR "/procflow/procflow.yaml"

/* What the world sees as exit status (user-interface). */
enum exit_code {
	EXIT_FINE = 0,
	EXIT_CONFIGURATION = 1, /* wrong configuration, or a failed check */
	EXIT_USAGE = 2,
	EXIT_HOST = 3, /* the host lacks something that is required */
};

struct arguments {
	const char *config_path; /* NULL: the default, which may be missing */
	const char *output;	 /* NULL, "text" or "json" */
	unsigned verbosity;
	const char *capture; /* NULL: none */
	bool test, check, prepare, restore;
};

static const char usage_text[] =
	"Usage: procflowd [-c FILE] [-t] [-o text|json] [--check] [--capture FILE] [-v] [-V] [-h]\n"
	"\n"
	"Shows which process is behind every network flow of this host, and exports it.\n"
	"\n"
	"  -c, --config FILE       read FILE, not " DEFAULT_CONFIG "\n"
	"  -t, --test              test the configuration: every mistake in one run\n"
	"  -o, --output text|json  write flows to standard output, not to the exporters "
	"configured\n"
	"      --check             look at this host: what works, what is missing and what mends "
	"it\n"
	"      --capture FILE      print what a recording of sysdig(8) tells of sockets and "
	"processes\n"
	"      --prepare           switch on the sysctls that the configuration asks for, for a "
	"daemon\n"
	"                          that may not do it itself, and exit\n"
	"      --restore           put back what such a daemon had to leave on, and exit\n"
	"  -v, --verbose           log more; twice: log every step\n"
	"  -V, --version           print the version\n"
	"  -h, --help              print this\n"
	"\n"
	"Exit status: 0 fine, 1 wrong configuration or a failed check, 2 wrong usage, 3 this host "
	"lacks\n"
	"something that is required. See procflowd(8) and procflow.yaml(5).\n";

DEFINE_CLEANUP(struct config *, config_free);
DEFINE_CLEANUP(struct daemon *, daemon_free);

static int refuse(const char *message, const char *word)
{
	fprintf(stderr, "procflowd: %s%s\nTry 'procflowd --help'.\n", message, word);
	return -EINVAL;
}

static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'},
		{"output", required_argument, NULL, 'o'},
		{"check", no_argument, NULL, 'K'},
		{"capture", required_argument, NULL, 'C'},
		{"prepare", no_argument, NULL, 'P'},
		{"restore", no_argument, NULL, 'R'},
		{"verbose", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:to:vVh", options, NULL)) >= 0) {
		switch (option) {
		case 'c':
			ret->config_path = optarg;
			break;
		case 't':
			ret->test = true;
			break;
		case 'o':
			if (strcmp(optarg, "text") != 0 && strcmp(optarg, "json") != 0)
				return refuse("-o takes text or json, not ", optarg);
			ret->output = optarg;
			break;
		case 'K':
			ret->check = true;
			break;
		case 'C':
			ret->capture = optarg;
			break;
		case 'P':
			ret->prepare = true;
			break;
		case 'R':
			ret->restore = true;
			break;
		case 'v':
			ret->verbosity++;
			break;
		case 'V':
			printf("procflowd %s\n%s\n", PROCFLOW_VERSION, PROCFLOW_FEATURES);
			exit(EXIT_FINE);
		case 'h':
			fputs(usage_text, stdout);
			exit(EXIT_FINE);
		default:
			fputs("Try 'procflowd --help'.\n", stderr);
			return -EINVAL;
		}
	}
	if (optind < argc)
		return refuse("unexpected argument ", argv[optind]);
	return 0;
}

static int read_config(const struct arguments *arguments, struct config **ret)
{
	const char *path = arguments->config_path ? arguments->config_path : DEFAULT_CONFIG;
	bool has_services = arguments->test || !arguments->output; /* -o takes their place */
	struct buffer mistakes;
	int r;

	buffer_init(&mistakes);
	r = config_read_file(path, arguments->config_path != NULL, ret, &mistakes);
	if (r == 0 && has_services && service_check_configuration(*ret, path, &mistakes) < 0) {
		config_free(steal_pointer(ret));
		r = -EINVAL;
	}
	if (mistakes.length > 0)
		fwrite(mistakes.bytes, 1, mistakes.length, stderr);
	else if (r < 0)
		fprintf(stderr, "procflowd: %s: %s\n", path, strerror(-r));
	buffer_fini(&mistakes);
	return r;
}

/* -o: one exporter to standard output takes the place of all that are configured. */
static int replace_exporters(struct config *config, const char *output)
{
	bool is_text = strcmp(output, "text") == 0;

	return config_set_standard_output(config,
					  is_text ? CONFIG_EXPORTER_TEXT : CONFIG_EXPORTER_JSON);
}

/* --prepare and --restore: what surrounds a daemon without rights. */
static int change_host(const struct arguments *arguments, const struct config *config)
{
	int r = arguments->prepare ? prerequisites_prepare(config, state_directory_get_path())
				   : prerequisites_restore(state_directory_get_path());

	if (r == -EBUSY)
		log_error("%s: a procflowd runs with this state directory",
			  state_directory_get_path());
	else if (r < 0)
		log_error("%s: %s", state_directory_get_path(), strerror(-r));
	return r < 0 ? EXIT_HOST : EXIT_FINE;
}

static const char *get_path(const struct arguments *arguments)
{
	return arguments->config_path ? arguments->config_path : DEFAULT_CONFIG;
}

static int refuse_second(pid_t other)
{
	if (other > 0)
		log_error("another procflowd runs (pid %d): one is enough for a host, and this one "
			  "ends",
			  (int)other);
	else
		log_error("another procflowd runs: one is enough for a host, and this one ends");
	return EXIT_HOST;
}

static int run(const struct arguments *arguments, const struct config *config)
{
	pid_t other = 0;
	cleanup_close int sole = sole_take(&other);
	cleanup(daemon_free_cleanup) struct daemon *daemon = NULL;
	struct daemon_options options = {
		.config = config,
		.state_directory = state_directory_get_path(),
		.config_path = arguments->output ? NULL : get_path(arguments),
		.must_exist = arguments->config_path != NULL,
		.verbosity = arguments->verbosity,
		.is_terminal = arguments->output && isatty(STDOUT_FILENO),
	};
	const struct privileges_needs needs = {
		.namespaces = config->attribution.namespaces == CONFIG_NAMESPACES_ALL,
		.delay_accounting = config->processes.delay_accounting,
		.programs = config->sysdig.enable,
	};
	int r;

	if (sole == -EBUSY)
		return refuse_second(other);
	if (sole < 0)
		log_warning("whether another procflowd runs is not known: %s", strerror(-sole));
	r = privileges_limit(&needs);
	if (r == 0)
		r = daemon_new(&options, &daemon);
	if (r == 0)
		r = privileges_lock(&needs);
	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return EXIT_HOST;
	}
	r = daemon_run(daemon);
	if (r < 0) {
		log_error("stopped: %s", strerror(-r));
		return EXIT_HOST;
	}
	return EXIT_FINE;
}

int main(int argc, char **argv)
{
	cleanup(config_free_cleanup) struct config *config = NULL;
	struct arguments arguments = {0};
	enum log_level level;
	int r;

	if (parse_arguments(argc, argv, &arguments) < 0)
		return EXIT_USAGE;
	r = read_config(&arguments, &config);
	/* The host is put back whatever became of the file since it was changed. */
	if (r < 0 && arguments.restore)
		r = config_new(&config);
	if (r < 0)
		return EXIT_CONFIGURATION;
	if (arguments.test) {
		printf("%s: configuration fine\n",
		       arguments.config_path ? arguments.config_path : DEFAULT_CONFIG);
		return EXIT_FINE;
	}
	if (arguments.check)
		return host_check(config, stdout) == 0 ? EXIT_FINE : EXIT_CONFIGURATION;
	if (arguments.output && replace_exporters(config, arguments.output) < 0)
		return EXIT_HOST;
	level = (enum log_level)config->log.level + arguments.verbosity;
	log_configure(level < LOG_LEVEL_DEBUG ? level : LOG_LEVEL_DEBUG,
		      (enum log_target)config->log.target);
	if (arguments.capture)
		r = capture_print(config, arguments.capture) < 0 ? EXIT_HOST : EXIT_FINE;
	else if (arguments.prepare || arguments.restore)
		r = change_host(&arguments, config);
	else
		r = run(&arguments, config);
	log_flush();
	return r;
}
