/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Cgroups of processes in a directory that looks like /proc; those of sockets, which need a kernel,
 * are in tests/kernel/test_cgroup_ids.c. */

#include "process/cgroup_table.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "support/temporary.h"

struct fixture {
	char *proc;
	int proc_fd;
	struct cgroup_table *table;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->proc = temporary_make();
	fixture->proc_fd = open(fixture->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = fixture;
	return cgroup_table_new(fixture->proc_fd, &fixture->table);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	cgroup_table_free(fixture->table);
	close(fixture->proc_fd);
	temporary_remove(fixture->proc);
	free(fixture);
	return 0;
}

static struct cgroup *read_process(struct fixture *fixture, const char *pid)
{
	int fd = openat(fixture->proc_fd, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cgroup *cgroup;

	assert_true(fd >= 0);
	cgroup = cgroup_table_read(fixture->table, fd);
	close(fd);
	return cgroup;
}

static uint64_t count(const struct fixture *fixture)
{
	return cgroup_table_get_counters(fixture->table)->cgroups;
}

static void processes_of_one_cgroup_share_it(void **state)
{
	struct fixture *fixture = *state;
	struct cgroup *one, *other;

	temporary_write(fixture->proc, "1/cgroup", "0::/system.slice/cron.service\n");
	temporary_write(fixture->proc, "2/cgroup", "0::/system.slice/cron.service\n");
	one = read_process(fixture, "1");
	other = read_process(fixture, "2");
	assert_non_null(one);
	assert_ptr_equal(one, other);
	assert_string_equal(one->path, "/system.slice/cron.service");
	assert_string_equal(one->unit, "cron.service");
	assert_null(one->container);
	assert_int_equal(count(fixture), 1);
	cgroup_table_release(fixture->table, one);
	assert_int_equal(count(fixture), 1);
	cgroup_table_release(fixture->table, other);
	assert_int_equal(count(fixture), 0);
}

static void what_cannot_be_read_is_unknown(void **state)
{
	struct fixture *fixture = *state;

	temporary_write(fixture->proc, "1/stat", "");
	assert_null(read_process(fixture, "1"));
	temporary_write(fixture->proc, "2/cgroup", "");
	assert_null(read_process(fixture, "2"));
	cgroup_table_release(fixture->table, NULL);
	assert_int_equal(count(fixture), 0);
}

static void root_and_no_id_are_nothing(void **state)
{
	struct fixture *fixture = *state;

	assert_null(cgroup_table_find_id(fixture->table, 0));
	assert_null(cgroup_table_find_id(fixture->table, 1));
	assert_int_equal(cgroup_table_get_counters(fixture->table)->ids_refused, 0);
}

/* Taken and released at random, beside a plain count of the references to each path. */
static void random_runs_agree_with_a_model(void **state)
{
	enum { PATHS = 40, ROUNDS = 20000 };
	struct fixture *fixture = *state;
	struct cgroup *held[PATHS] = {0};
	unsigned references[PATHS] = {0};

	srand(20261124);
	for (int round = 0; round < ROUNDS; round++) {
		size_t i = (size_t)rand() % PATHS;
		uint64_t alive = 0;
		char path[64];

		snprintf(path, sizeof(path), "/a.slice/%zu.service", i);
		if (references[i] && rand() % 2) {
			cgroup_table_release(fixture->table, held[i]);
			references[i]--;
		} else {
			struct cgroup *cgroup = cgroup_table_take(fixture->table, text_from(path));

			assert_non_null(cgroup);
			assert_string_equal(cgroup->path, path);
			if (references[i]++)
				assert_ptr_equal(cgroup, held[i]);
			held[i] = cgroup;
		}
		for (size_t j = 0; j < PATHS; j++)
			alive += references[j] > 0;
		assert_int_equal(count(fixture), alive);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(processes_of_one_cgroup_share_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_unknown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(root_and_no_id_are_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(random_runs_agree_with_a_model, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
