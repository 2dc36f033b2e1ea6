/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The proc connector (drivers/connector/cn_proc.c): who forks, executes and exits, told by the kernel
 * as it happens. For where trace is not to be had. It answers in the initial network, user and pid
 * namespaces only.
 *
 * Nothing is read until it is asked for: FORK and EXEC are queued before the child runs and before
 * execve(2) returns, so what proc_connector_read() tells of them is complete up to the call. EXIT may come
 * a little after wait4(2) has returned (do_exit() in kernel/exit.c). */

#include <stddef.h>
#include <stdint.h>

#include "flow/flow_event.h"

struct proc_connector;

struct proc_connector_handlers {
	/* FORK, EXEC (without the name) and EXIT. */
	void (*on_process)(void *userdata, const struct process_event *event);
	/* Events are missing among those told up to now. */
	void (*on_lost)(void *userdata);
	void *userdata;
};

struct proc_connector_options {
	struct proc_connector_handlers handlers;
	size_t receive_buffer_bytes; /* 0: as is good */
};

struct proc_connector_counters {
	uint64_t events;    /* told */
	uint64_t others;    /* of kinds that are not wanted: kernels before 6.6 send them all */
	uint64_t malformed; /* dropped */
	uint64_t overruns;  /* times that the kernel dropped some; how many it does not say */
};

/* 0; -EOPNOTSUPP where it does not answer; -EPERM (CAP_NET_ADMIN); another negative errno. */
int proc_connector_open(const struct proc_connector_options *options, struct proc_connector **ret);
/* Accepts NULL. */
void proc_connector_close(struct proc_connector *connector);

/* Tells what has come, 16,384 events at most. Does not block. */
void proc_connector_read(struct proc_connector *connector);

const struct proc_connector_counters *
proc_connector_get_counters(const struct proc_connector *connector);

/* Outcomes of proc_connector_parse(). */
enum {
	PROC_CONNECTOR_EVENT = 0,
	PROC_CONNECTOR_OTHER = 1, /* an event of another kind, or somebody else's message */
	PROC_CONNECTOR_ACK = 2,	  /* *ret_answer: what was answered, and 0 or a negative errno */
};

struct proc_connector_answer {
	uint32_t number; /* cn_msg.ack of the question */
	int error;
};

/* Pure: what follows the netlink header (struct cn_msg and struct proc_event). One of the outcomes, or
 * -EBADMSG. */
int proc_connector_parse(const void *payload, size_t size, struct process_event *ret_event,
			 struct proc_connector_answer *ret_answer);
