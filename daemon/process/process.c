/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"

/* The texts stand in one allocation, one after the other. */
static char *join_texts(struct process_identity *identity)
{
	const char **places[] = {&identity->name,
				 &identity->user_name,
				 &identity->parent_name,
				 &identity->parent_user_name,
				 &identity->parent_executable,
				 &identity->executable,
				 &identity->command_line};
	size_t total = 0;
	char *texts, *at;

	for (size_t i = 0; i < array_length(places); i++)
		total += *places[i] ? strlen(*places[i]) + 1 : 0;
	at = texts = malloc(total);
	if (!texts)
		return NULL;
	for (size_t i = 0; i < array_length(places); i++) {
		size_t size = *places[i] ? strlen(*places[i]) + 1 : 0;

		if (size == 0)
			continue;
		memcpy(at, *places[i], size);
		*places[i] = at;
		at += size;
	}
	return texts;
}

/* The texts are copied; the former ones are kept until the next change, for whoever still reads them. 0 or
 * -ENOMEM. */
static int replace_identity(struct process *process, struct process_identity *identity)
{
	char *texts = join_texts(identity);

	if (!texts)
		return -ENOMEM;
	free(process->older_texts);
	process->older_texts = process->texts;
	process->texts = texts;
	process->identity = *identity;
	return 0;
}

static void set_executable(struct process_identity *identity, const struct identity_facts *facts)
{
	identity->name = facts->name;
	identity->executable = facts->has_executable ? facts->executable : NULL;
	identity->has_executable = facts->has_executable;
	identity->executable_deleted = facts->executable_deleted;
	identity->executable_is_hosts = facts->has_executable && facts->executable_is_hosts;
	identity->command_line = facts->has_command_line ? facts->command_line : NULL;
}

struct process *process_new(const struct process_identity *identity,
			    const struct identity_facts *facts)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->stat_fd = -1;
	list_init(&process->turn);
	list_init(&process->open);
	history_init(&process->history);
	watch_init(&process->watch);
	process->identity = *identity;
	process->identity.uid = facts->uid;
	process->identity.parent_pid = facts->parent;
	process->identity.has_parent = facts->has_parent;
	process->identity.parent_name = facts->has_parent_name ? facts->parent_name : NULL;
	process->identity.parent_uid = facts->has_parent_uid ? facts->parent_uid : 0;
	process->identity.parent_executable =
		facts->has_parent_executable ? facts->parent_executable : NULL;
	process->identity.parent_executable_is_hosts =
		facts->has_parent_executable && facts->parent_executable_is_hosts;
	set_executable(&process->identity, facts);
	memcpy(process->comm, facts->comm, sizeof(process->comm));
	process->texts = join_texts(&process->identity);
	if (!process->texts) {
		free(process);
		return NULL;
	}
	return process;
}

void process_set_owner(struct process *process, void *owner)
{
	process->owner = owner;
}

void *process_get_owner(const struct process *process)
{
	return process->owner;
}

bool process_is_gone(const struct process *process)
{
	return process->is_gone;
}

uint64_t process_get_end_ns(const struct process *process)
{
	if (!process->is_gone)
		return 0;
	return process->end_ns ? process->end_ns : process->gone_ns;
}

bool process_was_told(const struct process *process)
{
	return process->was_told;
}

bool process_may_be_thread(const struct process *process)
{
	return process->may_be_thread;
}

void process_mark_told(struct process *process)
{
	process->was_told = true;
}

bool process_is_late(const struct process *process)
{
	return process->is_late;
}

unsigned process_count_references(const struct process *process)
{
	return process->references;
}

void process_free(struct process *process)
{
	if (!process)
		return;
	list_remove(&process->turn);
	list_remove(&process->open);
	watch_list_remove(&process->watch);
	history_fini(&process->history);
	if (process->stat_fd >= 0)
		close(process->stat_fd);
	free(process->texts);
	free(process->older_texts);
	free(process);
}

int process_rename(struct process *process, const struct identity_facts *facts,
		   const char *user_name)
{
	struct process_identity identity = process->identity;
	int r;

	set_executable(&identity, facts);
	if (user_name) {
		identity.uid = facts->uid;
		identity.user_name = user_name;
	}
	r = replace_identity(process, &identity);
	if (r < 0)
		return r;
	memcpy(process->comm, facts->comm, sizeof(process->comm));
	return 0;
}

int process_take_last_name(struct process *process, const char *comm, uid_t uid,
			   const char *user_name)
{
	struct process_identity identity = process->identity;
	struct identity_facts facts = {.has_executable = false};
	bool is_renamed = strcmp(comm, process->comm) != 0;
	int r;

	if (!is_renamed && uid == identity.uid)
		return 0;
	if (is_renamed) {
		snprintf(facts.name, sizeof(facts.name), "%s", comm);
		snprintf(facts.comm, sizeof(facts.comm), "%s", comm);
		set_executable(&identity, &facts);
	}
	identity.uid = uid;
	identity.user_name = user_name;
	r = replace_identity(process, &identity);
	if (r < 0)
		return r;
	if (is_renamed)
		memcpy(process->comm, facts.comm, sizeof(process->comm));
	return 0;
}

/* Threads that begin and end within the time are known to nobody: so many are allowed for. */
enum { UNSEEN_THREADS = 64 };

bool process_check_iowait(struct process *process, uint64_t waited_ns, uint64_t within_ns,
			  unsigned threads)
{
	if (waited_ns <= (within_ns + NS_PER_SEC) * (threads + UNSEEN_THREADS))
		return true;
	process->lost_delays = true;
	process->counts_delays = false;
	process->usage.has_iowait = false;
	return false;
}

int process_take_trace(struct process *process, const struct process_trace *trace)
{
	struct process_identity identity = process->identity;
	char name[IDENTITY_NAME_SIZE];

	if (identity.has_executable || !trace->executable ||
	    strncmp(identity.name, trace->name, sizeof(trace->name)) != 0)
		return 0;
	identity_complete_name(trace->name, trace->executable, name);
	identity.name = name;
	identity.executable = trace->executable;
	identity.has_executable = true;
	return replace_identity(process, &identity);
}

/* A process that was young when it was first sampled had used nothing when it began. */
static bool is_first_of_young(const struct process *process)
{
	return process->history.count == 0 &&
	       process->identity.start_ns < process->usage.taken_ns &&
	       process->usage.taken_ns - process->identity.start_ns <= NS_PER_SEC;
}

void process_note_usage(struct process *process, uint64_t interval_ns)
{
	const struct process_usage *usage = &process->usage;
	struct history_entry entry = {.taken_ns = process->identity.start_ns};

	if (is_first_of_young(process))
		history_add(&process->history, &entry, interval_ns);
	entry = (struct history_entry){
		.taken_ns = usage->taken_ns,
		.cpu_ns = usage->cpu_ns,
		.iowait_ns = usage->iowait_ns,
		.minor_faults = (uint32_t)usage->minor_faults,
		.major_faults = (uint32_t)usage->major_faults,
		.memory_kib = usage->has_memory ? (uint32_t)(usage->memory_bytes / 1024) : 0,
	};
	entry.peak_kib = entry.memory_kib;
	history_add(&process->history, &entry, interval_ns);
}

struct process_usage process_find_usage(const struct process *process,
					const struct history_entry *entry)
{
	struct process_usage usage = process->usage;

	usage.taken_ns = entry->taken_ns;
	usage.cpu_ns = entry->cpu_ns;
	usage.iowait_ns = entry->iowait_ns;
	usage.minor_faults -= (uint32_t)usage.minor_faults - entry->minor_faults;
	usage.major_faults -= (uint32_t)usage.major_faults - entry->major_faults;
	if (entry->memory_kib)
		usage.memory_bytes = (uint64_t)entry->memory_kib * 1024;
	return usage;
}
