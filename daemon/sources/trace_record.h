/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The byte stream of a perf ring (perf_event_open(2), "MMAP layout"): where records begin and end,
 * and what they say. Works on any memory, so that it can be tested without a kernel.
 *
 * The layout holds for the attributes that trace_ring.c sets: sample_type TID | TIME | RAW, perhaps
 * CGROUP, and sample_id_all. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum trace_record_type {
	TRACE_RECORD_OTHER, /* of a kind that was not asked for */
	TRACE_RECORD_SAMPLE,
	TRACE_RECORD_FORK,
	TRACE_RECORD_NAME,
	TRACE_RECORD_EXIT,
	TRACE_RECORD_LOST,
};

/* One record; "raw" and "name" are borrowed until the reader goes on. */
struct trace_record {
	enum trace_record_type type;
	uint64_t when_ns;
	/* Whom it is about, as seen from the namespace of the reader; 0 or -1 where it is not in
	 * it. FORK: the new one. */
	pid_t pid, thread;
	pid_t parent;	  /* FORK */
	bool is_exec;	  /* NAME: by execve(2) */
	const char *name; /* NAME, ended by NUL */
	const void *raw;  /* SAMPLE */
	size_t raw_length;
	uint64_t cgroup_id; /* SAMPLE: of cgroup v2; 0: not told */
	uint64_t lost;	    /* LOST: how many */
};

/* A span of the ring that is being read: [tail, head) are offsets that only grow. */
struct trace_reader {
	const uint8_t *data;
	size_t size; /* a power of two */
	uint64_t head, tail;
	size_t record_length; /* of the record that was peeked at */
	uint8_t *bounce;      /* 64 KiB: a record that goes round the end is copied here */
};

enum { TRACE_READER_BOUNCE = 65536 };

/* The next record, not taken yet: 0; -ENODATA at the end; -EBADMSG where the record makes no sense
 * (it can be taken all the same); -EPIPE where not even its length does: nothing that follows can
 * be read, the reader is at its end then. */
int trace_reader_peek(struct trace_reader *reader, struct trace_record *ret);
/* Goes past the record that was peeked at. */
void trace_reader_take(struct trace_reader *reader);
