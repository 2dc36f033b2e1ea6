/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How many times as long as on a machine of its own things may take here: PROCFLOW_TEST_SLOWNESS of
 * the environment, which an emulated machine sets; else 1. */
unsigned slowness_get(void);
