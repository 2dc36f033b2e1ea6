/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"

/* The deepest that any key needs is exporters, one exporter, a list or mapping in it. The number is
 * far beyond what a person writes and keeps a hostile file of 1 MiB below 10 MB of memory. */
enum { DEPTH_MAX = 16, NODES_MAX = 65536 };

/* Outcomes of handling one event, besides a negative errno. */
enum { EVENT_GO_ON = 0, EVENT_END = 1, EVENT_CUT = 2 };

struct builder {
	struct config_mistakes *mistakes;
	struct config_node *root;
	struct config_node *open[DEPTH_MAX];
	unsigned depth, nodes, documents;
};

void config_document_free(struct config_node *root)
{
	if (!root)
		return;
	for (struct config_node *node = root->first; node;) {
		struct config_node *next = node->next;

		config_document_free(node);
		node = next;
	}
	free(root->text);
	free(root);
}

static struct config_position get_position(yaml_mark_t mark)
{
	return (struct config_position){.line = (unsigned)mark.line + 1,
					.column = (unsigned)mark.column + 1};
}

static void attach(struct builder *builder, struct config_node *node)
{
	struct config_node *parent = builder->depth > 0 ? builder->open[builder->depth - 1] : NULL;

	if (!parent)
		builder->root = node;
	else if (!parent->first)
		parent->first = node;
	else
		parent->last->next = node;
	if (parent)
		parent->last = node;
}

static int add_node(struct builder *builder, enum config_node_kind kind, yaml_mark_t mark,
		    struct config_node **ret)
{
	struct config_node *node;

	if (++builder->nodes > NODES_MAX) {
		config_mistakes_add(builder->mistakes, get_position(mark),
				    "more than %d values: this is no configuration of procflow",
				    NODES_MAX);
		return EVENT_CUT;
	}
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->kind = kind;
	node->position = get_position(mark);
	attach(builder, node);
	*ret = node;
	return EVENT_GO_ON;
}

static void refuse_extras(struct builder *builder, struct config_node *node,
			  const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		config_mistakes_add(builder->mistakes, node->position,
				    "anchors (&name) are not supported here");
	if (tag)
		config_mistakes_add(builder->mistakes, node->position,
				    "tags (!name) are not supported here");
	node->is_bad = anchor || tag;
}

static bool is_null_text(const char *text)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	for (size_t i = 0; i < array_length(words); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

/* An escape in a quoted scalar ("\0", "\e") may bring a character that the source does not hold. */
static bool has_control(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return true;
	return false;
}

static unsigned find_text_column(const yaml_event_t *event, unsigned column)
{
	size_t quotes = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;

	if (event->start_mark.line != event->end_mark.line ||
	    event->end_mark.column - event->start_mark.column !=
		    event->data.scalar.length + 2 * quotes)
		return 0;
	return column + (unsigned)quotes;
}

static int add_scalar(struct builder *builder, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	struct config_node *node;
	int r = add_node(builder, CONFIG_NODE_SCALAR, event->start_mark, &node);

	if (r != EVENT_GO_ON)
		return r;
	node->text = strndup(value, event->data.scalar.length);
	if (!node->text)
		return -ENOMEM;
	node->text_column = find_text_column(event, node->position.column);
	node->is_null =
		event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null_text(node->text);
	refuse_extras(builder, node, event->data.scalar.anchor, event->data.scalar.tag);
	if (has_control(value, event->data.scalar.length)) {
		config_mistakes_add(builder->mistakes, node->position,
				    "the value holds a line break or a control character");
		node->is_bad = true;
	}
	return EVENT_GO_ON;
}

static int add_alias(struct builder *builder, const yaml_event_t *event)
{
	struct config_node *node;
	int r = add_node(builder, CONFIG_NODE_SCALAR, event->start_mark, &node);

	if (r != EVENT_GO_ON)
		return r;
	config_mistakes_add(builder->mistakes, node->position,
			    "aliases (*name) are not supported here");
	node->is_bad = true;
	node->text = strdup("");
	return node->text ? EVENT_GO_ON : -ENOMEM;
}

static int open_collection(struct builder *builder, enum config_node_kind kind,
			   const yaml_event_t *event)
{
	struct config_node *node;
	int r;

	if (builder->depth == DEPTH_MAX) {
		config_mistakes_add(builder->mistakes, get_position(event->start_mark),
				    "nested deeper than %d levels", DEPTH_MAX);
		return EVENT_CUT;
	}
	r = add_node(builder, kind, event->start_mark, &node);
	if (r != EVENT_GO_ON)
		return r;
	builder->open[builder->depth++] = node;
	if (kind == CONFIG_NODE_LIST)
		refuse_extras(builder, node, event->data.sequence_start.anchor,
			      event->data.sequence_start.tag);
	else
		refuse_extras(builder, node, event->data.mapping_start.anchor,
			      event->data.mapping_start.tag);
	return EVENT_GO_ON;
}

static int start_document(struct builder *builder, const yaml_event_t *event)
{
	if (builder->documents++ == 0)
		return EVENT_GO_ON;
	config_mistakes_add(builder->mistakes, get_position(event->start_mark),
			    "a second document starts here: the configuration is one document");
	return EVENT_CUT;
}

static int handle_event(struct builder *builder, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_STREAM_END_EVENT:
		return EVENT_END;
	case YAML_DOCUMENT_START_EVENT:
		return start_document(builder, event);
	case YAML_ALIAS_EVENT:
		return add_alias(builder, event);
	case YAML_SCALAR_EVENT:
		return add_scalar(builder, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(builder, CONFIG_NODE_LIST, event);
	case YAML_MAPPING_START_EVENT:
		return open_collection(builder, CONFIG_NODE_MAPPING, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		builder->depth--;
		return EVENT_GO_ON;
	default:
		return EVENT_GO_ON;
	}
}

static int report_error(const yaml_parser_t *parser, struct config_mistakes *mistakes)
{
	struct config_position position = get_position(parser->problem_mark);
	const char *problem = parser->problem ? parser->problem : "cannot be read";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->context)
		config_mistakes_add(mistakes, position, "not YAML: %s (%s, from line %u)", problem,
				    parser->context, get_position(parser->context_mark).line);
	else
		config_mistakes_add(mistakes, position, "not YAML: %s", problem);
	return EVENT_CUT;
}

/* What was read last before the text stopped being YAML is seldom what was meant. */
static void distrust_last(struct builder *builder)
{
	struct config_node *open = builder->depth > 0 ? builder->open[builder->depth - 1] : NULL;

	if (open && open->last)
		open->last->is_bad = true;
}

static int build(struct builder *builder, yaml_parser_t *parser)
{
	int r = EVENT_GO_ON;

	while (r == EVENT_GO_ON) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event)) {
			distrust_last(builder);
			return report_error(parser, builder->mistakes);
		}
		r = handle_event(builder, &event);
		yaml_event_delete(&event);
	}
	return r;
}

int config_document_parse(struct text source, struct config_node **ret,
			  struct config_mistakes *mistakes)
{
	struct builder builder = {.mistakes = mistakes};
	yaml_parser_t parser;
	int r;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser,
				     (const unsigned char *)(source.length > 0 ? source.at : ""),
				     source.length);
	r = build(&builder, &parser);
	yaml_parser_delete(&parser);
	if (r < 0) {
		config_document_free(builder.root);
		return r;
	}
	if (builder.root && builder.root->is_null) {
		config_document_free(builder.root);
		builder.root = NULL;
	}
	*ret = builder.root;
	return r == EVENT_CUT ? CONFIG_DOCUMENT_E_CUT : 0;
}

const char *config_node_describe(const struct config_node *node, char quoted[CONFIG_QUOTED_SIZE])
{
	if (node->kind == CONFIG_NODE_LIST)
		return "a list";
	if (node->kind == CONFIG_NODE_MAPPING)
		return "a mapping";
	return node->is_null ? "nothing" : config_quote(node->text, quoted);
}
