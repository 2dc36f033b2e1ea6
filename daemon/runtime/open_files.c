/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/open_files.h"

#include <errno.h>
#include <sys/resource.h>

int open_files_raise(uint64_t most, uint64_t *ret_limit)
{
	struct rlimit limit;
	rlim_t wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	wanted = limit.rlim_max < most ? limit.rlim_max : (rlim_t)most;
	if (wanted > limit.rlim_cur) {
		limit.rlim_cur = wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return -errno;
	}
	*ret_limit = limit.rlim_cur;
	return 0;
}
