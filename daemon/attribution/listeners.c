/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Two steps: a dump is not to be held up by a search below /proc, as the kernel's answers would not fit
 * the receive buffer then. */

#include "attribution/listeners.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/buffer.h"
#include "base/macros.h"

struct found {
	struct listener listener;
	struct inode_query query;
};

struct listing {
	struct buffer sockets; /* of struct found */
	uint8_t protocol;
};

static void on_socket(const struct sock_diag_socket *socket, void *userdata)
{
	struct listing *listing = userdata;
	struct found found = {
		.listener = {.protocol = listing->protocol,
			     .family = socket->family,
			     .port = socket->local_port},
		.query = {.inode = socket->inode, .uid = socket->uid, .has_uid = socket->has_uid}};

	if (socket->local_port != 0)
		buffer_add(&listing->sockets, &found, sizeof(found));
}

static int list_sockets(struct sock_diag *diag, struct listing *listing)
{
	static const struct {
		uint8_t protocol, state;
	} kinds[] = {{IPPROTO_TCP, SOCK_DIAG_LISTEN}, {IPPROTO_UDP, SOCK_DIAG_CLOSE}};

	for (size_t i = 0; i < array_length(kinds); i++) {
		int r;

		listing->protocol = kinds[i].protocol;
		if (!sock_diag_has_protocol(diag, kinds[i].protocol))
			continue;
		r = sock_diag_list_port(diag, kinds[i].protocol, 0, 1u << kinds[i].state, on_socket,
					listing);
		if (r < 0)
			return r;
	}
	return listing->sockets.failed ? -ENOMEM : 0;
}

int listeners_list(struct sock_diag *diag, struct inode_map *inodes, uint64_t now_ns,
		   listener_on_found on_found, void *userdata)
{
	struct listing listing = {.protocol = 0};
	int r;

	buffer_init(&listing.sockets);
	r = list_sockets(diag, &listing);
	for (size_t at = 0; r == 0 && at < listing.sockets.length; at += sizeof(struct found)) {
		struct found *found = (struct found *)(void *)(listing.sockets.bytes + at);
		struct inode_holder holder;

		if (inode_map_find(inodes, &found->query, now_ns, &holder) == INODE_MAP_FOUND)
			found->listener.process = holder.process;
		on_found(userdata, &found->listener);
	}
	buffer_fini(&listing.sockets);
	return r;
}
