/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as a message of connection tracking: as an event, as an answer, and its attributes as an entry
 * within a logged packet (NFULA_CT). */

#include <errno.h>

#include "base/clock.h"
#include "fuzz_target.h"
#include "sources/conntrack_parse.h"
#include "whole_message.h"

static void check_event(const struct flow_event *event, uint64_t now_ns)
{
	if ((event->key.family != IP_FAMILY_V4 && event->key.family != IP_FAMILY_V6) ||
	    event->start_ns > now_ns || event->stop_ns > now_ns || event->last_packet_ns > now_ns)
		abort();
}

static void parse_message(const struct nlmsghdr *message, bool is_answer)
{
	static const uint64_t now_ns = 1000 * NS_PER_SEC;
	struct conntrack_timeouts timeouts;
	struct wall_steps wall = {.count = 0};
	const struct conntrack_parse_context context = {.timeouts = &timeouts,
							.wall = &wall,
							.now_ns = now_ns,
							.not_before_ns = 999 * NS_PER_SEC};
	struct flow_event event;
	int r;

	for (int i = 0; i < CONNTRACK_TIMEOUT_COUNT; i++)
		timeouts.ns[i] = 120 * NS_PER_SEC;
	wall_steps_observe(&wall, now_ns, 1700000000ll * (int64_t)NS_PER_SEC);
	r = conntrack_parse(message, is_answer, &context, &event);
	if (r != CONNTRACK_PARSED && r != CONNTRACK_PARSE_OTHER && r != -EBADMSG)
		abort();
	if (r == CONNTRACK_PARSED)
		check_event(&event, now_ns);
}

static void parse_entry(const uint8_t *data, size_t size)
{
	struct nlattr *nest;
	struct flow_key key;
	uint32_t id;
	int r;

	if (size > UINT16_MAX - sizeof(*nest))
		return;
	nest = malloc(sizeof(*nest) + size);
	if (!nest)
		return;
	*nest = (struct nlattr){.nla_len = (uint16_t)(sizeof(*nest) + size)};
	memcpy(nest + 1, data, size);
	r = conntrack_parse_entry(nest, IP_FAMILY_V4, &key, &id);
	if (r != 0 && r != -EBADMSG)
		abort();
	free(nest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { HEADERS = sizeof(struct nlmsghdr) + 4 };
	struct nlmsghdr *message = whole_message_copy(data, size);

	if (!message)
		return 0;
	parse_message(message, false);
	parse_message(message, true);
	if (size > HEADERS)
		parse_entry(data + HEADERS, size - HEADERS);
	free(message);
	return 0;
}
