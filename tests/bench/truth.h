/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Flows of which it is known who made them. Each is opened by a process of its own that writes down
 * who it is and which tuple it used, and exits. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum truth_kind { TRUTH_TCP, TRUTH_UDP_ANSWER, TRUTH_UDP_SEND, TRUTH_KINDS };

/* Server ports from which the flows of a cell take theirs in turn: then the ports that the kernel
 * chooses for the clients hardly ever make the same tuple twice. */
enum { TRUTH_SERVER_PORTS = 64 };

struct truth_cell {
	enum truth_kind kind;
	int family;   /* AF_INET, AF_INET6 */
	bool is_exec; /* fork and exec; else fork alone */
	/* Where the server is, borrowed; NULL: loopback. */
	const char *address;
};

/* What a sender writes into memory that it shares with the scorer. */
struct truth_flow {
	pid_t pid, parent; /* pid 0: it did not get that far */
	uint16_t local_port, remote_port;
	uint64_t before_ns, after_ns; /* monotonic: the flow began between */
};

struct truth_server {
	pid_t pid;
	uint16_t ports[TRUTH_SERVER_PORTS];
};

/* The sender's part: opens one flow to the cell's address and "port" and writes it down. False where
 * a call failed. */
bool truth_send(const struct truth_cell *cell, uint16_t port, bool connects,
		struct truth_flow *ret);

/* A child that serves the cell until it is stopped; its ports are open when this returns. All of
 * these end the program by abort() where a call fails. */
void truth_server_start(const struct truth_cell *cell, struct truth_server *ret);
void truth_server_stop(const struct truth_server *server);

/* "count" zeroed places in memory that children share; the descriptor stays open over execve(2). */
struct truth_flow *truth_map(size_t count, int *ret_fd);

/* All borrowed. */
struct truth_senders {
	const struct truth_cell *cell;
	const struct truth_server *server;
	const char *program; /* truth_sender, for is_exec */
	size_t count, parallel;
	struct truth_flow *flows; /* count, of truth_map() */
	int flows_fd;
};

/* A child that starts every "parallel"th sender from "first" on, one after the other, and exits; 0
 * where all could be started. Every second round of the server's ports is sent to without
 * connect(2). Its pid, or -1. */
pid_t truth_spawner_start(const struct truth_senders *senders, size_t first);
