/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What ctnetlink says, kept message by message and read with libnetfilter_conntrack: the judge of
 * what our own reader makes of the same bytes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

struct conntrack_recorder;

struct conntrack_seen {
	enum nf_conntrack_msg_type type; /* NFCT_T_NEW, _UPDATE, _DESTROY; dumps are _UPDATE */
	struct nf_conntrack *entry;
	const struct nlmsghdr *message;
};

typedef bool (*conntrack_match)(const struct conntrack_seen *seen, const void *userdata);

/* Joins NEW, UPDATE and DESTROY in the namespace of the calling thread. NULL on failure. */
struct conntrack_recorder *conntrack_recorder_open(void);
void conntrack_recorder_close(struct conntrack_recorder *recorder);

int conntrack_recorder_get_fd(const struct conntrack_recorder *recorder);

/* The first message, seen already or still to come within five seconds, that "match" takes; NULL
 * after printing everything that was seen. Owned by the recorder. */
const struct conntrack_seen *conntrack_recorder_wait(struct conntrack_recorder *recorder,
						     conntrack_match match, const void *userdata);

/* Reads what is there without waiting; how many messages there are now in all. */
size_t conntrack_recorder_read(struct conntrack_recorder *recorder);
const struct conntrack_seen *conntrack_recorder_get(const struct conntrack_recorder *recorder,
						    size_t index);

/* Lists the table into the recorder, after what it has. 0, 1 when the dump was torn
 * (NLM_F_DUMP_INTR), or a negative errno. */
int conntrack_recorder_dump(struct conntrack_recorder *recorder);

/* Asks for the one entry with the original tuple and zone of "entry". Owned by the caller
 * (nfct_destroy()); NULL and errno where there is none. */
struct nf_conntrack *conntrack_recorder_query(const struct nf_conntrack *entry);
/* Removes it. 0 or a negative errno. */
int conntrack_recorder_remove(const struct nf_conntrack *entry);
