/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The checks of procflowd --check: each writes one line for each thing that it looks at. They ask
 * the kernel itself wherever it can be asked (a datagram, a dump that matches nothing, an nft
 * transaction that is not committed, a perf event that is never started), because what /proc says
 * of rights is not the whole truth in containers. */

#include "sources/host_report.h"

/* host_check_conntrack.c */
void host_check_tracking(struct host_report *report);
void host_check_sysctls(struct host_report *report);
void host_check_conntrack_fill(struct host_report *report);
void host_check_receive_buffer(struct host_report *report);

/* host_check_processes.c */
void host_check_socket_lookup(struct host_report *report);
void host_check_taskstats(struct host_report *report);
void host_check_proc(struct host_report *report);
void host_check_namespaces(struct host_report *report);

/* host_check_nflog.c */
void host_check_nflog(struct host_report *report);

/* host_check_sysdig.c: nothing where it is not wanted. */
void host_check_sysdig(struct host_report *report);

/* host_check_trace.c */
void host_check_trace(struct host_report *report);
