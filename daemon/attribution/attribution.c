/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The policy: whose address is it? Ours: the configured methods in their order of trust. Else another
 * namespace's of this host: the same methods, in there. Else it is another host's.
 *
 * An address may be that of several namespaces (containers of two bridges, link-local ones), and where
 * a tuple was seen does not tell whose it is. Then each is asked, and the answer is that of the only
 * one in which the very tuple exists. */

#include "attribution/attribution.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "attribution/local_routes.h"
#include "attribution/namespaces.h"
#include "attribution/socket_owner.h"
#include "attribution/trace_owner.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "config/config.h"

/* A connection that is not made by then has been answered for by its socket. */
#define CONNECT_NS (5 * NS_PER_SEC)

struct attribution {
	unsigned methods;
	struct local_routes *routes;
	struct socket_owner *sockets;
	struct trace_owner *trace;     /* NULL: not among the methods */
	struct trace_owner *sysdig;    /* the same of sysdig's records */
	struct namespaces *namespaces; /* NULL: not wanted, or not to be had */
	int namespaces_error;
	bool tells_bottom_halves; /* trace does, see TRACE_CONTEXT_BH_OFF */
	struct attribution_counters counters;
};

DEFINE_CLEANUP(struct attribution *, attribution_free);

/* Since Linux 5.19. */
static bool tells_bottom_halves(void)
{
	unsigned major, minor;
	struct utsname names;

	return uname(&names) == 0 && sscanf(names.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 19));
}

int attribution_new(const struct attribution_options *options, struct attribution **ret)
{
	cleanup(attribution_free_cleanup) struct attribution *attribution =
		calloc(1, sizeof(*attribution));
	int r;

	if (!attribution)
		return -ENOMEM;
	attribution->methods = options->methods;
	attribution->tells_bottom_halves = tells_bottom_halves();
	r = local_routes_open(&attribution->routes);
	if (r < 0)
		return r;
	r = socket_owner_new(options->proc_fd, &attribution->sockets);
	if (r < 0)
		return r;
	if (options->methods & CONFIG_METHOD_TRACE) {
		r = trace_owner_new(options->proc_fd, &attribution->trace);
		if (r < 0)
			return r;
	}
	if (options->methods & CONFIG_METHOD_SYSDIG) {
		r = trace_owner_new(options->proc_fd, &attribution->sysdig);
		if (r < 0)
			return r;
		(void)trace_owner_learn(attribution->sysdig, clock_now_ns());
	}
	if (options->all_namespaces)
		attribution->namespaces_error =
			namespaces_new(options->proc_fd, clock_now_ns(), &attribution->namespaces);
	*ret = steal_pointer(&attribution);
	return 0;
}

void attribution_free(struct attribution *attribution)
{
	if (!attribution)
		return;
	namespaces_free(attribution->namespaces);
	trace_owner_free(attribution->trace);
	trace_owner_free(attribution->sysdig);
	socket_owner_free(attribution->sockets);
	local_routes_close(attribution->routes);
	free(attribution);
}

int attribution_get_namespaces_error(const struct attribution *attribution)
{
	return attribution->namespaces_error;
}

int attribution_get_address_fd(const struct attribution *attribution)
{
	return local_routes_get_fd(attribution->routes);
}

int attribution_on_address_change(struct attribution *attribution)
{
	return local_routes_refresh(attribution->routes);
}

void attribution_add_socket(struct attribution *attribution, const struct socket_event *event)
{
	if (attribution->trace)
		trace_owner_add_socket(attribution->trace, event);
}

void attribution_add_process(struct attribution *attribution, const struct process_event *event)
{
	if (attribution->trace)
		trace_owner_add_process(attribution->trace, event);
	else
		inode_map_add_process(socket_owner_get_inodes(attribution->sockets), event);
}

void attribution_add_lost(struct attribution *attribution, uint64_t from_ns, uint64_t until_ns)
{
	if (attribution->trace)
		trace_owner_add_lost(attribution->trace, from_ns, until_ns);
	else
		inode_map_add_lost(socket_owner_get_inodes(attribution->sockets));
}

void attribution_set_process_teller(struct attribution *attribution, void (*tell)(void *userdata),
				    void *userdata)
{
	inode_map_set_teller(socket_owner_get_inodes(attribution->sockets), tell, userdata);
}

void attribution_forget_port(struct attribution *attribution, uint8_t protocol, uint16_t port)
{
	if (!attribution->trace)
		return;
	attribution->counters.ports_excluded++;
	trace_owner_forget_port(attribution->trace, protocol, port);
}

void attribution_add_sysdig_socket(struct attribution *attribution,
				   const struct socket_event *event)
{
	if (attribution->sysdig)
		trace_owner_add_socket(attribution->sysdig, event);
}

void attribution_add_sysdig_process(struct attribution *attribution,
				    const struct process_event *event)
{
	if (attribution->sysdig)
		trace_owner_add_process(attribution->sysdig, event);
}

void attribution_begin_trace(struct attribution *attribution, uint64_t now_ns)
{
	if (attribution->trace)
		trace_owner_learn(attribution->trace, now_ns);
}

void attribution_drop_trace(struct attribution *attribution)
{
	trace_owner_free(attribution->trace);
	attribution->trace = NULL;
}

void attribution_expire(struct attribution *attribution, uint64_t now_ns)
{
	if (attribution->trace)
		trace_owner_expire(attribution->trace, now_ns);
	if (attribution->sysdig)
		trace_owner_expire(attribution->sysdig, now_ns);
	inode_map_hear(socket_owner_get_inodes(attribution->sockets));
	if (attribution->namespaces)
		namespaces_refresh(attribution->namespaces, now_ns);
}

/* An IPv6 socket that speaks IPv4 tells its tuple as ::ffff:a.b.c.d (trace); packets are IPv4. */
static struct ownership_query unmap_query(const struct ownership_query *query)
{
	struct ownership_query plain = *query;
	struct ip_address local, remote;

	if (plain.socket.family == IP_FAMILY_V6 && ip_address_unmap(&plain.socket.local, &local) &&
	    ip_address_unmap(&plain.socket.remote, &remote)) {
		plain.socket.family = IP_FAMILY_V4;
		plain.socket.local = local;
		plain.socket.remote = remote;
	}
	return plain;
}

static void list_interfaces(const struct local_route *route,
			    uint32_t out[LOCAL_ROUTES_MOST_INTERFACES + 1])
{
	size_t i;

	for (i = 0; i < LOCAL_ROUTES_MOST_INTERFACES && route->interfaces[i]; i++)
		out[i] = route->interfaces[i];
	out[i] = 0;
}

/* Whose end it is, as far as the address tells. */
struct place {
	const struct local_route *route;
	struct network_namespace *netns; /* NULL: our own */
	bool is_only_one;		 /* that has the address */
};

static void set_none(struct ownership *answer, enum ownership_reason reason, bool is_provisional)
{
	*answer = (struct ownership){.method = OWNERSHIP_NONE,
				     .reason = (uint8_t)reason,
				     .is_provisional = is_provisional};
}

static struct trace_owner_query to_trace_query(const struct ownership_query *query,
					       const struct place *place, uint64_t now_ns)
{
	return (struct trace_owner_query){
		.query = query,
		.now_ns = now_ns,
		.netns = place->netns ? network_namespace_get_inode(place->netns) : 0,
		.is_only_owner = place->netns && place->is_only_one,
		.is_only_question = place->is_only_one};
}

/* A scanner writes its TCP packets itself: there is no socket of that tuple at all. */
static bool find_own_header(struct attribution *attribution, const struct ownership_query *query,
			    const struct place *place, uint64_t now_ns, struct ownership *ret)
{
	struct trace_owner_query question = to_trace_query(query, place, now_ns);

	question.is_own_header = true;
	return attribution->trace && query->initiator && query->socket.protocol != IPPROTO_UDP &&
	       trace_owner_find(attribution->trace, &question, ret) == TRACE_OWNER_FOUND;
}

static bool find_by_trace(struct attribution *attribution, const struct ownership_query *query,
			  const struct place *place, uint64_t now_ns, struct ownership *ret,
			  bool *is_doubtful)
{
	struct trace_owner_query question = to_trace_query(query, place, now_ns);
	int r = trace_owner_find(attribution->trace, &question, ret);

	if (r == TRACE_OWNER_LOST)
		attribution->counters.trace_lost++;
	*is_doubtful = r == TRACE_OWNER_DOUBTFUL;
	return r == TRACE_OWNER_FOUND || *is_doubtful;
}

/* Who connected a socket, and who holds it now. */
static void merge_doubtful(const struct ownership *holder, struct ownership *ret)
{
	if (holder->method == OWNERSHIP_SOCK_DIAG && holder->process.pid != ret->process.pid)
		*ret = *holder;
	else if (holder->method == OWNERSHIP_SHARED)
		*ret = *holder;
}

/* Over IPv6 the source port is recorded only when the connection is made, which the first packet's
 * event does not wait for; and who answers one is recorded when it is closed. Without ports several may
 * have sent before the event was read; when the flow began is known exactly at its end. */
static bool may_trace_tell_later(const struct ownership_query *query, uint64_t now_ns)
{
	if (query->socket.protocol == IPPROTO_UDP)
		return false;
	if (query->socket.protocol != IPPROTO_TCP)
		return query->initiator && query->not_before_ns;
	return query->initiator ? query->socket.family == IP_FAMILY_V6 &&
					  now_ns < query->when_ns + CONNECT_NS
				: true;
}

static void set_unentered(struct ownership *answer, int r)
{
	if (r == -ESRCH)
		set_none(answer, OWNERSHIP_REASON_EXITED, false);
	else
		set_none(answer, OWNERSHIP_REASON_UNTRACKED_NAMESPACE, r != -EPERM && r != -EACCES);
}

struct socket_question {
	struct socket_owner_query query;
	uint32_t interfaces[LOCAL_ROUTES_MOST_INTERFACES + 1];
};

/* 0, or a negative errno where the namespace cannot be entered. */
static int make_question(struct attribution *attribution, const struct ownership_query *query,
			 const struct place *place, uint64_t now_ns, struct socket_question *ret)
{
	ret->query = (struct socket_owner_query){.query = query,
						 .interfaces = ret->interfaces,
						 .now_ns = now_ns,
						 .exact_only = !place->is_only_one};
	list_interfaces(place->route, ret->interfaces);
	if (!place->netns)
		return 0;
	return namespaces_open_sockets(attribution->namespaces, place->netns, now_ns,
				       &ret->query.space);
}

static void find_by_socket(struct attribution *attribution, const struct ownership_query *query,
			   const struct place *place, uint64_t now_ns, struct ownership *ret)
{
	struct socket_question question;
	int r = make_question(attribution, query, place, now_ns, &question);

	if (r < 0)
		set_unentered(ret, r);
	else
		socket_owner_find(attribution->sockets, &question.query, ret);
}

/* What goes into a tunnel of the kernel is sent on with bottom halves off by whoever sent it: where trace
 * does not tell that, its record is no proof. The reason, or NONE: it is. */
static enum ownership_reason find_tunnel(struct attribution *attribution,
					 const struct ownership_query *query,
					 const struct place *place, uint64_t now_ns)
{
	struct socket_question question;

	if (attribution->tells_bottom_halves || !query->initiator ||
	    query->socket.protocol != IPPROTO_UDP ||
	    ip_address_equal(&query->socket.local, &query->socket.remote) ||
	    make_question(attribution, query, place, now_ns, &question) < 0)
		return OWNERSHIP_REASON_NONE;
	return socket_owner_find_tunnel(attribution->sockets, &question.query);
}

/* By trace, else by sock_diag. */
static void find_by_kernel(struct attribution *attribution, const struct ownership_query *query,
			   const struct place *place, uint64_t now_ns, struct ownership *ret)
{
	enum ownership_reason reason;
	struct ownership holder;
	bool is_doubtful = false;

	set_none(ret, OWNERSHIP_REASON_UNSUPPORTED, false);
	if (attribution->trace &&
	    find_by_trace(attribution, query, place, now_ns, ret, &is_doubtful)) {
		reason = find_tunnel(attribution, query, place, now_ns);
		if (reason != OWNERSHIP_REASON_NONE)
			set_none(ret, reason, reason == OWNERSHIP_REASON_BUSY);
		if (reason != OWNERSHIP_REASON_NONE || !is_doubtful)
			return;
	}
	if (query->has_ended) {
		*ret = (struct ownership){.method = OWNERSHIP_UNKNOWN};
		return;
	}
	set_none(&holder, OWNERSHIP_REASON_UNSUPPORTED, false);
	if (attribution->methods & CONFIG_METHOD_SOCK_DIAG)
		find_by_socket(attribution, query, place, now_ns, &holder);
	if (is_doubtful) {
		merge_doubtful(&holder, ret);
		return;
	}
	if (holder.reason == OWNERSHIP_REASON_CLOSED &&
	    find_own_header(attribution, query, place, now_ns, ret))
		return;
	*ret = holder;
	if (attribution->trace && may_trace_tell_later(query, now_ns))
		ret->is_provisional = true;
}

/* What sysdig saw replaces a weaker answer. */
static void improve_by_sysdig(struct attribution *attribution, const struct ownership_query *query,
			      const struct place *place, uint64_t now_ns, struct ownership *answer)
{
	struct trace_owner_query question = to_trace_query(query, place, now_ns);
	struct ownership found;

	if (answer->method >= OWNERSHIP_SYSDIG && answer->method != OWNERSHIP_REMOTE &&
	    !answer->is_provisional)
		return;
	if (trace_owner_find(attribution->sysdig, &question, &found) == TRACE_OWNER_FOUND &&
	    found.method == OWNERSHIP_TRACE) {
		found.method = OWNERSHIP_SYSDIG;
		if (ownership_is_better(&found, answer))
			*answer = found;
	} else if (answer->method < OWNERSHIP_SYSDIG && answer->method != OWNERSHIP_UNKNOWN) {
		answer->is_provisional = true; /* its lines come late */
	}
}

/* The configured methods, in their order of trust. */
static void find_at(struct attribution *attribution, const struct ownership_query *query,
		    const struct place *place, uint64_t now_ns, struct ownership *ret)
{
	find_by_kernel(attribution, query, place, now_ns, ret);
	if (attribution->sysdig)
		improve_by_sysdig(attribution, query, place, now_ns, ret);
}

/* Whether the tuple may exist there, by the answer for one namespace of several. */
static bool is_claim(const struct ownership *answer)
{
	if (answer->method == OWNERSHIP_UNKNOWN)
		return false;
	return answer->process.pid != 0 || (answer->reason != OWNERSHIP_REASON_CLOSED &&
					    answer->reason != OWNERSHIP_REASON_AMBIGUOUS &&
					    answer->reason != OWNERSHIP_REASON_UNSUPPORTED);
}

static void find_at_several(struct attribution *attribution, const struct ownership_query *query,
			    const struct namespace_match *matches, size_t count, uint64_t now_ns,
			    struct ownership *ret)
{
	struct ownership found = {0};
	size_t claims = 0;

	attribution->counters.namespace_shared++;
	for (size_t i = 0; i < count && i < NAMESPACES_MOST_MATCHES; i++) {
		struct place place = {.route = matches[i].route, .netns = matches[i].netns};
		struct ownership answer;

		find_at(attribution, query, &place, now_ns, &answer);
		if (!is_claim(&answer))
			continue;
		found = answer;
		claims++;
	}
	if (claims == 1 && count <= NAMESPACES_MOST_MATCHES)
		*ret = found;
	else if (query->has_ended)
		*ret = (struct ownership){.method = OWNERSHIP_UNKNOWN};
	else /* A connection that is accepted later exists in one of them only. */
		set_none(ret, OWNERSHIP_REASON_AMBIGUOUS, !query->initiator);
}

/* Nobody is known to have the address. A namespace that only a socket or a descriptor keeps is not to be
 * found, but who acted in it was seen; and one that has just begun is known after the next look, which is
 * waited for where the other end is not ours either. */
static void find_unplaced(struct attribution *attribution, const struct ownership_query *query,
			  uint64_t now_ns, struct ownership *ret)
{
	struct trace_owner_query question = {.query = query, .now_ns = now_ns, .is_unplaced = true};

	if (attribution->trace && attribution->namespaces &&
	    trace_owner_find(attribution->trace, &question, ret) == TRACE_OWNER_FOUND)
		return;
	*ret = (struct ownership){
		.method = OWNERSHIP_REMOTE,
		.is_provisional = attribution->namespaces && !query->has_ended &&
				  namespaces_may_lack(attribution->namespaces, query->when_ns) &&
				  !local_routes_find(attribution->routes, query->socket.family,
						     &query->socket.remote)};
}

static void find_elsewhere(struct attribution *attribution, const struct ownership_query *query,
			   uint64_t now_ns, struct ownership *ret)
{
	struct namespace_match matches[NAMESPACES_MOST_MATCHES];
	struct namespaces_question question = {.family = query->socket.family,
					       .address = query->socket.local,
					       .when_ns = query->when_ns,
					       .now_ns = now_ns};
	ssize_t count = 0;

	if (attribution->namespaces)
		count = namespaces_find(attribution->namespaces, &question, matches);
	if (count == 0) {
		find_unplaced(attribution, query, now_ns, ret);
		return;
	}
	if (count < 0) {
		set_none(ret, OWNERSHIP_REASON_BUSY, true);
		return;
	}
	attribution->counters.namespace_answers++;
	if (count == 1) {
		struct place place = {
			.route = matches[0].route, .netns = matches[0].netns, .is_only_one = true};

		find_at(attribution, query, &place, now_ns, ret);
		return;
	}
	find_at_several(attribution, query, matches, (size_t)count, now_ns, ret);
}

static void find_owner(struct attribution *attribution, const struct ownership_query *query,
		       uint64_t now_ns, struct ownership *ret)
{
	struct place place = {.is_only_one = true};

	if (query->socket.netns != 0) {
		set_none(ret, OWNERSHIP_REASON_UNTRACKED_NAMESPACE, false);
		return;
	}
	place.route =
		local_routes_find(attribution->routes, query->socket.family, &query->socket.local);
	if (place.route)
		find_at(attribution, query, &place, now_ns, ret);
	else
		find_elsewhere(attribution, query, now_ns, ret);
}

static void update_namespace_counters(struct attribution *attribution)
{
	const struct namespaces_counters *namespaces =
		namespaces_get_counters(attribution->namespaces);

	attribution->counters.namespaces = namespaces->known;
	attribution->counters.namespace_errors = namespaces->unentered;
}

static void update_counters(struct attribution *attribution, const struct ownership *answer)
{
	struct attribution_counters *counters = &attribution->counters;
	const struct socket_owner_counters *sockets =
		socket_owner_get_counters(attribution->sockets);
	const struct inode_map_counters *inodes =
		socket_owner_get_inode_counters(attribution->sockets);

	counters->answers[answer->method]++;
	if (answer->method == OWNERSHIP_NONE)
		counters->reasons[answer->reason]++;
	if (attribution->trace)
		counters->trace_records = trace_owner_get_counters(attribution->trace)->added;
	if (attribution->namespaces)
		update_namespace_counters(attribution);
	counters->socket_queries = sockets->queries;
	counters->socket_errors = sockets->errors;
	counters->inode_hits = inodes->hits;
	counters->inode_newborns = inodes->newborns;
	counters->inode_stale = inodes->stale;
	counters->processes_scanned = inodes->processes_scanned;
	counters->scans_refused = inodes->scans_refused;
}

bool attribution_find_life(const struct attribution *attribution, pid_t pid, uint64_t when_ns,
			   struct attribution_life *ret)
{
	const struct trace_process *process =
		attribution->trace ? trace_owner_find_life(attribution->trace, pid, when_ns) : NULL;

	if (!process || process->start_ns == 0 || process->exit_ns > when_ns)
		return false;
	*ret = (struct attribution_life){process->start_ns, process->exit_ns, process->executable};
	return true;
}

void attribution_find_owner(struct attribution *attribution, const struct ownership_query *query,
			    uint64_t now_ns, struct ownership *ret)
{
	struct ownership_query plain = unmap_query(query);

	find_owner(attribution, &plain, now_ns, ret);
	update_counters(attribution, ret);
}

bool attribution_has_address(const struct attribution *attribution, enum ip_family family,
			     const struct ip_address *address)
{
	return local_routes_find(attribution->routes, family, address) != NULL;
}

bool attribution_find_process(const struct attribution *attribution, pid_t pid, uint64_t when_ns,
			      struct process_trace *ret)
{
	return attribution->trace &&
	       trace_owner_find_process(attribution->trace, pid, when_ns, ret);
}

int attribution_list_listeners(struct attribution *attribution, uint64_t now_ns,
			       listener_on_found on_found, void *userdata)
{
	return listeners_list(socket_owner_get_diag(attribution->sockets),
			      socket_owner_get_inodes(attribution->sockets), now_ns, on_found,
			      userdata);
}

const struct attribution_counters *attribution_get_counters(const struct attribution *attribution)
{
	return &attribution->counters;
}
