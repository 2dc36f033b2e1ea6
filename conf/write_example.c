/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is written from the key table: the example configuration, or the manual page.
 *
 *     write_example FILE
 *     write_example --manual FILE */

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/manual.h"
#include "config/reader.h"

int main(int argc, char **argv)
{
	cleanup(buffer_fini) struct buffer text = {.bytes = NULL};
	bool is_manual = argc == 3 && strcmp(argv[1], "--manual") == 0;
	const char *path = argv[argc - 1];
	FILE *file;

	if (argc != 2 && !is_manual) {
		fprintf(stderr, "usage: write_example [--manual] FILE\n");
		return 2;
	}
	if (is_manual)
		config_write_manual(&text);
	else
		config_write_example(&text);
	file = fopen(path, "w");
	if (text.failed || !file || fwrite(text.bytes, 1, text.length, file) != text.length ||
	    fclose(file) != 0) {
		perror(path);
		return 1;
	}
	return 0;
}
