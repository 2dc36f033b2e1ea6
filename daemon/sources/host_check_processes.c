/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/taskstats.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "netlink/attribute.h"
#include "netlink/channel.h"
#include "sources/host_checks.h"

DEFINE_CLEANUP(struct netlink_channel *, netlink_channel_close);

enum { REQUEST_SIZE = 256 };

/* An exact request answers ENOENT both where the socket and where the protocol is not known. A dump
 * tells them apart, and one of sockets in no state at all lists nothing. */
static int ask_diag(uint8_t protocol)
{
	cleanup(netlink_channel_close_cleanup) struct netlink_channel *channel = NULL;
	uint8_t bytes[REQUEST_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *request = mnl_nlmsg_put_header(bytes);
	struct inet_diag_req_v2 *question = mnl_nlmsg_put_extra_header(request, sizeof(*question));
	int r = netlink_channel_open(NETLINK_SOCK_DIAG, &channel);

	if (r < 0)
		return r;
	request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request->nlmsg_flags = NLM_F_DUMP;
	question->sdiag_family = AF_INET;
	question->sdiag_protocol = protocol;
	return netlink_channel_request(channel, request, NULL, NULL);
}

void host_check_socket_lookup(struct host_report *report)
{
	static const struct {
		const char *what, *name, *modules;
		uint8_t protocol;
	} rows[] = {
		{"socket lookup tcp", "tcp", "inet_diag tcp_diag", IPPROTO_TCP},
		{"socket lookup udp", "udp", "inet_diag udp_diag", IPPROTO_UDP},
	};
	bool is_wanted = report->config->attribution.methods & CONFIG_METHOD_SOCK_DIAG;

	for (size_t i = 0; i < array_length(rows); i++) {
		int r = ask_diag(rows[i].protocol);

		if (r >= 0)
			host_report_write(report, HOST_OK, rows[i].what, "sock_diag answers");
		else
			host_report_write(report, is_wanted ? HOST_MISSING : HOST_NOTE,
					  rows[i].what,
					  "sock_diag does not answer for %s: %s; modprobe -a %s",
					  rows[i].name, strerror(-r), rows[i].modules);
	}
}

static int on_family(const struct nlmsghdr *message, void *userdata)
{
	netlink_message_copy_value(message, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_ID,
				   userdata, sizeof(uint16_t));
	return 0;
}

static struct nlmsghdr *put_generic(void *bytes, uint16_t family, uint8_t command)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(bytes);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	request->nlmsg_type = family;
	header->cmd = command;
	header->version = 1;
	return request;
}

/* Asks for our own figures: 0 or a negative errno. */
static int ask_taskstats(void)
{
	cleanup(netlink_channel_close_cleanup) struct netlink_channel *channel = NULL;
	uint8_t bytes[REQUEST_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *request;
	uint16_t family = 0;
	int r = netlink_channel_open_on_host(NETLINK_GENERIC, &channel);

	if (r < 0)
		return r;
	request = put_generic(bytes, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME);
	r = netlink_channel_request(channel, request, on_family, &family);
	if (r < 0)
		return r;
	request = put_generic(bytes, family, TASKSTATS_CMD_GET);
	mnl_attr_put_u32(request, TASKSTATS_CMD_ATTR_TGID, (uint32_t)getpid());
	return netlink_channel_request(channel, request, NULL, NULL);
}

void host_check_taskstats(struct host_report *report)
{
	enum host_status lack =
		report->config->processes.delay_accounting ? HOST_MISSING : HOST_NOTE;
	int r = ask_taskstats();

	if (r >= 0)
		host_report_write(report, HOST_OK, "taskstats", "answers");
	else if (r == -ENOENT)
		host_report_write(report, lack, "taskstats",
				  "the kernel has none: the I/O wait of processes is unknown, the "
				  "rest comes from /proc; it takes a kernel with "
				  "CONFIG_TASK_DELAY_ACCT");
	else
		host_report_write(
			report, lack, "taskstats",
			"does not answer: %s: the I/O wait of processes is unknown, the "
			"rest comes from /proc; run with CAP_NET_ADMIN in the initial user "
			"namespace (not in a rootless container)",
			strerror(-r));
}

void host_check_proc(struct host_report *report)
{
	struct buffer text;
	int r;

	buffer_init(&text);
	r = host_report_read_text(report, "self/mountinfo", &text);
	if (r < 0)
		host_report_write(report, HOST_MISSING, "/proc",
				  "cannot be read: %s; mount -t proc proc /proc", strerror(-r));
	else if (!host_report_parse_hidepid((struct text){(char *)text.bytes, text.length}))
		host_report_write(report, HOST_OK, "/proc", "shows the processes of all users");
	else if (host_report_has_capability(report, CAP_SYS_PTRACE))
		host_report_write(
			report, HOST_OK, "/proc",
			"hides the processes of others (hidepid), not from CAP_SYS_PTRACE");
	else
		host_report_write(report, HOST_MISSING, "/proc",
				  "hides the processes of other users (hidepid); mount -o "
				  "remount,hidepid=0 /proc, or give CAP_SYS_PTRACE");
	buffer_fini(&text);
}

static ino_t read_inode(const struct host_report *report, const char *path)
{
	struct stat status;

	return fstatat(report->proc_fd, path, &status, 0) < 0 ? 0 : status.st_ino;
}

/* PROC_PID_INIT_INO, include/linux/proc_ns.h: fixed since Linux 3.8. */
static const ino_t initial_pid_namespace = 0xEFFFFFFC;

void host_check_namespaces(struct host_report *report)
{
	ino_t pid = read_inode(report, "self/ns/pid"), net = read_inode(report, "self/ns/net");
	ino_t init_net = read_inode(report, "1/ns/net"); /* 0 without CAP_SYS_PTRACE */

	if (pid == initial_pid_namespace)
		host_report_write(report, HOST_OK, "PID namespace",
				  "the host's: all processes can be seen");
	else
		host_report_write(report, HOST_NOTE, "PID namespace",
				  "a container's: processes outside of it are not seen; run on the "
				  "host, or with --pid=host");
	if (net == 0 || init_net == 0)
		return; /* it cannot be told */
	if (net == init_net)
		host_report_write(report, HOST_OK, "network namespace",
				  "that of process 1: flows are those of the host");
	else
		host_report_write(report, HOST_NOTE, "network namespace",
				  "not that of process 1: flows are those of this namespace alone; "
				  "run on the host, or with --network=host");
}
