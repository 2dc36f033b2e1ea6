/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Cleanup attributes: a local that owns something gives it back on every way out of its scope.
 * A constructor builds into such a local and publishes last, with steal_pointer() or steal_fd(). */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/macros.h"

#define cleanup(function) __attribute__((cleanup(function)))

#define DEFINE_CLEANUP(type, function)                                                             \
	static inline void function##_cleanup(type *place)                                         \
	{                                                                                          \
		if (*place)                                                                        \
			function(*place);                                                          \
	}                                                                                          \
	struct cleanup_needs_a_semicolon_##function

static inline void free_cleanup(void *place)
{
	free(*(void **)place);
}

static inline void close_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclose_cleanup(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define cleanup_free  cleanup(free_cleanup)
#define cleanup_close cleanup(close_cleanup)
#define cleanup_file  cleanup(fclose_cleanup)

#define steal_pointer(place)                                                                       \
	({                                                                                         \
		__typeof__(place) _place = (place);                                                \
		__typeof__(*_place) _value = *_place;                                              \
		*_place = NULL;                                                                    \
		_value;                                                                            \
	})

static inline int steal_fd(int *place)
{
	int fd = *place;

	*place = -1;
	return fd;
}
