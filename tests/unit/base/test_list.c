/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Random operations on the list and on an array that says in which order its nodes must stand. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/macros.h"

enum { NODES = 40, TURNS = 20000 };

struct item {
	unsigned number;
	struct list_node node;
};

struct model {
	unsigned order[NODES];
	size_t count;
};

static void model_remove(struct model *model, unsigned number)
{
	for (size_t i = 0; i < model->count; i++) {
		if (model->order[i] != number)
			continue;
		memmove(&model->order[i], &model->order[i + 1],
			(model->count - i - 1) * sizeof(model->order[0]));
		model->count--;
		return;
	}
}

static void check(const struct model *model, struct list_node *head)
{
	size_t forward = 0, backward = model->count;

	list_for_each (node, head) {
		assert_in_range(forward, 0, model->count - 1);
		assert_int_equal(container_of(node, struct item, node)->number,
				 model->order[forward++]);
	}
	assert_int_equal(forward, model->count);
	for (struct list_node *node = head->previous; node != head; node = node->previous)
		assert_int_equal(container_of(node, struct item, node)->number,
				 model->order[--backward]);
	assert_int_equal(backward, 0);
	assert_int_equal(list_is_empty(head), model->count == 0);
	if (model->count == 0)
		assert_null(list_first(head));
	else
		assert_int_equal(container_of(list_first(head), struct item, node)->number,
				 model->order[0]);
}

static void test_random_operations(unused void **state)
{
	struct item items[NODES];
	struct list_node head;
	struct model model = {.count = 0};

	list_init(&head);
	for (unsigned i = 0; i < NODES; i++) {
		items[i].number = i;
		list_init(&items[i].node);
	}
	for (uint64_t turn = 0; turn < TURNS; turn++) {
		unsigned number = (unsigned)(hash_u64(11, turn) % NODES);

		/* Both are allowed on a node that is in no list. */
		model_remove(&model, number);
		if (hash_u64(12, turn) % 3 == 0) {
			list_remove(&items[number].node);
		} else {
			list_move_tail(&head, &items[number].node);
			model.order[model.count++] = number;
		}
		check(&model, &head);
	}
}

static void test_nodes_may_go_while_walking(unused void **state)
{
	struct item items[NODES];
	struct list_node head;
	unsigned seen = 0;

	list_init(&head);
	for (unsigned i = 0; i < NODES; i++) {
		items[i].number = i;
		list_add_tail(&head, &items[i].node);
	}
	list_for_each_safe (node, &head) {
		assert_int_equal(container_of(node, struct item, node)->number, seen++);
		list_remove(node);
		/* What was removed is in no list, and may be removed again. */
		list_remove(node);
		memset(node, 0xa5, sizeof(*node));
	}
	assert_int_equal(seen, NODES);
	assert_true(list_is_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_nodes_may_go_while_walking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
