/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/slowness.h"

#include <stdlib.h>

unsigned slowness_get(void)
{
	const char *slowness = getenv("PROCFLOW_TEST_SLOWNESS");
	unsigned long factor = slowness ? strtoul(slowness, NULL, 10) : 1;

	return factor > 0 && factor < 1000 ? (unsigned)factor : 1;
}
