/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as an answer of which one number is wanted: the first byte chooses which. */

#include "fuzz_target.h"
#include "netlink/attribute.h"
#include "whole_message.h"

/* As asked for: a generic netlink family's id, a namespace's number, and a longer one. */
static const struct {
	size_t header;
	uint16_t type;
	size_t size;
} wanted[] = {{4, 1, 2}, {1, 1, 4}, {0, 3, 8}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { COUNT = sizeof(wanted) / sizeof(wanted[0]) };
	const uint8_t untouched[8] = {0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5};
	struct nlmsghdr *message;
	uint8_t value[8];
	bool is_there;
	size_t i;

	if (size == 0)
		return 0;
	i = data[0] % COUNT;
	message = whole_message_copy(data + 1, size - 1);
	if (!message)
		return 0;
	memcpy(value, untouched, sizeof(value));
	is_there = netlink_message_copy_value(message, wanted[i].header, wanted[i].type, value,
					      wanted[i].size);
	if (memcmp(value + wanted[i].size, untouched, sizeof(value) - wanted[i].size) != 0 ||
	    (!is_there && memcmp(value, untouched, sizeof(value)) != 0))
		abort();
	free(message);
	return 0;
}
