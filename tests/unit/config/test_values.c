/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "config/values.h"

struct number_case {
	const char *text;
	int outcome;
	uint64_t value;
};

#define FORM  CONFIG_VALUE_E_FORM
#define RANGE CONFIG_VALUE_E_RANGE

static void check_numbers(const struct number_case *cases, size_t count,
			  int (*parse)(const char *, uint64_t *))
{
	for (size_t i = 0; i < count; i++) {
		uint64_t untouched = 0xdecafbad, value = untouched;
		int outcome = parse(cases[i].text, &value);

		if (outcome != cases[i].outcome ||
		    value != (outcome == 0 ? cases[i].value : untouched))
			fail_msg("\"%s\": outcome %d, value %llu", cases[i].text, outcome,
				 (unsigned long long)value);
	}
}

static void test_durations(unused void **state)
{
	static const struct number_case cases[] = {
		{"500ms", 0, 500 * NS_PER_MS},
		{"60s", 0, 60 * NS_PER_SEC},
		{"5m", 0, 300 * NS_PER_SEC},
		{"2h", 0, 7200 * NS_PER_SEC},
		{"1d", 0, 86400 * NS_PER_SEC},
		{"0s", 0, 0},
		{"007s", 0, 7 * NS_PER_SEC},
		{"213503d", 0, 213503ull * 86400 * NS_PER_SEC},
		{"213504d", RANGE, 0},
		{"18446744073709551615ms", RANGE, 0},
		{"18446744073709551616s", RANGE, 0},
		{"99999999999999999999999999999999999999999s", RANGE, 0},
		{"-5s", RANGE, 0},
		{"-0s", RANGE, 0},
		{"60", FORM, 0},
		{"60x", FORM, 0},
		{"60 s", FORM, 0},
		{"60S", FORM, 0},
		{"1.5s", FORM, 0},
		{"1m30s", FORM, 0},
		{"+5s", FORM, 0},
		{"--5s", FORM, 0},
		{"s", FORM, 0},
		{"-", FORM, 0},
		{"", FORM, 0},
		{" 5s", FORM, 0},
		{"0x10s", FORM, 0},
		{"5us", FORM, 0},
	};

	check_numbers(cases, array_length(cases), config_parse_duration);
}

static void test_sizes(unused void **state)
{
	static const struct number_case cases[] = {
		{"1400", 0, 1400},
		{"0", 0, 0},
		{"2k", 0, 2000},
		{"2M", 0, 2000000},
		{"2G", 0, 2000000000},
		{"2KiB", 0, 2048},
		{"16MiB", 0, 16777216},
		{"1GiB", 0, 1073741824},
		{"17179869183GiB", 0, 17179869183ull << 30},
		{"17179869184GiB", RANGE, 0},
		{"-1k", RANGE, 0},
		{"2K", FORM, 0},
		{"2kB", FORM, 0},
		{"2MB", FORM, 0},
		{"2mib", FORM, 0},
		{"2 MiB", FORM, 0},
		{"MiB", FORM, 0},
		{"1e6", FORM, 0},
	};

	check_numbers(cases, array_length(cases), config_parse_size);
}

static void test_counts(unused void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"262144", 0, 262144},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", RANGE, 0},
		{"-3", RANGE, 0},
		{"010", FORM, 0},
		{"-010", FORM, 0},
		{"1_000", FORM, 0},
		{"1,000", FORM, 0},
		{"0x10", FORM, 0},
		{"10k", FORM, 0},
		{"1.0", FORM, 0},
		{"ten", FORM, 0},
	};

	check_numbers(cases, array_length(cases), config_parse_count);
}

static void test_booleans(unused void **state)
{
	static const char *const truths[] = {"true", "yes", "on", "True", "YES", "On"};
	static const char *const lies[] = {"false", "no", "off", "False", "NO", "Off"};
	static const char *const neither[] = {"", "y", "n", "1", "0", "tru", "truee", "enable"};
	bool value;

	for (size_t i = 0; i < array_length(truths); i++) {
		value = false;
		assert_int_equal(config_parse_bool(truths[i], &value), 0);
		assert_true(value);
	}
	for (size_t i = 0; i < array_length(lies); i++) {
		value = true;
		assert_int_equal(config_parse_bool(lies[i], &value), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < array_length(neither); i++)
		assert_int_equal(config_parse_bool(neither[i], &value), CONFIG_VALUE_E_FORM);
}

static void test_addresses(unused void **state)
{
	static const struct {
		const char *text;
		enum config_transport transport;
		const char *host, *path;
		uint16_t port;
	} cases[] = {
		{"stdout:", CONFIG_TRANSPORT_STDOUT, NULL, NULL, 0},
		{"file:///var/log/a b.json", CONFIG_TRANSPORT_FILE, NULL, "/var/log/a b.json", 0},
		{"udp://192.0.2.1:4739", CONFIG_TRANSPORT_UDP, "192.0.2.1", NULL, 4739},
		{"udp://192.0.2.1", CONFIG_TRANSPORT_UDP, "192.0.2.1", NULL, 0},
		{"udp://[2001:db8::1]:9", CONFIG_TRANSPORT_UDP, "2001:db8::1", NULL, 9},
		{"udp://[fe80::1%eth0]", CONFIG_TRANSPORT_UDP, "fe80::1%eth0", NULL, 0},
		{"udp://nf.example.net:65535", CONFIG_TRANSPORT_UDP, "nf.example.net", NULL, 65535},
		{"tcp://[::1]:5", CONFIG_TRANSPORT_TCP, "::1", NULL, 5},
		{"tls://c.example.net", CONFIG_TRANSPORT_TLS, "c.example.net", NULL, 0},
		{"unix:///run/c.sock", CONFIG_TRANSPORT_UNIX, NULL, "/run/c.sock", 0},
	};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct config_address address;
		const char *reason = NULL;

		if (config_parse_address(cases[i].text, &address, &reason) != 0)
			fail_msg("%s: %s", cases[i].text, reason);
		assert_int_equal(address.transport, cases[i].transport);
		assert_int_equal(address.port, cases[i].port);
		if (cases[i].host)
			assert_string_equal(address.host, cases[i].host);
		else
			assert_null(address.host);
		if (cases[i].path)
			assert_string_equal(address.path, cases[i].path);
		else
			assert_null(address.path);
		config_address_fini(&address);
	}
}

static void test_wrong_addresses_have_a_reason(unused void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"", "expected stdout:"},
		{"stdout", "expected stdout:"},
		{"stdout:x", "expected stdout:"},
		{"sctp://a:1", "expected stdout:"},
		{"tcp:a:1", "expected stdout:"},
		{"tcp://", "host is missing"},
		{"unix://c.sock", "not absolute"},
		{"unix:///0123456789012345678901234567890123456789012345678901234567890123456789"
		 "01234567890123456789012345678901234567",
		 "107 bytes"},
		{"192.0.2.1:2055", "expected stdout:"},
		{"file://flows.json", "not absolute"},
		{"file:flows.json", "expected stdout:"},
		{"file://", "not absolute"},
		{"file:///", "directory"},
		{"file:///var/log/", "directory"},
		{"udp://", "host is missing"},
		{"udp://:2055", "host is missing"},
		{"udp://[]:2055", "host is missing"},
		{"udp://a b:1", "host is missing"},
		{"udp://a/b:1", "host is missing"},
		{"udp://[::1:2055", "never closed"},
		{"udp://[nonsense]:1", "in the brackets"},
		{"udp://2001:db8::1:2055", "needs brackets"},
		{"udp://a:", "port"},
		{"udp://a:0", "port"},
		{"udp://a:65536", "port"},
		{"udp://a:-1", "port"},
		{"udp://a:http", "port"},
		{"udp://[::1]2055", "port"},
		{"udp://a:2055/", "port"},
	};

	for (size_t i = 0; i < array_length(cases); i++) {
		struct config_address address;
		const char *reason = "";
		int r = config_parse_address(cases[i].text, &address, &reason);

		if (r != CONFIG_VALUE_E_FORM || !strstr(reason, cases[i].reason))
			fail_msg("\"%s\": %d \"%s\"", cases[i].text, r, reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_wrong_addresses_have_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
