/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "base/text.h"
#include "flow/flow_record.h"
#include "flow/packet_details.h"

/* Adds what the packets told to the record, and to its parts what of it is known. "prefix" may be empty.
 * Pure. */
void record_packets_add(const struct packet_details *details, struct text prefix,
			struct flow_record *record);
