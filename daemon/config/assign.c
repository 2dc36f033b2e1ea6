/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/assign.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/options.h"
#include "config/values.h"
#include "flow/field.h"

struct assignment {
	const struct config_key *key;
	void *member;
	struct config_mistakes *mistakes;
};

static const struct {
	const char *noun, *example;
} expectations[CONFIG_KEY_TYPES] = {
	[CONFIG_KEY_DURATION] = {"a duration", "500ms, 60s, 5m"},
	[CONFIG_KEY_SIZE] = {"a size", "512k, 16MiB, 1GiB"},
	[CONFIG_KEY_COUNT] = {"a whole number", "1000"},
	[CONFIG_KEY_BOOL] = {"a boolean", "true, false"},
	[CONFIG_KEY_WORD] = {"a word", NULL},
	[CONFIG_KEY_WORDS] = {"a list", NULL},
	[CONFIG_KEY_NETWORKS] = {"a list", "[10.0.0.0/8, 2001:db8::/32]"},
	[CONFIG_KEY_TEXT] = {"a text", NULL},
	[CONFIG_KEY_PATH] = {"a path", "/etc/procflow/ca.pem"},
	[CONFIG_KEY_TEMPLATE] = {"a template", NULL},
	[CONFIG_KEY_OPTIONS] = {"a mapping", "{compression.codec: zstd}"},
	[CONFIG_KEY_ARGUMENTS] = {"a list", "[sysdig, --modern-bpf]"},
	[CONFIG_KEY_ADDRESS] = {"an address", "udp://192.0.2.1:4739, file:///path"},
	[CONFIG_KEY_LISTEN] = {"an address with a port", "127.0.0.1:9477, [::1]:9477, 9477"},
};

/* "(expected e.g. 500ms, 60s, 5m)" or "(expected auto, never)". */
static void add_expected(const struct config_key *key, struct buffer *out)
{
	const char *example = expectations[key->type].example;

	if (example)
		buffer_add_format(out, " (expected e.g. %s)", example);
	for (const struct config_word *word = key->words; word && word->name; word++)
		buffer_add_format(out, "%s%s", word == key->words ? " (expected " : ", ",
				  word->name);
	if (key->words)
		buffer_add_byte(out, ')');
}

static int refuse_as(const struct assignment *assignment, const struct config_node *node,
		     const char *found, const char *what)
{
	const struct config_key *key = assignment->key;
	struct buffer expected;

	buffer_init(&expected);
	add_expected(key, &expected);
	if (expected.failed)
		assignment->mistakes->failed = true;
	else
		config_mistakes_add(assignment->mistakes, node->position, "%s.%s: %s %s%.*s",
				    key->section, key->name, found, what, (int)expected.length,
				    (const char *)expected.bytes);
	buffer_fini(&expected);
	return CONFIG_ASSIGN_E_WRONG;
}

static int refuse(const struct assignment *assignment, const struct config_node *node,
		  const char *what)
{
	char quoted[CONFIG_QUOTED_SIZE];

	return refuse_as(assignment, node, config_node_describe(node, quoted), what);
}

static int refuse_form(const struct assignment *assignment, const struct config_node *node,
		       const char *noun)
{
	char what[40] = "is not ";

	strcat(what, noun);
	return refuse(assignment, node, what);
}

static int refuse_range(const struct assignment *assignment, const struct config_node *node)
{
	const struct config_key *key = assignment->key;
	char quoted[CONFIG_QUOTED_SIZE];

	config_mistakes_add(assignment->mistakes, node->position,
			    "%s.%s: %s is out of range (%s to %s%s%s)", key->section, key->name,
			    config_quote(node->text, quoted), key->least, key->most,
			    key->unit ? " " : "", key->unit ? key->unit : "");
	return CONFIG_ASSIGN_E_WRONG;
}

static int parse_number(const struct config_key *key, const char *text, uint64_t *ret)
{
	switch (key->type) {
	case CONFIG_KEY_DURATION:
		return config_parse_duration(text, ret);
	case CONFIG_KEY_SIZE:
		return config_parse_size(text, ret);
	default:
		return config_parse_count(text, ret);
	}
}

static uint64_t parse_limit(const struct config_key *key, const char *text)
{
	uint64_t limit = 0;
	int r = parse_number(key, text, &limit);

	assert(r == 0);
	return limit;
}

static int assign_number(const struct assignment *assignment, const struct config_node *node)
{
	const struct config_key *key = assignment->key;
	uint64_t value;
	int r = parse_number(key, node->text, &value);

	if (r == CONFIG_VALUE_E_FORM)
		return refuse_form(assignment, node, expectations[key->type].noun);
	if (r == CONFIG_VALUE_E_RANGE || value < parse_limit(key, key->least) ||
	    value > parse_limit(key, key->most))
		return refuse_range(assignment, node);
	if (key->type == CONFIG_KEY_COUNT)
		*(uint32_t *)assignment->member = (uint32_t)value;
	else
		*(uint64_t *)assignment->member = value;
	return 0;
}

static int assign_bool(const struct assignment *assignment, const struct config_node *node)
{
	if (config_parse_bool(node->text, assignment->member) != 0)
		return refuse_form(assignment, node, "a boolean");
	return 0;
}

/* The word that the node names, or NULL, and then the mistake was told. */
static const struct config_word *find_word(const struct assignment *assignment,
					   const struct config_node *node)
{
	const struct config_key *key = assignment->key;
	const char *names[CONFIG_KEYS_MAX], *nearest;
	char what[128] = "is not known here";

	for (const struct config_word *word = key->words; word->name; word++)
		if (strcmp(word->name, node->text) == 0)
			return word;
	nearest = text_find_nearest(node->text, names, config_key_list_words(key, names));
	if (nearest)
		snprintf(what, sizeof(what), "is not known here, did you mean \"%s\"?", nearest);
	refuse(assignment, node, what);
	return NULL;
}

static int assign_word(const struct assignment *assignment, const struct config_node *node)
{
	const struct config_word *word = find_word(assignment, node);

	if (!word)
		return CONFIG_ASSIGN_E_WRONG;
	*(int *)assignment->member = word->value;
	return 0;
}

static int assign_text(const struct assignment *assignment, const struct config_node *node)
{
	char **member = assignment->member;
	char *copy;

	if (assignment->key->words && !find_word(assignment, node))
		return CONFIG_ASSIGN_E_WRONG;
	if (node->text[0] == '\0')
		return refuse(assignment, node, "is empty");
	copy = strdup(node->text);
	if (!copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

static int assign_path(const struct assignment *assignment, const struct config_node *node)
{
	char **member = assignment->member;

	if (node->text[0] == '\0') {
		free(steal_pointer(member));
		return 0;
	}
	if (node->text[0] != '/')
		return refuse(assignment, node, "is not an absolute path");
	return assign_text(assignment, node);
}

static int assign_listen(const struct assignment *assignment, const struct config_node *node)
{
#ifdef HAVE_LIBMICROHTTPD
	struct config_listen listen;

	if (config_parse_listen(node->text, &listen) != 0)
		return refuse(assignment, node, "is no address with a port");
	*(struct config_listen *)assignment->member = listen;
	return 0;
#else
	return refuse(assignment, node, "cannot be: this was built without libmicrohttpd");
#endif
}

static int assign_address(const struct assignment *assignment, const struct config_node *node)
{
	const struct config_key *key = assignment->key;
	struct config_address address;
	const char *reason;
	char quoted[CONFIG_QUOTED_SIZE];
	int r = config_parse_address(node->text, &address, &reason);

	if (r < 0)
		return r;
	if (r != 0) {
		config_mistakes_add(assignment->mistakes, node->position,
				    "%s.%s: %s is not an address: %s", key->section, key->name,
				    config_quote(node->text, quoted), reason);
		return CONFIG_ASSIGN_E_WRONG;
	}
	address.text = strdup(node->text);
	if (!address.text) {
		config_address_fini(&address);
		return -ENOMEM;
	}
	config_address_fini(assignment->member);
	*(struct config_address *)assignment->member = address;
	return 0;
}

/* Whether the item of a list is a scalar that means something; else the mistake was told. */
static bool is_item(const struct assignment *assignment, const struct config_node *item,
		    const char *noun)
{
	if (item->is_bad)
		return false;
	if (item->kind == CONFIG_NODE_SCALAR && !item->is_null)
		return true;
	refuse_form(assignment, item, noun);
	return false;
}

static int refuse_empty(const struct assignment *assignment, const struct config_node *node)
{
	return refuse_as(assignment, node, "an empty list", "is not enough");
}

static int assign_words(const struct assignment *assignment, const struct config_node *node)
{
	bool wrong = false;
	unsigned bits = 0;

	if (!node->first)
		return refuse_empty(assignment, node);
	for (const struct config_node *item = node->first; item; item = item->next) {
		const struct config_word *word =
			is_item(assignment, item, "a word") ? find_word(assignment, item) : NULL;

		wrong |= !word;
		if (word && (bits & (unsigned)word->value)) {
			refuse(assignment, item, "stands here twice");
			wrong = true;
		}
		bits |= word ? (unsigned)word->value : 0;
	}
	if (wrong)
		return CONFIG_ASSIGN_E_WRONG;
	*(unsigned *)assignment->member = bits;
	return 0;
}

static int assign_networks(const struct assignment *assignment, const struct config_node *node)
{
	struct config_prefixes *member = assignment->member;
	struct config_prefixes prefixes = {.items = NULL};
	bool wrong = false;
	size_t count = 0;

	for (const struct config_node *item = node->first; item; item = item->next)
		count++;
	if (count > 0) {
		prefixes.items = calloc(count, sizeof(*prefixes.items));
		if (!prefixes.items)
			return -ENOMEM;
	}
	for (const struct config_node *item = node->first; item; item = item->next) {
		if (!is_item(assignment, item, "a network")) {
			wrong = true;
		} else if (ip_prefix_parse(item->text, &prefixes.items[prefixes.count++]) < 0) {
			refuse(assignment, item,
			       "is not a network, or has bits set behind its length");
			wrong = true;
		}
	}
	if (wrong) {
		free(prefixes.items);
		return CONFIG_ASSIGN_E_WRONG;
	}
	free(member->items);
	*member = prefixes;
	return 0;
}

static void free_arguments(struct config_arguments *arguments)
{
	for (size_t i = 0; i < arguments->count; i++)
		free(arguments->items[i]);
	free(arguments->items);
	*arguments = (struct config_arguments){.items = NULL};
}

static int assign_arguments(const struct assignment *assignment, const struct config_node *node)
{
	struct config_arguments arguments = {.items = NULL};
	bool wrong = false;
	size_t count = 0;

	if (!node->first)
		return refuse_empty(assignment, node);
	for (const struct config_node *item = node->first; item; item = item->next)
		count++;
	arguments.items = calloc(count + 1, sizeof(*arguments.items));
	if (!arguments.items)
		return -ENOMEM;
	for (const struct config_node *item = node->first; item; item = item->next) {
		if (!is_item(assignment, item, "a text")) {
			wrong = true;
		} else if (item->text[0] == '\0') {
			refuse(assignment, item, "is empty");
			wrong = true;
		} else if (!(arguments.items[arguments.count] = strdup(item->text))) {
			free_arguments(&arguments);
			return -ENOMEM;
		} else {
			arguments.count++;
		}
	}
	if (wrong) {
		free_arguments(&arguments);
		return CONFIG_ASSIGN_E_WRONG;
	}
	free_arguments(assignment->member);
	*(struct config_arguments *)assignment->member = arguments;
	return 0;
}

static void refuse_field(const struct assignment *assignment, const struct config_node *node,
			 struct text wrong, int outcome)
{
	const struct config_key *key = assignment->key;
	struct config_position place = node->position;
	char quoted[CONFIG_QUOTED_SIZE], name[CONFIG_QUOTED_SIZE];
	const char *nearest;

	snprintf(name, sizeof(name), "%.*s", (int)wrong.length, wrong.at);
	nearest = field_find_nearest(name);
	config_quote(name, quoted);
	if (node->text_column)
		place.column = node->text_column + (unsigned)(wrong.at - node->text);
	if (outcome == FIELD_LIST_E_WIDTH)
		config_mistakes_add(assignment->mistakes, place,
				    "%s.%s: %s is a width that this field cannot have (a text can "
				    "have 1 to %d, IN_BYTES and its like 4 or 8)",
				    key->section, key->name, quoted, FIELD_TEXT_MOST);
	else if (outcome == FIELD_LIST_E_TWICE)
		config_mistakes_add(assignment->mistakes, place, "%s.%s: %s stands here twice",
				    key->section, key->name, quoted);
	else
		config_mistakes_add(assignment->mistakes, place,
				    "%s.%s: there is no field %s%s%s%s", key->section, key->name,
				    quoted, nearest ? ", did you mean \"" : "",
				    nearest ? nearest : "", nearest ? "\"?" : "");
}

static bool add_fields(const struct assignment *assignment, const struct config_node *node,
		       struct field_list *fields)
{
	struct text wrong;
	int r = field_list_parse(fields, node->text, &wrong);

	if (r != 0)
		refuse_field(assignment, node, wrong, r);
	return r == 0;
}

/* One node with names, or a list of such. */
static bool read_fields(const struct assignment *assignment, const struct config_node *node,
			struct field_list *fields)
{
	bool good = true;

	if (node->kind == CONFIG_NODE_SCALAR)
		return add_fields(assignment, node, fields);
	for (const struct config_node *item = node->first; item; item = item->next)
		good &= is_item(assignment, item, "the name of a field") &&
			add_fields(assignment, item, fields);
	return good;
}

static int assign_template(const struct assignment *assignment, const struct config_node *node)
{
	struct field_list fields = {0};
	struct buffer text;

	if (node->kind == CONFIG_NODE_SCALAR && !field_list_is_one(node->text))
		return assign_text(assignment, node);
	if (!read_fields(assignment, node, &fields))
		return CONFIG_ASSIGN_E_WRONG;
	if (fields.count == 0)
		return refuse_as(assignment, node, "a template without fields", "is not enough");
	buffer_init(&text);
	for (size_t i = 0; i < fields.count; i++) {
		buffer_add_format(&text, "%s%%%s", i ? " " : "", field_table[fields.items[i]].name);
		if (fields.widths[i])
			buffer_add_format(&text, ":%u", fields.widths[i]);
	}
	buffer_add_byte(&text, '\0');
	if (text.failed) {
		buffer_fini(&text);
		return -ENOMEM;
	}
	free(*(char **)assignment->member);
	*(char **)assignment->member = (char *)text.bytes;
	return 0;
}

static int assign_options(const struct assignment *assignment, const struct config_node *node)
{
	int r = config_options_read("exporters.options", node, assignment->member,
				    assignment->mistakes);

	return r > 0 ? CONFIG_ASSIGN_E_WRONG : r;
}

typedef int assign_function(const struct assignment *assignment, const struct config_node *node);

static assign_function *const assign_functions[CONFIG_KEY_TYPES] = {
	[CONFIG_KEY_DURATION] = assign_number,	 [CONFIG_KEY_SIZE] = assign_number,
	[CONFIG_KEY_COUNT] = assign_number,	 [CONFIG_KEY_BOOL] = assign_bool,
	[CONFIG_KEY_WORD] = assign_word,	 [CONFIG_KEY_WORDS] = assign_words,
	[CONFIG_KEY_NETWORKS] = assign_networks, [CONFIG_KEY_TEXT] = assign_text,
	[CONFIG_KEY_PATH] = assign_path,	 [CONFIG_KEY_ADDRESS] = assign_address,
	[CONFIG_KEY_TEMPLATE] = assign_template, [CONFIG_KEY_OPTIONS] = assign_options,
	[CONFIG_KEY_LISTEN] = assign_listen,	 [CONFIG_KEY_ARGUMENTS] = assign_arguments,
};

int config_key_assign(const struct config_key *key, const struct config_node *node, void *base,
		      struct config_mistakes *mistakes)
{
	struct assignment assignment = {
		.key = key, .member = (char *)base + key->offset, .mistakes = mistakes};
	bool is_list = key->type == CONFIG_KEY_WORDS || key->type == CONFIG_KEY_NETWORKS ||
		       key->type == CONFIG_KEY_ARGUMENTS;
	enum config_node_kind kind = is_list ? CONFIG_NODE_LIST : CONFIG_NODE_SCALAR;

	if (node->is_bad)
		return CONFIG_ASSIGN_E_WRONG;
	if (key->type == CONFIG_KEY_OPTIONS)
		kind = CONFIG_NODE_MAPPING;
	if (key->type == CONFIG_KEY_TEMPLATE && node->kind == CONFIG_NODE_LIST)
		kind = CONFIG_NODE_LIST;
	if (node->kind != kind || node->is_null)
		return refuse_form(&assignment, node, expectations[key->type].noun);
	return assign_functions[key->type](&assignment, node);
}

int config_key_assign_default(const struct config_key *key, void *base)
{
	struct config_mistakes mistakes;
	struct config_node *node = NULL;
	int r;

	if (!key->default_text)
		return 0;
	config_mistakes_init(&mistakes);
	r = config_document_parse(text_from(key->default_text), &node, &mistakes);
	if (r == 0)
		r = config_key_assign(key, node, base, &mistakes);
	config_document_free(node);
	config_mistakes_fini(&mistakes);
	assert(r <= 0); /* a default of the table is a good value */
	return r;
}

void config_key_fini(const struct config_key *key, void *base)
{
	void *member = (char *)base + key->offset;

	switch (key->type) {
	case CONFIG_KEY_NETWORKS:
		free(((struct config_prefixes *)member)->items);
		break;
	case CONFIG_KEY_TEXT:
	case CONFIG_KEY_PATH:
	case CONFIG_KEY_TEMPLATE:
		free(*(char **)member);
		break;
	case CONFIG_KEY_OPTIONS:
		config_options_fini(member);
		break;
	case CONFIG_KEY_ARGUMENTS:
		free_arguments(member);
		break;
	case CONFIG_KEY_ADDRESS:
		config_address_fini(member);
		break;
	default:
		break;
	}
}
