/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Sends small UDP datagrams at a steady rate, and prints how many left and how long that took.
 *
 *     send_packets ADDRESS PORT RATE COUNT */

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

enum { BATCH = 64, PAYLOAD = 18 };

static void wait_until(uint64_t when_ns)
{
	struct timespec when = {.tv_sec = (time_t)(when_ns / NS_PER_SEC),
				.tv_nsec = (long)(when_ns % NS_PER_SEC)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) != 0)
		;
}

static uint64_t send_all(int fd, uint64_t rate, uint64_t count)
{
	static char payload[PAYLOAD];
	struct iovec vector = {.iov_base = payload, .iov_len = sizeof(payload)};
	struct mmsghdr messages[BATCH];
	uint64_t sent = 0, start_ns = clock_now_ns();

	memset(messages, 0, sizeof(messages));
	for (size_t i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1};
	while (sent < count) {
		int now = sendmmsg(fd, messages, BATCH, 0);

		/* Nobody may listen there: an ICMP error is told by the next send. */
		if (now > 0)
			sent += (uint64_t)now;
		wait_until(start_ns + sent * NS_PER_SEC / rate);
	}
	return sent;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	uint64_t start_ns, sent;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || fd < 0)
		return 2;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return 1;
	start_ns = clock_now_ns();
	sent = send_all(fd, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	printf("{\"sent\": %" PRIu64 ", \"seconds\": %.3f}\n", sent,
	       (double)(clock_now_ns() - start_ns) / (double)NS_PER_SEC);
	return 0;
}
