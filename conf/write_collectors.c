/* SPDX-License-Identifier: GPL-2.0-or-later */

/* write_collectors DIRECTORY: writes what collectors need to know our fields by name, as the field
 * catalogue has them. write_collectors --check DIRECTORY: says which of the files are not what
 * would be written, and ends with 1 if there is one. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "export/services/elastic_index.h"
#include "flow/field.h"

enum { FIRST_UNUSUAL_ID = 128, NAME_SIZE = 64, FIRST_PROTOBUF_INDEX = 2000 };

#define HEAD "Fields of procflow, made from its field catalogue: conf/write_collectors.c"

static const char *make_name(const struct field *field, char name[NAME_SIZE])
{
	size_t i = 0;

	for (; field->name[i] && i < NAME_SIZE - 1; i++)
		name[i] = (char)tolower(field->name[i]);
	name[i] = '\0';
	return name;
}

static bool is_ntop(const struct field *field)
{
	return field->pen == FIELD_PEN_NTOP;
}

/* Collectors know the low numbers of NetFlow v9 by themselves. */
static bool is_unusual(const struct field *field)
{
	return field->v9_id >= FIRST_UNUSUAL_ID;
}

static bool is_text(const struct field *field)
{
	return field->kind == FIELD_KIND_TEXT || field->kind == FIELD_KIND_USER;
}

/* Logstash's and Filebeat's. */
static const char *codec_type(const struct field *field, unsigned width)
{
	switch ((enum field_kind)field->kind) {
	case FIELD_KIND_ADDRESS4:
		return "ip4_addr";
	case FIELD_KIND_ADDRESS6:
		return "ip6_addr";
	case FIELD_KIND_MAC:
		return "mac_addr";
	case FIELD_KIND_TEXT:
	case FIELD_KIND_USER:
		return "string";
	default:
		return width == 1   ? "uint8"
		       : width == 2 ? "uint16"
		       : width == 8 ? "uint64"
				    : "uint32";
	}
}

static void write_codec_netflow9(struct buffer *out)
{
	char name[NAME_SIZE];

	buffer_add_text(out, "# " HEAD "\n---\n");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (is_unusual(&field_table[i]))
			buffer_add_format(out, "%u:\n- :%s\n- :%s\n", field_table[i].v9_id,
					  codec_type(&field_table[i], field_table[i].v9_width),
					  make_name(&field_table[i], name));
}

static void write_codec_ipfix(struct buffer *out)
{
	char name[NAME_SIZE];

	buffer_add_format(out, "# " HEAD "\n---\n%d:\n", FIELD_PEN_NTOP);
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (is_ntop(&field_table[i]))
			buffer_add_format(out, "  %u:\n  - :%s\n  - :%s\n", field_table[i].ipfix_id,
					  codec_type(&field_table[i], field_table[i].ipfix_width),
					  make_name(&field_table[i], name));
}

static void write_primitive(struct buffer *out, const struct field *field, bool is_ipfix)
{
	char name[NAME_SIZE];

	buffer_add_format(out, "name=%s field_type=", make_name(field, name));
	if (is_ipfix)
		buffer_add_format(out, "%d:%u", FIELD_PEN_NTOP, field->ipfix_id);
	else
		buffer_add_format(out, "%u", field->v9_id);
	if (is_ipfix && field->ipfix_width == FIELD_VARIABLE)
		buffer_add_text(out, " len=vlen");
	else
		buffer_add_format(out, " len=%u", is_ipfix ? field->ipfix_width : field->v9_width);
	buffer_add_format(out, " semantics=%s\n", is_text(field) ? "str" : "u_int");
}

static void write_primitives(struct buffer *out, bool is_ipfix)
{
	buffer_add_format(out, "! " HEAD "\n! For %s.\n", is_ipfix ? "IPFIX" : "NetFlow v9");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (is_ntop(&field_table[i]))
			write_primitive(out, &field_table[i], is_ipfix);
}

static void write_primitives_netflow9(struct buffer *out)
{
	write_primitives(out, false);
}

static void write_primitives_ipfix(struct buffer *out)
{
	write_primitives(out, true);
}

/* Its own fields, too: a list of fields takes the place of what is shown without one. Texts are bytes
 * to it, which it shows in hexadecimal unless told otherwise. */
static void write_goflow2_formatter(struct buffer *out)
{
	static const char *const own[] = {
		"type",
		"time_received_ns",
		"sequence_num",
		"sampling_rate",
		"sampler_address",
		"proto",
		"time_flow_start_ns",
		"time_flow_end_ns",
		"bytes",
		"packets",
		"src_addr",
		"dst_addr",
		"etype",
		"src_port",
		"dst_port",
		"in_if",
		"out_if",
		"src_mac",
		"dst_mac",
		"tcp_flags",
	};
	char name[NAME_SIZE];

	buffer_add_text(out, "# " HEAD "\nformatter:\n  fields:\n");
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		buffer_add_format(out, "    - %s\n", own[i]);
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (is_ntop(&field_table[i]))
			buffer_add_format(out, "    - %s\n", make_name(&field_table[i], name));
	buffer_add_text(out, "  render:\n");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (is_ntop(&field_table[i]) && is_text(&field_table[i]))
			buffer_add_format(out, "    %s: string\n",
					  make_name(&field_table[i], name));
}

static void write_goflow2(struct buffer *out)
{
	char name[NAME_SIZE];
	int index = FIRST_PROTOBUF_INDEX;

	write_goflow2_formatter(out);
	buffer_add_text(out, "  protobuf:\n");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (is_ntop(&field_table[i]))
			buffer_add_format(out, "    - name: %s\n      index: %d\n      type: %s\n",
					  make_name(&field_table[i], name), index++,
					  is_text(&field_table[i]) ? "string" : "varint");
	buffer_add_text(out, "ipfix:\n  mapping:\n");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (is_ntop(&field_table[i]))
			buffer_add_format(
				out,
				"    - field: %u\n      penprovided: true\n      pen: %d\n"
				"      destination: %s\n",
				field_table[i].ipfix_id, FIELD_PEN_NTOP,
				make_name(&field_table[i], name));
	buffer_add_text(out, "netflowv9:\n  mapping:\n");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (is_ntop(&field_table[i]))
			buffer_add_format(out, "    - field: %u\n      destination: %s\n",
					  field_table[i].v9_id, make_name(&field_table[i], name));
}

static void write_telegraf(struct buffer *out)
{
	char name[NAME_SIZE];

	buffer_add_text(out, "# " HEAD "\n# PEN.ID, name, data type\n");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (is_ntop(&field_table[i]))
			buffer_add_format(out, "%d.%u,%s,%s\n", FIELD_PEN_NTOP,
					  field_table[i].ipfix_id, make_name(&field_table[i], name),
					  is_text(&field_table[i]) ? "string" : "uint");
}

static void write_index_template(struct buffer *out)
{
	elastic_index_add_template(
		out, &(struct elastic_index_template){.pattern = "procflow-%Y.%m.%d"});
}

static void write_index_template_ecs(struct buffer *out)
{
	elastic_index_add_template(out, &(struct elastic_index_template){
						.pattern = "procflow-%Y.%m.%d", .is_ecs = true});
}

static const struct {
	const char *name;
	void (*write)(struct buffer *out);
} files[] = {
	{"logstash/netflow.yaml", write_codec_netflow9},
	{"logstash/ipfix.yaml", write_codec_ipfix},
	{"filebeat/netflow.yaml", write_codec_netflow9},
	{"filebeat/ipfix.yaml", write_codec_ipfix},
	{"pmacct/primitives-netflow9.lst", write_primitives_netflow9},
	{"pmacct/primitives-ipfix.lst", write_primitives_ipfix},
	{"goflow2/mapping.yaml", write_goflow2},
	{"telegraf/ntop.csv", write_telegraf},
	{"elasticsearch/index_template.json", write_index_template},
	{"elasticsearch/index_template_ecs.json", write_index_template_ecs},
};

static int write_file(const char *path, const struct buffer *text)
{
	FILE *file = fopen(path, "w");

	if (file && fwrite(text->bytes, 1, text->length, file) == text->length && fclose(file) == 0)
		return 0;
	perror(path);
	return 1;
}

static int check_file(const char *path, const struct buffer *text)
{
	cleanup_file FILE *file = fopen(path, "r");
	cleanup_free char *bytes = malloc(text->length + 1);

	if (file && bytes && fread(bytes, 1, text->length + 1, file) == text->length &&
	    memcmp(bytes, text->bytes, text->length) == 0)
		return 0;
	fprintf(stderr, "%s is not what the catalogue says: meson compile update-collectors\n",
		path);
	return 1;
}

int main(int argc, char **argv)
{
	bool is_check = argc > 1 && strcmp(argv[1], "--check") == 0;
	int status = 0;

	if (argc != 2 + is_check) {
		fputs("usage: write_collectors [--check] DIRECTORY\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		cleanup(buffer_fini) struct buffer text = {.bytes = NULL};
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", argv[1 + is_check], files[i].name);
		files[i].write(&text);
		if (text.failed)
			return 2;
		status |= (is_check ? check_file : write_file)(path, &text);
	}
	return status;
}
