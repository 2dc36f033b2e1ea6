/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/encoder.h"

#include <errno.h>

#include "base/hash.h"
#include "base/macros.h"

static int (*const kinds[])(const struct encoder_options *options, struct encoder **ret) = {
	[CONFIG_EXPORTER_JSON] = encoder_lines_new,
	[CONFIG_EXPORTER_TEXT] = encoder_lines_new,
	[CONFIG_EXPORTER_ELASTICSEARCH] = encoder_lines_new,
	[CONFIG_EXPORTER_KAFKA] = encoder_lines_new,
	[CONFIG_EXPORTER_ZMQ] = encoder_lines_new,
	[CONFIG_EXPORTER_NETFLOW9] = encoder_messages_new,
	[CONFIG_EXPORTER_IPFIX] = encoder_messages_new,
};

uint64_t encoder_find_format(const struct config_exporter *config, bool with_documents)
{
	uint64_t format = hash_u64(with_documents, config->schema);

	switch (config->type) {
	case CONFIG_EXPORTER_JSON:
	case CONFIG_EXPORTER_ELASTICSEARCH:
	case CONFIG_EXPORTER_KAFKA:
		return format;
	case CONFIG_EXPORTER_NETFLOW9:
	case CONFIG_EXPORTER_IPFIX:
		return encoder_messages_find_format(config);
	default:
		return hash_u64(format, config->type + 1);
	}
}

int encoder_new(const struct encoder_options *options, struct encoder **ret)
{
	enum config_exporter_type type = options->config->type;
	int r;

	if (type >= array_length(kinds) || !kinds[type])
		return -EOPNOTSUPP;
	r = kinds[type](options, ret);
	if (r == 0)
		(*ret)->options = *options;
	return r;
}

bool encoder_is_interchangeable(const struct encoder *a, const struct encoder *b)
{
	const struct encoder_options *one = &a->options, *other = &b->options;

	return encoder_find_format(one->config, one->with_documents) ==
		       encoder_find_format(other->config, other->with_documents) &&
	       one->has_sessions == other->has_sessions &&
	       one->config->max_message_bytes == other->config->max_message_bytes &&
	       one->config->observation_domain == other->config->observation_domain &&
	       (one->config->to.transport == CONFIG_TRANSPORT_UDP) ==
		       (other->config->to.transport == CONFIG_TRANSPORT_UDP);
}

void encoder_adopt(struct encoder *encoder, const struct encoder *successor)
{
	encoder->options = successor->options;
	if (encoder->ops->adopt)
		encoder->ops->adopt(encoder);
}

void encoder_free(struct encoder *encoder)
{
	if (encoder)
		encoder->ops->free(encoder);
}

void encoder_add(struct encoder *encoder, const struct flow_record *record)
{
	encoder->ops->add(encoder, record);
}

void encoder_finish(struct encoder *encoder)
{
	encoder->ops->finish(encoder);
}

uint32_t encoder_count_unfinished(const struct encoder *encoder)
{
	return encoder->ops->count_unfinished(encoder);
}

void encoder_begin_session(struct encoder *encoder)
{
	if (encoder->ops->begin_session)
		encoder->ops->begin_session(encoder);
}

void encoder_resend_templates(struct encoder *encoder)
{
	if (encoder->ops->resend_templates)
		encoder->ops->resend_templates(encoder);
}

void encoder_stamp(struct encoder *encoder, struct chunk *chunk, uint32_t sequence)
{
	if (encoder->ops->stamp)
		encoder->ops->stamp(encoder, chunk, sequence);
}

bool encoder_strip(struct encoder *encoder, struct chunk *chunk)
{
	return encoder->ops->strip && encoder->ops->strip(encoder, chunk);
}

bool encoder_restore(struct encoder *encoder, struct chunk *chunk)
{
	return !encoder->ops->restore || encoder->ops->restore(encoder, chunk);
}
