/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as a line of /proc/PID/stat; the name that comes out lies inside the line. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_target.h"
#include "procfs/stat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As long as the input, so that a sanitiser sees a read behind it. */
	char *line = malloc(size);
	struct procfs_stat stat;
	int r;

	if (!line)
		return 0;
	if (size > 0)
		memcpy(line, data, size);
	r = procfs_stat_parse(line, size, &stat);
	if ((r != 0 && r != -EBADMSG) ||
	    (r == 0 && (stat.name.at <= line || stat.name.at + stat.name.length >= line + size)))
		abort();
	free(line);
	return 0;
}
