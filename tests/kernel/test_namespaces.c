/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Other network namespaces: found, asked, and let go. The test stands in one of its own; each other
 * one is joined to it by a wire (veth), whose near end vanishes when the far end's namespace does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <unistd.h>

#include "attribution/attribution.h"
#include "attribution/namespaces.h"
#include "base/clock.h"
#include "config/config.h"
#include "support/actor.h"
#include "support/network_namespace.h"
#include "support/slowness.h"

/* A thousand, a hundred at a time; on an emulated machine two rounds tell enough. */
enum { ROUNDS = 10, ROUNDS_EMULATED = 2, AT_ONCE = 100, DEADLINE_S = 60 };

static int proc_fd;

static uint64_t get_deadline_ns(void)
{
	return clock_now_ns() + DEADLINE_S * slowness_get() * NS_PER_SEC;
}

/* --- Steps of the actors --- */

static int64_t do_unshare(int64_t argument)
{
	(void)argument;
	return unshare(CLONE_NEWNET) == 0 ? 0 : -errno;
}

/* 10.99.(number / 256).(number % 256) on the loopback interface: no address of a wire is needed. */
static uint32_t address_of(int64_t number)
{
	return htonl(0x0a630000u + (uint32_t)number);
}

static int64_t do_give_address(int64_t number)
{
	struct ifreq request = {.ifr_name = "lo:1"};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {address_of(number)}};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int r;

	memcpy(&request.ifr_addr, &address, sizeof(address));
	r = ioctl(fd, SIOCSIFADDR, &request) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int64_t do_open_socket(int64_t number)
{
	struct sockaddr_in local = {
		.sin_family = AF_INET, .sin_port = htons(5000), .sin_addr = {address_of(number)}};
	struct sockaddr_in remote = {
		.sin_family = AF_INET, .sin_port = htons(5001), .sin_addr = {address_of(number)}};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
	    connect(fd, (struct sockaddr *)&remote, sizeof(remote)) < 0)
		return -errno;
	return fd;
}

static int64_t do_close(int64_t fd)
{
	return close((int)fd);
}

/* --- The test's side --- */

static struct actor start_in_namespace(int64_t number)
{
	struct actor actor = actor_start();

	assert_int_equal(actor_tell(&actor, do_unshare, 0), 0);
	assert_int_equal(actor_tell(&actor, do_give_address, number), 0);
	return actor;
}

static struct ownership_query make_query(int64_t number, uint64_t when_ns)
{
	return (struct ownership_query){.socket = {.local = ip_address_from_v4(address_of(number)),
						   .remote = ip_address_from_v4(address_of(number)),
						   .local_port = 5000,
						   .remote_port = 5001,
						   .family = IP_FAMILY_V4,
						   .protocol = IPPROTO_UDP},
					.when_ns = when_ns,
					.initiator = true};
}

static struct ownership ask(struct attribution *attribution, int64_t number)
{
	struct ownership_query query = make_query(number, clock_now_ns());
	struct ownership answer;

	/* Where it was looked shortly before, it may not be at once: the caller is told so. */
	for (uint64_t end_ns = get_deadline_ns();;) {
		attribution_find_owner(attribution, &query, clock_now_ns(), &answer);
		if (!answer.is_provisional || clock_now_ns() > end_ns)
			return answer;
		poll(NULL, 0, 1);
	}
}

static struct attribution *open_attribution(void)
{
	struct attribution_options options = {
		.methods = CONFIG_METHOD_SOCK_DIAG, .proc_fd = proc_fd, .all_namespaces = true};
	struct attribution *attribution;

	assert_int_equal(attribution_new(&options, &attribution), 0);
	assert_int_equal(attribution_get_namespaces_error(attribution), 0);
	return attribution;
}

static void test_a33_found_on_demand_and_let_go(void **state)
{
	struct attribution *attribution = open_attribution();
	struct actor actor = start_in_namespace(1);
	struct ownership answer;
	int64_t fd;

	(void)state;
	fd = actor_tell(&actor, do_open_socket, 1);
	assert_true(fd >= 0);
	answer = ask(attribution, 1);
	assert_int_equal(answer.method, OWNERSHIP_SOCK_DIAG);
	assert_int_equal(answer.process.pid, actor.pid);
	assert_int_equal(actor_tell(&actor, do_close, fd), 0);
	answer = ask(attribution, 1);
	assert_int_equal(answer.method, OWNERSHIP_NONE);
	assert_int_equal(answer.reason, OWNERSHIP_REASON_CLOSED);
	actor_stop(&actor);
	attribution_expire(attribution, clock_now_ns() + 20 * NS_PER_SEC);
	answer = ask(attribution, 1);
	assert_int_equal(answer.method, OWNERSHIP_NONE);
	assert_int_equal(answer.reason, OWNERSHIP_REASON_EXITED);
	attribution_expire(attribution, clock_now_ns() + 60 * NS_PER_SEC);
	assert_int_equal(ask(attribution, 1).method, OWNERSHIP_REMOTE);
	attribution_free(attribution);
}

static void test_a33_one_tuple_in_two_namespaces(void **state)
{
	struct attribution *attribution = open_attribution();
	struct actor first = start_in_namespace(2), second = start_in_namespace(2);
	struct ownership answer;
	int64_t fd;

	(void)state;
	assert_true(actor_tell(&first, do_open_socket, 2) >= 0);
	assert_int_equal(ask(attribution, 2).process.pid, first.pid);
	fd = actor_tell(&second, do_open_socket, 2);
	assert_true(fd >= 0);
	attribution_expire(attribution, clock_now_ns() + 20 * NS_PER_SEC);
	answer = ask(attribution, 2);
	assert_int_equal(answer.method, OWNERSHIP_NONE);
	assert_int_equal(answer.reason, OWNERSHIP_REASON_AMBIGUOUS);
	assert_int_equal(answer.process.pid, 0);
	assert_int_equal(actor_tell(&second, do_close, fd), 0);
	assert_int_equal(ask(attribution, 2).process.pid, first.pid);
	actor_stop(&first);
	actor_stop(&second);
	attribution_free(attribution);
}

static int64_t do_drop_right(int64_t argument)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	struct attribution_options options = {.methods = CONFIG_METHOD_SOCK_DIAG,
					      .proc_fd = open("/proc", O_PATH | O_CLOEXEC),
					      .all_namespaces = true};
	struct attribution *attribution;
	int r;

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	data[0].permitted &= ~(1u << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	r = attribution_new(&options, &attribution);
	if (r < 0)
		return r;
	r = attribution_get_namespaces_error(attribution);
	if (ask(attribution, argument).method != OWNERSHIP_REMOTE)
		r = -ENOTRECOVERABLE;
	attribution_free(attribution);
	return r;
}

static void test_without_the_right_as_with_host(void **state)
{
	struct actor other = start_in_namespace(3), poor = actor_start();

	(void)state;
	assert_true(actor_tell(&other, do_open_socket, 3) >= 0);
	assert_int_equal(actor_tell(&poor, do_drop_right, 3), -EPERM);
	actor_stop(&poor);
	actor_stop(&other);
}

static size_t count_entries(const char *path)
{
	DIR *directory = opendir(path);
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static size_t count_interfaces(void)
{
	struct if_nameindex *all = if_nameindex();
	size_t count = 0;

	assert_non_null(all);
	while (all[count].if_index)
		count++;
	if_freenameindex(all);
	return count;
}

static void connect_wires(const struct actor *actors, int64_t first)
{
	FILE *ip = popen("ip -batch -", "w");

	assert_non_null(ip);
	for (int64_t i = 0; i < AT_ONCE; i++)
		fprintf(ip, "link add w%d type veth peer name e0 netns %d\n", (int)(first + i),
			actors[i].pid);
	assert_int_equal(pclose(ip), 0);
}

/* Lets time pass until it is looked anew. */
static void look_again(struct namespaces *namespaces, uint64_t *now_ns)
{
	uint64_t looks = namespaces_get_counters(namespaces)->looks;

	while (namespaces_get_counters(namespaces)->looks == looks) {
		*now_ns += 100 * NS_PER_MS;
		namespaces_refresh(namespaces, *now_ns);
	}
}

static void run_round(struct namespaces *namespaces, int64_t first, uint64_t *now_ns)
{
	struct actor actors[AT_ONCE];

	for (int64_t i = 0; i < AT_ONCE; i++)
		actors[i] = start_in_namespace(first + i);
	connect_wires(actors, first);
	look_again(namespaces, now_ns);
	for (int64_t i = 0; i < AT_ONCE; i++) {
		struct namespaces_question question = {
			.family = IP_FAMILY_V4,
			.address = ip_address_from_v4(address_of(first + i)),
			.now_ns = *now_ns};
		struct namespace_match matches[NAMESPACES_MOST_MATCHES];
		const struct socket_space *sockets;

		assert_int_equal(namespaces_find(namespaces, &question, matches), 1);
		assert_int_equal(namespaces_open_sockets(namespaces, matches[0].netns, *now_ns,
							 &sockets),
				 0);
	}
	assert_true(namespaces_get_counters(namespaces)->open >= AT_ONCE);
	for (int64_t i = 0; i < AT_ONCE; i++)
		actor_stop(&actors[i]);
	look_again(namespaces, now_ns);
}

static double measure_look(struct namespaces *namespaces, uint64_t *now_ns)
{
	uint64_t begin_ns = clock_now_ns();

	look_again(namespaces, now_ns);
	return (double)(clock_now_ns() - begin_ns) / 1000;
}

/* With their sockets open when they end: what would stay is a descriptor here, and the namespace with
 * its wire there. */
static void test_a_thousand_namespaces_leave_nothing(void **state)
{
	struct namespaces *namespaces;
	uint64_t now_ns = clock_now_ns(), end_ns;
	size_t interfaces = count_interfaces();
	size_t before, left = 0;
	unsigned rounds = slowness_get() > 1 ? ROUNDS_EMULATED : ROUNDS;

	(void)state;
	assert_int_equal(namespaces_new(proc_fd, now_ns, &namespaces), 0);
	before = count_entries("/proc/self/fd");
	for (int64_t round = 0; round < rounds; round++)
		run_round(namespaces, 1000 + round * AT_ONCE, &now_ns);
	assert_int_equal(namespaces_get_counters(namespaces)->open, 0);
	assert_int_equal(count_entries("/proc/self/fd"), before);
	assert_true(namespaces_get_counters(namespaces)->entered >= rounds * AT_ONCE);
	printf("a look takes %.0f us at the end\n", measure_look(namespaces, &now_ns));
	for (end_ns = get_deadline_ns(); clock_now_ns() < end_ns;) {
		left = count_interfaces() - interfaces;
		if (left == 0)
			break;
		poll(NULL, 0, 10);
	}
	if (left)
		fail_msg("%zu of %u namespaces are still there", left, rounds * AT_ONCE);
	namespaces_free(namespaces);
}

static int set_up(void **state)
{
	(void)state;
	if (network_namespace_enter() < 0) {
		fprintf(stderr, "skipped: no right to make a network namespace\n");
		exit(77);
	}
	proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return proc_fd < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a33_found_on_demand_and_let_go),
		cmocka_unit_test(test_a33_one_tuple_in_two_namespaces),
		cmocka_unit_test(test_without_the_right_as_with_host),
		cmocka_unit_test(test_a_thousand_namespaces_leave_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
