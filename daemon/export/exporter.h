/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* An exporter takes finished records, encodes them in its language and brings them to its
 * collector. It owns its queue, its connection and its back-pressure: export never blocks. */

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "export/counters.h"
#include "export/listening_port.h"
#include "flow/flow_record.h"
#include "runtime/loop.h"

struct exporter;
struct template_ids;

struct exporter_context {
	struct loop *loop; /* borrowed */
	/* Monotonic: where NetFlow v9's sysUptime begins. A flow that is older begins there for
	 * collectors that read FIRST_SWITCHED; 0, the host's boot (RFC 3954 5.1), is never too late. */
	uint64_t boot_ns;
	struct template_ids *template_ids;	/* borrowed; NULL: ids of its own */
	bool is_terminal;			/* -o text: colours and columns that fit */
	const struct ignored_counters *ignored; /* borrowed; NULL: nobody counts them */
};

/* Opens the exporter that "config" (copied) describes. 0; a negative errno, and then
 * the reason for people in the log. A collector that is not reachable yet is no error. */
int exporter_new(const struct config_exporter *config, const struct exporter_context *context,
		 struct exporter **ret);
/* As above, in the place of "before", which goes on until exporter_take_over(): a spool that both have
 * comes from it. Accepts NULL. */
int exporter_new_after(const struct exporter *before, const struct config_exporter *config,
		       const struct exporter_context *context, struct exporter **ret);
/* Flushes, waits at most a second for a reader that is behind, then frees; what a spool keeps is waited
 * for no more than that. Accepts NULL. */
void exporter_free(struct exporter *exporter);

/* Goes on for "before": with its counters; and with what waits there or is on its way, where both speak the
 * same language, templates included, or both have that spool. True: "before" has nothing left, and
 * exporter_free() does not wait; false: it has its own end, see exporter_retire(). */
bool exporter_take_over(struct exporter *exporter, struct exporter *before);
/* Has had its last record, but the loop goes on: flushes. Until exporter_is_done(), which is after a second
 * at the latest, it sends what it has; then it is to be freed, without a wait. */
void exporter_retire(struct exporter *exporter);
bool exporter_is_done(struct exporter *exporter);
/* Gives up what a retired one has not sent, and adds its counters to those of its successor. */
void exporter_settle(struct exporter *exporter, struct exporter *before);

/* Takes a record; one of a kind that is not for it ("records" of the configuration) is passed over.
 * Never fails for the caller: what cannot be kept is counted. */
void exporter_export(struct exporter *exporter, const struct flow_record *record);

/* Sends what was held back, as far as that goes without waiting. Need not be called while the loop
 * runs: a message goes out when it is full, or 200 ms after its first record. For the end of the
 * program, and for tests. */
void exporter_flush(struct exporter *exporter);

/* Opens the exporter's file again by its name; nothing for the other transports. What is being
 * written goes to the old one up to its last whole line. */
void exporter_reopen(struct exporter *exporter);

/* Whether its collector takes an inventory of listening ports; then that is to be told when it has
 * changed, or more often. */
bool exporter_wants_listening_ports(const struct exporter *exporter);
void exporter_take_listening_ports(struct exporter *exporter, const struct listening_ports *ports);

/* Standard output lost its reader: whatever comes is dropped (dropped_unreachable). */
bool exporter_is_closed(const struct exporter *exporter);

/* Borrowed. */
const struct config_exporter *exporter_get_config(const struct exporter *exporter);
const char *exporter_get_name(const struct exporter *exporter);
/* Borrowed, and kept up to date. */
const struct exporter_counters *exporter_get_counters(const struct exporter *exporter);
