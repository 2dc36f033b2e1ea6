/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the control socket answers: the commands of runtime/control_request.h, made of the modules. */

#include "counters.h"
#include "runtime/control.h"

struct control_commands;

/* "parts" and "counters" are borrowed, and looked at anew for each answer. 0 or -ENOMEM. */
int control_commands_new(const struct counters_parts *parts, struct counters *counters,
			 struct control_commands **ret);
/* Accepts NULL. After the socket that asks it. */
void control_commands_free(struct control_commands *commands);

struct control_handler control_commands_get_handler(struct control_commands *commands);
