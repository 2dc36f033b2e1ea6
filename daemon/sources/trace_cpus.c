/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_cpus.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "procfs/text_file.h"

static int parse_number(const char **at, unsigned *ret)
{
	char *end;
	unsigned long value;

	if (!isdigit((unsigned char)**at))
		return -EINVAL;
	value = strtoul(*at, &end, 10);
	if (value >= TRACE_CPUS_MAX)
		return -EINVAL;
	*at = end;
	*ret = (unsigned)value;
	return 0;
}

static int parse_range(const char **at, struct trace_cpus *cpus)
{
	unsigned first, last;

	if (parse_number(at, &first) < 0)
		return -EINVAL;
	last = first;
	if (**at == '-') {
		(*at)++;
		if (parse_number(at, &last) < 0 || last < first)
			return -EINVAL;
	}
	for (unsigned cpu = first; cpu <= last; cpu++) {
		cpus->count += !cpus->online[cpu];
		cpus->online[cpu] = true;
	}
	return 0;
}

int trace_cpus_parse(const char *text, struct trace_cpus *ret)
{
	cleanup_free struct trace_cpus *cpus = calloc(1, sizeof(*cpus));

	if (!cpus)
		return -ENOMEM;
	for (;;) {
		if (parse_range(&text, cpus) < 0)
			return -EINVAL;
		if (*text != ',')
			break;
		text++;
	}
	if (*text == '\n')
		text++;
	if (*text != '\0')
		return -EINVAL;
	*ret = *cpus;
	return 0;
}

int trace_cpus_read(struct trace_cpus *ret)
{
	char text[4096];
	ssize_t length =
		procfs_read_text(AT_FDCWD, "/sys/devices/system/cpu/online", text, sizeof(text));

	return length < 0 ? (int)length : trace_cpus_parse(text, ret);
}
