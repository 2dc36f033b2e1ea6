/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Who a process is: read from /proc, and through the procps library where that sees the same. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "procfs/stat.h"

struct procps;

enum { IDENTITY_NAME_SIZE = 256, IDENTITY_PATH_SIZE = 4096, COMM_LENGTH = 15 };
/* What is kept of a command line, with its NUL. */
enum { IDENTITY_COMMAND_LINE_SIZE = 4096 + 1 };

struct identity_facts {
	char name[IDENTITY_NAME_SIZE]; /* the leader's comm; the executable's where comm is cut */
	char comm[COMM_LENGTH + 1];
	char parent_name[IDENTITY_NAME_SIZE];
	char executable[IDENTITY_PATH_SIZE]; /* without " (deleted)" */
	char parent_executable[IDENTITY_PATH_SIZE];
	char command_line[IDENTITY_COMMAND_LINE_SIZE];
	uid_t uid, parent_uid; /* real */
	pid_t parent;
	bool has_parent, has_parent_name, has_parent_uid, has_parent_executable;
	bool has_executable, executable_deleted, has_command_line;
	bool lacks_uid;
	bool without_procps; /* the library did not tell the user, a plain file did */
	/* The path leads to the executable here too: not so in another's mount namespace. */
	bool executable_is_hosts, parent_executable_is_hosts;
};

/* The name that belongs to a comm: itself, or, where it is as long as the kernel keeps and the base
 * name of the executable goes on where it stops, that base name. */
void identity_complete_name(const char *comm, const char *executable, char ret[IDENTITY_NAME_SIZE]);

/* Cuts " (deleted)" off a link of /proc/PID/exe, in place; whether it was there. */
bool identity_cut_deleted(char *path);

/* Reads executable and name of a process whose stat line is at hand. "process_fd" is its directory:
 * it never leads to another process. */
void identity_read_executable(int proc_fd, int process_fd, const struct procfs_stat *stat,
			      struct identity_facts *facts);

/* The real uid, of a process's directory or of its opened file "status". 0 or a negative errno. */
int identity_read_uid(int process_fd, uid_t *ret);
int identity_parse_uid(int status_fd, uid_t *ret);

/* Reads the command line, its arguments parted by spaces; kernel threads and zombies have none. */
void identity_read_command_line(int process_fd, struct identity_facts *facts);

/* Reads the parent of a process that began at "start_ticks". Name, user
 * and executable are told only where it is sure to be the one that was meant, because it began
 * before its child. */
void identity_read_parent(int proc_fd, pid_t parent, uint64_t start_ticks,
			  struct identity_facts *facts);

/* Reads all of it. "procps" is NULL where "proc_fd" is not the /proc it sees. 0; a negative errno:
 * -ESRCH or -ENOENT where the process went away meanwhile, -EMFILE. */
int identity_read(int proc_fd, int process_fd, pid_t pid, const struct procfs_stat *stat,
		  struct procps *procps, struct identity_facts *ret);
