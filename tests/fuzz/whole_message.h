/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inputs that are netlink messages. */

#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

/* A copy of the input, as long as it, so that a sanitiser sees a read behind it; its header's length is
 * that of what was received, as mnl_nlmsg_ok() makes sure of. NULL: too short for a message. To be
 * freed. */
static inline struct nlmsghdr *whole_message_copy(const uint8_t *data, size_t size)
{
	struct nlmsghdr *message;

	if (size < sizeof(*message))
		return NULL;
	message = malloc(size);
	if (!message)
		return NULL;
	memcpy(message, data, size);
	if (message->nlmsg_len < sizeof(*message) || message->nlmsg_len > size)
		message->nlmsg_len = (uint32_t)size;
	return message;
}
