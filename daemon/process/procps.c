/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/procps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macros.h"

#ifdef HAVE_LIBPROC2

#include <libproc2/pids.h>

struct procps {
	struct pids_info *pids;
};

enum { ITEM_NAME, ITEM_PARENT, ITEM_UID, ITEM_START, ITEM_COUNT };

DEFINE_CLEANUP(struct procps *, procps_close);

int procps_open(struct procps **ret)
{
	static const enum pids_item wanted[ITEM_COUNT] = {[ITEM_NAME] = PIDS_CMD,
							  [ITEM_PARENT] = PIDS_ID_PPID,
							  [ITEM_UID] = PIDS_ID_RUID,
							  [ITEM_START] = PIDS_TICS_BEGAN};
	cleanup(procps_close_cleanup) struct procps *procps = calloc(1, sizeof(*procps));
	enum pids_item items[ITEM_COUNT];
	int r;

	if (!procps)
		return -ENOMEM;
	memcpy(items, wanted, sizeof(items));
	r = procps_pids_new(&procps->pids, items, ITEM_COUNT);
	if (r < 0)
		return r;
	*ret = steal_pointer(&procps);
	return 0;
}

void procps_close(struct procps *procps)
{
	if (!procps)
		return;
	if (procps->pids)
		procps_pids_unref(&procps->pids);
	free(procps);
}

/* The results are read without PIDS_VAL, whose last argument went away between 4.0.2 and 4.0.4;
 * what it reads stayed as it was. */
int procps_read(struct procps *procps, pid_t pid, struct procps_identity *ret)
{
	unsigned wanted = (unsigned)pid;
	const struct pids_fetch *fetch;
	const struct pids_result *item;

	errno = 0;
	fetch = procps_pids_select(procps->pids, &wanted, 1, PIDS_SELECT_PID);
	if (!fetch)
		return errno > 0 ? -errno : -EIO;
	if (fetch->counts->total < 1)
		return -ESRCH;
	item = fetch->stacks[0]->head;
	*ret = (struct procps_identity){.parent = item[ITEM_PARENT].result.s_int,
					.uid = item[ITEM_UID].result.u_int,
					.start_ticks = item[ITEM_START].result.ull_int};
	snprintf(ret->name, sizeof(ret->name), "%s", item[ITEM_NAME].result.str);
	return 0;
}

#else /* libprocps */

#include <proc/readproc.h>

struct procps {
	char unused_member;
};

int procps_open(struct procps **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void procps_close(struct procps *procps)
{
	free(procps);
}

int procps_read(unused struct procps *procps, pid_t pid, struct procps_identity *ret)
{
	pid_t wanted[] = {pid, 0};
	PROCTAB *table = openproc(PROC_FILLSTAT | PROC_FILLSTATUS | PROC_PID, wanted);
	proc_t *found;
	int r = -ESRCH;

	if (!table)
		return -EIO;
	found = readproc(table, NULL);
	if (found) {
		*ret = (struct procps_identity){.parent = (pid_t)found->ppid,
						.uid = (uid_t)found->ruid,
						.start_ticks = (uint64_t)found->start_time};
		snprintf(ret->name, sizeof(ret->name), "%s", found->cmd);
		freeproc(found);
		r = 0;
	}
	closeproc(table);
	return r;
}

#endif
