/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What waits for connections or datagrams on this host, for exporters whose collectors take an
 * inventory beside the records (ntopng). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listening_port {
	bool is_udp, is_v6;
	uint16_t port;
	const char *executable, *package; /* NULL: not known */
};

struct listening_ports {
	const struct listening_port *items; /* in order, none twice */
	size_t count;
};
