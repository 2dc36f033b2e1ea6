/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* biflow: split: a flow as two records, one a direction. */

#include <stdbool.h>

#include "flow/flow_record.h"

/* The record of the way back: ends, addresses and counters change places, BIFLOW_DIRECTION is 2 (the
 * destination is the initiator). The addresses are those on the wire before translation, as of the
 * way there. False where no packet is known to have gone that way. Pure. */
bool split_make_reverse(const struct flow_record *record, struct flow_record *ret_reverse);
