/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A direct-mapped cache: a port that collides with another pushes it out, which costs a dump more.
 */

#include "attribution/port_sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum { SLOT_COUNT = 256 };

#define KEEP_NS (100 * NS_PER_MS)

struct port_slot {
	uint64_t taken_ns; /* 0: never */
	uint16_t port;
	uint8_t protocol;
	bool failed;
	struct sock_diag_socket *sockets;
	size_t count, room;
};

struct port_sockets {
	struct sock_diag *diag;
	const struct sock_diag_socket **matches;
	size_t match_room;
	struct port_slot slots[SLOT_COUNT];
};

int port_sockets_new(struct sock_diag *diag, struct port_sockets **ret)
{
	struct port_sockets *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return -ENOMEM;
	ports->diag = diag;
	*ret = ports;
	return 0;
}

void port_sockets_free(struct port_sockets *ports)
{
	if (!ports)
		return;
	for (size_t i = 0; i < SLOT_COUNT; i++)
		free(ports->slots[i].sockets);
	free(ports->matches);
	free(ports);
}

static void on_socket(const struct sock_diag_socket *socket, void *userdata)
{
	struct port_slot *slot = userdata;

	if (slot->count == slot->room) {
		size_t room = slot->room ? slot->room * 2 : 4;
		struct sock_diag_socket *sockets =
			reallocarray(slot->sockets, room, sizeof(*sockets));

		if (!sockets) {
			slot->failed = true;
			return;
		}
		slot->sockets = sockets;
		slot->room = room;
	}
	slot->sockets[slot->count++] = *socket;
}

static int fill_slot(struct port_sockets *ports, struct port_slot *slot,
		     const struct socket_tuple *tuple, uint64_t now_ns)
{
	unsigned state = tuple->protocol == IPPROTO_TCP ? SOCK_DIAG_LISTEN : SOCK_DIAG_CLOSE;
	int r;

	slot->count = 0;
	slot->failed = false;
	slot->taken_ns = 0;
	r = sock_diag_list_port(ports->diag, tuple->protocol, tuple->local_port, 1u << state,
				on_socket, slot);
	if (r < 0)
		return r;
	if (slot->failed)
		return -ENOMEM;
	slot->taken_ns = now_ns;
	slot->port = tuple->local_port;
	slot->protocol = tuple->protocol;
	return 0;
}

static bool has_inode(const struct port_slot *slot, uint64_t inode)
{
	for (size_t i = 0; i < slot->count; i++)
		if (slot->sockets[i].inode == inode)
			return true;
	return inode == 0;
}

static bool is_fresh(const struct port_slot *slot, const struct socket_tuple *tuple,
		     uint64_t now_ns)
{
	return slot->taken_ns != 0 && now_ns - slot->taken_ns < KEEP_NS &&
	       slot->port == tuple->local_port && slot->protocol == tuple->protocol;
}

size_t port_sockets_select(const struct sock_diag_socket *sockets, size_t count,
			   const struct socket_tuple *tuple, const struct sock_diag_socket **out)
{
	bool best_is_bound = false;
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		bool is_bound = !ip_address_is_zero(&sockets[i].local);

		if (!sock_diag_socket_fits(&sockets[i], tuple) || (best_is_bound && !is_bound))
			continue;
		if (is_bound && !best_is_bound) {
			best_is_bound = true;
			found = 0;
		}
		out[found++] = &sockets[i];
	}
	return found;
}

int port_sockets_find(struct port_sockets *ports, const struct socket_tuple *tuple,
		      uint64_t known_inode, uint64_t now_ns, struct port_matches *ret)
{
	struct port_slot *slot = &ports->slots[tuple->local_port % SLOT_COUNT];

	if (!is_fresh(slot, tuple, now_ns) || !has_inode(slot, known_inode)) {
		int r = fill_slot(ports, slot, tuple, now_ns);

		if (r < 0)
			return r;
	}
	if (slot->count > ports->match_room) {
		const struct sock_diag_socket **matches =
			reallocarray(ports->matches, slot->room, sizeof(*matches));

		if (!matches)
			return -ENOMEM;
		ports->matches = matches;
		ports->match_room = slot->room;
	}
	ret->count = port_sockets_select(slot->sockets, slot->count, tuple, ports->matches);
	ret->sockets = ports->matches;
	return 0;
}
