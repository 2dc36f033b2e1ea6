/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Packets that firewall rules log to an NFLOG group (net/netfilter/nfnetlink_log.c). */

#include <stdbool.h>
#include <stdint.h>

#include "flow/packet_event.h"
#include "runtime/loop.h"
#include "sources/packet.h"

struct nflog;

struct nflog_handlers {
	void (*on_packet)(void *userdata, const struct packet_event *event);
	/* After each batch. */
	void (*on_batch_end)(void *userdata, uint64_t now_ns);
	void *userdata;
};

struct nflog_options {
	uint16_t group;
	uint64_t receive_buffer_bytes;
	struct nflog_handlers handlers;
};

struct nflog_counters {
	uint64_t packets;  /* told by on_packet */
	uint64_t lost;	   /* by the kernel's own numbers: its buffer or ours was full */
	uint64_t overruns; /* ENOBUFS */
	uint64_t faults[PACKET_FAULTS]; /* packets that were not told, by kind */
	uint64_t malformed;		/* messages that could not be read */
	uint64_t receive_errors;
};

/* How long the kernel may keep packets back to hand them over together: half of what a record waits behind
 * the close of its connection. */
#define NFLOG_BATCH_NS (50 * 1000 * 1000ull)

/* Listens to the group. 0; -EBUSY: another program does; -EPERM: CAP_NET_ADMIN; -EINVAL or
 * -EPROTONOSUPPORT: the kernel has no NFLOG. */
int nflog_new(struct loop *loop, const struct nflog_options *options, struct nflog **ret);
/* Tells what has come, without waiting for the loop. */
void nflog_read(struct nflog *nflog);
/* Leaves the group, and tells what was logged until then. */
void nflog_finish(struct nflog *nflog);
/* Accepts NULL. */
void nflog_free(struct nflog *nflog);

/* Whether the group can be had, by trying it: as nflog_new(). */
int nflog_check(uint16_t group);

/* Whether the kernel tells the conntrack entry of each packet (CONFIG_NETFILTER_NETLINK_GLUE_CT). */
bool nflog_has_conntrack(const struct nflog *nflog);
const struct nflog_counters *nflog_get_counters(const struct nflog *nflog);
