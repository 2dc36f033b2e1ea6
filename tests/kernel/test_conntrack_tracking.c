/* SPDX-License-Identifier: GPL-2.0-or-later */

/* When the kernel tracks connections at all (net/netfilter/nf_conntrack_proto.c,
 * nf_ct_netns_get()), for packets sent, received and forwarded.
 *
 * Two tun devices are the network: what the test writes to one arrives from outside, what it reads
 * from one has left. The packets are of protocol 253 (RFC 3692), which has no header to be checked,
 * and so flows are told apart by their addresses alone. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/macros.h"
#include "sources/tracking_probe.h"
#include "sources/tracking_table.h"
#include "support/network_namespace.h"

enum { SKIPPED = 77, PROTOCOL = 253, DEADLINE_MS = 5000 };

struct network {
	int left, right; /* the tun devices' descriptors */
};

/* A packet's way, in the addresses of one family. The host has .1 on both sides. */
struct way {
	enum ip_family family;
	const char *source, *destination;
};

static const struct way ways_in[] = {{IP_FAMILY_V4, "10.0.1.2", "10.0.1.1"},
				     {IP_FAMILY_V6, "fd01::2", "fd01::1"}};
static const struct way ways_out[] = {{IP_FAMILY_V4, "10.0.2.1", "10.0.2.2"},
				      {IP_FAMILY_V6, "fd02::1", "fd02::2"}};
static const struct way ways_forward[] = {{IP_FAMILY_V4, "10.0.1.2", "10.0.2.2"},
					  {IP_FAMILY_V6, "fd01::2", "fd02::2"}};

static void *get_bytes(const char *text, struct ip_address *address)
{
	enum ip_family family;

	assert_int_equal(ip_address_parse(text, &family, address), 0);
	return address->bytes;
}

/* An address that was just added is tentative until the kernel's work queue comes to it, even where
 * nobody is asked for duplicates. */
static void wait_for_v6(const struct in6_addr *v6_address)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = *v6_address};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t deadline_ns = clock_now_ns() + DEADLINE_MS * NS_PER_MS;

	while (bind(fd, (struct sockaddr *)&v6, sizeof(v6)) < 0)
		if (errno != EADDRNOTAVAIL || clock_now_ns() > deadline_ns)
			fail_msg("the IPv6 address cannot be bound to: %s", strerror(errno));
	close(fd);
}

static int open_tun(const char *name, const char *v4_text, const char *v6_text)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct {
		struct in6_addr address;
		uint32_t prefix;
		int interface;
	} v6 = {.prefix = 64}; /* struct in6_ifreq; its header collides with libc's */
	struct ip_address address;
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int v4_socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int v6_socket = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && v4_socket >= 0 && v6_socket >= 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	memcpy(&v4.sin_addr, get_bytes(v4_text, &address), 4);
	memcpy(&request.ifr_addr, &v4, sizeof(v4));
	assert_int_equal(ioctl(v4_socket, SIOCSIFADDR, &request), 0);
	v4.sin_addr.s_addr = htonl(0xffffff00);
	memcpy(&request.ifr_netmask, &v4, sizeof(v4));
	assert_int_equal(ioctl(v4_socket, SIOCSIFNETMASK, &request), 0);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	assert_int_equal(ioctl(v4_socket, SIOCSIFFLAGS, &request), 0);
	memcpy(&v6.address, get_bytes(v6_text, &address), 16);
	v6.interface = (int)if_nametoindex(name);
	assert_int_equal(ioctl(v6_socket, SIOCSIFADDR, &v6), 0);
	wait_for_v6(&v6.address);
	close(v4_socket);
	close(v6_socket);
	return fd;
}

static int set_up(void **state)
{
	struct network *network = calloc(1, sizeof(*network));

	if (network_namespace_enter() < 0 || network_namespace_set("ipv4/ip_forward", "1") < 0 ||
	    network_namespace_set("ipv6/conf/all/forwarding", "1") < 0)
		return -1;
	network->left = open_tun("left", "10.0.1.1", "fd01::1");
	network->right = open_tun("right", "10.0.2.1", "fd02::1");
	*state = network;
	return 0;
}

static int tear_down(void **state)
{
	struct network *network = *state;

	close(network->left);
	close(network->right);
	free(network);
	return 0;
}

static uint16_t sum_header(const struct iphdr *header)
{
	const uint8_t *bytes = (const uint8_t *)header;
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(*header); i += 2)
		sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

static size_t build_packet(const struct way *way, uint8_t bytes[64])
{
	struct iphdr v4 = {.version = 4,
			   .ihl = 5,
			   .ttl = 9,
			   .protocol = PROTOCOL,
			   .tot_len = htons(sizeof(v4) + 4)};
	struct ip6_hdr v6 = {.ip6_nxt = PROTOCOL, .ip6_hlim = 9, .ip6_plen = htons(4)};
	struct ip_address address;

	memset(bytes, 0, 64);
	if (way->family == IP_FAMILY_V4) {
		memcpy(&v4.saddr, get_bytes(way->source, &address), 4);
		memcpy(&v4.daddr, get_bytes(way->destination, &address), 4);
		v4.check = sum_header(&v4);
		memcpy(bytes, &v4, sizeof(v4));
		return sizeof(v4) + 4;
	}
	v6.ip6_vfc = 0x60; /* of another member of the union */
	memcpy(&v6.ip6_src, get_bytes(way->source, &address), 16);
	memcpy(&v6.ip6_dst, get_bytes(way->destination, &address), 16);
	memcpy(bytes, &v6, sizeof(v6));
	return sizeof(v6) + 4;
}

/* Reads until a packet of ours comes; the kernel's own (router solicitations) are let go. */
static void expect_arrival(int fd, enum ip_family family, const char *what)
{
	uint64_t deadline_ns = clock_now_ns() + DEADLINE_MS * NS_PER_MS;
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	uint8_t bytes[2048];

	while (clock_now_ns() < deadline_ns) {
		if (poll(&poll_fd, 1, DEADLINE_MS) == 1 && read(fd, bytes, sizeof(bytes)) > 20 &&
		    bytes[0] >> 4 == (int)family &&
		    bytes[family == IP_FAMILY_V4 ? 9 : 6] == PROTOCOL)
			return;
	}
	fail_msg("no IPv%d packet %s", family, what);
}

static int open_raw(enum ip_family family)
{
	int fd = socket(family == IP_FAMILY_V4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
			PROTOCOL);

	assert_true(fd >= 0);
	return fd;
}

static void send_in(const struct network *network, const struct way *way)
{
	int raw = open_raw(way->family);
	struct pollfd poll_fd = {.fd = raw, .events = POLLIN};
	uint8_t bytes[64];
	size_t length = build_packet(way, bytes);

	assert_int_equal(write(network->left, bytes, length), length);
	assert_int_equal(poll(&poll_fd, 1, DEADLINE_MS), 1);
	close(raw);
}

static void send_out(const struct network *network, const struct way *way)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct ip_address address;
	int raw = open_raw(way->family);

	memcpy(&v4.sin_addr, get_bytes(way->destination, &address), 4);
	memcpy(&v6.sin6_addr, address.bytes, 16);
	if (way->family == IP_FAMILY_V4)
		assert_int_equal(sendto(raw, "abcd", 4, 0, (struct sockaddr *)&v4, sizeof(v4)), 4);
	else
		assert_int_equal(sendto(raw, "abcd", 4, 0, (struct sockaddr *)&v6, sizeof(v6)), 4);
	expect_arrival(network->right, way->family, "left the host");
	close(raw);
}

static void send_forward(const struct network *network, const struct way *way)
{
	uint8_t bytes[64];
	size_t length = build_packet(way, bytes);

	assert_int_equal(write(network->left, bytes, length), length);
	expect_arrival(network->right, way->family, "was forwarded");
}

static bool is_tracked(const struct way *way)
{
	struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
	struct nf_conntrack *entry = nfct_new();
	struct ip_address address;
	bool is_v4 = way->family == IP_FAMILY_V4;
	int r;

	assert_true(handle && entry);
	nfct_set_attr_u8(entry, ATTR_L3PROTO, is_v4 ? AF_INET : AF_INET6);
	nfct_set_attr_u8(entry, ATTR_L4PROTO, PROTOCOL);
	nfct_set_attr(entry, is_v4 ? ATTR_IPV4_SRC : ATTR_IPV6_SRC,
		      get_bytes(way->source, &address));
	nfct_set_attr(entry, is_v4 ? ATTR_IPV4_DST : ATTR_IPV6_DST,
		      get_bytes(way->destination, &address));
	r = nfct_query(handle, NFCT_Q_GET, entry);
	if (r < 0)
		assert_int_equal(errno, ENOENT);
	nfct_destroy(entry);
	nfct_close(handle);
	return r == 0;
}

static void expect_tracking(const struct network *network, bool v4, bool v6)
{
	const bool expected[] = {v4, v6};

	for (size_t i = 0; i < 2; i++) {
		send_in(network, &ways_in[i]);
		send_out(network, &ways_out[i]);
		send_forward(network, &ways_forward[i]);
		if (is_tracked(&ways_in[i]) != expected[i] ||
		    is_tracked(&ways_out[i]) != expected[i] ||
		    is_tracked(&ways_forward[i]) != expected[i])
			fail_msg("IPv%d tracked: in %d, out %d, forwarded %d; expected %d",
				 ways_in[i].family, is_tracked(&ways_in[i]),
				 is_tracked(&ways_out[i]), is_tracked(&ways_forward[i]),
				 expected[i]);
	}
	assert_int_equal(tracking_probe_read(IP_FAMILY_V4), v4);
	assert_int_equal(tracking_probe_read(IP_FAMILY_V6), v6);
}

static void test_k3_without_a_ct_rule_nothing_is_tracked(void **state)
{
	expect_tracking(*state, false, false);
	/* A firewall that does not ask for connections changes nothing. */
	assert_int_equal(network_namespace_run_nft(
				 "table inet t { chain c { type filter hook input priority 0; "
				 "meta l4proto udp counter accept; }; }"),
			 0);
	expect_tracking(*state, false, false);
}

/* A rule that is removed by name is freed in the background. */
static void wait_until_untracked(void)
{
	uint64_t deadline_ns = clock_now_ns() + 10 * NS_PER_SEC;

	while (tracking_probe_read(IP_FAMILY_V4) != TRACKING_PROBE_UNTRACKED)
		if (clock_now_ns() > deadline_ns)
			fail_msg("still tracked after 10 s");
}

/* The table hangs on no hook, and that is enough in all three directions. */
static void test_k3_the_table_starts_all_directions(void **state)
{
	struct nft_table *table = NULL;
	struct buffer reason;

	buffer_init(&reason);
	assert_int_equal(tracking_table_new(&table, &reason), 0);
	expect_tracking(*state, true, true);
	nft_table_free(table);
	wait_until_untracked();
	buffer_fini(&reason);
}

/* Why both families are probed. */
static void test_an_ipv4_rule_starts_ipv4_alone(void **state)
{
	assert_int_equal(network_namespace_run_nft("table ip t { chain c { ct state new; }; }"), 0);
	expect_tracking(*state, true, false);
}

/* The rule matches nothing: packets of protocol 253 have no ports to be told apart by after NAT. */
static void test_nat_alone_starts_tracking(void **state)
{
	assert_int_equal(
		network_namespace_run_nft(
			"table ip6 t { chain c { type nat hook "
			"postrouting priority 100; ip6 daddr 2001:db8::1 masquerade; }; }"),
		0);
	expect_tracking(*state, false, true);
}

/* A rule that exempts loopback hides from the probe that others are tracked; the daemon then adds a
 * table that was not needed, which changes nothing. */
static void test_exempted_loopback_reads_as_untracked(void **state unused)
{
	assert_int_equal(network_namespace_track(), 0);
	assert_int_equal(tracking_probe_read(IP_FAMILY_V4), TRACKING_PROBE_TRACKED);
	assert_int_equal(network_namespace_run_nft(
				 "table inet r { chain c { type filter hook output priority -300; "
				 "oifname lo notrack; }; }"),
			 0);
	assert_int_equal(tracking_probe_read(IP_FAMILY_V4), TRACKING_PROBE_UNTRACKED);
}

int main(void)
{
#define network_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		network_test(test_k3_without_a_ct_rule_nothing_is_tracked),
		network_test(test_k3_the_table_starts_all_directions),
		network_test(test_an_ipv4_rule_starts_ipv4_alone),
		network_test(test_nat_alone_starts_tracking),
		network_test(test_exempted_loopback_reads_as_untracked),
	};

	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		return SKIPPED;
	}
	if (access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "skipped: no /dev/net/tun\n");
		return SKIPPED;
	}
	if (network_namespace_track() < 0) {
		fprintf(stderr, "skipped: no nf_tables with ct\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
