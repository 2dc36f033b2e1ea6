/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The four sysctls that decide what the kernel tells about flows and processes. Each is off at 0
 * and on at anything else. They are read and written below a directory descriptor: that of
 * /proc/sys, whose net/ is that of the caller's network namespace, or of a test's tree. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sysctl_key {
	SYSCTL_ACCOUNTING,
	SYSCTL_TIMESTAMP,
	SYSCTL_EVENTS,
	SYSCTL_DELAY_ACCOUNTING,
	SYSCTL_KEYS
};

struct sysctl_row {
	const char *path;   /* below /proc/sys */
	const char *dotted; /* as sysctl(8) names it */
	const char *lack;   /* what is missing without it, as the rest of a sentence */
	bool of_namespace;  /* each network namespace has its own; else one for the machine */
};

extern const struct sysctl_row sysctl_rows[SYSCTL_KEYS];

/* A value that was, or is to be, changed. */
struct sysctl_change {
	enum sysctl_key key;
	unsigned old_value, new_value;
	uint64_t since_ns; /* monotonic: when it was; 0: not known */
};

struct sysctl_changes {
	struct sysctl_change items[SYSCTL_KEYS];
	size_t count;
};

/* 0, or a negative errno: -ENOENT where the kernel does not have it (or its module is not loaded),
 * -ERANGE where it holds no number. */
int sysctl_read(int root_fd, enum sysctl_key key, unsigned *ret_value);
/* 0, or a negative errno: -EROFS in most containers. */
int sysctl_write(int root_fd, enum sysctl_key key, unsigned value);

/* Named outcomes of sysctl_put_back(). */
enum {
	SYSCTL_PUT_BACK = 0,
	SYSCTL_WAS_BACK = 1, /* it holds the old value already */
	SYSCTL_FOREIGN = 2,  /* somebody else changed it meanwhile: theirs, and left alone */
};

/* One of the outcomes, or a negative errno. */
int sysctl_put_back(int root_fd, const struct sysctl_change *change);
