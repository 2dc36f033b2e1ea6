/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "packet_prefixes.h"

#include <string.h>

uint8_t packet_prefixes_add(struct packet_prefixes *prefixes, struct text prefix)
{
	unsigned i;

	if (prefix.length > PACKET_PREFIX_BYTES)
		prefix.length = PACKET_PREFIX_BYTES;
	if (prefix.length == 0)
		return 0;
	for (i = 0; i < prefixes->count; i++)
		if (prefixes->lengths[i] == prefix.length &&
		    memcmp(prefixes->texts[i], prefix.at, prefix.length) == 0)
			return (uint8_t)(i + 1);
	if (i == PACKET_PREFIXES_MOST)
		return 0;
	prefixes->lengths[i] = (uint8_t)prefix.length;
	memcpy(prefixes->texts[i], prefix.at, prefix.length);
	prefixes->count++;
	return (uint8_t)(i + 1);
}

struct text packet_prefixes_get(const struct packet_prefixes *prefixes, uint8_t number)
{
	if (number == 0 || number > prefixes->count)
		return (struct text){0};
	return (struct text){prefixes->texts[number - 1], prefixes->lengths[number - 1]};
}
