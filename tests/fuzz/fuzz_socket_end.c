/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as a message of the kernel about a TCP socket that ended. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_target.h"
#include "sources/socket_end_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As long as the input, so that a sanitiser sees a read behind it; its header's length is that
	 * of what was received, as mnl_nlmsg_ok() makes sure of. */
	struct socket_end_event event;
	struct nlmsghdr *message;
	int r;

	if (size < sizeof(*message))
		return 0;
	message = malloc(size);
	if (!message)
		return 0;
	memcpy(message, data, size);
	if (message->nlmsg_len < sizeof(*message) || message->nlmsg_len > size)
		message->nlmsg_len = (uint32_t)size;
	r = socket_end_parse(message, &event);
	if (r != -EBADMSG && (r < 0 || r > SOCKET_END_E_UNTOLD))
		abort();
	if (r == SOCKET_END_PARSED &&
	    (event.socket.remote_port == 0 || event.quality.min_rtt_us == UINT32_MAX))
		abort();
	free(message);
	return 0;
}
