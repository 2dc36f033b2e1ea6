/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* ICMP echo ("ping") and raw sockets from /proc/net/{icmp,icmp6,raw,raw6}: many kernels have no
 * sock_diag for them (CONFIG_INET_DIAG_RAW, and nothing for ping sockets). The format is
 * ping_v4_format_sock()'s and raw_sock_seq_show()'s: what stands as the port is a ping socket's
 * echo identifier, and a raw socket's protocol. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"
#include "flow/ownership.h"

struct raw_socket {
	struct ip_address local, remote;
	uint16_t number;
	uint8_t family;
	bool is_ping;
	uid_t uid;
	uint64_t inode;
};

/* Outcomes of raw_sockets_find(). */
enum { RAW_SOCKETS_ONE = 0, RAW_SOCKETS_NONE = 1, RAW_SOCKETS_SEVERAL = 2 };

/* The one socket that can have sent a packet of this tuple: the ping socket with its echo_id, else
 * a raw socket of its protocol or of IPPROTO_RAW, one that is connected to the remote address
 * first. One of the outcomes, or a negative errno. */
int raw_sockets_find(int proc_fd, const struct socket_tuple *tuple, struct raw_socket *ret);

/* Pure: one line of such a file, without its newline. 0, or -EBADMSG (the heading, for one). */
int raw_sockets_parse_line(struct text line, uint8_t family, struct raw_socket *ret);
