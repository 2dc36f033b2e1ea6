/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as a message of the kernel about a TCP socket that ended. */

#include <errno.h>

#include "fuzz_target.h"
#include "sources/socket_end_parse.h"
#include "whole_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *message = whole_message_copy(data, size);
	struct socket_end_event event;
	int r;

	if (!message)
		return 0;
	r = socket_end_parse(message, &event);
	if (r != -EBADMSG && (r < 0 || r > SOCKET_END_E_UNTOLD))
		abort();
	if (r == SOCKET_END_PARSED &&
	    (event.socket.remote_port == 0 || event.quality.min_rtt_us == UINT32_MAX))
		abort();
	free(message);
	return 0;
}
