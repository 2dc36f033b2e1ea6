/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/trace_record.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>

/* What sample_id_all puts at the end of every record but samples. */
struct sample_id {
	uint32_t pid, thread;
	uint64_t time;
};

struct task_record { /* FORK and EXIT */
	uint32_t pid, parent_pid;
	uint32_t thread, parent_thread;
	uint64_t time;
};

struct lost_record {
	uint64_t id, lost;
};

struct name_record {
	uint32_t pid, thread;
	char name[];
};

struct sample_record {
	struct sample_id id;
	uint32_t raw_length;
	uint8_t raw[];
};

static int parse_sample(const uint8_t *body, size_t length, struct trace_record *record)
{
	const struct sample_record *sample = (const void *)body;
	const size_t fixed = offsetof(struct sample_record, raw);
	size_t rest;

	if (length < fixed || sample->raw_length > length - fixed)
		return -EBADMSG;
	rest = length - fixed - sample->raw_length;
	/* Behind the raw data, which is padded (perf_output_sample() in kernel/events/core.c). */
	if (rest == sizeof(record->cgroup_id))
		memcpy(&record->cgroup_id, sample->raw + sample->raw_length, rest);
	record->type = TRACE_RECORD_SAMPLE;
	record->when_ns = sample->id.time;
	record->pid = (pid_t)sample->id.pid;
	record->thread = (pid_t)sample->id.thread;
	record->raw = sample->raw;
	record->raw_length = sample->raw_length;
	return 0;
}

static int parse_task(const uint8_t *body, size_t length, enum trace_record_type type,
		      struct trace_record *record)
{
	const struct task_record *task = (const void *)body;

	if (length < sizeof(*task))
		return -EBADMSG;
	record->type = type;
	record->when_ns = task->time;
	record->pid = (pid_t)task->pid;
	record->thread = (pid_t)task->thread;
	record->parent = (pid_t)task->parent_pid;
	return 0;
}

static int parse_name(const uint8_t *body, size_t length, uint16_t misc,
		      struct trace_record *record)
{
	const struct name_record *name = (const void *)body;

	if (length <= sizeof(*name) || !memchr(name->name, '\0', length - sizeof(*name)))
		return -EBADMSG;
	record->type = TRACE_RECORD_NAME;
	record->pid = (pid_t)name->pid;
	record->thread = (pid_t)name->thread;
	record->is_exec = misc & PERF_RECORD_MISC_COMM_EXEC;
	record->name = name->name;
	return 0;
}

static int parse_lost(const uint8_t *body, size_t length, struct trace_record *record)
{
	const struct lost_record *lost = (const void *)body;

	if (length < sizeof(*lost))
		return -EBADMSG;
	record->type = TRACE_RECORD_LOST;
	record->lost = lost->lost;
	return 0;
}

static int parse(const struct perf_event_header *header, struct trace_record *record)
{
	const uint8_t *body = (const uint8_t *)(header + 1);
	size_t length = header->size - sizeof(*header);
	struct sample_id id;

	if (header->type == PERF_RECORD_SAMPLE)
		return parse_sample(body, length, record);
	if (length < sizeof(id))
		return -EBADMSG;
	length -= sizeof(id);
	memcpy(&id, body + length, sizeof(id));
	record->when_ns = id.time;
	switch (header->type) {
	case PERF_RECORD_FORK:
		return parse_task(body, length, TRACE_RECORD_FORK, record);
	case PERF_RECORD_EXIT:
		return parse_task(body, length, TRACE_RECORD_EXIT, record);
	case PERF_RECORD_COMM:
		return parse_name(body, length, header->misc, record);
	case PERF_RECORD_LOST:
		return parse_lost(body, length, record);
	default:
		return 0;
	}
}

int trace_reader_peek(struct trace_reader *reader, struct trace_record *ret)
{
	uint64_t available = reader->head - reader->tail;
	size_t at = (size_t)reader->tail & (reader->size - 1);
	const struct perf_event_header *header = (const void *)(reader->data + at);
	struct trace_record record = {0};
	int r;

	if (available == 0)
		return -ENODATA;
	/* Records are multiples of 8 bytes, so a header is never cut by the end of the ring. */
	if (available < sizeof(*header) || header->size < sizeof(*header) ||
	    header->size > available || header->size % 8) {
		reader->tail = reader->head;
		return -EPIPE;
	}
	reader->record_length = header->size;
	if (at + header->size > reader->size) {
		size_t first = reader->size - at;
		size_t rest = header->size - first;

		memcpy(reader->bounce, reader->data + at, first);
		memcpy(reader->bounce + first, reader->data, rest);
		header = (const void *)reader->bounce;
	}
	r = parse(header, &record);
	if (r == 0)
		*ret = record;
	return r;
}

void trace_reader_take(struct trace_reader *reader)
{
	reader->tail += reader->record_length;
	reader->record_length = 0;
}
