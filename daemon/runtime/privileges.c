/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "privileges"

#include "runtime/privileges.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/macros.h"
#include "runtime/log.h"
#include "runtime/system_calls.h"

/* The rings of the tracepoints, of which a process without CAP_IPC_LOCK has kernel.perf_event_mlock_kb
 * and this much: those of a processor that comes later too (perf_mmap(), kernel/events/core.c). */
#define LOCKED_MEMORY_BYTES (64ull << 20)

static void raise_locked_memory(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur >= LOCKED_MEMORY_BYTES)
		return;
	limit.rlim_cur = LOCKED_MEMORY_BYTES;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		log_debug("RLIMIT_MEMLOCK stays as it is: %s", strerror(errno));
}

#if HAVE_LIBCAP_NG

#include <cap-ng.h>

/* What each is for stands in systemd/procflow.service.in. */
static const unsigned running[] = {CAP_NET_ADMIN, CAP_NET_BROADCAST, CAP_SYS_PTRACE,
				   CAP_DAC_READ_SEARCH};

/* What root has of the file system: directories of the daemon's user, spools, the socket's group. */
static const unsigned of_root[] = {CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_CHOWN};

/* What opening takes, where it is there: more files and larger rings than others may have, a tracefs that
 * is not mounted. */
static const unsigned opening[] = {CAP_SYS_RESOURCE, CAP_IPC_LOCK, CAP_SYS_ADMIN};

static void keep(const unsigned *wanted, size_t count, const bool had[CAP_LAST_CAP + 1])
{
	for (size_t i = 0; i < count; i++)
		if (wanted[i] <= CAP_LAST_CAP && had[wanted[i]])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, wanted[i]);
}

/* Tracepoints need CAP_PERFMON, or CAP_SYS_ADMIN before Linux 5.8, which does not know the former. */
static void keep_tracing(const struct privileges_needs *needs, const bool had[CAP_LAST_CAP + 1])
{
	const unsigned perfmon = CAP_PERFMON, admin = CAP_SYS_ADMIN;
	bool knows_perfmon = prctl(PR_CAPBSET_READ, CAP_PERFMON) >= 0;

	keep(&perfmon, 1, had);
	if (needs->namespaces || !knows_perfmon || (needs->delay_accounting && geteuid() == 0))
		keep(&admin, 1, had);
}

static bool has_more_than_kept(const bool had[CAP_LAST_CAP + 1])
{
	for (unsigned i = 0; i <= CAP_LAST_CAP; i++)
		if (had[i] && !capng_have_capability(CAPNG_PERMITTED, i))
			return true;
	return false;
}

/* Where there is nothing to give up nothing is asked for: the unit gives what is needed and no more, and its
 * filter does not allow capset(2). */
static int reduce(const struct privileges_needs *needs, bool is_opening)
{
	bool had[CAP_LAST_CAP + 1] = {false};

	if (capng_get_caps_process() < 0)
		return -EIO;
	for (unsigned i = 0; i <= CAP_LAST_CAP; i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, i) != 0;
	capng_clear(CAPNG_SELECT_CAPS);
	keep(running, array_length(running), had);
	keep_tracing(needs, had);
	if (geteuid() == 0)
		keep(of_root, array_length(of_root), had);
	if (is_opening)
		keep(opening, array_length(opening), had);
	if (has_more_than_kept(had) && capng_apply(CAPNG_SELECT_CAPS) < 0)
		log_warning("capabilities that are not needed cannot be given up: %s",
			    strerror(errno));
	return 0;
}

/* Nothing that the daemon could ever start would have more than its user. */
static void forbid_gains(void)
{
	if (capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP)) {
		capng_clear(CAPNG_SELECT_BOUNDS);
		(void)capng_apply(CAPNG_SELECT_BOUNDS);
	}
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

#else

static int reduce(unused const struct privileges_needs *needs, bool is_opening)
{
	if (is_opening)
		log_info("capabilities are not given up: built without libcap-ng");
	return 0;
}

static void forbid_gains(void)
{
}

#endif

int privileges_limit(const struct privileges_needs *needs)
{
	raise_locked_memory();
	if (needs->programs) {
		log_info("rights are kept as they are: sysdig is started with them");
		return 0;
	}
	forbid_gains(); /* while the right to do so is there */
	return reduce(needs, true);
}

int privileges_lock(const struct privileges_needs *needs)
{
	int r;

	if (needs->programs)
		return 0;
	r = reduce(needs, false);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return system_calls_restrict();
}
