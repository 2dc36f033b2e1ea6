/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as a configuration: read without a crash or a leak, and either a configuration comes
 * out or a mistake is told. */

#include <errno.h>
#include <stdlib.h>

#include "config/reader.h"
#include "fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = NULL;
	struct buffer mistakes;
	int r;

	buffer_init(&mistakes);
	r = config_read_text("fuzz", (const char *)data, size, &config, &mistakes);
	if ((r != 0 && r != -EINVAL) || (r == 0) != (mistakes.length == 0) ||
	    (r == 0) != (config != NULL))
		abort();
	config_free(config);
	buffer_fini(&mistakes);
	return 0;
}
