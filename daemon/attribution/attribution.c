/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The policy: what needs no method at all (another namespace, the other host's end), then the
 * configured methods in their order of trust. */

#include "attribution/attribution.h"

#include <errno.h>
#include <stdlib.h>

#include "attribution/local_routes.h"
#include "attribution/socket_owner.h"
#include "attribution/trace_owner.h"
#include "base/cleanup.h"
#include "config/config.h"

struct attribution {
	unsigned methods;
	struct local_routes *routes;
	struct socket_owner *sockets;
	struct trace_owner *trace; /* NULL: not among the methods */
	struct attribution_counters counters;
};

DEFINE_CLEANUP(struct attribution *, attribution_free);

int attribution_new(const struct attribution_options *options, struct attribution **ret)
{
	cleanup(attribution_free_cleanup) struct attribution *attribution =
		calloc(1, sizeof(*attribution));
	int r;

	if (!attribution)
		return -ENOMEM;
	attribution->methods = options->methods;
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
	*ret = steal_pointer(&attribution);
	return 0;
}

void attribution_free(struct attribution *attribution)
{
	if (!attribution)
		return;
	trace_owner_free(attribution->trace);
	socket_owner_free(attribution->sockets);
	local_routes_close(attribution->routes);
	free(attribution);
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
}

void attribution_add_lost(struct attribution *attribution, uint64_t from_ns, uint64_t until_ns)
{
	if (attribution->trace)
		trace_owner_add_lost(attribution->trace, from_ns, until_ns);
}

void attribution_forget_port(struct attribution *attribution, uint16_t port)
{
	if (!attribution->trace)
		return;
	attribution->counters.ports_excluded++;
	trace_owner_forget_port(attribution->trace, port);
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

static bool find_by_trace(struct attribution *attribution, const struct ownership_query *query,
			  uint64_t now_ns, struct ownership *ret)
{
	int r = trace_owner_find(attribution->trace, query, now_ns, ret);

	if (r == TRACE_OWNER_LOST)
		attribution->counters.trace_lost++;
	return r == TRACE_OWNER_FOUND;
}

static void find_owner(struct attribution *attribution, const struct ownership_query *query,
		       uint64_t now_ns, struct ownership *ret)
{
	const struct local_route *route;
	uint32_t interfaces[LOCAL_ROUTES_MOST_INTERFACES + 1];
	struct socket_owner_query question = {
		.query = query, .interfaces = interfaces, .now_ns = now_ns};

	*ret = (struct ownership){.method = OWNERSHIP_NONE,
				  .reason = OWNERSHIP_REASON_UNTRACKED_NAMESPACE};
	if (query->socket.netns != 0)
		return;
	route = local_routes_find(attribution->routes, query->socket.family, &query->socket.local);
	if (!route) {
		*ret = (struct ownership){.method = OWNERSHIP_REMOTE};
		return;
	}
	ret->reason = OWNERSHIP_REASON_UNSUPPORTED;
	list_interfaces(route, interfaces);
	if (attribution->trace && find_by_trace(attribution, query, now_ns, ret))
		return;
	if (attribution->methods & CONFIG_METHOD_SOCK_DIAG)
		socket_owner_find(attribution->sockets, &question, ret);
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
	counters->socket_queries = sockets->queries;
	counters->socket_errors = sockets->errors;
	counters->inode_hits = inodes->hits;
	counters->inode_stale = inodes->stale;
	counters->processes_scanned = inodes->processes_scanned;
	counters->scans_refused = inodes->scans_refused;
}

void attribution_find_owner(struct attribution *attribution, const struct ownership_query *query,
			    uint64_t now_ns, struct ownership *ret)
{
	struct ownership_query plain = unmap_query(query);

	find_owner(attribution, &plain, now_ns, ret);
	update_counters(attribution, ret);
}

const struct attribution_counters *attribution_get_counters(const struct attribution *attribution)
{
	return &attribution->counters;
}
