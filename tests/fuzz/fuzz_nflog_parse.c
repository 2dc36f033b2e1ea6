/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as the body of an NFLOG message; texts that come out lie inside it. */

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fuzz_target.h"
#include "sources/nflog_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct nflog_parse_context context = {.now_ns = 1000 * NS_PER_SEC,
						    .wall_offset_ns =
							    1700000000ll * (int64_t)NS_PER_SEC,
						    .has_conntrack = size % 2};
	struct nlmsghdr *message = malloc(sizeof(*message) + size);
	struct packet_event event;
	enum packet_fault fault;
	int r;

	if (!message || size > 65536) {
		free(message);
		return 0;
	}
	*message = (struct nlmsghdr){.nlmsg_len = (uint32_t)(sizeof(*message) + size),
				     .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET};
	if (size > 0)
		memcpy(message + 1, data, size);
	r = nflog_parse(message, &context, &event, &fault);
	if (r != NFLOG_PARSED && r != NFLOG_PARSE_FAULTY && r != -EBADMSG)
		abort();
	if (r != -EBADMSG &&
	    (event.when_ns > context.now_ns || event.prefix.length > (event.prefix.at ? size : 0)))
		abort();
	free(message);
	return 0;
}
