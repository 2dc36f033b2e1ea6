/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "config/assign.h"
#include "config/checks.h"
#include "config/document.h"
#include "config/keys.h"
#include "config/parts.h"
#include "config/source.h"

DEFINE_CLEANUP(struct config_node *, config_document_free);

enum { FILE_SIZE_MAX = 1 << 20, EXPORTERS_MAX = 64 };

/* Named outcomes of reading the file: it, or the directory that it stands in, is not its owner's alone. */
enum { FILE_E_OTHERS_WRITE = 1, FILE_E_OTHERS_WRITE_DIRECTORY = 2 };

struct reading {
	struct config *config;
	struct config_mistakes *mistakes;
	bool cut; /* the text ended in a mistake: what is missing may stand behind it */
	bool has_exporters;
	struct config_key_state states[CONFIG_KEYS_MAX];
};

static void tell_unknown_key(const struct config_section *section, const struct config_node *name,
			     struct config_mistakes *mistakes)
{
	const char *names[CONFIG_KEYS_MAX], *nearest;
	char quoted[CONFIG_QUOTED_SIZE];

	if (config_mistakes_are_full(mistakes)) {
		config_mistakes_add(mistakes, name->position, "unknown key");
		return;
	}
	nearest = text_find_nearest(name->text, names, config_key_list_names(section->name, names));
	if (nearest)
		config_mistakes_add(mistakes, name->position,
				    "%s: unknown key %s, did you mean \"%s\"?", section->name,
				    config_quote(name->text, quoted), nearest);
	else
		config_mistakes_add(mistakes, name->position, "%s: unknown key %s", section->name,
				    config_quote(name->text, quoted));
}

/* The section that has such a key, for a key that stands outside of it. */
static const struct config_section *find_home(const char *key_name)
{
	for (size_t i = 0; i < config_section_count; i++)
		if (config_key_find(config_sections[i].name, key_name))
			return &config_sections[i];
	return NULL;
}

static void tell_unknown_section(const struct config_node *name, struct config_mistakes *mistakes)
{
	const struct config_section *home = find_home(name->text);
	const char *names[CONFIG_KEYS_MAX], *nearest;
	char quoted[CONFIG_QUOTED_SIZE];

	if (config_mistakes_are_full(mistakes)) {
		config_mistakes_add(mistakes, name->position, "unknown section");
		return;
	}
	nearest = text_find_nearest(name->text, names, config_section_list_names(names));
	config_quote(name->text, quoted);
	if (home)
		config_mistakes_add(mistakes, name->position,
				    "unknown section %s: this key belongs below \"%s:\"", quoted,
				    home->name);
	else if (nearest)
		config_mistakes_add(mistakes, name->position,
				    "unknown section %s, did you mean \"%s\"?", quoted, nearest);
	else
		config_mistakes_add(mistakes, name->position, "unknown section %s", quoted);
}

/* Whether the node can be a key's name at all; else the mistake was told. */
static bool is_name(const struct config_node *name, struct config_mistakes *mistakes)
{
	char quoted[CONFIG_QUOTED_SIZE];

	if (name->is_bad)
		return false;
	if (name->kind == CONFIG_NODE_SCALAR && !name->is_null)
		return true;
	config_mistakes_add(mistakes, name->position, "expected the name of a key, found %s",
			    config_node_describe(name, quoted));
	return false;
}

static int read_key(const struct config_section *section, const struct config_node *name,
		    void *base, struct config_key_state states[CONFIG_KEYS_MAX],
		    struct config_mistakes *mistakes)
{
	const struct config_key *key = config_key_find(section->name, name->text);
	const struct config_node *value = name->next;
	struct config_key_state *state;
	int r;

	if (!key) {
		tell_unknown_key(section, name, mistakes);
		return 0;
	}
	state = &states[key - config_keys];
	if (state->key.line) {
		config_mistakes_add(mistakes, name->position, "%s.%s: stands on line %u already",
				    section->name, key->name, state->key.line);
		return 0;
	}
	r = config_key_assign(key, value, base, mistakes);
	*state = (struct config_key_state){
		.key = name->position, .value = value->position, .good = r == 0};
	return r < 0 ? r : 0;
}

/* A mapping of the keys of one section into the struct at "base". */
static int read_keys(const struct config_section *section, const struct config_node *mapping,
		     void *base, struct config_key_state states[CONFIG_KEYS_MAX],
		     struct config_mistakes *mistakes)
{
	for (const struct config_node *name = mapping->first; name && name->next;
	     name = name->next->next) {
		int r = 0;

		if (is_name(name, mistakes))
			r = read_key(section, name, base, states, mistakes);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_exporter(struct reading *reading, const struct config_section *section,
			 const struct config_node *item)
{
	struct config_key_state states[CONFIG_KEYS_MAX] = {{.good = false}};
	struct config_exporter *exporter;
	char quoted[CONFIG_QUOTED_SIZE];
	int r;

	if (item->is_bad)
		return 0;
	if (item->kind != CONFIG_NODE_MAPPING) {
		config_mistakes_add(reading->mistakes, item->position,
				    "exporters: expected the keys of an exporter "
				    "(\"- type: json\"), found %s",
				    config_node_describe(item, quoted));
		return 0;
	}
	r = config_add_exporter(reading->config, &exporter);
	if (r < 0)
		return r;
	exporter->line = item->position.line;
	exporter->column = item->position.column;
	r = read_keys(section, item, exporter, states, reading->mistakes);
	if (r < 0 || (reading->cut && !item->next))
		return r;
	return config_check_exporter(exporter, states, reading->mistakes);
}

static int read_exporters(struct reading *reading, const struct config_section *section,
			  const struct config_node *list)
{
	reading->has_exporters = true;
	for (const struct config_node *item = list->first; item; item = item->next) {
		int r;

		if (reading->config->exporter_count == EXPORTERS_MAX) {
			config_mistakes_add(reading->mistakes, item->position,
					    "exporters: more than %d", EXPORTERS_MAX);
			return 0;
		}
		r = read_exporter(reading, section, item);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_section(struct reading *reading, const struct config_section *section,
			const struct config_node *node)
{
	enum config_node_kind kind = section->is_exporters ? CONFIG_NODE_LIST : CONFIG_NODE_MAPPING;
	char quoted[CONFIG_QUOTED_SIZE];

	/* A section whose keys are all commented out is as good as none. */
	if (node->is_bad || node->is_null)
		return 0;
	if (node->kind != kind) {
		config_mistakes_add(reading->mistakes, node->position, "%s: expected %s, found %s",
				    section->name,
				    section->is_exporters ? "a list of exporters (\"- type: json\")"
							  : "keys and values below it",
				    config_node_describe(node, quoted));
		return 0;
	}
	if (section->is_exporters)
		return read_exporters(reading, section, node);
	return read_keys(section, node, reading->config, reading->states, reading->mistakes);
}

static int read_root(struct reading *reading, const struct config_node *root)
{
	unsigned lines[CONFIG_KEYS_MAX] = {0};
	char quoted[CONFIG_QUOTED_SIZE];
	int r = 0;

	if (root->kind != CONFIG_NODE_MAPPING && !root->is_bad)
		config_mistakes_add(reading->mistakes, root->position,
				    "expected sections (\"flows:\"), found %s",
				    config_node_describe(root, quoted));
	if (root->kind != CONFIG_NODE_MAPPING)
		return 0;
	for (const struct config_node *name = root->first; name && name->next && r == 0;
	     name = name->next->next) {
		const struct config_section *section;
		unsigned *line;

		if (!is_name(name, reading->mistakes))
			continue;
		section = config_section_find(name->text);
		if (!section) {
			tell_unknown_section(name, reading->mistakes);
			continue;
		}
		line = &lines[section - config_sections];
		if (*line)
			config_mistakes_add(reading->mistakes, name->position,
					    "%s: this section stands on line %u already",
					    section->name, *line);
		else
			r = read_section(reading, section, name->next);
		*line = *line ? *line : name->position.line;
	}
	return r;
}

/* Fills reading->config. */
static int read_source(struct reading *reading, struct text source)
{
	cleanup(config_document_free_cleanup) struct config_node *root = NULL;
	int r = config_document_parse(source, &root, reading->mistakes);

	if (r < 0)
		return r;
	reading->cut = r == CONFIG_DOCUMENT_E_CUT;
	r = config_new_without_exporters(&reading->config);
	if (r == 0 && root)
		r = read_root(reading, root);
	if (r < 0)
		return r;
	if (!reading->has_exporters) {
		r = config_add_default_exporter(reading->config);
		if (r < 0)
			return r;
	}
	if (!reading->cut)
		config_check_sections(reading->config, reading->states, reading->mistakes);
	config_check_exporters(reading->config, reading->mistakes);
	return config_complete_names(reading->config);
}

int config_read_text(const char *name, const char *text, size_t length, struct config **ret,
		     struct buffer *mistakes_text)
{
	struct config_mistakes mistakes;
	struct reading reading = {.mistakes = &mistakes};
	cleanup(config_source_fini) struct config_source source;
	int r;

	config_mistakes_init(&mistakes);
	r = config_source_init(&source, (struct text){.at = text, .length = length}, &mistakes);
	if (r == 0)
		r = read_source(&reading, config_source_view(&source.parsed));
	if (r == 0 && config_mistakes_exist(&mistakes)) {
		config_mistakes_write(&mistakes, name, config_source_view(&source.shown),
				      mistakes_text);
		r = mistakes.failed || mistakes_text->failed ? -ENOMEM : -EINVAL;
	}
	config_mistakes_fini(&mistakes);
	if (r < 0)
		config_free(reading.config);
	else
		*ret = reading.config;
	return r;
}

/* Reads up to one byte more than a configuration may have. */
static int read_bytes(int fd, struct buffer *out)
{
	while (out->length <= FILE_SIZE_MAX) {
		void *room = buffer_extend(out, 16384);
		ssize_t length;

		if (!room)
			return -ENOMEM;
		do
			length = read(fd, room, 16384);
		while (length < 0 && errno == EINTR);
		out->length -= 16384 - (size_t)(length > 0 ? length : 0);
		if (length < 0)
			return -errno;
		if (length == 0)
			return 0;
	}
	return -EFBIG;
}

/* The group of root is root. */
static bool others_write(const struct stat *status)
{
	return status->st_mode & S_IWOTH || (status->st_mode & S_IWGRP && status->st_gid != 0);
}

/* Whoever writes the configuration chooses what the daemon writes where, and starts (sysdig.command). What is
 * no regular file ("-c /dev/null") was chosen by whoever starts it. */
static int check_writers(int fd, const char *path)
{
	cleanup_free char *copy = strdup(path);
	struct stat file, directory;

	if (!copy)
		return -ENOMEM;
	if (fstat(fd, &file) < 0 || stat(dirname(copy), &directory) < 0)
		return -errno;
	if (!S_ISREG(file.st_mode))
		return 0;
	if (others_write(&file))
		return FILE_E_OTHERS_WRITE;
	/* With the sticky bit (/tmp) they make files, but do not replace this one. */
	return others_write(&directory) && !(directory.st_mode & S_ISVTX)
		       ? FILE_E_OTHERS_WRITE_DIRECTORY
		       : 0;
}

static int read_whole(const char *path, struct buffer *out)
{
	/* Nobody may ever write to a FIFO, and what waits for it is the start of the service. */
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	int r;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (S_ISFIFO(status.st_mode))
		return -ESPIPE;
	r = check_writers(fd, path);
	return r != 0 ? r : read_bytes(fd, out);
}

static void tell_file(const char *path, int error, struct buffer *mistakes_text)
{
	struct config_mistakes mistakes;
	struct config_position whole = {.line = 0};

	config_mistakes_init(&mistakes);
	if (error == -ENOENT)
		config_mistakes_add(&mistakes, whole, "no such file");
	else if (error == -EISDIR)
		config_mistakes_add(&mistakes, whole, "is a directory, not a file");
	else if (error == -ESPIPE)
		config_mistakes_add(&mistakes, whole, "is a pipe, not a file");
	else if (error == -EFBIG)
		config_mistakes_add(&mistakes, whole,
				    "is larger than 1 MiB: this is no configuration of procflow");
	else if (error == FILE_E_OTHERS_WRITE)
		config_mistakes_add(
			&mistakes, whole,
			"others than its owner may write it, and so say what the daemon does "
			"(chmod go-w mends it)");
	else if (error == FILE_E_OTHERS_WRITE_DIRECTORY)
		config_mistakes_add(
			&mistakes, whole,
			"others than its owner may write to its directory, and so say what "
			"the daemon does (chmod go-w mends it)");
	else
		config_mistakes_add(&mistakes, whole, "cannot be read: %s", strerror(-error));
	config_mistakes_write(&mistakes, path, text_from(""), mistakes_text);
	config_mistakes_fini(&mistakes);
}

int config_read_file(const char *path, bool must_exist, struct config **ret,
		     struct buffer *mistakes)
{
	cleanup(buffer_fini) struct buffer text = {.bytes = NULL};
	int r = read_whole(path, &text);

	if (r == -ENOMEM || (r == -ENOENT && !must_exist)) {
		return r == -ENOMEM ? r : config_new(ret);
	}
	if (r != 0) {
		tell_file(path, r, mistakes);
		return -EINVAL;
	}
	return config_read_text(path, (const char *)text.bytes, text.length, ret, mistakes);
}
