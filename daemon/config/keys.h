/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The key table: every key of the configuration is one row of it, and parsing, defaults, limits and
 * the commented example file all come from that row. A new key is a row and a struct member. */

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* What a value looks like, and the member that it is kept in. */
enum config_key_type {
	CONFIG_KEY_DURATION,  /* uint64_t, ns */
	CONFIG_KEY_SIZE,      /* uint64_t, bytes */
	CONFIG_KEY_COUNT,     /* uint32_t */
	CONFIG_KEY_BOOL,      /* bool */
	CONFIG_KEY_WORD,      /* an enum or int: the value of one of "words" */
	CONFIG_KEY_WORDS,     /* unsigned: a list of "words", their values or-ed together */
	CONFIG_KEY_NETWORKS,  /* struct config_prefixes: a list */
	CONFIG_KEY_TEXT,      /* char *: one of "words" where there are any */
	CONFIG_KEY_ADDRESS,   /* struct config_address */
	CONFIG_KEY_PATH,      /* char *, absolute; "" is none */
	CONFIG_KEY_TEMPLATE,  /* char *: one of "words", or names of fields as "%NAME %NAME" */
	CONFIG_KEY_OPTIONS,   /* struct config_options: a mapping */
	CONFIG_KEY_LISTEN,    /* struct config_listen */
	CONFIG_KEY_ARGUMENTS, /* struct config_arguments: a list of texts, one at least */
	CONFIG_KEY_TYPES,     /* how many there are */
};

struct config_word {
	const char *name; /* NULL ends a table */
	int value;
};

/* Rows of one section stand together, in the order of the example file. */
struct config_key {
	const char *section, *name;
	enum config_key_type type;
	size_t offset;		  /* in struct config; in struct config_exporter for "exporters" */
	const char *default_text; /* as it would stand in the file; NULL where others decide */
	const char *example_text; /* in the example file, where there is no default */
	const char *least, *most; /* of numbers, as they would stand in the file */
	const char *unit;	  /* of counts */
	const struct config_word *words;
	unsigned only_for; /* bits of exporter types that have a use for it; 0: all */
	unsigned only_to;  /* bits of transports that have a use for it; 0: all */
	const char *comment;
};

struct config_section {
	const char *name, *comment;
	bool is_exporters; /* a list of mappings, not a mapping */
};

/* What a type of exporter can do; "default_to" is NULL where the file must say it. */
struct config_exporter_kind {
	const char *name;
	enum config_exporter_type type;
	const char *default_to, *example_to;
	const char *expected_to; /* for people */
	const char *service;	 /* what brings records there is a shared object of that name */
	unsigned transports;	 /* bits */
	uint16_t default_port, default_tls_port;
};

extern const struct config_key config_keys[];
extern const struct config_section config_sections[];
extern const size_t config_key_count, config_section_count;

/* No fewer than there are keys: for arrays with one element a key, and for lists of names. */
enum { CONFIG_KEYS_MAX = 128 };

/* Each NULL where there is none. */
const struct config_section *config_section_find(const char *name);
const struct config_key *config_key_find(const char *section, const char *name);
const struct config_exporter_kind *config_exporter_kind_find(enum config_exporter_type type);

/* Whether its member is one of struct config_exporter. */
bool config_key_is_of_exporter(const struct config_key *key);

/* The names, into "names" (room for CONFIG_KEYS_MAX), for text_find_nearest(); returns how many. */
size_t config_section_list_names(const char *names[CONFIG_KEYS_MAX]);
size_t config_key_list_names(const char *section, const char *names[CONFIG_KEYS_MAX]);
/* "tcp", as in "tcp://". */
const char *config_transport_get_name(enum config_transport transport);
size_t config_key_list_words(const struct config_key *key, const char *names[CONFIG_KEYS_MAX]);
