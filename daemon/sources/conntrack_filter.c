/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A classic BPF program over one netlink message; the kernel runs it before it queues the message
 * (do_one_broadcast(), net/netlink/af_netlink.c), so a connection wakes the daemon when it opens
 * and when it closes, and not for each state between them.
 *
 * NEW and UPDATE are one message type and differ by NLM_F_CREATE (ctnetlink_conntrack_event(),
 * net/netfilter/nf_conntrack_netlink.c). libnetfilter_conntrack's NFCT_FILTER_L4PROTO_STATE does
 * not look at the type: with TIME_WAIT and CLOSE asked for it drops NEW events of TCP, which are in
 * SYN_SENT, and passes every UPDATE of the other protocols.
 *
 * SKF_AD_NLATTR takes an offset in A and an attribute type in X, and leaves the attribute's offset
 * in A, or 0; SKF_AD_NLATTR_NEST looks inside the attribute at A (net/core/filter.c). Loads are big
 * endian, netlink headers are in host order. */

#include "sources/conntrack_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include "base/macros.h"

#define ATTRIBUTES  (NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg)))
#define CT_NEW_TYPE (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW)

#define FIND	    (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR)
#define FIND_NESTED (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR_NEST)

enum { REJECT = 18, ACCEPT = 19 };

/* Jumps are relative to the next instruction. */
#define TO(at, target) ((target) - (at)-1)

int conntrack_filter_attach(int fd)
{
	struct sock_filter code[] = {
		[0] = BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		[1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(CT_NEW_TYPE), 0, TO(1, ACCEPT)),
		[2] = BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_flags)),
		[3] = BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htons(NLM_F_CREATE), TO(3, ACCEPT), 0),
		[4] = BPF_STMT(BPF_LD | BPF_IMM, ATTRIBUTES),
		[5] = BPF_STMT(BPF_LDX | BPF_IMM, CTA_PROTOINFO),
		[6] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIND),
		[7] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, TO(7, REJECT), 0),
		[8] = BPF_STMT(BPF_LDX | BPF_IMM, CTA_PROTOINFO_TCP),
		[9] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIND_NESTED),
		[10] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, TO(10, REJECT), 0),
		[11] = BPF_STMT(BPF_LDX | BPF_IMM, CTA_PROTOINFO_TCP_STATE),
		[12] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIND_NESTED),
		[13] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, TO(13, REJECT), 0),
		[14] = BPF_STMT(BPF_MISC | BPF_TAX, 0),
		[15] = BPF_STMT(BPF_LD | BPF_B | BPF_IND, sizeof(struct nlattr)),
		[16] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_CONNTRACK_TIME_WAIT, TO(16, ACCEPT),
				0),
		[17] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_CONNTRACK_CLOSE, TO(17, ACCEPT), 0),
		[REJECT] = BPF_STMT(BPF_RET | BPF_K, 0),
		[ACCEPT] = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = {.len = array_length(code), .filter = code};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -errno;
	return 0;
}
