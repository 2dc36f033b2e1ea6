/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* procflow flows: the open flows that a client asks for, a piece at a time. */

#include <stdint.h>

#include "base/buffer.h"
#include "pipeline.h"
#include "runtime/control_request.h"

struct control_flows;

/* All borrowed. 0 or -ENOMEM. */
int control_flows_new(struct pipeline *pipeline, const struct control_request *request,
		      struct control_flows **ret);
/* Accepts NULL. */
void control_flows_free(struct control_flows *flows);
/* As control_handler.step: looks at some hundred flows, or adds some 16 KiB. */
int control_flows_step(struct control_flows *flows, uint64_t now_ns, struct buffer *out);
