/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/conntrack_recorder.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum { MOST_SEEN = 1 << 17, WAIT_SECONDS = 5 };

struct conntrack_recorder {
	struct mnl_socket *socket;
	size_t count;
	struct conntrack_seen seen[MOST_SEEN];
};

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);

	if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(socket);
		return NULL;
	}
	return socket;
}

struct conntrack_recorder *conntrack_recorder_open(void)
{
	static const int groups[] = {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE,
				     NFNLGRP_CONNTRACK_DESTROY};
	struct conntrack_recorder *recorder = calloc(1, sizeof(*recorder));

	if (!recorder)
		return NULL;
	recorder->socket = open_socket();
	if (!recorder->socket) {
		free(recorder);
		return NULL;
	}
	for (size_t i = 0; i < array_length(groups); i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(recorder->socket, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)) < 0) {
			conntrack_recorder_close(recorder);
			return NULL;
		}
	}
	return recorder;
}

void conntrack_recorder_close(struct conntrack_recorder *recorder)
{
	if (!recorder)
		return;
	for (size_t i = 0; i < recorder->count; i++) {
		nfct_destroy(recorder->seen[i].entry);
		free((void *)recorder->seen[i].message);
	}
	mnl_socket_close(recorder->socket);
	free(recorder);
}

int conntrack_recorder_get_fd(const struct conntrack_recorder *recorder)
{
	return mnl_socket_get_fd(recorder->socket);
}

static void keep(struct conntrack_recorder *recorder, const struct nlmsghdr *message)
{
	struct conntrack_seen *seen = &recorder->seen[recorder->count];
	struct nlmsghdr *copy;

	if (recorder->count == MOST_SEEN ||
	    NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return;
	copy = malloc(message->nlmsg_len);
	memcpy(copy, message, message->nlmsg_len);
	seen->message = copy;
	seen->entry = nfct_new();
	nfct_nlmsg_parse(message, seen->entry);
	if (NFNL_MSG_TYPE(message->nlmsg_type) == IPCTNL_MSG_CT_DELETE)
		seen->type = NFCT_T_DESTROY;
	else
		seen->type = message->nlmsg_flags & NLM_F_CREATE ? NFCT_T_NEW : NFCT_T_UPDATE;
	recorder->count++;
}

size_t conntrack_recorder_read(struct conntrack_recorder *recorder)
{
	char buffer[65536];
	ssize_t length;

	while ((length = recv(conntrack_recorder_get_fd(recorder), buffer, sizeof(buffer),
			      MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *message = (void *)buffer;

		for (int left = (int)length; mnl_nlmsg_ok(message, left);
		     message = mnl_nlmsg_next(message, &left))
			keep(recorder, message);
	}
	return recorder->count;
}

const struct conntrack_seen *conntrack_recorder_get(const struct conntrack_recorder *recorder,
						    size_t index)
{
	return index < recorder->count ? &recorder->seen[index] : NULL;
}

static void print_all(const struct conntrack_recorder *recorder)
{
	char text[1024];

	fprintf(stderr, "seen: %zu messages\n", recorder->count);
	for (size_t i = 0; i < recorder->count && i < 100; i++) {
		nfct_snprintf(text, sizeof(text), recorder->seen[i].entry,
			      (unsigned)recorder->seen[i].type, NFCT_O_DEFAULT,
			      NFCT_OF_SHOW_LAYER3 | NFCT_OF_ID | NFCT_OF_TIMESTAMP);
		fprintf(stderr, "  %s\n", text);
	}
}

const struct conntrack_seen *conntrack_recorder_wait(struct conntrack_recorder *recorder,
						     conntrack_match match, const void *userdata)
{
	uint64_t deadline = clock_now_ns() + WAIT_SECONDS * NS_PER_SEC;
	struct pollfd poll_fd = {.fd = conntrack_recorder_get_fd(recorder), .events = POLLIN};
	size_t looked_at = 0;

	do {
		conntrack_recorder_read(recorder);
		for (; looked_at < recorder->count; looked_at++)
			if (match(&recorder->seen[looked_at], userdata))
				return &recorder->seen[looked_at];
		poll(&poll_fd, 1, 100);
	} while (clock_now_ns() < deadline);
	print_all(recorder);
	return NULL;
}

static struct nlmsghdr *put_header(char *buffer, uint8_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *extra;

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	message->nlmsg_seq = 1;
	extra = mnl_nlmsg_put_extra_header(message, sizeof(*extra));
	extra->nfgen_family = family;
	return message;
}

int conntrack_recorder_dump(struct conntrack_recorder *recorder)
{
	struct mnl_socket *socket = open_socket();
	char buffer[65536];
	struct nlmsghdr *request = put_header(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
	ssize_t length;
	int r = -EIO;
	bool is_torn = false, is_done = false;

	if (!socket || mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (!is_done && (length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer))) > 0) {
		const struct nlmsghdr *message = (void *)buffer;

		for (int left = (int)length; mnl_nlmsg_ok(message, left);
		     message = mnl_nlmsg_next(message, &left)) {
			is_torn |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			is_done |= message->nlmsg_type == NLMSG_DONE;
			keep(recorder, message);
		}
		r = is_torn;
	}
	mnl_socket_close(socket);
	return r;
}

/* Sends one request with the original tuple and zone of "entry"; the answer is left in "buffer".
 * The answer's length, or a negative errno. */
static ssize_t ask(uint8_t type, uint16_t flags, const struct nf_conntrack *entry, char *buffer,
		   size_t size)
{
	struct mnl_socket *socket = open_socket();
	struct nlmsghdr *message =
		put_header(buffer, type, flags, nfct_get_attr_u8(entry, ATTR_L3PROTO));
	struct nf_conntrack *tuple = nfct_new();
	ssize_t length = -EIO;

	nfct_copy(tuple, entry, NFCT_CP_ORIG);
	if (nfct_attr_is_set(entry, ATTR_ZONE))
		nfct_set_attr_u16(tuple, ATTR_ZONE, nfct_get_attr_u16(entry, ATTR_ZONE));
	nfct_nlmsg_build(message, tuple);
	nfct_destroy(tuple);
	if (socket && mnl_socket_sendto(socket, message, message->nlmsg_len) > 0)
		length = mnl_socket_recvfrom(socket, buffer, size);
	mnl_socket_close(socket);
	message = (void *)buffer;
	if (length > 0 && message->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

		return error->error;
	}
	return length;
}

struct nf_conntrack *conntrack_recorder_query(const struct nf_conntrack *entry)
{
	char buffer[8192];
	ssize_t length = ask(IPCTNL_MSG_CT_GET, 0, entry, buffer, sizeof(buffer));
	struct nf_conntrack *answer;

	if (length <= 0) {
		errno = (int)-length;
		return NULL;
	}
	answer = nfct_new();
	nfct_nlmsg_parse((void *)buffer, answer);
	return answer;
}

int conntrack_recorder_remove(const struct nf_conntrack *entry)
{
	char buffer[8192];

	return (int)ask(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, entry, buffer, sizeof(buffer));
}
