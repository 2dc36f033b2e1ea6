/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a client asks for: one JSON object on one line,
 *
 *     {"version":1,"command":"flows","process":"curl","port":443,"sort":"bytes","limit":10}
 *
 * Every key but the first two may be missing. The answer is lines too (runtime/control.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum {
	CONTROL_VERSION = 1,
	CONTROL_REQUEST_BYTES = 4096, /* the longest line of a request */
	/* What is sorted is kept until all was seen: so many at the most. */
	CONTROL_SORTED_MAX = 10000,
};

enum control_sort {
	CONTROL_SORT_NONE, /* as it comes, not bounded */
	CONTROL_SORT_BYTES,
	CONTROL_SORT_CPU,
	CONTROL_SORT_MEMORY,
	CONTROL_SORT_AGE,
};

/* All that is given must hold. */
struct control_filter {
	char process[256]; /* "": any; a name as PROC_NAME has it */
	char user[64];	   /* a name, or the digits of a uid */
	char container[65];
	uint32_t pid; /* 0: any */
	uint16_t port;
	bool has_port;
	struct ip_prefix host; /* family 0: any */
};

struct control_request {
	char command[32];
	struct control_filter filter;
	enum control_sort sort;
	uint32_t limit; /* 0: none */
};

/* Why a request is refused: a word for programs, a sentence for people. */
struct control_refusal {
	const char *word;
	char reason[256];
};

/* "line" without its line feed. 0, -EINVAL with the refusal, or -ENOMEM. Pure. */
int control_request_parse(const char *line, size_t length, struct control_request *ret,
			  struct control_refusal *ret_refusal);
