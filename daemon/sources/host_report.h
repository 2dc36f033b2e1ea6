/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The lines of procflowd --check:
 *
 *     ok       accounting         net.netfilter.nf_conntrack_acct is 1
 *     missing  socket lookup udp  ... ; modprobe udp_diag
 *     note     conntrack fill     ...
 *
 * and what the checks read the host by. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/text.h"
#include "config/config.h"

enum host_status {
	HOST_OK,      /* works, or the daemon will switch it on by itself */
	HOST_MISSING, /* keeps the daemon from what the configuration asks for */
	HOST_NOTE,    /* good to know */
};

struct host_report {
	const struct config *config;
	FILE *out; /* NULL: nothing is printed, on_line is called */
	void (*on_line)(void *userdata, const char *status, const char *what, const char *text);
	void *userdata;
	int proc_fd;	       /* /proc, or a test's tree */
	uint64_t capabilities; /* effective ones, bits of CAP_ numbers */
	unsigned missing;      /* lines of HOST_MISSING */
};

/* Writes one line. */
void host_report_write(struct host_report *report, enum host_status status, const char *what,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));
bool host_report_has_capability(const struct host_report *report, unsigned capability);
/* A number in a file below /proc; 0 or a negative errno, -ERANGE where it is not one. */
int host_report_read_number(const struct host_report *report, const char *path,
			    int64_t *ret_number);
/* Adds the content of a file below /proc. 0 or a negative errno. */
int host_report_read_text(const struct host_report *report, const char *path, struct buffer *text);

/* From the text of /proc/PID/status: the CapEff line. 0 or -EBADMSG. */
int host_report_parse_capabilities(struct text status, uint64_t *ret_capabilities);
/* From the text of /proc/PID/mountinfo: whether the last mount on /proc hides the processes of
 * others (hidepid=1, 2, 4 or their names). */
bool host_report_parse_hidepid(struct text mountinfo);
