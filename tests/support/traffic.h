/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Small exchanges on loopback, complete when the call returns. All end the test program by
 * abort() with a message where a system call fails. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct traffic_pair {
	int client, server; /* descriptors */
	uint16_t client_port, server_port;
};

/* Connected sockets on 127.0.0.1 or ::1; "client_port" 0 lets the kernel choose. */
struct traffic_pair traffic_open(int family, int type, uint16_t client_port);
/* Sends "bytes" from the client and as many back, and reads them on both sides. */
void traffic_exchange(const struct traffic_pair *pair, size_t bytes);
/* The client closes first, in the orderly way. */
void traffic_close(struct traffic_pair *pair);
/* The client resets the connection. */
void traffic_reset(struct traffic_pair *pair);
/* One echo request to 127.0.0.1 or ::1 from a raw socket, and its answer. */
void traffic_ping(int family, uint16_t id);
