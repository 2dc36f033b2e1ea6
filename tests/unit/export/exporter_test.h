/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A service that takes all it is given, the first time it is asked again. sent_bytes counts the
 * bytes of documents. */

#include "export/delivery.h"

extern const struct delivery_ops exporter_test_ops;
