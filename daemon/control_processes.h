/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* procflow processes: the living processes that a client asks for, a piece at a time. */

#include <stdint.h>

#include "base/buffer.h"
#include "process/process_table.h"
#include "runtime/control_request.h"

struct control_processes;

/* All borrowed. 0 or -ENOMEM. */
int control_processes_new(struct process_table *processes, const struct control_request *request,
			  struct control_processes **ret);
/* Accepts NULL. */
void control_processes_free(struct control_processes *query);
/* As control_handler.step: samples at most some dozen processes. */
int control_processes_step(struct control_processes *query, uint64_t now_ns, struct buffer *out);
