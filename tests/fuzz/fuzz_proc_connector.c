/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Any bytes as what the proc connector sends behind the netlink header. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_target.h"
#include "sources/proc_connector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As long as the input, so that a sanitiser sees a read behind it. */
	uint8_t *payload = malloc(size > 0 ? size : 1);
	struct proc_connector_answer answer;
	struct process_event event;
	int r;

	if (!payload)
		return 0;
	if (size > 0)
		memcpy(payload, data, size);
	r = proc_connector_parse(payload, size, &event, &answer);
	if (r != -EBADMSG && (r < 0 || r > PROC_CONNECTOR_ACK))
		abort();
	if (r == PROC_CONNECTOR_EVENT && (event.pid <= 0 || event.thread <= 0 || event.parent < 0))
		abort();
	if (r == PROC_CONNECTOR_ACK && answer.error > 0)
		abort();
	free(payload);
	return 0;
}
