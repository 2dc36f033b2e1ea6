/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Makes and removes conntrack entries at a steady rate in the network namespace that it is started
 * in, and prints what it did as one line of JSON. It lives on absolute deadlines: when it was late,
 * the next bursts follow at once, so that the mean rate holds. */

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "support/conntrack_entry.h"

enum { BATCH_SIZE = 48 * 1024, TICK_NS = 1000000 };

struct options {
	uint64_t rate, count, lifetime_ms;
	double seconds;
	struct conntrack_entry entry;
	bool keep;
};

struct injector {
	const struct options *options;
	struct mnl_socket *socket;
	uint64_t created, deleted, sent_creates, sent_deletes, errors;
	int first_error;
	size_t used;
	char batch[BATCH_SIZE + CONNTRACK_ENTRY_SIZE];
};

static void read_errors(struct injector *injector)
{
	char buffer[16384];
	ssize_t length;

	while ((length = recv(mnl_socket_get_fd(injector->socket), buffer, sizeof(buffer),
			      MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *message = (void *)buffer;
		int left = (int)length;

		for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
			const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

			if (message->nlmsg_type != NLMSG_ERROR || !error->error)
				continue;
			injector->errors++;
			if (!injector->first_error)
				injector->first_error = -error->error;
			if ((error->msg.nlmsg_type & 0xff) == 0)
				injector->created--;
			else
				injector->deleted--;
		}
	}
}

static void flush(struct injector *injector)
{
	if (injector->used &&
	    mnl_socket_sendto(injector->socket, injector->batch, injector->used) < 0) {
		perror("inject: sendto");
		exit(EXIT_FAILURE);
	}
	injector->used = 0;
	read_errors(injector);
}

static void put(struct injector *injector, uint64_t number, bool is_delete)
{
	struct conntrack_entry entry = injector->options->entry;
	char *at = injector->batch + injector->used;
	struct nlmsghdr *message;

	entry.number += (uint32_t)number;
	message = is_delete ? conntrack_entry_put_delete(at, &entry)
			    : conntrack_entry_put_create(at, &entry);
	injector->used += NLMSG_ALIGN(message->nlmsg_len);
	if (is_delete)
		injector->deleted++;
	else
		injector->created++;
	if (injector->used >= BATCH_SIZE)
		flush(injector);
}

/* Everything that is due "elapsed_ns" after the start. Whether more is to come. */
static bool inject_due(struct injector *injector, uint64_t elapsed_ns)
{
	const struct options *options = injector->options;
	uint64_t lifetime_ns = options->lifetime_ms * NS_PER_MS;
	uint64_t creates = elapsed_ns * options->rate / NS_PER_SEC;
	uint64_t deletes = elapsed_ns < lifetime_ns
				   ? 0
				   : (elapsed_ns - lifetime_ns) * options->rate / NS_PER_SEC;

	if (creates > options->count)
		creates = options->count;
	if (deletes > options->count)
		deletes = options->count;
	if (options->keep)
		deletes = 0;
	while (injector->sent_creates < creates)
		put(injector, injector->sent_creates++, false);
	while (injector->sent_deletes < deletes)
		put(injector, injector->sent_deletes++, true);
	flush(injector);
	return injector->sent_creates < options->count ||
	       (!options->keep && injector->sent_deletes < options->count);
}

static void wait_until(uint64_t deadline_ns)
{
	struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_SEC),
				    .tv_nsec = (long)(deadline_ns % NS_PER_SEC)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
		;
}

/* The nanoseconds until the last entry was made. */
static uint64_t run(struct injector *injector)
{
	uint64_t start = clock_now_ns(), next = start, now = start, made = 0;

	for (;;) {
		bool more = inject_due(injector, now - start);

		if (!made && injector->sent_creates == injector->options->count)
			made = clock_now_ns() - start;
		if (!more)
			return made;
		next += TICK_NS;
		wait_until(next);
		now = clock_now_ns();
	}
}

static void print_result(const struct injector *injector, uint64_t took_ns)
{
	struct rusage usage;
	double seconds = (double)took_ns / (double)NS_PER_SEC;
	long cpu_us;

	getrusage(RUSAGE_SELF, &usage);
	cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
		 usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	printf("{\"created\":%lu,\"deleted\":%lu,\"errors\":%lu,\"first_error\":\"%s\","
	       "\"seconds\":%.3f,\"rate\":%.0f,\"cpu_us\":%ld}\n",
	       injector->created, injector->deleted, injector->errors,
	       injector->first_error ? strerrorname_np(injector->first_error) : "", seconds,
	       seconds > 0 ? (double)injector->created / seconds : 0.0, cpu_us);
}

static const char usage[] =
	"usage: inject [OPTION]...\n"
	"Makes conntrack entries in its network namespace and removes them again.\n"
	"  -r, --rate N         entries a second (30000)\n"
	"  -s, --seconds S      for how long (10)\n"
	"  -n, --count N        how many, whatever the time\n"
	"  -l, --lifetime MS    an entry is removed this long after it was made (100)\n"
	"  -k, --keep           do not remove them\n"
	"  -t, --timeout S      timeout of an entry (600)\n"
	"  -f, --first N        number of the first entry: other numbers are other tuples (0)\n"
	"  -z, --zone N         conntrack zone (0)\n"
	"  -p, --protocol NAME  udp or tcp (udp)\n"
	"  -6, --ipv6\n"
	"Bytes and packets are 0 in all of them: ctnetlink does not take counters from outside.\n";

static int parse_number(const char *text, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		return -EINVAL;
	*ret = value;
	return 0;
}

static const struct option long_options[] = {
	{"rate", required_argument, NULL, 'r'},	    {"seconds", required_argument, NULL, 's'},
	{"count", required_argument, NULL, 'n'},    {"lifetime", required_argument, NULL, 'l'},
	{"keep", no_argument, NULL, 'k'},	    {"timeout", required_argument, NULL, 't'},
	{"first", required_argument, NULL, 'f'},    {"zone", required_argument, NULL, 'z'},
	{"protocol", required_argument, NULL, 'p'}, {"ipv6", no_argument, NULL, '6'},
	{"help", no_argument, NULL, 'h'},	    {0},
};

static int take_option(int letter, const char *value, struct options *options)
{
	uint64_t number = 0;

	if (strchr("rnltfz", letter) && parse_number(value, &number) < 0)
		return -EINVAL;
	switch (letter) {
	case 'r':
		options->rate = number;
		return number ? 0 : -EINVAL;
	case 's':
		options->seconds = atof(value);
		return options->seconds > 0 ? 0 : -EINVAL;
	case 'n':
		options->count = number;
		return 0;
	case 'l':
		options->lifetime_ms = number;
		return 0;
	case 'k':
		options->keep = true;
		return 0;
	case 't':
		options->entry.timeout_s = (uint32_t)number;
		return 0;
	case 'f':
		options->entry.number = (uint32_t)number;
		return 0;
	case 'z':
		options->entry.zone = (uint16_t)number;
		return 0;
	case 'p':
		options->entry.protocol = strcmp(value, "tcp") == 0 ? IPPROTO_TCP : IPPROTO_UDP;
		return strcmp(value, "tcp") == 0 || strcmp(value, "udp") == 0 ? 0 : -EINVAL;
	case '6':
		options->entry.family = AF_INET6;
		return 0;
	default:
		return -EINVAL;
	}
}

int main(int argc, char **argv)
{
	static const struct options defaults = {
		.rate = 30000,
		.lifetime_ms = 100,
		.seconds = 10,
		.entry = {.timeout_s = 600, .family = AF_INET, .protocol = IPPROTO_UDP}};
	struct options options = defaults;
	cleanup_free struct injector *injector = calloc(1, sizeof(*injector));
	int letter;

	while ((letter = getopt_long(argc, argv, "r:s:n:l:kt:f:z:p:6h", long_options, NULL)) != -1)
		if (take_option(letter, optarg, &options) < 0) {
			fputs(usage, letter == 'h' ? stdout : stderr);
			return letter == 'h' ? EXIT_SUCCESS : 2;
		}
	if (!options.count)
		options.count = (uint64_t)((double)options.rate * options.seconds);
	if (!injector)
		return EXIT_FAILURE;
	injector->options = &options;
	injector->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!injector->socket || mnl_socket_bind(injector->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		perror("inject: netlink");
		return EXIT_FAILURE;
	}
	print_result(injector, run(injector));
	mnl_socket_close(injector->socket);
	return injector->errors ? EXIT_FAILURE : EXIT_SUCCESS;
}
