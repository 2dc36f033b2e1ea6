/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Random additions and removals beside a plain table of who holds what. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "attribution/socket_index.h"
#include "base/macros.h"

enum { PROCESSES = 6, INODES = 40, STEPS = 20000 };

struct model {
	struct socket_index index;
	struct listed_process processes[PROCESSES];
	int fd[PROCESSES][INODES]; /* -1: not held */
};

static void model_init(struct model *model)
{
	memset(model, 0, sizeof(*model));
	socket_index_init(&model->index);
	for (int i = 0; i < PROCESSES; i++) {
		/* The youngest first, so that order of addition is not order of age. */
		model->processes[i].id =
			(struct process_id){.pid = 100 + i, .start_ticks = (uint64_t)(1000 - i)};
		list_init(&model->processes[i].holders);
		for (int inode = 0; inode < INODES; inode++)
			model->fd[i][inode] = -1;
	}
}

static void check_inode(struct model *model, int inode)
{
	struct inode_entry *entry = socket_index_acquire(&model->index, (uint64_t)inode + 1);
	struct list_node *node = entry->holders.next;

	for (int i = PROCESSES - 1; i >= 0; i--) {
		struct socket_holder *holder;

		if (model->fd[i][inode] < 0)
			continue;
		assert_ptr_not_equal(node, &entry->holders);
		holder = container_of(node, struct socket_holder, in_entry);
		assert_ptr_equal(holder->process, &model->processes[i]);
		assert_int_equal(holder->fd, model->fd[i][inode]);
		node = node->next;
	}
	assert_ptr_equal(node, &entry->holders);
}

static void step(struct model *model, uint64_t round)
{
	int process = rand() % PROCESSES, inode = rand() % INODES, fd = rand() % 1000;
	struct listed_process *listed = &model->processes[process];

	switch (rand() % 8) {
	case 0: /* the process is gone */
		socket_index_drop_process(&model->index, listed, UINT64_MAX);
		for (int i = 0; i < INODES; i++)
			model->fd[process][i] = -1;
		break;
	case 1: /* a reading that saw two of its sockets */
		for (int i = 0; i < INODES; i++)
			model->fd[process][i] = -1;
		for (int i = 0; i < 2; i++) {
			int seen = (inode + i) % INODES;

			socket_index_add_holder(&model->index, (uint64_t)seen + 1, listed, fd + i,
						round, 0);
			model->fd[process][seen] = fd + i;
		}
		socket_index_drop_process(&model->index, listed, round);
		break;
	case 2: /* an entry is thrown out */
		socket_index_remove(&model->index,
				    socket_index_acquire(&model->index, (uint64_t)inode + 1));
		for (int i = 0; i < PROCESSES; i++)
			model->fd[i][inode] = -1;
		break;
	default:
		socket_index_add_holder(&model->index, (uint64_t)inode + 1, listed, fd, round, 0);
		model->fd[process][inode] = fd;
		break;
	}
	check_inode(model, inode);
}

static void it_holds_what_a_plain_table_holds(void **state)
{
	static struct model model;

	(void)state;
	srand(20260101);
	model_init(&model);
	for (uint64_t i = 1; i <= STEPS; i++)
		step(&model, i);
	for (int inode = 0; inode < INODES; inode++)
		check_inode(&model, inode);
	socket_index_fini(&model.index);
}

static void of_many_holders_the_oldest_are_kept(void **state)
{
	struct socket_index index;
	struct listed_process processes[20] = {0};
	struct inode_entry *entry;

	(void)state;
	socket_index_init(&index);
	for (int i = 0; i < 20; i++) {
		processes[i].id =
			(struct process_id){.pid = 100 - i, .start_ticks = (uint64_t)(100 - i)};
		list_init(&processes[i].holders);
		socket_index_add_holder(&index, 7, &processes[i], 1, 1, 5);
	}
	entry = socket_index_acquire(&index, 7);
	assert_int_equal(entry->holder_count, SOCKET_INDEX_MOST_HOLDERS);
	assert_ptr_equal(socket_index_first_holder(entry)->process, &processes[19]);
	assert_int_equal(entry->checked, 5);
	/* It has to remember that there are more. */
	for (int i = 0; i < 20; i++)
		socket_index_drop_process(&index, &processes[i], UINT64_MAX);
	assert_ptr_equal(socket_index_acquire(&index, 7), entry);
	assert_true(entry->has_more);
	assert_int_equal(entry->holder_count, 0);
	socket_index_fini(&index);
}

static void the_wanted_entry_stays(void **state)
{
	struct socket_index index;
	struct listed_process process = {.id = {.pid = 1, .start_ticks = 1}};
	struct inode_entry *entry;

	(void)state;
	socket_index_init(&index);
	list_init(&process.holders);
	entry = socket_index_acquire(&index, 7);
	index.wanted = entry;
	socket_index_add_holder(&index, 7, &process, 3, 1, 9);
	assert_int_equal(entry->checked, 9);
	socket_index_drop_process(&index, &process, UINT64_MAX);
	assert_null(socket_index_first_holder(entry));
	/* It was held before: that the reading before did not show it says nothing any more. */
	entry->checked = 0;
	socket_index_add_holder(&index, 7, &process, 4, 2, 9);
	assert_int_equal(entry->checked, 0);
	index.wanted = NULL;
	socket_index_drop_process(&index, &process, UINT64_MAX);
	assert_int_equal(index.entries.used, 0);
	socket_index_fini(&index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_holds_what_a_plain_table_holds),
		cmocka_unit_test(of_many_holders_the_oldest_are_kept),
		cmocka_unit_test(the_wanted_entry_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
