/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The delivery over a byte transport (transport.h). One chunk at a time is on its way; on streams it
 * may be sent in parts. Sent is what the kernel took. */

#include "export/delivery.h"

extern const struct delivery_ops delivery_bytes_ops;
