/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Records in the names of the Elastic Common Schema (ECS 8.11), one object a line. Of flows "source" is the
 * initiator, "destination" the responder, each with the "process" and "user" of its end; those at the
 * top are the source's, or the destination's where only that one is known. One of a
 * process has "process" and "user" alone. What the schema has no name for stands under "procflow", by its own name in small letters. What is unknown is absent. */

#include "base/buffer.h"
#include "flow/flow_record.h"

/* Adds one line. On -ENOMEM "out" has failed and is as long as before. Pure. */
int ecs_encode_record(struct buffer *out, const struct flow_record *record);

/* Tells each name there may be, once: the dotted path of its object ("" at the top), its key, and
 * Elasticsearch's type for it ("ip", "keyword", "date", "long", ...). */
typedef void (*ecs_on_name)(void *userdata, const char *object, const char *key, const char *type);
void ecs_list_names(ecs_on_name on_name, void *userdata);
