/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Reading the attributes of a netlink message, inline: libmnl's accessors are calls into a shared
 * library, four an attribute, and a conntrack message has thirty. Bounds are those of
 * mnl_attr_ok(3). The body of a walk must not change the message. */

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t netlink_attribute_get_type(const struct nlattr *attribute)
{
	return (uint16_t)(attribute->nla_type & (unsigned)NLA_TYPE_MASK);
}

static inline const void *netlink_attribute_get_payload(const struct nlattr *attribute)
{
	return (const char *)attribute + sizeof(*attribute);
}

/* Bytes; only for an attribute that a walk gave. */
static inline size_t netlink_attribute_get_size(const struct nlattr *attribute)
{
	return attribute->nla_len - sizeof(*attribute);
}

/* Whether a whole attribute stands at "attribute", before "end". */
static inline bool netlink_attribute_is_ok(const struct nlattr *attribute, const void *end)
{
	ptrdiff_t left = (const char *)end - (const char *)attribute;

	return left >= (ptrdiff_t)sizeof(*attribute) && attribute->nla_len >= sizeof(*attribute) &&
	       attribute->nla_len <= left;
}

/* Attributes and headers stand at multiples of four. */
static inline size_t netlink_align(size_t size)
{
	return (size + MNL_ALIGNTO - 1) & ~((size_t)MNL_ALIGNTO - 1);
}

static inline const struct nlattr *netlink_attribute_get_next(const struct nlattr *attribute)
{
	return (const void *)((const char *)attribute + netlink_align(attribute->nla_len));
}

#define netlink_walk(attribute, first, behind)                                                     \
	for (const struct nlattr *attribute = (first), *attribute##_end = (behind);                \
	     netlink_attribute_is_ok(attribute, attribute##_end);                                  \
	     attribute = netlink_attribute_get_next(attribute))

/* All attributes of "message" behind "offset" bytes of the family's own header. The end is that of
 * the message to the byte: mnl_nlmsg_get_payload_tail() rounds it up, and an attribute that is cut
 * by less than that would pass for whole. */
#define netlink_for_each_attribute(attribute, message, offset)                                     \
	netlink_walk(attribute,                                                                    \
		     (const void *)((const char *)(message) + sizeof(struct nlmsghdr) +            \
				    netlink_align(offset)),                                        \
		     (const void *)((const char *)(message) + (message)->nlmsg_len))

/* All attributes within the attribute "nest". */
#define netlink_for_each_nested(attribute, nest)                                                   \
	netlink_walk(attribute, netlink_attribute_get_payload(nest),                               \
		     (const void *)((const char *)(nest) + (nest)->nla_len))

/* The first "size" bytes of the attribute "type" of a message with "offset" bytes of the family's own
 * header. False, and *ret as it was, where there is none that long. */
static inline bool netlink_message_copy_value(const struct nlmsghdr *message, size_t offset,
					      uint16_t type, void *ret, size_t size)
{
	netlink_for_each_attribute (attribute, message, offset) {
		if (netlink_attribute_get_type(attribute) == type &&
		    netlink_attribute_get_size(attribute) >= size) {
			memcpy(ret, netlink_attribute_get_payload(attribute), size);
			return true;
		}
	}
	return false;
}
