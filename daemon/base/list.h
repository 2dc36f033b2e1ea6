/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Doubly linked intrusive list. The head is a node of its own; an empty head points at itself. A
 * node that is in no list points at itself too, so list_remove() may be called on it at any time.
 */

#include <stdbool.h>
#include <stddef.h>

struct list_node {
	struct list_node *next, *previous;
};

static inline void list_init(struct list_node *node)
{
	node->next = node;
	node->previous = node;
}

static inline bool list_is_empty(const struct list_node *head)
{
	return head->next == head;
}

static inline void list_remove(struct list_node *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
	list_init(node);
}

static inline void list_add_tail(struct list_node *head, struct list_node *node)
{
	node->previous = head->previous;
	node->next = head;
	head->previous->next = node;
	head->previous = node;
}

static inline void list_move_tail(struct list_node *head, struct list_node *node)
{
	list_remove(node);
	list_add_tail(head, node);
}

/* The first node, or NULL when the list is empty. */
static inline struct list_node *list_first(const struct list_node *head)
{
	return list_is_empty(head) ? NULL : head->next;
}

#define list_for_each(node, head)                                                                  \
	for (struct list_node *node = (head)->next; node != (head); node = node->next)

/* As above; the body may remove "node", and nothing else. */
#define list_for_each_safe(node, head)                                                             \
	for (struct list_node *node = (head)->next, *node##_next = node->next; node != (head);     \
	     node = node##_next, node##_next = node->next)
