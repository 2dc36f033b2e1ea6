/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The manual page procflow.yaml(5), out of the key table: what a key says of itself there is said
 * nowhere else. */

#include "base/buffer.h"

/* Adds the page in mdoc(7). Where memory is short, "out" has failed. Pure. */
void config_write_manual(struct buffer *out);
