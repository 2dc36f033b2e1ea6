/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as a line of sysdig, and as a tuple in one. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_target.h"
#include "sources/sysdig_line.h"

static void check_socket(const struct socket_event *event)
{
	if (event->pid <= 0 || !event->is_proof || event->socket.local_port == 0 ||
	    event->socket.remote_port == 0 ||
	    (event->socket.family != IP_FAMILY_V4 && event->socket.family != IP_FAMILY_V6))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As long as the input, so that a sanitiser sees a read behind it. */
	char *line = malloc(size + 1);
	struct sysdig_event event;
	struct sysdig_tuple tuple;
	int r;

	if (!line)
		return 0;
	if (size > 0)
		memcpy(line, data, size);
	line[size] = '\0';
	r = sysdig_line_parse_tuple(line, &tuple);
	if (r != 0 && r != -EINVAL)
		abort();
	line = realloc(line, size > 0 ? size : 1);
	r = sysdig_line_parse(line, size, &event);
	if (r != -EBADMSG && (r < 0 || r > SYSDIG_LINE_E_UNKNOWN))
		abort();
	if (r == SYSDIG_LINE_SOCKET)
		check_socket(&event.socket);
	if (r == SYSDIG_LINE_PROCESS && event.process.pid <= 0)
		abort();
	free(line);
	return 0;
}
