/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Whether a flow is one that a client asks for (--process, --host and so on), and how a client gets
 * it. Pure. */

#include <stdbool.h>

#include "base/buffer.h"
#include "flow/flow.h"
#include "flow/flow_record.h"
#include "runtime/control_request.h"

/* By addresses and ports alone, of either end, before or after NAT: cheap, and asked first. */
bool record_filter_passes_key(const struct control_filter *filter, const struct flow *flow);
/* By the process: one end must have all that is asked of processes. */
bool record_filter_passes_ends(const struct control_filter *filter,
			       const struct flow_record *record);

/* The parts that flows and processes have in common. A container is known by 12 digits of its id; more
 * of them may be asked for, or fewer. Texts may be empty: not known. */
bool record_filter_is_process(const struct control_filter *filter, uint32_t pid, struct text name,
			      uint32_t uid, struct text user, struct text container);

/* Adds the object of an open flow: the fields of its records, with totals since it began, but for what
 * only a record has; and LAST_SEEN_MILLISECONDS. "begin_ms" 0: not known, left out. */
void record_filter_encode(const struct flow_record *record, uint64_t begin_ms, struct buffer *out);
