/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as the header of a package in rpm's database. */

#include <stdlib.h>
#include <string.h>

#include "fuzz_target.h"
#include "process/rpm_header.h"

static int on_path(void *userdata, struct text directory, struct text file)
{
	size_t *seen = userdata;

	/* Both are whole texts of their own. */
	if (strlen(directory.at) != directory.length || strlen(file.at) != file.length)
		abort();
	++*seen;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As long as the input, so that a sanitiser sees a read behind it. */
	uint8_t *bytes = malloc(size + 1);
	struct rpm_header header;
	size_t seen = 0;

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	if (rpm_header_parse(bytes, size, &header) == 0) {
		if (header.name.length == 0 || header.file_count > size ||
		    header.directory_count > size)
			abort();
		if (rpm_header_walk(&header, on_path, &seen) == 0 && seen > header.file_count)
			abort();
	}
	free(bytes);
	return 0;
}
