/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the kernel need not send: a socket filter for the conntrack event channel. */

/* Attaches the filter to a netlink socket that joins NFNLGRP_CONNTRACK_NEW, _UPDATE and _DESTROY.
 * What still arrives: every NEW, every DESTROY, and of the UPDATEs those that tell of a TCP
 * connection that went to TIME_WAIT or CLOSE; everything that is not a conntrack event too. What is
 * filtered takes no room in the receive buffer and is no overrun. Attach it before the socket joins
 * a group. 0 or a negative errno. Does not block. */
int conntrack_filter_attach(int fd);
