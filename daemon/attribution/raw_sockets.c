/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "attribution/raw_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/cleanup.h"

/* "ADDRESS:PORT" in hexadecimal; the address is printed as words of the host's byte order. */
static int parse_endpoint(const char *text, uint8_t family, struct ip_address *ret_address,
			  uint16_t *ret_number)
{
	size_t words = ip_address_length(family) / 4;
	struct ip_address address = {{0}};
	char *end;

	if (strlen(text) != words * 8 + 5 || text[words * 8] != ':')
		return -EBADMSG;
	for (size_t i = 0; i < words; i++) {
		char digits[9] = {0};
		uint32_t word;

		memcpy(digits, text + i * 8, 8);
		word = (uint32_t)strtoul(digits, &end, 16);
		if (*end)
			return -EBADMSG;
		memcpy(address.bytes + i * 4, &word, sizeof(word));
	}
	*ret_number = (uint16_t)strtoul(text + words * 8 + 1, &end, 16);
	if (*end)
		return -EBADMSG;
	*ret_address = address;
	return 0;
}

/* Columns: 0 slot, 1 local, 2 remote, 3 state, 4 queues, 5 timer, 6 retransmissions, 7 uid,
 * 8 timeout, 9 inode. */
int raw_sockets_parse_line(struct text line, uint8_t family, struct raw_socket *ret)
{
	struct raw_socket socket = {.family = family};
	char copy[256];
	char *column[10], *position = NULL;
	uint16_t remote_number;
	char *end;

	if (line.length >= sizeof(copy))
		return -EBADMSG;
	memcpy(copy, line.at, line.length);
	copy[line.length] = '\0';
	for (size_t i = 0; i < array_length(column); i++) {
		column[i] = strtok_r(i == 0 ? copy : NULL, " ", &position);
		if (!column[i])
			return -EBADMSG;
	}
	if (parse_endpoint(column[1], family, &socket.local, &socket.number) < 0 ||
	    parse_endpoint(column[2], family, &socket.remote, &remote_number) < 0)
		return -EBADMSG;
	socket.uid = (uid_t)strtoul(column[7], &end, 10);
	if (*end)
		return -EBADMSG;
	socket.inode = strtoull(column[9], &end, 10);
	if (*end)
		return -EBADMSG;
	*ret = socket;
	return 0;
}

struct choice {
	const struct socket_tuple *tuple;
	bool is_ping;
	struct raw_socket best;
	unsigned count;	   /* as good as "best" */
	bool is_connected; /* "best" is */
};

static void consider(const struct raw_socket *socket, void *userdata)
{
	struct choice *choice = userdata;
	const struct socket_tuple *tuple = choice->tuple;
	bool is_connected = !ip_address_is_zero(&socket->remote);

	if (choice->is_ping ? socket->number != tuple->echo_id
			    : socket->number != tuple->protocol && socket->number != IPPROTO_RAW)
		return;
	if (!ip_address_is_zero(&socket->local) && !ip_address_equal(&socket->local, &tuple->local))
		return;
	if (is_connected && !ip_address_equal(&socket->remote, &tuple->remote))
		return;
	if (choice->count > 0 && choice->is_connected != is_connected) {
		if (choice->is_connected)
			return;
		choice->count = 0;
	}
	if (choice->count++ == 0) {
		choice->best = *socket;
		choice->best.is_ping = choice->is_ping;
		choice->is_connected = is_connected;
	}
}

typedef void (*raw_on_socket)(const struct raw_socket *socket, void *userdata);

static int read_file(int proc_fd, const char *name, uint8_t family, raw_on_socket on_socket,
		     void *userdata)
{
	cleanup_file FILE *file = NULL;
	cleanup_free char *line = NULL;
	size_t room = 0;
	ssize_t length;
	int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno; /* a kernel without the protocol */
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	while ((length = getline(&line, &room, file)) > 0) {
		struct raw_socket socket;
		size_t size = (size_t)length - (line[length - 1] == '\n');

		if (raw_sockets_parse_line((struct text){line, size}, family, &socket) == 0)
			on_socket(&socket, userdata);
	}
	return 0;
}

struct seeking {
	uint64_t inode;
	bool found;
};

static void seek(const struct raw_socket *socket, void *userdata)
{
	struct seeking *seeking = userdata;

	seeking->found |= socket->inode == seeking->inode;
}

/* Ping sockets of both families share one table, and behind the first of a bucket each file lists
 * those of the other family too (ping_get_next(), net/ipv4/ping.c, up to 6.18 at least), with
 * addresses that are not theirs. One that stands in both files may be of either. */
static int find_ping(int proc_fd, struct choice *choice)
{
	static const char *const names[2] = {"net/icmp", "net/icmp6"};
	static const uint8_t families[2] = {IP_FAMILY_V4, IP_FAMILY_V6};
	int own = choice->tuple->family == IP_FAMILY_V6;
	struct seeking seeking = {0};
	int r = read_file(proc_fd, names[own], families[own], consider, choice);

	if (r < 0 || choice->count != 1)
		return r;
	seeking.inode = choice->best.inode;
	r = read_file(proc_fd, names[!own], families[!own], seek, &seeking);
	choice->count += seeking.found;
	return r;
}

int raw_sockets_find(int proc_fd, const struct socket_tuple *tuple, struct raw_socket *ret)
{
	bool is_v4 = tuple->family == IP_FAMILY_V4;
	bool is_icmp = tuple->protocol == IPPROTO_ICMP || tuple->protocol == IPPROTO_ICMPV6;
	struct choice choice = {.tuple = tuple, .is_ping = true};
	int r = is_icmp ? find_ping(proc_fd, &choice) : 0;

	if (r == 0 && choice.count == 0) {
		choice.is_ping = false;
		r = read_file(proc_fd, is_v4 ? "net/raw" : "net/raw6", tuple->family, consider,
			      &choice);
	}
	if (r < 0)
		return r;
	if (choice.count == 0)
		return RAW_SOCKETS_NONE;
	if (choice.count > 1)
		return RAW_SOCKETS_SEVERAL;
	*ret = choice.best;
	return RAW_SOCKETS_ONE;
}
