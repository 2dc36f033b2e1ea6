/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Which network namespaces there are: those of processes, from /proc/PID/ns/net, and those that are
 * kept by a mount (ip netns, docker), from mountinfo. One that only an open descriptor or a socket
 * keeps is not found: that would need a look at every descriptor of every process. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct found_namespace {
	ino_t inode;	  /* nsfs inode: given out again once the namespace ended */
	pid_t pid;	  /* a process in it, or 0 */
	const char *path; /* that it can be opened by, from the descriptor of /proc; borrowed */
};

typedef void (*namespace_list_on_found)(const struct found_namespace *found, void *userdata);

/* Tells each namespace as often as a process or a mount names it. Processes come first. Costs about
 * two microseconds a process. Returns how many processes and mounts were looked at, or a negative
 * errno when /proc cannot be read. */
ssize_t namespace_list_read(int proc_fd, namespace_list_on_found on_found, void *userdata);

/* Pure: one line of mountinfo, which is changed. Whether it is a network namespace's mount; then its
 * inode and the place of it within "line". */
bool namespace_list_parse_mount(char *line, ino_t *ret_inode, const char **ret_path);
