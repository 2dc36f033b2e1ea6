/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "procfs/stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The fields behind the name that are wanted, by their number in proc(5); the state is number 3. */
enum {
	FIELD_STATE = 3,
	FIELD_PARENT = 4,
	FIELD_MINOR_FAULTS = 10,
	FIELD_MAJOR_FAULTS = 12,
	FIELD_USER_TICKS = 14,
	FIELD_SYSTEM_TICKS = 15,
	FIELD_THREADS = 20,
	FIELD_START_TICKS = 22,
	FIELD_RESIDENT_PAGES = 24,
	FIELD_COUNT = 25,
};

/* Reads a decimal, which may be negative (several fields are), and moves behind it. */
static bool parse_number(const char **at, const char *end, uint64_t *ret)
{
	const char *p = *at;
	bool negative = p < end && *p == '-';
	uint64_t value = 0;

	if (negative)
		p++;
	if (p == end || *p < '0' || *p > '9')
		return false;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	*ret = negative ? -value : value;
	*at = p;
	return true;
}

int procfs_stat_parse(const char *line, size_t length, struct procfs_stat *ret)
{
	const char *end = line + length;
	const char *open = memchr(line, '(', length);
	const char *close = memrchr(line, ')', length);
	uint64_t field[FIELD_COUNT] = {0};
	const char *at;

	if (!open || !close || close < open || end - close < 4 || close[1] != ' ')
		return -EBADMSG;
	field[FIELD_STATE] = (uint64_t)(unsigned char)close[2];
	at = close + 3;
	for (int i = FIELD_PARENT; i < FIELD_COUNT; i++) {
		if (at == end || *at++ != ' ' || !parse_number(&at, end, &field[i]))
			return -EBADMSG;
	}
	/* Digits at the very end may be the first of more that did not fit. */
	if (at == end || *at != ' ')
		return -EBADMSG;
	*ret = (struct procfs_stat){
		.name = {.at = open + 1, .length = (size_t)(close - open - 1)},
		.state = (char)field[FIELD_STATE],
		.parent = (pid_t)field[FIELD_PARENT],
		.minor_faults = field[FIELD_MINOR_FAULTS],
		.major_faults = field[FIELD_MAJOR_FAULTS],
		.user_ticks = field[FIELD_USER_TICKS],
		.system_ticks = field[FIELD_SYSTEM_TICKS],
		.start_ticks = field[FIELD_START_TICKS],
		.resident_pages = field[FIELD_RESIDENT_PAGES],
		.threads = (uint32_t)field[FIELD_THREADS],
	};
	return 0;
}

int procfs_stat_read_fd(int stat_fd, char *line, size_t size, struct procfs_stat *ret)
{
	ssize_t length = pread(stat_fd, line, size, 0);

	if (length < 0)
		return -errno;
	return procfs_stat_parse(line, (size_t)length, ret);
}

int procfs_stat_read(int proc_fd, pid_t pid, char *line, size_t size, struct procfs_stat *ret)
{
	cleanup_close int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "%d/stat", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return procfs_stat_read_fd(fd, line, size, ret);
}
