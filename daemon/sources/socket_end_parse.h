/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One message of the groups SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY:
 * inet_diag_handler_get_info() in net/ipv4/inet_diag.c. Pure.
 *
 * struct tcp_info grows at its end from kernel to kernel: a value is known where its attribute is long
 * enough to hold it. */

#include <linux/netlink.h>

#include "flow/tcp_quality.h"

/* Named outcomes. */
enum {
	SOCKET_END_PARSED = 0,
	SOCKET_END_E_UNCONNECTED = 1, /* it listened, or never had a peer, or gave it up */
	SOCKET_END_E_UNTOLD = 2,      /* without tcp_info, or it is of another protocol */
};

/* Fills in the tuple and the quality. One of the outcomes, or -EBADMSG. */
int socket_end_parse(const struct nlmsghdr *message, struct socket_end_event *ret);
