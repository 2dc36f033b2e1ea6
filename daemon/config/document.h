/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* YAML text as a tree of nodes with their places. All that is YAML ends here: aliases, anchors,
 * tags and further documents are refused, and the tree is bounded in depth and number. */

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/mistakes.h"

enum config_node_kind { CONFIG_NODE_SCALAR, CONFIG_NODE_LIST, CONFIG_NODE_MAPPING };

struct config_node {
	enum config_node_kind kind;
	struct config_position position;
	char *text; /* of a scalar */
	/* Column of the text's first character; 0 where it does not stand in the file as it is here
	 * (escapes, several lines). */
	unsigned text_column;
	bool is_null; /* a scalar that stands for nothing: empty, ~ or null, not quoted */
	bool is_bad;  /* a mistake was told, its value means nothing */
	/* The items of a list; of a mapping key, value, key, value ... (where the text ended in a
	 * mistake a last key may lack its value). */
	struct config_node *first, *last, *next;
};

/* Named outcome: the text is no YAML from some place on; the tree holds what stood before. */
enum { CONFIG_DOCUMENT_E_CUT = 1 };

/* "source" is what struct config_source has for the parser. *ret is NULL where there is no document
 * or it is empty; the caller's. 0, CONFIG_DOCUMENT_E_CUT, or -ENOMEM. */
int config_document_parse(struct text source, struct config_node **ret,
			  struct config_mistakes *mistakes);
void config_document_free(struct config_node *root);

/* "a list", "a mapping", "nothing" or the quoted text: what a message found. */
const char *config_node_describe(const struct config_node *node, char quoted[CONFIG_QUOTED_SIZE]);
