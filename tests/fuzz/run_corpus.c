/* SPDX-License-Identifier: GPL-2.0-or-later */

/* run_corpus FOLDER: gives each file of a corpus to a fuzz target, where there is no libFuzzer. The
 * file's name is told before it is read, so that the last one told is the one that failed. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fuzz_target.h"

enum { INPUT_MAX = 4 << 20 };

static int run_file(const char *folder, const char *name)
{
	cleanup_file FILE *file = NULL;
	cleanup_free uint8_t *input = NULL;
	char path[4096];
	uint8_t *exact;
	size_t length;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	printf("%s\n", path);
	fflush(stdout);
	file = fopen(path, "r");
	input = malloc(INPUT_MAX);
	if (!file || !input)
		return -1;
	length = fread(input, 1, INPUT_MAX, file);
	if (ferror(file))
		return -1;
	/* As long as the input, so that a sanitiser sees a read behind it. */
	exact = realloc(input, length ? length : 1);
	input = exact ? exact : input;
	return LLVMFuzzerTestOneInput(input, length);
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	int count, failed = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: run_corpus FOLDER\n");
		return 2;
	}
	count = scandir(argv[1], &entries, is_input, alphasort);
	if (count <= 0) {
		fprintf(stderr, "%s: no corpus\n", argv[1]);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		failed |= run_file(argv[1], entries[i]->d_name) != 0;
		free(entries[i]);
	}
	free(entries);
	printf("%d inputs\n", count);
	return failed;
}
