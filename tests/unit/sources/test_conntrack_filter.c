/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The filter over hand-made messages: any datagram socket runs it, so this needs no rights. What
 * real connections let through is kernel/conntrack_filter. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/cleanup.h"
#include "sources/conntrack_filter.h"

#define NO_STATE (-1)

struct message {
	uint16_t type, flags;
	uint16_t protocol_attribute; /* CTA_PROTOINFO_ */
	int state;		     /* NO_STATE: without CTA_PROTOINFO */
};

static struct nlmsghdr *build(const struct message *message, char *buffer)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nlattr *tuple, *info, *protocol;

	header->nlmsg_type = message->type;
	header->nlmsg_flags = message->flags;
	mnl_nlmsg_put_extra_header(header, sizeof(struct nfgenmsg));
	tuple = mnl_attr_nest_start(header, CTA_TUPLE_ORIG);
	mnl_attr_put_u8(header, 1, 1);
	mnl_attr_nest_end(header, tuple);
	mnl_attr_put_u32(header, CTA_STATUS, 0xffffffff);
	if (message->state != NO_STATE) {
		info = mnl_attr_nest_start(header, CTA_PROTOINFO);
		protocol = mnl_attr_nest_start(header, message->protocol_attribute);
		mnl_attr_put_u8(header, CTA_PROTOINFO_TCP_STATE, (uint8_t)message->state);
		mnl_attr_put_u8(header, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, 7);
		mnl_attr_nest_end(header, protocol);
		mnl_attr_nest_end(header, info);
	}
	mnl_attr_put_u32(header, CTA_ID, 0x01020304);
	return header;
}

/* Sends "message" through the filter and then a mark that always passes; whether the message came
 * before the mark, and whole. */
static bool passes(struct message message)
{
	cleanup_close int in = -1, out = -1;
	char buffer[512] = {0}, received[512];
	struct nlmsghdr *header = build(&message, buffer);
	struct nlmsghdr mark = {.nlmsg_len = sizeof(mark), .nlmsg_type = NLMSG_NOOP};
	int pair[2];
	ssize_t length;

	assert_return_code(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	in = pair[0];
	out = pair[1];
	assert_int_equal(conntrack_filter_attach(out), 0);
	/* A message that the filter stops is an error only to the sender of a unix socket. */
	(void)!send(in, header, header->nlmsg_len, 0);
	assert_int_equal(send(in, &mark, sizeof(mark), 0), sizeof(mark));
	length = recv(out, received, sizeof(received), MSG_DONTWAIT);
	if (length == sizeof(mark))
		return false;
	assert_int_equal(length, header->nlmsg_len);
	assert_memory_equal(received, header, header->nlmsg_len);
	return true;
}

static struct message event(uint8_t type, uint16_t flags, int state)
{
	return (struct message){.type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type),
				.flags = flags,
				.protocol_attribute = CTA_PROTOINFO_TCP,
				.state = state};
}

static void new_passes_in_every_state(void **state unused)
{
	assert_true(passes(event(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, NO_STATE)));
	for (int tcp = TCP_CONNTRACK_NONE; tcp < TCP_CONNTRACK_MAX; tcp++)
		assert_true(passes(event(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, tcp)));
}

static void destroy_passes_in_every_state(void **state unused)
{
	assert_true(passes(event(IPCTNL_MSG_CT_DELETE, 0, NO_STATE)));
	for (int tcp = TCP_CONNTRACK_NONE; tcp < TCP_CONNTRACK_MAX; tcp++)
		assert_true(passes(event(IPCTNL_MSG_CT_DELETE, 0, tcp)));
}

static void update_passes_only_at_the_end_of_a_tcp_connection(void **state unused)
{
	assert_false(passes(event(IPCTNL_MSG_CT_NEW, 0, NO_STATE)));
	for (int tcp = TCP_CONNTRACK_NONE; tcp < TCP_CONNTRACK_MAX; tcp++) {
		bool ended = tcp == TCP_CONNTRACK_TIME_WAIT || tcp == TCP_CONNTRACK_CLOSE;

		assert_int_equal(passes(event(IPCTNL_MSG_CT_NEW, 0, tcp)), ended);
	}
}

static void state_of_another_protocol_is_not_mistaken_for_tcp(void **state unused)
{
	struct message message = event(IPCTNL_MSG_CT_NEW, 0, TCP_CONNTRACK_TIME_WAIT);

	message.protocol_attribute = CTA_PROTOINFO_SCTP;
	assert_false(passes(message));
	message.protocol_attribute = CTA_PROTOINFO_DCCP;
	assert_false(passes(message));
}

static void other_messages_pass(void **state unused)
{
	struct message expectation = event(IPCTNL_MSG_EXP_NEW, 0, NO_STATE);
	struct message error = {.type = NLMSG_ERROR, .state = NO_STATE};

	expectation.type = NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_NEW;
	assert_true(passes(expectation));
	assert_true(passes(error));
}

static void bad_descriptor_is_an_error(void **state unused)
{
	assert_int_equal(conntrack_filter_attach(-1), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_passes_in_every_state),
		cmocka_unit_test(destroy_passes_in_every_state),
		cmocka_unit_test(update_passes_only_at_the_end_of_a_tcp_connection),
		cmocka_unit_test(state_of_another_protocol_is_not_mistaken_for_tcp),
		cmocka_unit_test(other_messages_pass),
		cmocka_unit_test(bad_descriptor_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
