/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One line of what sysdig prints with SYSDIG_LINE_FORMAT and -j: an object with a value for each field.
 * JSON, because names and paths hold any byte: in plain text a newline in one of them would make a line
 * that anybody can choose. Pure.
 *
 * evt.arg.tuple is what the system call itself told; fd.name is sysdig's picture of the descriptor, which
 * it does not mend when a UDP socket is connected anew, and whose sides it may take for each other. */

#include <stddef.h>
#include <stdint.h>

#include "flow/flow_event.h"

#define SYSDIG_LINE_FORMAT                                                                         \
	"*%evt.rawtime %evt.latency %evt.dir %evt.type %evt.rawres %proc.pid %thread.tid "         \
	"%proc.ppid %proc.name %fd.l4proto %evt.arg.tuple"

/* Connections that were made or tried, datagrams that are about to be sent, and processes. */
#define SYSDIG_LINE_FILTER                                                                         \
	"evt.type=procexit or (evt.dir=< and evt.type in "                                         \
	"(clone,clone3,fork,vfork,execve,execveat)) or (fd.sockfamily=ip and "                     \
	"((evt.dir=< and evt.type in (connect,accept,accept4,bind)) or "                           \
	"(evt.dir=> and evt.type in (sendto,sendmsg,sendmmsg))))"

enum { SYSDIG_LINE_MAX = 8192 };

/* Named outcomes. */
enum {
	SYSDIG_LINE_SOCKET = 0,
	SYSDIG_LINE_PROCESS = 1,
	/* Known, and of no use: a call that failed, a bind, a tuple that is not whole (the kernel had
	 * not chosen the port yet) or was told before (a connected socket sends), a thread. */
	SYSDIG_LINE_E_USELESS = 2,
	SYSDIG_LINE_E_UNKNOWN = 3, /* an event that was not asked for */
};

struct sysdig_event {
	/* when_ns is wall time: of the call's begin where the process acted then, of its return for
	 * accept(2), which may have waited for long. */
	struct socket_event socket;
	struct process_event process;
	char call[16]; /* as sysdig names it */
	char name[64]; /* of the process, for people; "" where not known */
	int64_t result;
	bool has_result;
};

/* Fills in "socket" or "process" as the outcome says, and the rest with every outcome. One of the
 * outcomes, or -EBADMSG. */
int sysdig_line_parse(const char *line, size_t length, struct sysdig_event *ret);

/* Pure: "ADDRESS:PORT->ADDRESS:PORT". 0, or -EINVAL. "from" is the first one. */
struct sysdig_tuple {
	struct ip_address from, to;
	uint16_t from_port, to_port;
	uint8_t family; /* enum ip_family; ::ffff:a.b.c.d is IPv4 */
};
int sysdig_line_parse_tuple(const char *text, struct sysdig_tuple *ret);
