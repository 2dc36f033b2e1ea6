/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "procfs/text_file.h"

const struct sysctl_row sysctl_rows[SYSCTL_KEYS] = {
	[SYSCTL_ACCOUNTING] = {"net/netfilter/nf_conntrack_acct", "net.netfilter.nf_conntrack_acct",
			       "new flows carry no byte and packet counts", true},
	[SYSCTL_TIMESTAMP] = {"net/netfilter/nf_conntrack_timestamp",
			      "net.netfilter.nf_conntrack_timestamp",
			      "new flows carry no start and stop times of the kernel's", true},
	[SYSCTL_EVENTS] = {"net/netfilter/nf_conntrack_events", "net.netfilter.nf_conntrack_events",
			   "the kernel announces neither the start nor the end of a flow", true},
	[SYSCTL_DELAY_ACCOUNTING] = {"kernel/task_delayacct", "kernel.task_delayacct",
				     "the I/O wait of processes is unknown", false},
};

int sysctl_read(int root_fd, enum sysctl_key key, unsigned *ret_value)
{
	char text[32], *end;
	unsigned long value;
	ssize_t length = procfs_read_text(root_fd, sysctl_rows[key].path, text, sizeof(text));

	if (length < 0)
		return (int)length;
	if (text[0] < '0' || text[0] > '9')
		return -ERANGE;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || value > 255 || (*end != '\n' && *end != '\0'))
		return -ERANGE;
	*ret_value = (unsigned)value;
	return 0;
}

int sysctl_write(int root_fd, enum sysctl_key key, unsigned value)
{
	cleanup_close int fd = openat(root_fd, sysctl_rows[key].path, O_WRONLY | O_CLOEXEC);
	char text[16];
	int length = snprintf(text, sizeof(text), "%u\n", value);

	if (fd < 0)
		return -errno;
	return write(fd, text, (size_t)length) < 0 ? -errno : 0;
}

int sysctl_put_back(int root_fd, const struct sysctl_change *change)
{
	unsigned value;
	int r = sysctl_read(root_fd, change->key, &value);

	if (r < 0)
		return r;
	if (value == change->old_value)
		return SYSCTL_WAS_BACK;
	if (value != change->new_value)
		return SYSCTL_FOREIGN;
	return sysctl_write(root_fd, change->key, change->old_value);
}
