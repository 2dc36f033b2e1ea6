/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What conntrack tells about flows that a router's flowtable takes over (case A43). The test is the
 * router; client and server are actors in namespaces of their own. Only datagrams of known length are
 * sent, so that what the entry has to count is known to the byte. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "sources/conntrack_parse.h"
#include "support/actor.h"
#include "support/conntrack_recorder.h"
#include "support/network_namespace.h"
#include "support/slowness.h"

enum { SKIPPED = 77, PORT = 4300, DATAGRAMS = 50, PAYLOAD = 200, HEADERS = 20 + 8 };

#define CLIENT "10.43.1.2"
#define SERVER "10.43.2.2"

static const struct conntrack_timeouts no_timeouts;

/* --- Steps of client and server --- */

static int64_t do_enter(int64_t argument)
{
	(void)argument;
	signal(SIGCHLD,
	       SIG_DFL); /* an actor ignores it, and system(3) would not learn how it went */
	return network_namespace_enter();
}

static int64_t run(const char *command)
{
	return system(command) == 0 ? 0 : -EIO;
}

static int64_t do_configure_client(int64_t argument)
{
	(void)argument;
	return run("ip addr add " CLIENT "/24 dev wire && ip link set wire up && "
		   "ip route add default via 10.43.1.1");
}

static int64_t do_configure_server(int64_t argument)
{
	(void)argument;
	return run("ip addr add " SERVER "/24 dev wire && ip link set wire up && "
		   "ip route add default via 10.43.2.1");
}

static struct sockaddr_in make_address(const char *text)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = inet_addr(text)};
}

/* A socket from PORT to PORT. */
static int64_t open_socket(const char *from, const char *to)
{
	struct sockaddr_in local = make_address(from), remote = make_address(to);
	struct timeval limit = {.tv_sec = 5};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
	    connect(fd, (struct sockaddr *)&remote, sizeof(remote)) < 0)
		return -errno;
	return fd;
}

static int64_t do_open_client(int64_t argument)
{
	(void)argument;
	return open_socket(CLIENT, SERVER);
}

static int64_t do_open_server(int64_t argument)
{
	(void)argument;
	return open_socket(SERVER, CLIENT);
}

static int64_t do_send(int64_t fd)
{
	static const char payload[PAYLOAD];

	return send((int)fd, payload, sizeof(payload), 0);
}

static int64_t do_receive(int64_t fd)
{
	char payload[PAYLOAD + 1];

	return recv((int)fd, payload, sizeof(payload), 0);
}

/* --- The router --- */

struct router {
	struct actor client, server;
	struct conntrack_recorder *recorder;
};

/* What our own reader made of all that was seen so far of the one flow that there is. */
struct told {
	unsigned news, destroys, listed;
	bool is_offloaded; /* when it was listed last */
	struct flow_counters counters;
};

static void lay_wire(const char *name, const char *address, const struct actor *far)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "ip link add %s type veth peer name wire netns %d && ip addr add %s/24 dev %s && "
		 "ip link set %s up",
		 name, (int)far->pid, address, name, name);
	assert_int_equal(run(command), 0);
}

static struct told read_told(const struct router *router)
{
	size_t count = conntrack_recorder_read(router->recorder);
	struct told told = {0};

	for (size_t i = 0; i < count; i++) {
		struct conntrack_parse_context context = {.timeouts = &no_timeouts,
							  .now_ns = clock_now_ns()};
		const struct nlmsghdr *message =
			conntrack_recorder_get(router->recorder, i)->message;
		bool is_answer = message->nlmsg_flags & NLM_F_MULTI;
		struct flow_event event;

		if (conntrack_parse(message, is_answer, &context, &event) != CONNTRACK_PARSED ||
		    event.key.tuple.src_port != PORT || event.key.tuple.dst_port != PORT)
			continue;
		told.news += event.type == FLOW_EVENT_NEW;
		told.destroys += event.type == FLOW_EVENT_DESTROY;
		told.listed += event.type == FLOW_EVENT_LISTED;
		if (event.type == FLOW_EVENT_LISTED)
			told.is_offloaded = event.is_offloaded;
		if (event.has_counters)
			told.counters = event.counters;
	}
	return told;
}

static void add_flowtable(const char *statement)
{
	char commands[512];

	snprintf(commands, sizeof(commands),
		 "table inet test_offload {"
		 "	flowtable ft { hook ingress priority 0; devices = { near, far };%s };"
		 "	counter slow { };"
		 "	chain forward { type filter hook forward priority 0;"
		 "		counter name slow;"
		 "		ct state established flow add @ft; };"
		 "}",
		 statement);
	assert_int_equal(network_namespace_run_nft(commands), 0);
}

/* How many packets took the long way, by the forward hook. */
static unsigned count_slow(void)
{
	FILE *nft = popen("nft list counter inet test_offload slow", "r");
	char line[256];
	unsigned packets;
	bool is_found = false;

	assert_non_null(nft);
	while (fgets(line, sizeof(line), nft))
		is_found |= sscanf(line, " packets %u", &packets) == 1;
	assert_int_equal(pclose(nft), 0);
	assert_true(is_found);
	return packets;
}

static void exchange(const struct router *router)
{
	int64_t client = actor_tell(&router->client, do_open_client, 0);
	int64_t server = actor_tell(&router->server, do_open_server, 0);

	assert_true(client >= 0 && server >= 0);
	for (int i = 0; i < DATAGRAMS; i++) {
		assert_int_equal(actor_tell(&router->client, do_send, client), PAYLOAD);
		assert_int_equal(actor_tell(&router->server, do_receive, server), PAYLOAD);
		assert_int_equal(actor_tell(&router->server, do_send, server), PAYLOAD);
		assert_int_equal(actor_tell(&router->client, do_receive, client), PAYLOAD);
	}
}

/* An entry whose flow is in a flowtable may not be removable: it is once the table is gone. */
static void end_flow(const struct router *router)
{
	uint64_t end_ns = clock_now_ns() + 10 * slowness_get() * NS_PER_SEC;
	const struct nf_conntrack *entry = conntrack_recorder_get(router->recorder, 0)->entry;
	int r;

	assert_int_equal(network_namespace_run_nft("delete table inet test_offload"), 0);
	while ((r = conntrack_recorder_remove(entry)) == -EBUSY && clock_now_ns() < end_ns)
		poll(NULL, 0, 10);
	assert_int_equal(r, 0);
	while (read_told(router).destroys == 0 && clock_now_ns() < end_ns)
		poll(NULL, 0, 10);
}

/* Runs the flow from its first packet to its end: what was told when it had passed and when it was
 * over. */
static void run_flow(const struct router *router, const char *statement, struct told *ret_listed,
		     struct told *ret_ended)
{
	add_flowtable(statement);
	exchange(router);
	assert_true(count_slow() < DATAGRAMS);
	assert_int_equal(conntrack_recorder_dump(router->recorder), 0);
	*ret_listed = read_told(router);
	end_flow(router);
	*ret_ended = read_told(router);
	assert_int_equal(ret_listed->news, 1);
	assert_int_equal(ret_listed->listed, 1);
	assert_int_equal(ret_listed->destroys, 0);
	assert_true(ret_listed->is_offloaded);
	assert_int_equal(ret_ended->news, 1);
	assert_int_equal(ret_ended->destroys, 1);
}

static void a43_flowtable_with_counter_counts_every_byte(void **state)
{
	struct told listed, ended;

	run_flow(*state, " counter;", &listed, &ended);
	assert_int_equal(listed.counters.in_bytes, DATAGRAMS * (HEADERS + PAYLOAD));
	assert_int_equal(ended.counters.in_bytes, DATAGRAMS * (HEADERS + PAYLOAD));
	assert_int_equal(ended.counters.out_bytes, DATAGRAMS * (HEADERS + PAYLOAD));
	assert_int_equal(ended.counters.in_packets, DATAGRAMS);
	assert_int_equal(ended.counters.out_packets, DATAGRAMS);
}

/* Why an offloaded flow whose counters stand still is not taken for idle. */
static void a43_flowtable_without_counter_counts_what_it_did_not_carry(void **state)
{
	struct told listed, ended;

	run_flow(*state, "", &listed, &ended);
	assert_in_range(ended.counters.in_packets, 1, DATAGRAMS - 1);
	assert_int_equal(ended.counters.in_packets, listed.counters.in_packets);
}

static int set_up(void **state)
{
	static struct router router;

	if (network_namespace_enter() < 0 || network_namespace_track() < 0 ||
	    network_namespace_set("netfilter/nf_conntrack_acct", "1") < 0 ||
	    network_namespace_set("ipv4/ip_forward", "1") < 0)
		return -1;
	router.client = actor_start();
	router.server = actor_start();
	if (actor_tell(&router.client, do_enter, 0) < 0 ||
	    actor_tell(&router.server, do_enter, 0) < 0)
		return -1;
	lay_wire("near", "10.43.1.1", &router.client);
	lay_wire("far", "10.43.2.1", &router.server);
	if (actor_tell(&router.client, do_configure_client, 0) < 0 ||
	    actor_tell(&router.server, do_configure_server, 0) < 0)
		return -1;
	router.recorder = conntrack_recorder_open();
	*state = &router;
	return router.recorder ? 0 : -1;
}

static int tear_down(void **state)
{
	struct router *router = *state;

	actor_stop(&router->client);
	actor_stop(&router->server);
	conntrack_recorder_close(router->recorder);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a43_flowtable_with_counter_counts_every_byte,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a43_flowtable_without_counter_counts_what_it_did_not_carry, set_up,
			tear_down),
	};

	if (network_namespace_enter() < 0) {
		printf("SKIP flow_offload: no network namespace of its own (CAP_SYS_ADMIN)\n");
		return SKIPPED;
	}
	if (network_namespace_run_nft("table inet probe {"
				      "	flowtable ft { hook ingress priority 0; };"
				      "	chain c { ct state established flow add @ft; };"
				      "}") < 0) {
		printf("SKIP flow_offload: the kernel has no flowtables (nft_flow_offload)\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
