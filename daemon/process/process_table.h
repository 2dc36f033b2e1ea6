/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The processes that flows refer to: living ones, and those gone for as long as a flow holds them.
 * Each is read once when first acquired, and sampled while it is held. */

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "flow/ownership.h"
#include "process/cgroup_table.h"
#include "process/users.h"

struct packages_counters;
struct process_table;
struct process;

struct process_table_options {
	int proc_fd; /* borrowed descriptor of /proc */
	uint64_t sample_interval_ns;
	bool delay_accounting; /* kernel.task_delayacct is on: I/O wait means something */
	/* Monotonic time since when it has been on; 0: not known. It counts for tasks that were
	 * created later only. Of older processes, and where the time is not known, I/O wait is told
	 * only when the kernel's own figures prove that the leader, and so every thread, is counted
	 * (a delay of any kind above 0). */
	uint64_t delay_accounting_since_ns;
	const char *passwd_path; /* NULL: /etc/passwd */
	bool command_line;	 /* read it: it may hold secrets */
	bool package_names;	 /* read the databases of packages.h */
	/* Every process that ends comes to the on_gone of process_table_set_on_gone(), also one that
	 * nobody had asked for. */
	bool tell_all_ends;
};

struct process_table_counters {
	uint64_t acquired, vanished; /* found gone when first asked for */
	uint64_t without_procps;     /* the library should have told the user, and did not */
	uint64_t traced;	     /* ... and known by the records of trace alone */
	uint64_t samples, sample_errors, samples_shared;
	uint64_t samples_idle; /* of these: the process had not run, and that was all to be read */
	uint64_t samples_backwards; /* a counter was below the one before, which was kept */
	uint64_t iowait_impossible; /* processes whose waits for I/O could not be true */
	uint64_t exit_records;
	uint64_t ends_without_leader; /* not told of: the record with the name was lost */
	uint64_t exit_records_lost;  /* times that the kernel dropped some; how many it does not say
				      */
	uint64_t descriptors_closed; /* kept ones, given up for others */
	uint64_t processes;	     /* held now */
	uint64_t remembered;	     /* not held: alive or gone, kept for a while */
};

/* Who a process is. Texts are the process's and live as long as it is held; those that an exec
 * replaces stay readable until the one after it. */
struct process_identity {
	struct process_id id;
	/* Monotonic, never later than the truth: to the microsecond where taskstats tells the age,
	 * else to the clock tick (10 ms) rounded down. So "start_ns >= T" proves that it is younger
	 * than T, and that all it ever used it used since T. */
	uint64_t start_ns;
	const char *name, *user_name; /* user_name NULL: not known, as uid then */
	const char *parent_name; /* NULL where the parent is gone, or its number is another's */
	const char *parent_user_name;  /* NULL: not known, as parent_uid then */
	const char *parent_executable; /* NULL: not known */
	const char *executable;	       /* without " (deleted)" */
	const char *command_line;    /* NULL: not known, not wanted or none; see text_sanitise() */
	const struct cgroup *cgroup; /* NULL: not known, as of a process that was gone already */
	uid_t uid, parent_uid;
	pid_t parent_pid;
	bool has_parent, has_executable, executable_deleted;
	/* The path is that of the host's file: in a container it may be another's. */
	bool executable_is_hosts, parent_executable_is_hosts;
};

/* Counters of the whole thread group since it started, finished threads included. */
struct process_usage {
	uint64_t taken_ns; /* monotonic: when this was true; of a process that is gone its end */
	uint64_t cpu_ns;
	uint64_t minor_faults, major_faults;
	/* Waits for block I/O, swapping in included. Valid with has_iowait, which stays once it is
	 * set; then the iowait_ns of earlier usages of the same process was right as well. */
	uint64_t iowait_ns;
	uint64_t memory_bytes; /* of a process that is gone: at its last sample */
	/* False only where a process was gone before its first sample: then its exit record may
	 * lack the faults (it had threads), and has no memory but the peak. */
	bool has_faults, has_memory;
	bool has_iowait;
	bool is_final; /* the process is gone: these are its last figures */
};

/* 0 or a negative errno. Where taskstats is not to be had (another user namespace, no
 * CAP_NET_ADMIN) the table still works from /proc, and process_table_has_taskstats() is false. */
int process_table_new(const struct process_table_options *options, struct process_table **ret);
void process_table_free(struct process_table *table);
bool process_table_has_taskstats(const struct process_table *table);

/* Descriptor of the exit records, -1 where there are none; when readable (and at least before a
 * process's usage is told) call process_table_read_exits(). */
int process_table_get_exit_fd(const struct process_table *table);
void process_table_read_exits(struct process_table *table);

/* The process with this id, with one reference more, sampled at "now_ns" at the latest; NULL where
 * it is gone and nothing is known of it any more. "start_ticks" 0 takes whatever runs under the pid
 * now, or else what last exited under it (a few seconds are remembered, from exit records). */
struct process *process_table_acquire(struct process_table *table, struct process_id id,
				      uint64_t now_ns);
/* The process that was at work under "pid" at "when_ns", for records that know the pid alone (trace): a
 * living one that began later is another and is not taken; then the one that exited there last is,
 * if it was alive at the time. NULL where neither is. */
struct process *process_table_acquire_at(struct process_table *table, pid_t pid, uint64_t when_ns,
					 uint64_t now_ns);
/* A process that is gone, and of which no exit record came: it lived as "trace" tells, and that is all
 * that is known of it but for its parent. NULL without memory. */
struct process *process_table_acquire_traced(struct process_table *table,
					     const struct process_trace *trace, uint64_t now_ns);
/* Adds what a flow's owner tells of its process where that was gone before it could be read: what trace
 * told of it (NULL: nothing), and the cgroup (0: not known). */
void process_table_complete(struct process_table *table, struct process *process,
			    const struct process_trace *trace, uint64_t cgroup_id);
/* One reference more to a process that the table still has. */
void process_table_hold(struct process_table *table, struct process *process);
/* Accepts NULL. */
void process_table_release(struct process_table *table, struct process *process);

/* The name of a user, or the digits of the uid: for a socket whose process is not known. */
void process_table_find_user_name(struct process_table *table, uid_t uid, uint64_t now_ns,
				  char ret[USER_NAME_SIZE]);

/* The package of a process's executable and of its parent's; NULL: none, or not known (yet).
 * Borrowed until the schedule runs next. */
const char *process_table_find_package(const struct process_table *table,
				       const struct process_identity *identity);
const char *process_table_find_parent_package(const struct process_table *table,
					      const struct process_identity *identity);

/* NULL where packages are not wanted. */
const struct packages_counters *
process_table_get_packages_counters(const struct process_table *table);

/* The cgroups of processes, to look up and release those of sockets. */
struct cgroup_table *process_table_get_cgroups(struct process_table *table);

/* "on_gone" is told of processes as they are found to have ended, once of each; from within any other
 * call, so it may take a reference and no more. With tell_all_ends they include those of which only
 * the exit record is known, up to two seconds later. */
typedef void (*process_table_on_gone)(void *userdata, struct process *process);
void process_table_set_on_gone(struct process_table *table, process_table_on_gone on_gone,
			       void *userdata);
/* Tells of ends that nobody asked for, at most "most". False where more are due. */
bool process_table_tell_ends(struct process_table *table, uint64_t now_ns, unsigned most);

/* The process that lives under "pid" as far as is known, borrowed; NULL: not known. */
struct process *process_table_find(const struct process_table *table, pid_t pid);
/* The table's /proc, to be closed; NULL with errno. */
DIR *process_table_open_proc(const struct process_table *table);

/* What a caller of its own keeps of a process; NULL at first. */
void process_set_owner(struct process *process, void *owner);
void *process_get_owner(const struct process *process);
bool process_is_gone(const struct process *process);
/* When it ended, monotonic, by its exit record or else by when it was found gone; 0: it has not. */
uint64_t process_get_end_ns(const struct process *process);
/* All that there is to tell of its end was told: "on_gone" was called before anybody asked for it, or
 * process_mark_told(). */
bool process_was_told(const struct process *process);
/* All that is known of it is an exit record, and that may have been a thread's: Linux before 5.19 does not
 * tell them apart. */
bool process_may_be_thread(const struct process *process);
void process_mark_told(struct process *process);
/* There is no sample of its life: it was gone when it was first looked at. */
bool process_is_late(const struct process *process);
/* By how many it is held. */
unsigned process_count_references(const struct process *process);

const struct process_identity *process_get_identity(const struct process *process);

/* The usage as of now: a sample taken at "since_ns" or later serves, else a new one is taken; once
 * the process is gone, its exit record or its last sample. The base of a span may be some
 * milliseconds old and is shared by the flows that begin together; its end must not be older than
 * the end itself, or a short flow would seem to have used nothing. 0; -ENODATA where there never
 * was a sample. */
int process_table_sample(struct process_table *table, struct process *process, uint64_t now_ns,
			 uint64_t since_ns, struct process_usage *ret);

/* What the process had used at "since_ns", the begin of a span: nothing, where it is younger; else a sample of now or of the last 10 ms, or, where "since_ns" is more than 20 ms
 * ago, what the samples before and after it tell. A process that was gone when it was first
 * looked at has no sample but its end: where it began at most a second before, all that it used
 * counts, as of its start (it was started for this, and had little time for anything else); where it
 * is older, its end is told, and then nothing is known of the span. 0 or -ENODATA. */
int process_table_read_base(struct process_table *table, struct process *process, uint64_t since_ns,
			    uint64_t now_ns, struct process_usage *ret);

/* What the process had used at "end_ns", the end of a span whose base was taken at "base_ns" (0: it
 * has none), which may lie long before "now_ns": between the two samples around it, as if usage had
 * risen evenly; memory is that of the sample before. Those are a sample interval apart at most, and
 * closer where the process was watched. Where the span ended before its base could be taken, the
 * next sample after the base. A process that had ended by then uses nothing any more, and if it had
 * when it was first looked at its end is all there is to tell. "taken_ns" is the time that it is true
 * of: "end_ns", or that of the sample; a load is what was used since the base / the time since it.
 * 0 or -ENODATA. */
int process_table_read_end(struct process_table *table, struct process *process, uint64_t base_ns,
			   uint64_t end_ns, uint64_t now_ns, struct process_usage *ret);

/* A flow began whose end nobody tells in time: the held process is sampled 10, 40, 160 and 640 ms
 * from now by process_table_run_watched(), which is to be called at the time that _get_watch_due()
 * tells (UINT64_MAX: not at all), at most "budget" samples a call. */
void process_table_watch(struct process_table *table, struct process *process, uint64_t now_ns);
uint64_t process_table_get_watch_due(const struct process_table *table);
void process_table_run_watched(struct process_table *table, uint64_t now_ns, unsigned budget);

/* Largest resident set in any sample taken since "since_ns", bytes; 0 where there was none. Where
 * the process is younger than that and its exit record tells more, that. */
uint64_t process_get_peak_memory(const struct process *process, uint64_t since_ns);

/* The same between two times, both included. Of samples that were taken long ago only some are
 * kept: then it may be that of a moment earlier. */
uint64_t process_find_peak_memory(const struct process *process, uint64_t since_ns,
				  uint64_t until_ns);

/* Samples held processes whose last sample is older than the interval, or will be within a 32nd of it
 * (one wake-up serves many), at most "budget" of them.
 * Returns the monotonic time of the next call that is needed: within one interval. */
uint64_t process_table_run_schedule(struct process_table *table, uint64_t now_ns, unsigned budget);

/* Delay accounting was switched on or off meanwhile. */
void process_table_set_delay_accounting(struct process_table *table, bool on, uint64_t since_ns);

const struct process_table_counters *process_table_get_counters(const struct process_table *table);
