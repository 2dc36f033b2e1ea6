/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"

/* The four texts stand in one allocation, one after the other. */
static char *join_texts(struct process_identity *identity)
{
	const char **places[] = {&identity->name, &identity->user_name, &identity->parent_name,
				 &identity->executable};
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

static void set_executable(struct process_identity *identity, const struct identity_facts *facts)
{
	identity->name = facts->name;
	identity->executable = facts->has_executable ? facts->executable : NULL;
	identity->has_executable = facts->has_executable;
	identity->executable_deleted = facts->executable_deleted;
}

struct process *process_new(const struct process_identity *identity,
			    const struct identity_facts *facts, const char *user_name)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->stat_fd = -1;
	list_init(&process->turn);
	list_init(&process->open);
	process->identity = *identity;
	process->identity.uid = facts->uid;
	process->identity.parent_pid = facts->parent;
	process->identity.has_parent = facts->has_parent;
	process->identity.parent_name = facts->has_parent_name ? facts->parent_name : NULL;
	process->identity.user_name = user_name;
	set_executable(&process->identity, facts);
	memcpy(process->comm, facts->comm, sizeof(process->comm));
	process->texts = join_texts(&process->identity);
	if (!process->texts) {
		free(process);
		return NULL;
	}
	return process;
}

void process_free(struct process *process)
{
	if (!process)
		return;
	list_remove(&process->turn);
	list_remove(&process->open);
	if (process->stat_fd >= 0)
		close(process->stat_fd);
	free(process->texts);
	free(process->older_texts);
	free(process);
}

int process_rename(struct process *process, const struct identity_facts *facts)
{
	struct process_identity identity = process->identity;
	char *texts;

	set_executable(&identity, facts);
	texts = join_texts(&identity);
	if (!texts)
		return -ENOMEM;
	free(process->older_texts);
	process->older_texts = process->texts;
	process->texts = texts;
	process->identity = identity;
	memcpy(process->comm, facts->comm, sizeof(process->comm));
	return 0;
}
