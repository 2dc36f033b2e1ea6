/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A row is four words (process and address of either end) between fixed columns. The words are
 * placed at tab stops where they fit; if that is too wide, one behind the other; if that is too
 * wide as well, they are filled into lines. */

#include "export/text_table.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/macros.h"
#include "export/digits.h"
#include "flow/ownership.h"

enum {
	TIME_COLUMNS = 8,
	PROTOCOL_COLUMNS = 5,
	COUNTER_COLUMNS = 5,
	LASTED_COLUMNS = 6,
	CPU_COLUMNS = 8,
	ENDS_AT = TIME_COLUMNS + 1 + PROTOCOL_COLUMNS + 1,
	NUMBERS_COLUMNS = 2 * (1 + COUNTER_COLUMNS) + 1 + LASTED_COLUMNS + 1 + CPU_COLUMNS,
	ADDRESS_COLUMNS = 21, /* 255.255.255.255:65535 */
	LONGEST_NAME = 16,
	LONGEST_USER = 10,
	WORD_SIZE = 256,
};

#define STYLE_NONE    ""
#define STYLE_DIM     "\033[2m"
#define STYLE_PROCESS "\033[1;36m"
#define STYLE_REASON  "\033[33m"
#define STYLE_HEADER  "\033[1m"
#define STYLE_END     "\033[0m"

struct word {
	char text[WORD_SIZE];
	size_t length;
	unsigned columns;
};

enum { SRC_PROCESS, SRC_ADDRESS, DST_PROCESS, DST_ADDRESS, WORDS };

struct row {
	struct word words[WORDS];
	char sent[16], received[16], lasted[16], cpu[32];
};

static bool is_wide(uint32_t character)
{
	static const struct {
		uint32_t first, last;
	} wide[] = {{0x1100, 0x115f},	{0x2e80, 0xa4cf},  {0xac00, 0xd7a3}, {0xf900, 0xfaff},
		    {0xfe30, 0xfe6f},	{0xff00, 0xff60},  {0xffe0, 0xffe6}, {0x1f300, 0x1f64f},
		    {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

	for (size_t i = 0; i < array_length(wide); i++)
		if (character >= wide[i].first && character <= wide[i].last)
			return true;
	return false;
}

/* "at" is well-formed UTF-8 and not at its end. */
static size_t next_character(const char *at, unsigned *ret_columns)
{
	const uint8_t *bytes = (const uint8_t *)at;
	size_t length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
	uint32_t character = bytes[0] & (0xffu >> (length + 1));

	for (size_t i = 1; i < length; i++)
		character = character << 6 | (bytes[i] & 0x3f);
	*ret_columns = length > 1 && is_wide(character) ? 2 : 1;
	return length;
}

static void add_bytes(struct word *word, const char *bytes, size_t length, unsigned columns)
{
	if (length > sizeof(word->text) - word->length)
		return;
	memcpy(word->text + word->length, bytes, length);
	word->length += length;
	word->columns += columns;
}

static void add_style(struct word *word, const struct text_table *table, const char *style)
{
	if (table->colours)
		add_bytes(word, style, strlen(style), 0);
}

static void add_ascii(struct word *word, const char *text)
{
	add_bytes(word, text, strlen(text), (unsigned)strlen(text));
}

/* At most "limit" columns; a '+' at the end tells that there was more. */
static void add_cut(struct word *word, struct text text, unsigned limit)
{
	char clean[WORD_SIZE / 2];
	size_t length = text_sanitise(text, clean, sizeof(clean));
	size_t at = 0, fits = 0;
	unsigned columns = 0, fit_columns = 0, character_columns;

	while (at < length && columns <= limit) {
		if (columns < limit) {
			fits = at;
			fit_columns = columns;
		}
		at += next_character(clean + at, &character_columns);
		columns += character_columns;
	}
	if (columns <= limit) {
		add_bytes(word, clean, at, columns);
		return;
	}
	add_bytes(word, clean, fits, fit_columns);
	add_ascii(word, "+");
}

static void add_decimal(struct word *word, uint64_t value)
{
	char digits[DIGITS_DECIMAL_SIZE];
	size_t length = (size_t)(digits_add_decimal(digits, value) - digits);

	add_bytes(word, digits, length, (unsigned)length);
}

static void add_user(struct word *word, const struct record_end *end)
{
	add_ascii(word, " ");
	if (text_is_empty(end->user_name))
		add_decimal(word, end->uid);
	else
		add_cut(word, end->user_name, LONGEST_USER);
}

static void build_process(struct word *word, const struct text_table *table,
			  const struct record_end *end, uint64_t parts, unsigned side)
{
	if (parts & RECORD_END(side, END_PROCESS)) {
		add_style(word, table, STYLE_PROCESS);
		add_cut(word, end->name, LONGEST_NAME);
		add_style(word, table, STYLE_END);
		add_ascii(word, "[");
		add_decimal(word, end->pid);
		add_ascii(word, "]");
		if (end->method == OWNERSHIP_LISTENER || end->method == OWNERSHIP_SHARED)
			add_ascii(word, "~");
		if (parts & RECORD_END(side, END_USER))
			add_user(word, end);
		return;
	}
	if (end->method == OWNERSHIP_REMOTE)
		return;
	add_style(word, table, STYLE_REASON);
	add_ascii(word, "-");
	if (parts & RECORD_END(side, END_REASON)) {
		add_ascii(word, "(");
		add_ascii(word, ownership_reason_name(end->reason));
		add_ascii(word, ")");
	}
	add_style(word, table, STYLE_END);
	if (parts & RECORD_END(side, END_USER))
		add_user(word, end);
}

static void build_address(struct word *word, const struct ip_address *address,
			  enum ip_family family, uint16_t port)
{
	char text[IP_ADDRESS_TEXT_SIZE];
	bool needs_brackets = family == IP_FAMILY_V6 && port != 0;

	ip_address_format(address, family, text);
	if (needs_brackets)
		add_ascii(word, "[");
	add_ascii(word, text);
	if (needs_brackets)
		add_ascii(word, "]");
	if (port == 0)
		return;
	add_ascii(word, ":");
	add_decimal(word, port);
}

static void build_icmp(struct word *word, const struct flow_record *record)
{
	bool is_echo =
		record->icmp_code == 0 && record->icmp_type == (record->ip_version == 4 ? 8 : 128);

	if (is_echo) {
		add_ascii(word, " echo");
		return;
	}
	add_ascii(word, " type ");
	add_decimal(word, record->icmp_type);
	add_ascii(word, "/");
	add_decimal(word, record->icmp_code);
}

static void format_bytes(char out[16], uint64_t bytes, bool is_known)
{
	static const char units[] = "BkMGTPE";
	unsigned unit = 0;
	uint64_t tenths;

	if (!is_known) {
		strcpy(out, "-");
		return;
	}
	if (bytes < 1000) {
		snprintf(out, 16, "%uB", (unsigned)bytes);
		return;
	}
	while (bytes >= 1000000) {
		bytes /= 1000;
		unit++;
	}
	unit++;
	tenths = bytes / 100;
	if (tenths < 100)
		snprintf(out, 16, "%u.%u%c", (unsigned)(tenths / 10), (unsigned)(tenths % 10),
			 units[unit]);
	else
		snprintf(out, 16, "%u%c", (unsigned)(tenths / 10), units[unit]);
}

static void format_lasted(char out[16], const struct flow_record *record)
{
	uint64_t ns = record->end_ns > record->start_ns ? record->end_ns - record->start_ns : 0;
	unsigned long ms = (unsigned long)(ns / NS_PER_MS),
		      seconds = (unsigned long)(ns / NS_PER_SEC);
	int length;

	if (ms == 0)
		length = snprintf(out, 16, "<1ms");
	else if (ms < 1000)
		length = snprintf(out, 16, "%lums", ms);
	else if (seconds < 10)
		length = snprintf(out, 16, "%lu.%lus", seconds, ms / 100 % 10);
	else if (seconds < 60)
		length = snprintf(out, 16, "%lus", seconds);
	else if (seconds < 3600)
		length = snprintf(out, 16, "%lum%02lus", seconds / 60, seconds % 60);
	else if (seconds < 86400)
		length = snprintf(out, 16, "%luh%02lum", seconds / 3600, seconds / 60 % 60);
	else if (seconds < 100 * 86400)
		length = snprintf(out, 16, "%lud%02luh", seconds / 86400, seconds / 3600 % 24);
	else
		length = snprintf(out, 16, "%lud", seconds / 86400 % 100000);
	if (record->end_reason == FLOW_END_ACTIVE)
		strcpy(out + (length < LASTED_COLUMNS ? length : LASTED_COLUMNS - 1), "+");
}

static size_t format_load(char *out, size_t size, uint64_t pct100, bool is_known)
{
	int length;

	if (!is_known)
		length = snprintf(out, size, "-");
	else if (pct100 < 1000)
		length = snprintf(out, size, "%u.%u", (unsigned)(pct100 / 100),
				  (unsigned)(pct100 / 10 % 10));
	else
		length = snprintf(out, size, "%u", (unsigned)(pct100 / 100 % 100000));
	return (size_t)length;
}

static void format_cpu(char out[32], const struct flow_record *record)
{
	bool src = record->parts & RECORD_END(RECORD_SRC, END_USAGE);
	bool dst = record->parts & RECORD_END(RECORD_DST, END_USAGE);
	size_t length = 0;

	if (src || !dst)
		length = format_load(out, 16, record->src.cpu_load_pct100, src);
	if (src && dst)
		out[length++] = '/';
	if (dst)
		length += format_load(out + length, 16 - length, record->dst.cpu_load_pct100, dst);
	if ((src || dst) && length < CPU_COLUMNS)
		out[length++] = '%';
	out[length] = '\0';
}

static void build_row(struct row *row, const struct text_table *table,
		      const struct flow_record *record)
{
	const struct flow_tuple *tuple = &record->key.tuple;
	enum ip_family family = record->ip_version == 4 ? IP_FAMILY_V4 : IP_FAMILY_V6;
	bool is_icmp = record->parts & RECORD_ICMP;
	bool counted = record->parts & RECORD_COUNTERS;

	for (size_t i = 0; i < WORDS; i++)
		row->words[i].length = row->words[i].columns = 0;
	build_process(&row->words[SRC_PROCESS], table, &record->src, record->parts, RECORD_SRC);
	build_address(&row->words[SRC_ADDRESS], &tuple->src, family, tuple->src_port);
	build_process(&row->words[DST_PROCESS], table, &record->dst, record->parts, RECORD_DST);
	build_address(&row->words[DST_ADDRESS], &tuple->dst, family, is_icmp ? 0 : tuple->dst_port);
	if (is_icmp)
		build_icmp(&row->words[DST_ADDRESS], record);
	format_bytes(row->sent, record->counters.in_bytes, counted);
	format_bytes(row->received, record->counters.out_bytes, counted);
	format_lasted(row->lasted, record);
	format_cpu(row->cpu, record);
}

static void add_spaces(struct buffer *out, unsigned count)
{
	void *room = buffer_extend(out, count);

	if (room)
		memset(room, ' ', count);
}

static void add_styled(struct buffer *out, const struct text_table *table, const char *style,
		       const char *text)
{
	if (table->colours)
		buffer_add_text(out, style);
	buffer_add_text(out, text);
	if (table->colours)
		buffer_add_text(out, STYLE_END);
}

static void add_right(struct buffer *out, const char *text, unsigned columns)
{
	size_t length = strlen(text);

	add_spaces(out, 1 + (length < columns ? columns - (unsigned)length : 0));
	buffer_add_text(out, text);
}

static void add_numbers(struct buffer *out, const struct row *row)
{
	add_right(out, row->sent, COUNTER_COLUMNS);
	add_right(out, row->received, COUNTER_COLUMNS);
	add_right(out, row->lasted, LASTED_COLUMNS);
	add_right(out, row->cpu, CPU_COLUMNS);
}

static unsigned ends_columns(const struct text_table *table)
{
	unsigned width = table->width < TEXT_TABLE_NARROWEST ? TEXT_TABLE_NARROWEST : table->width;

	return width - ENDS_AT - NUMBERS_COLUMNS;
}

/* Where the words stand when all goes well. */
static void find_stops(const struct text_table *table, unsigned stops[WORDS])
{
	unsigned ends = ends_columns(table), cell = (ends - 1) / 2;
	unsigned process = cell > ADDRESS_COLUMNS + 1 ? cell - ADDRESS_COLUMNS - 1 : 0;

	stops[SRC_PROCESS] = 0;
	stops[SRC_ADDRESS] = process ? process + 1 : 0;
	stops[DST_PROCESS] = cell + 1;
	stops[DST_ADDRESS] = cell + 1 + stops[SRC_ADDRESS];
}

/* Each word at its stop, or one space behind the word before it. Returns the columns needed. */
static unsigned place(const struct row *row, const unsigned stops[WORDS], unsigned places[WORDS])
{
	unsigned at = 0;

	for (size_t i = 0; i < WORDS; i++) {
		const struct word *word = &row->words[i];

		places[i] = at;
		if (word->columns == 0)
			continue;
		if (at > 0)
			places[i]++;
		if (places[i] < stops[i])
			places[i] = stops[i];
		at = places[i] + word->columns;
	}
	return at;
}

static bool find_places(const struct text_table *table, const struct row *row,
			unsigned places[WORDS])
{
	unsigned stops[WORDS], ends = ends_columns(table);

	find_stops(table, stops);
	if (place(row, stops, places) <= ends)
		return true;
	stops[SRC_ADDRESS] = stops[DST_ADDRESS] = 0;
	if (place(row, stops, places) <= ends)
		return true;
	stops[DST_PROCESS] = 0;
	return place(row, stops, places) <= ends;
}

static void add_line(struct buffer *out, const struct text_table *table, const struct row *row,
		     const unsigned places[WORDS])
{
	unsigned at = 0;

	for (size_t i = 0; i < WORDS; i++) {
		const struct word *word = &row->words[i];

		if (word->columns == 0)
			continue;
		add_spaces(out, places[i] - at);
		buffer_add(out, word->text, word->length);
		at = places[i] + word->columns;
	}
	add_spaces(out, ends_columns(table) - at);
	add_numbers(out, row);
	buffer_add_byte(out, '\n');
}

/* Ends the line; the first one has the numbers. */
static void end_line(struct buffer *out, const struct text_table *table, const struct row *row,
		     unsigned lines, unsigned at)
{
	unsigned columns = ends_columns(table);

	if (lines == 0) {
		add_spaces(out, columns > at ? columns - at : 0);
		add_numbers(out, row);
	}
	buffer_add_byte(out, '\n');
}

/* The source first with the numbers behind it, then the destination on a line of its own; an end
 * that is still too long is broken between process and address. */
static void add_lines(struct buffer *out, const struct text_table *table, const struct row *row)
{
	unsigned limit = ends_columns(table), at = 0, lines = 0;

	for (size_t i = 0; i < WORDS; i++) {
		const struct word *word = &row->words[i];

		if (i == DST_PROCESS || at + (at > 0) + word->columns > limit) {
			end_line(out, table, row, lines++, at);
			add_spaces(out, ENDS_AT);
			buffer_add_text(out, i == DST_PROCESS ? ">" : " ");
			at = 1;
			limit = ends_columns(table) + NUMBERS_COLUMNS;
		}
		if (word->columns == 0)
			continue;
		if (at > 0) {
			add_spaces(out, 1);
			at++;
		}
		buffer_add(out, word->text, word->length);
		at += word->columns;
	}
	end_line(out, table, row, lines, at);
}

static void add_header(struct buffer *out, const struct text_table *table)
{
	unsigned stops[WORDS], ends = ends_columns(table), at = 0;
	const char *names[WORDS] = {"SOURCE", "ADDRESS", "DESTINATION", "ADDRESS"};
	struct row row = {.sent = "SENT", .received = "RECV", .lasted = "LASTED", .cpu = "CPU"};

	find_stops(table, stops);
	if (table->colours)
		buffer_add_text(out, STYLE_HEADER);
	buffer_add_text(out, "TIME     PROTO ");
	for (size_t i = 0; i < WORDS; i++) {
		if (stops[i] < at || stops[i] + strlen(names[i]) > ends ||
		    (i % 2 == 1 && stops[SRC_ADDRESS] < sizeof("DESTINATION")))
			continue;
		add_spaces(out, stops[i] - at);
		buffer_add_text(out, names[i]);
		at = stops[i] + (unsigned)strlen(names[i]);
	}
	add_spaces(out, ends - at);
	add_numbers(out, &row);
	if (table->colours)
		buffer_add_text(out, STYLE_END);
	buffer_add_byte(out, '\n');
}

static void add_time(struct buffer *out, const struct text_table *table, uint64_t epoch_ms)
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	struct tm local = {0};
	char text[TIME_COLUMNS + 1], *at = text;

	localtime_r(&seconds, &local);
	at = digits_add_padded(at, (uint64_t)local.tm_hour, 2);
	*at++ = ':';
	at = digits_add_padded(at, (uint64_t)local.tm_min, 2);
	*at++ = ':';
	at = digits_add_padded(at, (uint64_t)local.tm_sec, 2);
	*at = '\0';
	add_styled(out, table, STYLE_DIM, text);
	buffer_add_byte(out, ' ');
}

static void add_protocol(struct buffer *out, uint8_t protocol)
{
	static const char *const names[UINT8_MAX + 1] = {
		[IPPROTO_ICMP] = "icmp", [IPPROTO_IGMP] = "igmp",    [IPPROTO_TCP] = "tcp",
		[IPPROTO_UDP] = "udp",	 [IPPROTO_DCCP] = "dccp",    [IPPROTO_GRE] = "gre",
		[IPPROTO_ESP] = "esp",	 [IPPROTO_AH] = "ah",	     [IPPROTO_ICMPV6] = "icmp6",
		[IPPROTO_SCTP] = "sctp", [IPPROTO_UDPLITE] = "udpl",
	};
	char digits[DIGITS_DECIMAL_SIZE + 1];
	const char *name = names[protocol];

	if (!name) {
		*digits_add_decimal(digits, protocol) = '\0';
		name = digits;
	}
	buffer_add_text(out, name);
	add_spaces(out, PROTOCOL_COLUMNS + 1 - (unsigned)strlen(name));
}

int text_table_encode_record(struct text_table *table, struct buffer *out,
			     const struct flow_record *record)
{
	struct row row;
	unsigned places[WORDS];

	if (table->lines_left == 0) {
		add_header(out, table);
		table->lines_left = TEXT_TABLE_HEADER_EVERY;
	}
	table->lines_left--;
	add_time(out, table, record->end_ms);
	add_protocol(out, record->key.protocol);
	build_row(&row, table, record);
	if (find_places(table, &row, places))
		add_line(out, table, &row, places);
	else
		add_lines(out, table, &row);
	return out->failed ? -ENOMEM : 0;
}
