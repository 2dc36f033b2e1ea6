/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as a route of the kernel's. */

#include <errno.h>

#include "attribution/local_routes.h"
#include "fuzz_target.h"
#include "whole_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *message = whole_message_copy(data, size);
	struct local_route route;
	int r;

	if (!message)
		return 0;
	r = local_routes_parse(message, &route);
	if (r != 0 && r != 1 && r != -EBADMSG)
		abort();
	if (r == 0 && route.prefix.bits > ip_address_length(route.prefix.family) * 8)
		abort();
	free(message);
	return 0;
}
