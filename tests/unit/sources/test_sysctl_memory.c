/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"
#include "sources/sysctl_memory.h"

#define HEAD                                                                                       \
	"procflow-sysctl 1\nboot 5b4a3e0c-3a7c-4c1e-9b8e-0f5f3c2b1a09\n"                           \
	"netns 4026531833 7\n"
#define ACCT "change net.netfilter.nf_conntrack_acct 0 1\n"

static int parse(const char *text, struct sysctl_memory *ret)
{
	return sysctl_memory_parse(text_from(text), ret);
}

static void test_what_is_written_is_read(void **state unused)
{
	struct sysctl_memory memory = {
		.place = {"5b4a3e0c-3a7c-4c1e-9b8e-0f5f3c2b1a09", 4026531833, UINT64_MAX},
		.changes = {{{SYSCTL_ACCOUNTING, 0, 1, 0}, {SYSCTL_DELAY_ACCOUNTING, 2, 255, 77}},
			    2},
	};
	struct sysctl_memory read = {0};
	struct buffer text;

	buffer_init(&text);
	sysctl_memory_encode(&memory, &text);
	assert_int_equal(sysctl_memory_parse((struct text){(char *)text.bytes, text.length}, &read),
			 0);
	assert_string_equal(read.place.boot_id, memory.place.boot_id);
	assert_int_equal(read.place.netns_inode, 4026531833);
	assert_true(read.place.netns_cookie == UINT64_MAX);
	assert_int_equal(read.changes.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(read.changes.items[i].key, memory.changes.items[i].key);
		assert_int_equal(read.changes.items[i].old_value,
				 memory.changes.items[i].old_value);
		assert_int_equal(read.changes.items[i].new_value,
				 memory.changes.items[i].new_value);
		assert_int_equal(read.changes.items[i].since_ns, memory.changes.items[i].since_ns);
	}
	buffer_fini(&text);
}

static void test_the_documented_text_is_read(void **state unused)
{
	struct sysctl_memory memory;

	assert_int_equal(parse(HEAD ACCT "end\n", &memory), 0);
	assert_int_equal(memory.changes.count, 1);
	assert_int_equal(memory.changes.items[0].key, SYSCTL_ACCOUNTING);
	assert_int_equal(memory.changes.items[0].old_value, 0);
	assert_int_equal(memory.changes.items[0].new_value, 1);
	assert_int_equal(memory.place.netns_cookie, 7);
}

/* A file cut anywhere, as by a full disk, is not half believed. */
static void test_every_truncation_is_refused(void **state unused)
{
	static const char whole[] = HEAD ACCT "change kernel.task_delayacct 0 1\nend\n";
	struct sysctl_memory memory;

	for (size_t length = 0; length < strlen(whole); length++) {
		char *cut = malloc(length + 1); /* of that size, so that a sanitizer sees */

		memcpy(cut, whole, length);
		assert_int_equal(sysctl_memory_parse((struct text){cut, length}, &memory),
				 -EBADMSG);
		free(cut);
	}
	assert_int_equal(parse(whole, &memory), 0);
}

static void test_hostile_text_is_refused(void **state unused)
{
	static const char *const texts[] = {
		"procflow-sysctl 2\n",
		"procflow-sysctl 1\nboot ../../../../etc/passwd-0000-000000000\nnetns 1 1\nend\n",
		"procflow-sysctl 1\nboot 5b4a3e0c\nnetns 1 1\nend\n",
		HEAD "change kernel.core_pattern 0 1\nend\n",
		HEAD "change net/netfilter/nf_conntrack_acct 0 1\nend\n",
		HEAD "change ../../etc/passwd 0 1\nend\n",
		HEAD "change net.netfilter.nf_conntrack_acct 0 |/bin/sh\nend\n",
		HEAD "change net.netfilter.nf_conntrack_acct -1 1\nend\n",
		HEAD "change net.netfilter.nf_conntrack_acct 0 256\nend\n",
		HEAD "change net.netfilter.nf_conntrack_acct 0 18446744073709551617\nend\n",
		HEAD "change net.netfilter.nf_conntrack_acct  0 1\nend\n",
		HEAD "change net.netfilter.nf_conntrack_acct 0 1 2 3\nend\n",
		HEAD "change net.netfilter.nf_conntrack_acct 0 1 x\nend\n",
		HEAD "change net.netfilter.nf_conntrack_acct 0\nend\n",
		HEAD "change\nend\n",
		HEAD "\nend\n",
		HEAD ACCT ACCT "end\n",
		HEAD ACCT "end\nmore\n",
		HEAD ACCT "end \n",
		"\n\n\n\n\n\n",
	};
	struct sysctl_memory memory = {.changes.count = 99};

	for (size_t i = 0; i < array_length(texts); i++)
		if (parse(texts[i], &memory) != -EBADMSG)
			fail_msg("taken: %s", texts[i]);
	assert_int_equal(memory.changes.count, 99); /* written only on success */
}

static void test_bytes_changed_at_random_never_bring_a_foreign_key(void **state unused)
{
	static const char whole[] = HEAD ACCT "end\n";
	unsigned taken = 0;

	srand(20261123);
	for (unsigned round = 0; round < 200000; round++) {
		char text[sizeof(whole)];
		struct sysctl_memory memory;

		memcpy(text, whole, sizeof(whole));
		for (int i = rand() % 4; i >= 0; i--)
			text[(size_t)rand() % strlen(whole)] = (char)rand();
		if (sysctl_memory_parse((struct text){text, strlen(whole)}, &memory) < 0)
			continue;
		taken++;
		assert_in_range(memory.changes.count, 0, SYSCTL_KEYS);
		for (size_t i = 0; i < memory.changes.count; i++)
			assert_int_equal(memory.changes.items[i].key, SYSCTL_ACCOUNTING);
	}
	assert_true(taken > 0);
}

static void test_relations(void **state unused)
{
	const struct sysctl_place ours = {"aaaa", 10, 3};
	const struct sysctl_place same = ours;
	const struct sysctl_place other_boot = {"bbbb", 10, 3};
	const struct sysctl_place other_netns = {"aaaa", 11, 4};
	const struct sysctl_place inode_again = {"aaaa", 10, 2};

	assert_int_equal(sysctl_memory_relate(&same, &ours, SYSCTL_ACCOUNTING),
			 SYSCTL_RELATION_HERE);
	assert_int_equal(sysctl_memory_relate(&other_boot, &ours, SYSCTL_ACCOUNTING),
			 SYSCTL_RELATION_NOWHERE);
	assert_int_equal(sysctl_memory_relate(&other_netns, &ours, SYSCTL_ACCOUNTING),
			 SYSCTL_RELATION_AWAY);
	assert_int_equal(sysctl_memory_relate(&inode_again, &ours, SYSCTL_ACCOUNTING),
			 SYSCTL_RELATION_NOWHERE);
	/* The machine's own: another namespace's daemon may put it back. */
	assert_int_equal(sysctl_memory_relate(&other_netns, &ours, SYSCTL_DELAY_ACCOUNTING),
			 SYSCTL_RELATION_HERE);
	assert_int_equal(sysctl_memory_relate(&other_boot, &ours, SYSCTL_DELAY_ACCOUNTING),
			 SYSCTL_RELATION_NOWHERE);
}

static void test_names(void **state unused)
{
	const struct sysctl_place place = {"", UINT64_MAX, 0};
	char name[SYSCTL_MEMORY_NAME_SIZE];

	sysctl_memory_format_name(true, &place, name);
	assert_string_equal(name, "sysctl-net-18446744073709551615");
	sysctl_memory_format_name(false, &place, name);
	assert_string_equal(name, "sysctl-kernel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_the_documented_text_is_read),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_hostile_text_is_refused),
		cmocka_unit_test(test_bytes_changed_at_random_never_bring_a_foreign_key),
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
