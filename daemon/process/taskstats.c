/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/taskstats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/taskstats.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "netlink/attribute.h"
#include "procfs/text_file.h"

/* A record takes about 2 KiB of the buffer (560 bytes of statistics, twice for a group, and what
 * the kernel counts for holding them): room for some 8,000, a second of forking at full speed. */
enum { EXIT_BUFFER_BYTES = 8 << 20, REQUEST_SIZE = 8192 };

struct taskstats_client {
	struct netlink_channel *queries, *exits;
	uint16_t family;
};

DEFINE_CLEANUP(struct taskstats_client *, taskstats_close);

/* Offsets in struct taskstats (include/uapi/linux/taskstats.h). Not the build machine's header: it
 * may be older or newer than the kernel that answers. */
enum field {
	FIELD_VERSION = 0,
	FIELD_EXIT_CODE = 4,
	FIELD_FLAGS = 8,
	FIELD_RUN_COUNT = 16,
	FIELD_RUN_DELAY = 24,
	FIELD_CPU_END = 32, /* behind cpu_delay_total; the others likewise */
	FIELD_BLKIO_COUNT = 32,
	FIELD_BLKIO_DELAY = 40,
	FIELD_BLKIO_END = 48,
	FIELD_SWAPIN_COUNT = 48,
	FIELD_SWAPIN_DELAY = 56,
	FIELD_SWAPIN_END = 64,
	FIELD_CPU_RUN_VIRTUAL = 72,
	FIELD_NAME = 80,
	FIELD_UID = 120,
	FIELD_PID = 128,
	FIELD_PARENT = 132,
	FIELD_ELAPSED = 144,
	FIELD_USER = 152,
	FIELD_SYSTEM = 160,
	FIELD_MINOR_FAULTS = 168,
	FIELD_MAJOR_FAULTS = 176,
	FIELD_PEAK_MEMORY = 200,
	FIELD_READ_BYTES = 248,
	FIELD_WRITE_BYTES = 256,
	FIELD_VOLUNTARY_SWITCHES = 272,
	FIELD_INVOLUNTARY_SWITCHES = 280,
	FIELD_FREEPAGES_COUNT = 312,
	FIELD_FREEPAGES_END = 328,
	FIELD_THRASHING_COUNT = 328,
	FIELD_THRASHING_END = 344,
	FIELD_COMPACT_COUNT = 352,
	FIELD_COMPACT_END = 368,
	FIELD_GROUP = 368,
	FIELD_GROUP_ELAPSED = 376,
	FIELD_COPY_COUNT = 400,
};

enum {
	SMALLEST_LENGTH = 280, /* up to the context switches: every kernel since 2.6.20 has them */
	LONGEST_TICK_NS = 10000000, /* HZ = 100 */
	VERSION_BLKIO_HAS_SWAPIN = 11,
	VERSION_GROUP = 12,
	VERSION_SHIFTED_FIRST = 14,
	VERSION_SHIFTED_LAST = 15,
	PLAIN_LENGTH_14 = 432,
	DELAYS_14 = 8,
	LAST_OF_GROUP = 0x20, /* AGROUP of linux/acct.h, which not every header has */
};

struct figures_reader {
	const uint8_t *bytes;
	size_t length;
	size_t shift; /* bytes that stand behind the total of each delay */
};

/* Linux 6.14 and 6.15 (versions 14 and 15) put a maximum and a minimum behind the total of each
 * delay; version 16 moved them to the end ("taskstats: fix struct taskstats breaks backward
 * compatibility since version 15"). 6.14 did not count the version up: the length tells. */
static size_t find_shift(uint16_t version, size_t length)
{
	if (version < VERSION_SHIFTED_FIRST || version > VERSION_SHIFTED_LAST ||
	    length < PLAIN_LENGTH_14)
		return 0;
	return (length - PLAIN_LENGTH_14) / (DELAYS_14 * sizeof(uint64_t)) * sizeof(uint64_t);
}

/* The place of a field, or NULL where this kernel does not have it. */
static const uint8_t *find_field(const struct figures_reader *reader, enum field field, size_t size)
{
	static const enum field delay_ends[] = {FIELD_CPU_END,	     FIELD_BLKIO_END,
						FIELD_SWAPIN_END,    FIELD_FREEPAGES_END,
						FIELD_THRASHING_END, FIELD_COMPACT_END};
	size_t offset = field;

	for (size_t i = 0; i < array_length(delay_ends); i++)
		if (delay_ends[i] <= field)
			offset += reader->shift;
	return offset + size <= reader->length ? reader->bytes + offset : NULL;
}

static uint64_t read_u64(const struct figures_reader *reader, enum field field)
{
	const uint8_t *at = find_field(reader, field, sizeof(uint64_t));
	uint64_t value = 0;

	if (at)
		memcpy(&value, at, sizeof(value));
	return value;
}

static uint32_t read_u32(const struct figures_reader *reader, enum field field)
{
	const uint8_t *at = find_field(reader, field, sizeof(uint32_t));
	uint32_t value = 0;

	if (at)
		memcpy(&value, at, sizeof(value));
	return value;
}

/* Until version 10 a wait for the disk while swapping in was counted as swapin and not as blkio;
 * since 11 it is in both (see delayacct_swapin_start()). The sum of what is apart is what
 * /proc/PID/stat tells as delayacct_blkio_ticks on the same kernel. */
static uint64_t read_io_delay(const struct figures_reader *reader, uint16_t version)
{
	uint64_t delay = read_u64(reader, FIELD_BLKIO_DELAY);

	if (version < VERSION_BLKIO_HAS_SWAPIN)
		delay += read_u64(reader, FIELD_SWAPIN_DELAY);
	return delay;
}

static uint64_t sum_delay_counts(const struct figures_reader *reader)
{
	static const enum field counts[] = {FIELD_BLKIO_COUNT,	   FIELD_SWAPIN_COUNT,
					    FIELD_FREEPAGES_COUNT, FIELD_THRASHING_COUNT,
					    FIELD_COMPACT_COUNT,   FIELD_COPY_COUNT};
	uint64_t sum = 0;

	for (size_t i = 0; i < array_length(counts); i++)
		sum += read_u64(reader, counts[i]);
	return sum;
}

int taskstats_parse(const void *bytes, size_t length, struct task_figures *ret)
{
	struct figures_reader reader = {.bytes = bytes, .length = length};
	struct task_figures figures = {0};

	if (length < SMALLEST_LENGTH)
		return -EBADMSG;
	memcpy(&figures.version, reader.bytes + FIELD_VERSION, sizeof(figures.version));
	reader.shift = find_shift(figures.version, length);
	figures.cpu_ns = read_u64(&reader, FIELD_CPU_RUN_VIRTUAL);
	figures.run_count = read_u64(&reader, FIELD_RUN_COUNT);
	figures.run_delay_ns = read_u64(&reader, FIELD_RUN_DELAY);
	figures.voluntary_switches = read_u64(&reader, FIELD_VOLUNTARY_SWITCHES);
	figures.involuntary_switches = read_u64(&reader, FIELD_INVOLUNTARY_SWITCHES);
	figures.user_us = read_u64(&reader, FIELD_USER);
	figures.system_us = read_u64(&reader, FIELD_SYSTEM);
	figures.read_bytes = read_u64(&reader, FIELD_READ_BYTES);
	figures.written_bytes = read_u64(&reader, FIELD_WRITE_BYTES);
	figures.io_delay_ns = read_io_delay(&reader, figures.version);
	figures.delay_count = sum_delay_counts(&reader);
	figures.elapsed_us = read_u64(&reader, FIELD_ELAPSED);
	figures.minor_faults = read_u64(&reader, FIELD_MINOR_FAULTS);
	figures.major_faults = read_u64(&reader, FIELD_MAJOR_FAULTS);
	figures.peak_memory_bytes = read_u64(&reader, FIELD_PEAK_MEMORY) * 1024;
	figures.exit_code = read_u32(&reader, FIELD_EXIT_CODE);
	figures.uid = read_u32(&reader, FIELD_UID);
	figures.pid = (pid_t)read_u32(&reader, FIELD_PID);
	figures.parent = (pid_t)read_u32(&reader, FIELD_PARENT);
	if (figures.version >= VERSION_GROUP) {
		figures.group = (pid_t)read_u32(&reader, FIELD_GROUP);
		figures.group_elapsed_us = read_u64(&reader, FIELD_GROUP_ELAPSED);
		figures.group_ended = *find_field(&reader, FIELD_FLAGS, 1) & LAST_OF_GROUP;
	}
	memcpy(figures.name, find_field(&reader, FIELD_NAME, sizeof(figures.name)),
	       sizeof(figures.name));
	figures.name[sizeof(figures.name) - 1] = '\0';
	*ret = figures;
	return 0;
}

uint64_t taskstats_find_exit_cpu(const struct task_figures *figures)
{
	uint64_t lived_ns = figures->elapsed_us * 1000, ran_ns;

	if (figures->voluntary_switches || !figures->run_count || lived_ns < figures->run_delay_ns)
		return figures->cpu_ns;
	ran_ns = lived_ns - figures->run_delay_ns;
	/* Time that a hypervisor or interrupts took is in there too, but not behind by more than a
	 * tick: so no more than that is added. */
	if (ran_ns > figures->cpu_ns + LONGEST_TICK_NS)
		ran_ns = figures->cpu_ns + LONGEST_TICK_NS;
	return ran_ns > figures->cpu_ns ? ran_ns : figures->cpu_ns;
}

/* Attributes by type; what is unknown or does not fit is left out. */
struct attributes {
	const struct nlattr *of[8];
};

_Static_assert(TASKSTATS_TYPE_MAX < 8, "attribute types");

static void add_attribute(struct attributes *attributes, const struct nlattr *attribute)
{
	uint16_t type = netlink_attribute_get_type(attribute);

	if (type < array_length(attributes->of))
		attributes->of[type] = attribute;
}

/* TASKSTATS_TYPE_AGGR_PID or _TGID: an id and the statistics that go with it. */
static int parse_aggregate(const struct nlattr *aggregate, uint16_t id_type, pid_t *ret_id,
			   struct task_figures *ret_figures)
{
	struct attributes attributes = {0};
	const struct nlattr *id, *figures;
	uint32_t number;

	netlink_for_each_nested (attribute, aggregate)
		add_attribute(&attributes, attribute);
	id = attributes.of[id_type];
	figures = attributes.of[TASKSTATS_TYPE_STATS];
	if (!id || !figures || netlink_attribute_get_size(id) < sizeof(number))
		return -EBADMSG;
	memcpy(&number, netlink_attribute_get_payload(id), sizeof(number));
	*ret_id = (pid_t)number;
	return taskstats_parse(netlink_attribute_get_payload(figures),
			       netlink_attribute_get_size(figures), ret_figures);
}

int taskstats_parse_message(const struct nlmsghdr *message, struct taskstats_message *ret)
{
	struct taskstats_message parsed = {0};
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);
	struct attributes attributes = {0};
	const struct nlattr *task, *group;
	int r = 0;

	if (message->nlmsg_len < mnl_nlmsg_size(sizeof(*header)) ||
	    header->cmd != TASKSTATS_CMD_NEW)
		return -EBADMSG;
	netlink_for_each_attribute (attribute, message, sizeof(*header))
		add_attribute(&attributes, attribute);
	task = attributes.of[TASKSTATS_TYPE_AGGR_PID];
	group = attributes.of[TASKSTATS_TYPE_AGGR_TGID];
	parsed.has_task = task != NULL;
	parsed.has_group = group != NULL;
	if (!task && !group)
		return -EBADMSG;
	if (task)
		r = parse_aggregate(task, TASKSTATS_TYPE_PID, &parsed.pid, &parsed.task_figures);
	if (r == 0 && group)
		r = parse_aggregate(group, TASKSTATS_TYPE_TGID, &parsed.group,
				    &parsed.group_figures);
	if (r == 0)
		*ret = parsed;
	return r;
}

static struct nlmsghdr *put_request(void *bytes, uint16_t family, uint8_t command, uint16_t flags)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(bytes);
	struct genlmsghdr *header;

	request->nlmsg_type = family;
	request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->cmd = command;
	header->version = 1;
	return request;
}

static int on_family(const struct nlmsghdr *message, void *userdata)
{
	netlink_message_copy_value(message, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_ID,
				   userdata, sizeof(uint16_t));
	return 0;
}

static int find_family(struct taskstats_client *client)
{
	uint64_t bytes[REQUEST_SIZE / sizeof(uint64_t)];
	struct nlmsghdr *request = put_request(bytes, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	int r;

	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME);
	r = netlink_channel_request(client->queries, request, on_family, &client->family);
	if (r < 0)
		return r;
	return client->family ? 0 : -ENOENT;
}

/* The kernel keeps a list of listeners for each possible CPU, also for those that come later. */
static int listen_on_all(struct taskstats_client *client)
{
	uint64_t bytes[REQUEST_SIZE / sizeof(uint64_t)];
	struct nlmsghdr *request;
	char mask[4096];
	ssize_t length =
		procfs_read_text(AT_FDCWD, "/sys/devices/system/cpu/possible", mask, sizeof(mask));

	if (length < 0)
		return (int)length;
	while (length > 0 && mask[length - 1] == '\n')
		length--;
	mask[length] = '\0';
	request = put_request(bytes, client->family, TASKSTATS_CMD_GET, NLM_F_ACK);
	mnl_attr_put_strz(request, TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, mask);
	return netlink_channel_request(client->exits, request, NULL, NULL);
}

int taskstats_open(struct taskstats_client **ret)
{
	cleanup(taskstats_close_cleanup) struct taskstats_client *client =
		calloc(1, sizeof(*client));
	ssize_t size;
	int r;

	if (!client)
		return -ENOMEM;
	/* Exit records are sent to sockets in init_net alone (send_cpu_listeners() in
	 * kernel/taskstats.c), and Linux 5.10 shows the family to no other namespace. */
	r = netlink_channel_open_on_host(NETLINK_GENERIC, &client->queries);
	if (r < 0)
		return r;
	r = netlink_channel_open_on_host(NETLINK_GENERIC, &client->exits);
	if (r < 0)
		return r;
	r = find_family(client);
	if (r < 0)
		return r;
	size = netlink_channel_set_receive_buffer(client->exits, EXIT_BUFFER_BYTES);
	if (size < 0)
		return (int)size;
	r = listen_on_all(client);
	if (r < 0)
		return r;
	*ret = steal_pointer(&client);
	return 0;
}

void taskstats_close(struct taskstats_client *client)
{
	if (!client)
		return;
	netlink_channel_close(client->queries);
	netlink_channel_close(client->exits);
	free(client);
}

static int on_answer(const struct nlmsghdr *message, void *userdata)
{
	return taskstats_parse_message(message, userdata);
}

static int query(struct taskstats_client *client, uint16_t attribute, pid_t id,
		 struct taskstats_message *ret)
{
	uint64_t bytes[8];
	struct nlmsghdr *request = put_request(bytes, client->family, TASKSTATS_CMD_GET, 0);

	mnl_attr_put_u32(request, attribute, (uint32_t)id);
	return netlink_channel_request(client->queries, request, on_answer, ret);
}

int taskstats_query_group(struct taskstats_client *client, pid_t group, struct task_figures *ret)
{
	struct taskstats_message answer = {0};
	int r = query(client, TASKSTATS_CMD_ATTR_TGID, group, &answer);

	if (r < 0)
		return r;
	if (!answer.has_group)
		return -EBADMSG;
	*ret = answer.group_figures;
	return 0;
}

int taskstats_query_task(struct taskstats_client *client, pid_t pid, struct task_figures *ret)
{
	struct taskstats_message answer = {0};
	int r = query(client, TASKSTATS_CMD_ATTR_PID, pid, &answer);

	if (r < 0)
		return r;
	if (!answer.has_task)
		return -EBADMSG;
	*ret = answer.task_figures;
	return 0;
}

int taskstats_get_exit_fd(const struct taskstats_client *client)
{
	return netlink_channel_get_fd(client->exits);
}

struct exit_reading {
	taskstats_on_exit on_exit;
	void *userdata;
};

static int on_exit_message(const struct nlmsghdr *message, void *userdata)
{
	struct exit_reading *reading = userdata;
	struct taskstats_message parsed;

	if (taskstats_parse_message(message, &parsed) == 0)
		reading->on_exit(&parsed, reading->userdata);
	return 0;
}

int taskstats_read_exits(struct taskstats_client *client, unsigned most, taskstats_on_exit on_exit,
			 void *userdata)
{
	struct exit_reading reading = {.on_exit = on_exit, .userdata = userdata};

	return netlink_channel_receive(client->exits, most, on_exit_message, &reading);
}
