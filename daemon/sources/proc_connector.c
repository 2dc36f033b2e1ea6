/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/proc_connector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "netlink/channel.h"

/* An event takes some 800 bytes of the buffer with what the kernel counts for holding it: room for
 * 5,000, which a host seldom makes in the second that may pass between two readings. */
enum { BUFFER_BYTES = 4 << 20, ROUND = 2048, MOST_ROUNDS = 8 };

enum { HEADER_SIZE = 20, EVENT_SIZE = 16 /* before its data */, MESSAGE_SIZE = 64 };

_Static_assert(sizeof(struct cn_msg) == HEADER_SIZE, "");
_Static_assert(offsetof(struct proc_event, event_data) == EVENT_SIZE, "");

/* struct proc_input of Linux 6.6 on. Older kernels take the first number alone, and pass over a
 * message of another size in silence. */
struct listen_message {
	uint32_t operation, events;
};

struct proc_connector {
	struct netlink_channel *channel;
	struct proc_connector_handlers handlers;
	struct proc_connector_counters counters;
	uint32_t number; /* of our question */
	bool is_answered;
	int answer;
};

DEFINE_CLEANUP(struct proc_connector *, proc_connector_close);

static uint32_t number_at(const uint8_t *bytes, size_t offset)
{
	uint32_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

/* The pids that an event's data begins with; false where they are none. */
static bool read_pids(const uint8_t *data, size_t size, size_t count, pid_t out[4])
{
	if (size < count * sizeof(uint32_t))
		return false;
	for (size_t i = 0; i < count; i++) {
		uint32_t pid = number_at(data, i * sizeof(uint32_t));

		/* The parent of the first process and of those from outside is 0. */
		if (pid > INT32_MAX)
			return false;
		out[i] = (pid_t)pid;
	}
	return true;
}

static int parse_fork(const uint8_t *data, size_t size, struct process_event *event)
{
	pid_t pids[4]; /* parent's thread and group, child's thread and group */

	if (!read_pids(data, size, 4, pids) || pids[2] == 0 || pids[3] == 0)
		return -EBADMSG;
	event->type = PROCESS_EVENT_FORK;
	event->parent = pids[1];
	event->thread = pids[2];
	event->pid = pids[3];
	return PROC_CONNECTOR_EVENT;
}

static int parse_change(const uint8_t *data, size_t size, enum process_event_type type,
			struct process_event *event)
{
	pid_t pids[4]; /* thread and group */

	if (!read_pids(data, size, 2, pids) || pids[0] == 0 || pids[1] == 0)
		return -EBADMSG;
	event->type = type;
	event->thread = pids[0];
	event->pid = pids[1];
	return PROC_CONNECTOR_EVENT;
}

static int parse_event(uint32_t what, const uint8_t *data, size_t size, struct process_event *event)
{
	switch (what) {
	case PROC_EVENT_FORK:
		return parse_fork(data, size, event);
	case PROC_EVENT_EXEC:
		return parse_change(data, size, PROCESS_EVENT_EXEC, event);
	case (uint32_t)PROC_EVENT_EXIT:
		return parse_change(data, size, PROCESS_EVENT_EXIT, event);
	default:
		return PROC_CONNECTOR_OTHER;
	}
}

int proc_connector_parse(const void *payload, size_t size, struct process_event *ret_event,
			 struct proc_connector_answer *ret_answer)
{
	const uint8_t *bytes = payload, *data = bytes + HEADER_SIZE + EVENT_SIZE;
	struct process_event event = {0};
	struct cn_msg header;
	uint32_t what;
	int r;

	if (size < HEADER_SIZE)
		return -EBADMSG;
	memcpy(&header, bytes, HEADER_SIZE);
	if (header.id.idx != CN_IDX_PROC || header.id.val != CN_VAL_PROC)
		return PROC_CONNECTOR_OTHER;
	if (header.len < EVENT_SIZE || header.len > size - HEADER_SIZE)
		return -EBADMSG;
	what = number_at(bytes, HEADER_SIZE);
	/* Of 8 bytes at an offset of 4: it is not aligned. Monotonic (ktime_get_ns()). */
	memcpy(&event.when_ns, bytes + HEADER_SIZE + offsetof(struct proc_event, timestamp_ns),
	       sizeof(event.when_ns));
	size = header.len - EVENT_SIZE;
	if (what == PROC_EVENT_NONE) {
		if (size < sizeof(uint32_t))
			return -EBADMSG;
		*ret_answer = (struct proc_connector_answer){
			/* The kernel numbers its messages by itself and adds one to this. */
			.number = header.ack - 1,
			.error = number_at(data, 0) > 4095 ? -EPROTO : -(int)number_at(data, 0)};
		return PROC_CONNECTOR_ACK;
	}
	r = parse_event(what, data, size, &event);
	if (r == PROC_CONNECTOR_EVENT)
		*ret_event = event;
	return r;
}

static int on_message(const struct nlmsghdr *message, void *userdata)
{
	struct proc_connector *connector = userdata;
	struct proc_connector_answer answer;
	struct process_event event;
	int r = proc_connector_parse(mnl_nlmsg_get_payload(message),
				     mnl_nlmsg_get_payload_len(message), &event, &answer);

	switch (r) {
	case PROC_CONNECTOR_EVENT:
		connector->counters.events++;
		connector->handlers.on_process(connector->handlers.userdata, &event);
		break;
	case PROC_CONNECTOR_ACK:
		if (answer.number == connector->number && !connector->is_answered) {
			connector->is_answered = true;
			connector->answer = answer.error;
		}
		break;
	case PROC_CONNECTOR_OTHER:
		connector->counters.others++;
		break;
	default:
		connector->counters.malformed++;
		break;
	}
	return 0;
}

static int send_message(struct proc_connector *connector, uint32_t operation, uint32_t events)
{
	struct listen_message data = {.operation = operation, .events = events};
	size_t size = events ? sizeof(data) : sizeof(data.operation);
	struct cn_msg header = {.id = {.idx = CN_IDX_PROC, .val = CN_VAL_PROC},
				.ack = connector->number,
				.len = (uint16_t)size};
	uint8_t buffer[MESSAGE_SIZE] __attribute__((aligned(4)));
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	uint8_t *payload = mnl_nlmsg_put_extra_header(message, HEADER_SIZE + size);

	message->nlmsg_type = NLMSG_DONE;
	memcpy(payload, &header, HEADER_SIZE);
	memcpy(payload + HEADER_SIZE, &data, size);
	return netlink_channel_send(connector->channel, message);
}

static int listen_to_all(struct proc_connector *connector)
{
	int r = netlink_channel_join(connector->channel, CN_IDX_PROC);

	if (r < 0)
		return r;
	r = send_message(connector, PROC_CN_MCAST_LISTEN, 0);
	/* Another network namespace than the first has nobody there. */
	if (r < 0)
		return r == -ECONNREFUSED ? -EOPNOTSUPP : r;
	/* The answer is queued before the message is sent. */
	proc_connector_read(connector);
	return connector->is_answered ? connector->answer : -EOPNOTSUPP;
}

int proc_connector_open(const struct proc_connector_options *options, struct proc_connector **ret)
{
	cleanup(proc_connector_close_cleanup) struct proc_connector *connector =
		calloc(1, sizeof(*connector));
	int r;

	if (!connector)
		return -ENOMEM;
	connector->handlers = options->handlers;
	r = netlink_channel_open_on_host(NETLINK_CONNECTOR, &connector->channel);
	if (r < 0)
		return r == -EPROTONOSUPPORT ? -EOPNOTSUPP : r;
	/* Answers go to all who listen: the number tells whose one is. */
	connector->number = netlink_channel_get_port(connector->channel);
	(void)netlink_channel_set_receive_buffer(
		connector->channel,
		options->receive_buffer_bytes ? options->receive_buffer_bytes : BUFFER_BYTES);
	r = listen_to_all(connector);
	if (r < 0)
		return r;
	(void)send_message(connector, PROC_CN_MCAST_LISTEN,
			   PROC_EVENT_FORK | PROC_EVENT_EXEC | (uint32_t)PROC_EVENT_EXIT);
	*ret = steal_pointer(&connector);
	return 0;
}

void proc_connector_close(struct proc_connector *connector)
{
	if (!connector)
		return;
	/* Before 6.6 the kernel counts a listener until it is told so, even when its socket is
	 * gone. */
	if (connector->channel && connector->is_answered)
		(void)send_message(connector, PROC_CN_MCAST_IGNORE, 0);
	netlink_channel_close(connector->channel);
	free(connector);
}

/* After an overrun the kernel is silent until the queue was read empty, so what is missing is missing up
 * to there. */
void proc_connector_read(struct proc_connector *connector)
{
	bool is_lost = false;
	int r = NETLINK_MORE;

	for (int i = 0; i < MOST_ROUNDS && r != NETLINK_DRAINED; i++) {
		r = netlink_channel_receive(connector->channel, ROUND, on_message, connector);
		connector->counters.overruns += r == -ENOBUFS;
		is_lost |= r == -ENOBUFS;
	}
	if (is_lost || r != NETLINK_DRAINED)
		connector->handlers.on_lost(connector->handlers.userdata);
}

const struct proc_connector_counters *
proc_connector_get_counters(const struct proc_connector *connector)
{
	return &connector->counters;
}
