/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as a message of taskstats, of any kernel. */

#include <errno.h>

#include "fuzz_target.h"
#include "process/taskstats.h"
#include "whole_message.h"

static void check_figures(const struct task_figures *figures)
{
	if (figures->name[sizeof(figures->name) - 1] != '\0' ||
	    (figures->version < 12 && (figures->group != 0 || figures->group_ended)) ||
	    taskstats_find_exit_cpu(figures) < figures->cpu_ns)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *message = whole_message_copy(data, size);
	struct taskstats_message parsed;
	int r;

	if (!message)
		return 0;
	r = taskstats_parse_message(message, &parsed);
	if (r != 0 && r != -EBADMSG)
		abort();
	if (r == 0 && !parsed.has_task && !parsed.has_group)
		abort();
	if (r == 0 && parsed.has_task)
		check_figures(&parsed.task_figures);
	if (r == 0 && parsed.has_group)
		check_figures(&parsed.group_figures);
	free(message);
	return 0;
}
