/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Why an answer is right: the kernel said that the tuple's socket has inode I, and after that a
 * link below /proc/PID/fd was read that points to I. Inodes of sockets are given out in order and
 * come round after 2^32, so I is still that socket. Where the search in between took long, the
 * kernel is asked once more.
 *
 * UDP sockets that are not connected fit more than one tuple. For the receiving end the kernel's
 * lookup is the receive path's own, so it names the socket that gets the datagram, of several too
 * (SO_REUSEPORT). For the sending end nothing tells which of several sent it: ambiguous, unless
 * one process holds them all. And a process that started after the flow began did not begin it:
 * its port was another's then. */

#include "attribution/socket_owner.h"

#include <errno.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* More sockets than this on one port are not looked at one by one. */
enum { MOST_COMPARED = 16 };

/* A raw socket has no number that ties a packet to it. The only one there is may belong to a
 * bystander while the sender is gone, so it counts only where its process started this shortly
 * before the flow, or uses its pid as the echo identifier, as pings do. */
#define RAW_START_NS (10 * NS_PER_SEC)

struct socket_owner {
	struct socket_space *own;
	struct inode_map *inodes;
	uint64_t tick_ns;
	uint64_t holder_began_ns; /* of the holder that was told last, see struct inode_holder */
	struct socket_owner_counters counters;
};

DEFINE_CLEANUP(struct socket_owner *, socket_owner_free);

int socket_owner_new(int proc_fd, struct socket_owner **ret)
{
	cleanup(socket_owner_free_cleanup) struct socket_owner *owner = calloc(1, sizeof(*owner));
	long ticks = sysconf(_SC_CLK_TCK);
	int r;

	if (!owner)
		return -ENOMEM;
	owner->tick_ns = NS_PER_SEC / (uint64_t)(ticks > 0 ? ticks : 100);
	r = socket_space_open(proc_fd, -1, 0, &owner->own);
	if (r < 0)
		return r;
	r = inode_map_new(proc_fd, &owner->inodes);
	if (r < 0)
		return r;
	*ret = steal_pointer(&owner);
	return 0;
}

void socket_owner_free(struct socket_owner *owner)
{
	if (!owner)
		return;
	inode_map_free(owner->inodes);
	socket_space_close(owner->own);
	free(owner);
}

struct inode_map *socket_owner_get_inodes(struct socket_owner *owner)
{
	return owner->inodes;
}

struct sock_diag *socket_owner_get_diag(struct socket_owner *owner)
{
	return owner->own->diag;
}

static const struct socket_space *space_of(const struct socket_owner *owner,
					   const struct socket_owner_query *query)
{
	return query->space ? query->space : owner->own;
}

static void set_none(struct ownership *answer, enum ownership_reason reason)
{
	answer->method = OWNERSHIP_NONE;
	answer->reason = (uint8_t)reason;
	answer->process = (struct process_id){0};
	/* Both pass: the next question may find time, or the socket accepted. */
	answer->is_provisional = reason == OWNERSHIP_REASON_BUSY;
}

static void set_socket(struct ownership *answer, const struct sock_diag_socket *socket)
{
	answer->has_uid = socket->has_uid;
	answer->uid = socket->has_uid ? socket->uid : 0;
	answer->cgroup_id = socket->cgroup_id;
}

/* Start of a process on the monotonic clock, never later than it was: ticks are cut. */
static uint64_t start_ns(const struct socket_owner *owner, struct process_id process)
{
	struct timespec boot, monotonic;
	int64_t offset;

	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	/* The same seconds, but for the time that the host was suspended. */
	offset = (boot.tv_sec - monotonic.tv_sec) * (int64_t)NS_PER_SEC + boot.tv_nsec -
		 monotonic.tv_nsec;
	offset = (int64_t)(process.start_ticks * owner->tick_ns) - offset;
	return offset > 0 ? (uint64_t)offset : 0;
}

static bool started_after(const struct socket_owner *owner, struct process_id process,
			  uint64_t when_ns)
{
	return when_ns != 0 && start_ns(owner, process) > when_ns;
}

/* A flow's event may have waited, and its sender's port may be another's by now: who may have started
 * since is not believed. A start is known to the tick, and better where the proc connector told it. */
static bool may_have_started_after(const struct socket_owner *owner, struct process_id process,
				   const struct ownership_query *query)
{
	uint64_t since_ns = query->when_ns;

	if (query->not_before_ns && query->not_before_ns < since_ns)
		since_ns = query->not_before_ns;
	if (owner->holder_began_ns && owner->holder_began_ns <= since_ns)
		return false;
	if (query->not_before_ns && query->not_before_ns < query->when_ns)
		return start_ns(owner, process) + owner->tick_ns > query->not_before_ns;
	return started_after(owner, process, query->when_ns);
}

/* Asks for the socket bound to no device, then for those bound to the address's devices (a
 * connection over link-local addresses always is). A listener is only taken when no other answers.
 */
static int find_socket(struct socket_owner *owner, const struct socket_owner_query *query,
		       struct sock_diag_socket *ret)
{
	const struct socket_tuple *tuple = &query->query->socket;
	struct sock_diag *diag = space_of(owner, query)->diag;
	int r;

	owner->counters.queries++;
	r = sock_diag_find(diag, tuple, 0, ret);
	for (size_t i = 0; query->interfaces[i]; i++) {
		struct sock_diag_socket other;

		if (r != -ENOENT && !(r == 0 && ret->state == SOCK_DIAG_LISTEN))
			break;
		owner->counters.queries++;
		if (sock_diag_find(diag, tuple, query->interfaces[i], &other) == 0) {
			*ret = other;
			r = 0;
		}
	}
	if (r < 0 && r != -ENOENT && r != -EPROTONOSUPPORT)
		owner->counters.errors++;
	return r;
}

static enum ownership_reason reason_of(int r)
{
	switch (r) {
	case -ENOENT:
		return OWNERSHIP_REASON_CLOSED;
	case -EPROTONOSUPPORT:
	case -EOPNOTSUPP:
		return OWNERSHIP_REASON_UNSUPPORTED;
	case -EPERM:
	case -EACCES:
		return OWNERSHIP_REASON_NO_PERMISSION;
	default:
		return OWNERSHIP_REASON_BUSY;
	}
}

/* No process holds the socket. Where it is gone by now, so was its process; where it still stands
 * after all processes were looked at, it is the kernel's own. */
static enum ownership_reason reason_of_nobody(struct socket_owner *owner,
					      const struct socket_owner_query *query,
					      const struct sock_diag_socket *socket)
{
	struct sock_diag_socket again;

	if (find_socket(owner, query, &again) == 0 && again.inode == socket->inode)
		return OWNERSHIP_REASON_KERNEL;
	return OWNERSHIP_REASON_EXITED;
}

/* Whether the tuple's socket became another one during a search. */
static bool has_changed(struct socket_owner *owner, const struct socket_owner_query *query,
			const struct sock_diag_socket *socket)
{
	struct sock_diag_socket again;
	int r = find_socket(owner, query, &again);

	return r == 0 && again.inode != 0 && again.state != SOCK_DIAG_LISTEN &&
	       again.cookie != socket->cookie;
}

struct socket_question {
	struct socket_owner *owner;
	const struct socket_owner_query *query;
	uint64_t inode;
};

static bool is_still_there(void *userdata)
{
	const struct socket_question *question = userdata;
	struct sock_diag_socket again;
	int r = find_socket(question->owner, question->query, &again);

	return r != -ENOENT && (r < 0 || again.inode == question->inode);
}

/* "socket" is the tuple's own where "is_exact", else one of those on its port. */
static int find_holder(struct socket_owner *owner, const struct socket_owner_query *query,
		       const struct sock_diag_socket *socket, bool is_exact,
		       struct inode_holder *ret)
{
	struct socket_question question = {.owner = owner, .query = query, .inode = socket->inode};
	struct inode_query inode = {.inode = socket->inode,
				    .uid = socket->uid,
				    .has_uid = socket->has_uid,
				    .is_there = is_exact ? is_still_there : NULL,
				    .userdata = &question};

	return inode_map_find(owner->inodes, &inode, query->now_ns, ret);
}

static void tell_holder(struct socket_owner *owner, const struct socket_owner_query *query,
			const struct sock_diag_socket *socket, bool is_exact, struct ownership *ret)
{
	struct inode_holder holder;

	set_socket(ret, socket);
	/* Seen in the middle of its close(2). */
	if (socket->inode == 0) {
		set_none(ret, OWNERSHIP_REASON_CLOSED);
		return;
	}
	switch (find_holder(owner, query, socket, is_exact, &holder)) {
	case INODE_MAP_FOUND:
		break;
	case INODE_MAP_NOBODY:
		set_none(ret, reason_of_nobody(owner, query, socket));
		return;
	case INODE_MAP_DENIED:
		set_none(ret, OWNERSHIP_REASON_NO_PERMISSION);
		return;
	default:
		set_none(ret, OWNERSHIP_REASON_BUSY);
		return;
	}
	if (holder.was_searched && has_changed(owner, query, socket)) {
		set_none(ret, OWNERSHIP_REASON_CLOSED);
		return;
	}
	ret->method = holder.is_shared ? OWNERSHIP_SHARED : OWNERSHIP_SOCK_DIAG;
	ret->process = holder.process;
	owner->holder_began_ns = holder.began_ns;
	/* A server that forks for each connection has both of them hold it for a moment. */
	ret->is_provisional = holder.is_shared && !query->query->initiator;
}

/* The socket of several that is held by the same process as all others, with its answer. */
static void tell_common_holder(struct socket_owner *owner, const struct socket_owner_query *query,
			       const struct port_matches *matches, struct ownership *ret)
{
	struct ownership first = {0};

	for (size_t i = 0; i < matches->count; i++) {
		struct ownership other = {0};

		tell_holder(owner, query, matches->sockets[i], false, &other);
		if (i == 0)
			first = other;
		if (other.process.pid == 0 || other.process.pid != first.process.pid ||
		    other.process.start_ticks != first.process.start_ticks ||
		    matches->count > MOST_COMPARED) {
			set_none(ret, OWNERSHIP_REASON_AMBIGUOUS);
			return;
		}
	}
	*ret = first;
}

static void as_listener(struct ownership *answer)
{
	if (answer->process.pid) {
		answer->method = OWNERSHIP_LISTENER;
		answer->reason = OWNERSHIP_REASON_NONE;
	}
	answer->is_provisional = true;
}

/* A connection that nobody has accepted yet: its listener's owner. Of several listeners (each
 * worker its own, by SO_REUSEPORT) the kernel does not tell whose queue it is in. */
static void tell_listeners(struct socket_owner *owner, const struct socket_owner_query *query,
			   struct ownership *ret)
{
	struct port_matches matches;
	int r;

	owner->counters.queries++;
	r = port_sockets_find(space_of(owner, query)->ports, &query->query->socket, 0,
			      query->now_ns, &matches);
	if (r < 0 || matches.count == 0) {
		set_none(ret, r < 0 ? reason_of(r) : OWNERSHIP_REASON_CLOSED);
		return;
	}
	tell_common_holder(owner, query, &matches, ret);
	as_listener(ret);
}

static void find_tcp(struct socket_owner *owner, const struct socket_owner_query *query,
		     struct ownership *ret)
{
	struct sock_diag_socket socket;
	int r = find_socket(owner, query, &socket);

	if (r == -ENOENT && !query->query->initiator && !query->exact_only) {
		tell_listeners(owner, query, ret);
		return;
	}
	if (r < 0) {
		set_none(ret, reason_of(r));
		return;
	}
	if (query->exact_only && (socket.state == SOCK_DIAG_LISTEN || socket.inode == 0)) {
		set_none(ret, OWNERSHIP_REASON_AMBIGUOUS);
		return;
	}
	set_socket(ret, &socket);
	if (socket.state == SOCK_DIAG_LISTEN) {
		/* Whoever sent the first packet did not do so by a listener. */
		set_none(ret, OWNERSHIP_REASON_CLOSED);
		if (query->query->initiator) {
			ret->has_uid = false;
			ret->cgroup_id = 0;
			return;
		}
		tell_holder(owner, query, &socket, true, ret);
		as_listener(ret);
		return;
	}
	if (socket.inode != 0) {
		tell_holder(owner, query, &socket, true, ret);
		/* It was closed during the search. */
		if (!query->query->initiator && (ret->reason == OWNERSHIP_REASON_EXITED ||
						 ret->reason == OWNERSHIP_REASON_CLOSED))
			tell_listeners(owner, query, ret);
		return;
	}
	/* Not accepted yet, or closed before anybody looked (TIME_WAIT): whoever listens there is all
	 * that can still be told of the accepting side. */
	if (!query->query->initiator)
		tell_listeners(owner, query, ret);
	else
		set_none(ret, OWNERSHIP_REASON_CLOSED);
}

/* The sender is one of the unconnected sockets on its port. */
static void tell_sender(struct socket_owner *owner, const struct socket_owner_query *query,
			const struct sock_diag_socket *socket, struct ownership *ret)
{
	struct port_matches matches;
	int r;

	owner->counters.queries++;
	r = port_sockets_find(space_of(owner, query)->ports, &query->query->socket, socket->inode,
			      query->now_ns, &matches);
	if (r < 0) {
		set_none(ret, reason_of(r));
		return;
	}
	if (matches.count == 0)
		set_none(ret, OWNERSHIP_REASON_CLOSED);
	else if (matches.count == 1)
		tell_holder(owner, query, matches.sockets[0],
			    matches.sockets[0]->inode == socket->inode, ret);
	else
		tell_common_holder(owner, query, &matches, ret);
	if (ret->process.pid && may_have_started_after(owner, ret->process, query->query))
		set_none(ret, OWNERSHIP_REASON_EXITED);
}

/* VXLAN and others of the kernel send from a port that no socket has, to the one that their own socket is
 * bound to at both ends (udp_flow_src_port(), include/net/udp.h). KERNEL where it is that, NONE where it is
 * not, else why that is not known. */
static enum ownership_reason find_tunnel(struct socket_owner *owner,
					 const struct socket_owner_query *query)
{
	struct ownership_query mirrored = *query->query;
	struct socket_owner_query question = *query;
	struct sock_diag_socket socket;
	struct ownership holder = {0};

	mirrored.socket.local_port = query->query->socket.remote_port;
	mirrored.socket.remote_port = query->query->socket.local_port;
	question.query = &mirrored;
	if (find_socket(owner, &question, &socket) < 0 || socket.remote_port != 0)
		return OWNERSHIP_REASON_NONE;
	tell_holder(owner, &question, &socket, true, &holder);
	if (holder.reason == OWNERSHIP_REASON_EXITED || holder.reason == OWNERSHIP_REASON_CLOSED)
		return OWNERSHIP_REASON_NONE;
	return holder.reason;
}

static void find_udp(struct socket_owner *owner, const struct socket_owner_query *query,
		     struct ownership *ret)
{
	struct sock_diag_socket socket;
	int r = find_socket(owner, query, &socket);

	if (r == -ENOENT && query->query->initiator &&
	    find_tunnel(owner, query) == OWNERSHIP_REASON_KERNEL)
		set_none(ret, OWNERSHIP_REASON_KERNEL);
	else if (r < 0)
		set_none(ret, reason_of(r));
	else if (socket.remote_port == 0 && query->exact_only)
		set_none(ret, OWNERSHIP_REASON_AMBIGUOUS);
	else if (socket.remote_port != 0 || !query->query->initiator)
		tell_holder(owner, query, &socket, true, ret);
	else
		tell_sender(owner, query, &socket, ret);
}

enum ownership_reason socket_owner_find_tunnel(struct socket_owner *owner,
					       const struct socket_owner_query *query)
{
	struct sock_diag_socket socket;

	if (find_socket(owner, query, &socket) != -ENOENT)
		return OWNERSHIP_REASON_NONE;
	return find_tunnel(owner, query);
}

static bool is_believable(const struct socket_owner *owner, const struct ownership_query *query,
			  const struct raw_socket *socket, struct process_id process)
{
	uint64_t start = start_ns(owner, process);

	if (socket->is_ping)
		return !started_after(owner, process, query->when_ns);
	if (!ip_address_is_zero(&socket->remote))
		return true;
	if (query->socket.echo_id != 0 &&
	    (query->socket.echo_id == (uint16_t)process.pid ||
	     query->socket.echo_id == __builtin_bswap16((uint16_t)process.pid)))
		return true;
	return start <= query->when_ns && query->when_ns - start <= RAW_START_NS;
}

/* Protocols without ports: ICMP echo and whatever a raw socket sends. What arrives is answered by
 * the kernel, which also sends what no socket asked for. */
static void find_raw(struct socket_owner *owner, const struct socket_owner_query *query,
		     struct ownership *ret)
{
	struct raw_socket raw;
	struct sock_diag_socket socket = {.has_uid = true};
	struct inode_holder holder;
	int r;

	set_none(ret, OWNERSHIP_REASON_KERNEL);
	if (!query->query->initiator)
		return;
	if (query->exact_only) {
		set_none(ret, OWNERSHIP_REASON_AMBIGUOUS);
		return;
	}
	owner->counters.queries++;
	r = socket_space_find_raw(space_of(owner, query), &query->query->socket, &raw);
	if (r == RAW_SOCKETS_NONE) {
		/* The sender of an echo request that is gone; other protocols are the kernel's. */
		if (query->query->socket.echo_id != 0)
			set_none(ret, OWNERSHIP_REASON_CLOSED);
		return;
	}
	if (r != RAW_SOCKETS_ONE) {
		owner->counters.errors += r < 0;
		set_none(ret, r < 0 ? reason_of(r) : OWNERSHIP_REASON_AMBIGUOUS);
		return;
	}
	socket.inode = raw.inode;
	socket.uid = raw.uid;
	r = find_holder(owner, query, &socket, false, &holder);
	if (r == INODE_MAP_FOUND && !is_believable(owner, query->query, &raw, holder.process)) {
		set_none(ret, OWNERSHIP_REASON_AMBIGUOUS);
		return;
	}
	set_socket(ret, &socket);
	if (r == INODE_MAP_FOUND) {
		*ret = (struct ownership){.method = holder.is_shared ? OWNERSHIP_SHARED
								     : OWNERSHIP_SOCK_DIAG,
					  .has_uid = true,
					  .uid = raw.uid,
					  .process = holder.process};
		return;
	}
	set_none(ret, r == INODE_MAP_NOBODY   ? OWNERSHIP_REASON_EXITED
		      : r == INODE_MAP_DENIED ? OWNERSHIP_REASON_NO_PERMISSION
					      : OWNERSHIP_REASON_BUSY);
}

void socket_owner_find(struct socket_owner *owner, const struct socket_owner_query *query,
		       struct ownership *ret)
{
	struct ownership answer = {0};

	switch (query->query->socket.protocol) {
	case IPPROTO_TCP:
		find_tcp(owner, query, &answer);
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		find_udp(owner, query, &answer);
		break;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		/* Their sockets have no exact lookup, or none that this kernel brings. */
		set_none(&answer, OWNERSHIP_REASON_UNSUPPORTED);
		break;
	default:
		find_raw(owner, query, &answer);
		break;
	}
	*ret = answer;
}

const struct socket_owner_counters *socket_owner_get_counters(const struct socket_owner *owner)
{
	return &owner->counters;
}

const struct inode_map_counters *socket_owner_get_inode_counters(const struct socket_owner *owner)
{
	return inode_map_get_counters(owner->inodes);
}
