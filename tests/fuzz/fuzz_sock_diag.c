/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as sock_diag's answer about a socket. */

#include <errno.h>

#include "attribution/sock_diag.h"
#include "fuzz_target.h"
#include "whole_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *message = whole_message_copy(data, size);
	struct sock_diag_socket socket;
	int r;

	if (!message)
		return 0;
	r = sock_diag_parse(message, &socket);
	if (r != 0 && r != -EBADMSG)
		abort();
	if (r == 0 && ((socket.family != IP_FAMILY_V4 && socket.family != IP_FAMILY_V6) ||
		       (!socket.has_uid && socket.uid != 0)))
		abort();
	free(message);
	return 0;
}
