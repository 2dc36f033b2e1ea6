/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* ctnetlink messages to flow events and back (uapi/linux/netfilter/nfnetlink_conntrack.h). Pure. */

#include <libmnl/libmnl.h>

#include "base/wall_steps.h"
#include "flow/flow_event.h"
#include "sources/conntrack_timeouts.h"

/* What turns the message's wall times and remaining lifetimes into monotonic times. */
struct conntrack_parse_context {
	const struct conntrack_timeouts *timeouts;
	uint64_t now_ns;	       /* monotonic: when the message was read */
	uint64_t not_before_ns;	       /* events: none of before is left to read */
	const struct wall_steps *wall; /* NULL: its times are not used */
};

/* Named outcomes. */
enum {
	CONNTRACK_PARSED = 0,
	CONNTRACK_PARSE_OTHER =
		1, /* nothing for us: an UPDATE that changes no state of ours, another family */
};

/* 0 and *ret; CONNTRACK_PARSE_OTHER; -EBADMSG for what is not a conntrack message or lacks what
 * every entry has. A message without NLM_F_MULTI or an event's flags is an answer:
 * FLOW_EVENT_LISTED when "is_answer". */
int conntrack_parse(const struct nlmsghdr *message, bool is_answer,
		    const struct conntrack_parse_context *context, struct flow_event *ret);

/* An entry that stands within another message (NFULA_CT): its key and its id, 0 where it has none. 0, or
 * -EBADMSG. */
int conntrack_parse_entry(const struct nlattr *nest, uint8_t family, struct flow_key *ret_key,
			  uint32_t *ret_id);

/* Writes the request for one entry (IPCTNL_MSG_CT_GET) into "buffer" (512 bytes). NULL when memory
 * ran out. */
struct nlmsghdr *conntrack_encode_query(void *buffer, const struct flow_key *key);
/* The request for all entries. */
struct nlmsghdr *conntrack_encode_dump(void *buffer);
