/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Sockets as the kernel's sock_diag tells them (net/ipv4/inet_diag.c, tcp_diag.c, udp_diag.c): one
 * by its tuple, or all on one local port. Blocks for no longer than the kernel needs. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/netlink.h>

#include "flow/ownership.h"

struct sock_diag;

/* The kernel's TCP states, which UDP borrows: include/net/tcp_states.h. */
enum sock_diag_state {
	SOCK_DIAG_ESTABLISHED = 1,
	SOCK_DIAG_SYN_SENT = 2,
	SOCK_DIAG_SYN_RECV = 3,
	SOCK_DIAG_FIN_WAIT1 = 4,
	SOCK_DIAG_FIN_WAIT2 = 5,
	SOCK_DIAG_TIME_WAIT = 6,
	SOCK_DIAG_CLOSE = 7, /* UDP: not connected */
	SOCK_DIAG_CLOSE_WAIT = 8,
	SOCK_DIAG_LISTEN = 10,
	SOCK_DIAG_NEW_SYN_RECV = 12,
};

struct sock_diag_socket {
	uint64_t inode; /* 0: no process holds it (yet, or any more) */
	uint64_t cookie;
	uint64_t cgroup_id; /* 0 where not told */
	struct ip_address local, remote;
	uint16_t local_port, remote_port;
	/* Of the addresses: ::ffff:a.b.c.d is told as IPv4. A wildcard of an IPv6 socket stays
	 * IPv6, see takes_v4. */
	uint8_t family;
	uint8_t state;	    /* enum sock_diag_state */
	uint32_t interface; /* SO_BINDTODEVICE, or the scope of a link-local address; 0: any */
	bool takes_v4;	    /* carries IPv4 packets: an IPv4 socket, or IPv6 without IPV6_V6ONLY */
	bool has_uid;	    /* request and TIME_WAIT sockets tell uid 0 whoever they belong to */
	uid_t uid;
};

enum { SOCK_DIAG_REQUEST_SIZE = NLMSG_HDRLEN + 56 };

/* 0, or a negative errno. Asks once which protocols the kernel can look up. */
int sock_diag_open(struct sock_diag **ret);
/* The same for the network namespace that "netns_fd" refers to (CAP_SYS_ADMIN). What is returned
 * keeps that namespace alive until it is closed. */
int sock_diag_open_in(int netns_fd, struct sock_diag **ret);
void sock_diag_close(struct sock_diag *diag);

/* Whether the kernel has a diag part for this protocol. A request for one without answers -ENOENT,
 * as for a socket that is not there; this tells the two apart. */
bool sock_diag_has_protocol(const struct sock_diag *diag, uint8_t protocol);

/* Looks up the socket of exactly this tuple; where TCP has none, its listener (the kernel's own
 * order). "interface" 0 finds sockets that are bound to no device; others only with their own.
 * What the kernel answers is checked against the tuple. An IPv4 tuple finds IPv6 sockets that
 * carry it, too. 0; -ENOENT; -EPROTONOSUPPORT; another negative errno. */
int sock_diag_find(struct sock_diag *diag, const struct socket_tuple *tuple, uint32_t interface,
		   struct sock_diag_socket *ret);

typedef void (*sock_diag_on_socket)(const struct sock_diag_socket *socket, void *userdata);

/* Tells every socket of the protocol on this local port (0: on any) and in one of "states" (bits 1 << state),
 * IPv4 and IPv6. The kernel walks its whole table for that. 0, or a negative errno. */
int sock_diag_list_port(struct sock_diag *diag, uint8_t protocol, uint16_t port, uint32_t states,
			sock_diag_on_socket on_socket, void *userdata);

/* Pure: the request for a tuple; UDP's with source and destination swapped, because its lookup is
 * the receive path's. */
void sock_diag_encode_find(const struct socket_tuple *tuple, uint32_t interface,
			   uint8_t out[SOCK_DIAG_REQUEST_SIZE]);
/* Pure: one answer. 0, or -EBADMSG. */
int sock_diag_parse(const struct nlmsghdr *message, struct sock_diag_socket *ret);
/* Whether a packet of this tuple may be the socket's: port, addresses or wildcards, family. */
bool sock_diag_socket_fits(const struct sock_diag_socket *socket, const struct socket_tuple *tuple);
