/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* libmnl's walks over attributes, free of the implicit conversions in its macros. The body must not
 * change the message. */

#include <libmnl/libmnl.h>

/* All attributes of "message" behind "offset" bytes of the family's own header. The end is that of
 * the message to the byte: mnl_nlmsg_get_payload_tail() rounds it up, and an attribute that is cut
 * by less than that would pass for whole. */
#define netlink_for_each_attribute(attribute, message, offset)                                     \
	for (const struct nlattr *attribute = mnl_nlmsg_get_payload_offset(message, offset);       \
	     mnl_attr_ok(attribute, (int)((const char *)(message) + (message)->nlmsg_len -         \
					  (const char *)attribute));                               \
	     attribute = mnl_attr_next(attribute))

/* All attributes within the attribute "nest". */
#define netlink_for_each_nested(attribute, nest)                                                   \
	for (const struct nlattr *                                                                 \
		     attribute = mnl_attr_get_payload(nest),                                       \
		    *attribute##_end = (const void *)((const char *)attribute +                    \
						      mnl_attr_get_payload_len(nest));             \
	     mnl_attr_ok(attribute,                                                                \
			 (int)((const char *)attribute##_end - (const char *)attribute));          \
	     attribute = mnl_attr_next(attribute))
