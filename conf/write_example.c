/* SPDX-License-Identifier: GPL-2.0-or-later */

/* write_example FILE: writes the example configuration as the key table has it. */

#include <stdio.h>

#include "base/cleanup.h"
#include "config/reader.h"

int main(int argc, char **argv)
{
	cleanup(buffer_fini) struct buffer text = {.bytes = NULL};
	FILE *file;

	if (argc != 2) {
		fprintf(stderr, "usage: write_example FILE\n");
		return 2;
	}
	config_write_example(&text);
	file = fopen(argv[1], "w");
	if (text.failed || !file || fwrite(text.bytes, 1, text.length, file) != text.length ||
	    fclose(file) != 0) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
