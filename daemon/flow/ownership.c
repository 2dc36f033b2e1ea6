/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/ownership.h"

#include "base/cleanup.h"

static const char *const method_names[OWNERSHIP_METHOD_COUNT] = {
	[OWNERSHIP_UNKNOWN] = "unknown",   [OWNERSHIP_NONE] = "none",
	[OWNERSHIP_LISTENER] = "listener", [OWNERSHIP_SHARED] = "shared",
	[OWNERSHIP_SYSDIG] = "sysdig",	   [OWNERSHIP_SOCK_DIAG] = "sock_diag",
	[OWNERSHIP_TRACE] = "trace",	   [OWNERSHIP_REMOTE] = "remote",
};

static const char *const reason_names[OWNERSHIP_REASON_COUNT] = {
	[OWNERSHIP_REASON_NONE] = "",
	[OWNERSHIP_REASON_EXITED] = "exited",
	[OWNERSHIP_REASON_CLOSED] = "closed",
	[OWNERSHIP_REASON_AMBIGUOUS] = "ambiguous",
	[OWNERSHIP_REASON_KERNEL] = "kernel",
	[OWNERSHIP_REASON_NO_PERMISSION] = "no-permission",
	[OWNERSHIP_REASON_UNTRACKED_NAMESPACE] = "untracked-namespace",
	[OWNERSHIP_REASON_BUSY] = "busy",
	[OWNERSHIP_REASON_UNSUPPORTED] = "unsupported",
};

const char *ownership_method_name(enum ownership_method method)
{
	return method < array_length(method_names) ? method_names[method] : "unknown";
}

const char *ownership_reason_name(enum ownership_reason reason)
{
	return reason < array_length(reason_names) ? reason_names[reason] : "";
}

bool ownership_is_better(const struct ownership *candidate, const struct ownership *current)
{
	/* Whoever accepted a connection, or read from it, shares it by now. */
	if (candidate->method == OWNERSHIP_SHARED &&
	    (current->method == OWNERSHIP_SOCK_DIAG || current->method == OWNERSHIP_TRACE) &&
	    current->is_provisional)
		return true;
	/* Its namespace was not known yet. */
	if (current->method == OWNERSHIP_REMOTE && current->is_provisional)
		return candidate->method != OWNERSHIP_UNKNOWN;
	if (candidate->method != current->method)
		return candidate->method > current->method;
	/* Of two answers of one strength the later one counts only where the first was open. */
	return current->is_provisional;
}
