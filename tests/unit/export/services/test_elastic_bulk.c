/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "../unit.h"

#include <errno.h>
#include <zlib.h>

#include "export/services/elastic_bulk.h"

static void test_body(unused void **state)
{
	static const char lines[] = "{\"a\":1}\n{\"b\":2}\n";
	const struct chunk_document documents[] = {
		{.flow_id = 5720528300676, .number = 1795436375735000, .length = 7},
		{.flow_id = UINT64_MAX, .number = 2, .offset = 8, .length = 7},
	};
	struct buffer out;

	buffer_init(&out);
	elastic_bulk_add(&out, "procflow-2026.11.24", false, &documents[0], (const uint8_t *)lines);
	elastic_bulk_add(&out, "stream", true, &documents[1], (const uint8_t *)lines + 8);
	buffer_add_byte(&out, '\0');
	assert_string_equal(
		(char *)out.bytes,
		"{\"index\":{\"_index\":\"procflow-2026.11.24\","
		"\"_id\":\"5720528300676-1795436375735000-841953390800305e\"}}\n{\"a\":1}\n"
		"{\"create\":{\"_index\":\"stream\","
		"\"_id\":\"18446744073709551615-2-d94b3870d59f31d9\"}}\n{\"b\":2}\n");
	buffer_fini(&out);
}

static void check_compressed(const uint8_t *bytes, size_t length)
{
	z_stream stream = {0};
	uint8_t *back = malloc(length + 1);
	struct buffer out;

	buffer_init(&out);
	buffer_add_text(&out, "front");
	assert_int_equal(elastic_bulk_compress(&out, bytes, length), 0);
	assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
	stream.next_in = out.bytes + 5;
	stream.avail_in = (unsigned)(out.length - 5);
	stream.next_out = back;
	stream.avail_out = (unsigned)(length + 1);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.total_out, length);
	assert_int_equal(stream.avail_in, 0);
	assert_memory_equal(back, bytes, length);
	inflateEnd(&stream);
	buffer_fini(&out);
	free(back);
}

static void test_compression(unused void **state)
{
	static uint8_t bytes[300000];
	uint64_t seed = 7;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i < 100000 ? i % 50 : records_random(&seed));
	check_compressed(bytes, 0);
	check_compressed(bytes, 1);
	check_compressed(bytes, 100000);
	check_compressed(bytes, sizeof(bytes));
}

static void test_statuses(unused void **state)
{
	assert_int_equal(elastic_fate_of(200), ELASTIC_SENT);
	assert_int_equal(elastic_fate_of(201), ELASTIC_SENT);
	assert_int_equal(elastic_fate_of(409), ELASTIC_SENT);
	assert_int_equal(elastic_fate_of(400), ELASTIC_REFUSED);
	assert_int_equal(elastic_fate_of(413), ELASTIC_REFUSED);
	assert_int_equal(elastic_fate_of(403), ELASTIC_RETRY);
	assert_int_equal(elastic_fate_of(429), ELASTIC_RETRY);
	assert_int_equal(elastic_fate_of(500), ELASTIC_RETRY);
	assert_int_equal(elastic_fate_of(503), ELASTIC_RETRY);
	assert_int_equal(elastic_fate_of(0), ELASTIC_RETRY);
	assert_int_equal(elastic_fate_of(302), ELASTIC_RETRY);
}

static void test_each_document_has_its_fate(unused void **state)
{
	static const char answer[] =
		"{\"took\":3,\"errors\":true,\"items\":["
		"{\"index\":{\"_id\":\"1\",\"status\":201}},"
		"{\"index\":{\"status\":400,\"error\":{\"type\":\"document_parsing_exception\","
		"\"reason\":\"failed to parse\\u0007\\n[IN_BYTES]\"}}},"
		"{\"index\":{\"status\":429,\"error\":{\"type\":\"es_rejected_execution_"
		"exception\"}}},"
		"{\"index\":{\"status\":400,\"error\":{\"type\":\"other\"}}},"
		"{\"create\":{\"status\":409}}]}";
	const uint8_t expected[] = {ELASTIC_SENT, ELASTIC_REFUSED, ELASTIC_RETRY, ELASTIC_REFUSED,
				    ELASTIC_SENT};
	struct elastic_answer read;
	uint8_t fates[5];

	assert_int_equal(elastic_bulk_read_answer(answer, strlen(answer), 5, fates, &read), 0);
	assert_memory_equal(fates, expected, 5);
	assert_int_equal(read.sent, 2);
	assert_int_equal(read.retry, 1);
	assert_int_equal(read.refused, 2);
	assert_string_equal(read.refused_reason,
			    "document_parsing_exception: failed to parse??[IN_BYTES]");
	assert_string_equal(read.retry_reason, "es_rejected_execution_exception");
}

/* Half an answer, one to another question, and none at all: nothing is known of any document. */
static void test_what_is_no_answer(unused void **state)
{
	static const char *const answers[] = {
		"",
		"null",
		"[]",
		"{}",
		"{\"items\":{}}",
		"{\"items\":[]}",
		"{\"items\":[{\"index\":{\"status\":201}}]}",
		"{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":20",
		"{\"items\":[{\"index\":{\"status\":201}},{\"index\":{}}]}",
		"{\"items\":[{\"index\":{\"status\":201}},{}]}",
		"{\"items\":[{\"index\":{\"status\":201}},{\"index\":7}]}",
		"{\"items\":[{\"index\":{\"status\":201}},null]}",
		"{\"items\":[{\"index\":{\"status\":\"201\"}},{\"index\":{\"status\":201}}]}",
		"{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}}]} more",
		"<html>502 Bad Gateway</html>",
	};
	struct elastic_answer read;
	uint8_t fates[2] = {77, 77};

	for (size_t i = 0; i < array_length(answers); i++) {
		assert_int_equal(
			elastic_bulk_read_answer(answers[i], strlen(answers[i]), 2, fates, &read),
			-EBADMSG);
		assert_int_equal(fates[0], 77);
	}
}

/* Whatever a server says: two fates or none, and never more than there is room for. */
static void test_damaged_answers(unused void **state)
{
	static const char good[] =
		"{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":"
		"400,\"error\":{\"type\":\"t\",\"reason\":\"r\"}}}]}";
	uint64_t seed = 99;

	for (int i = 0; i < 20000; i++) {
		char bytes[sizeof(good)];
		struct elastic_answer read;
		uint8_t fates[2];

		memcpy(bytes, good, sizeof(good));
		for (uint64_t j = 1 + records_random(&seed) % 3; j > 0; j--)
			bytes[records_random(&seed) % (sizeof(good) - 1)] =
				(char)records_random(&seed);
		if (elastic_bulk_read_answer(bytes, sizeof(good) - 1, 2, fates, &read) == 0)
			assert_int_equal(read.sent + read.retry + read.refused, 2);
	}
}

static void check_error(const char *answer, const char *expected)
{
	char reason[ELASTIC_REASON_SIZE];

	elastic_bulk_read_error(answer, strlen(answer), reason);
	assert_string_equal(reason, expected);
}

static void test_errors_of_a_whole_request(unused void **state)
{
	char long_one[2000] = "{\"error\":\"", reason[ELASTIC_REASON_SIZE];

	check_error(
		"{\"error\":{\"type\":\"security_exception\",\"reason\":\"no\"},\"status\":401}",
		"security_exception: no");
	check_error("{\"error\":\"Unauthorized\"}", "Unauthorized");
	check_error("{\"error\":7}", "");
	check_error("Unauthorized", "");
	check_error("", "");
	memset(long_one + 10, 'x', 1900);
	strcpy(long_one + 1910, "\"}");
	elastic_bulk_read_error(long_one, strlen(long_one), reason);
	assert_int_equal(strlen(reason), ELASTIC_REASON_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_compression),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_each_document_has_its_fate),
		cmocka_unit_test(test_what_is_no_answer),
		cmocka_unit_test(test_damaged_answers),
		cmocka_unit_test(test_errors_of_a_whole_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
