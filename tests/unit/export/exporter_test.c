/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The service of the tests: a delivery that does as it is told through a struct, so that a test is
 * its collector. Stands in a shared object as every service does (test_plugin.c), and directly in
 * test_outbox.c. */

#include "unit/export/exporter_test.h"

#include <errno.h>
#include <stdlib.h>

struct delivery_test {
	struct delivery head;
	struct loop_source *timer;
};

static void on_timer(void *userdata, uint64_t now_ns)
{
	struct delivery_test *self = userdata;

	(void)now_ns;
	delivery_ready(&self->head);
}

static int test_open(const struct delivery_options *options, struct delivery **ret)
{
	struct delivery_test *self = calloc(1, sizeof(*self));

	if (!self)
		return -ENOMEM;
	delivery_init(&self->head, &exporter_test_ops, options);
	if (loop_add_timer(options->loop, 0, on_timer, self, &self->timer) < 0) {
		free(self);
		return -ENOMEM;
	}
	*ret = &self->head;
	return 0;
}

static void test_close(struct delivery *delivery)
{
	struct delivery_test *self = (struct delivery_test *)delivery;

	loop_source_free(self->timer);
	free(self);
}

/* The first call says no, so that the loop is needed. */
static int test_submit(struct delivery *delivery, struct chunk *chunk)
{
	struct exporter_counters *counters = delivery->options.counters;
	const struct chunk_document *documents = chunk_get_documents(chunk);

	if (counters->connections++ == 0)
		return -EAGAIN;
	for (size_t i = 0; i < chunk_count_documents(chunk); i++)
		counters->sent_bytes += documents[i].length;
	counters->sent_messages++;
	delivery_finish_sent(delivery, chunk);
	return 0;
}

const struct delivery_ops exporter_test_ops = {
	.wants_documents = true,
	.chunk_records = 10,
	.open = test_open,
	.close = test_close,
	.submit = test_submit,
};

DELIVERY_PLUGIN("test", "no library", &exporter_test_ops);
