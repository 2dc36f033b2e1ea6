/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"

enum { OPTIONS_E_WRONG = 1 };

static int add_option(struct config_options *options, const struct config_node *name,
		      const struct config_node *value)
{
	struct config_option *option = &options->items[options->count++];

	*option = (struct config_option){.name = strdup(name->text),
					 .value = strdup(value->text),
					 .line = name->position.line,
					 .column = name->position.column};
	return option->name && option->value ? 0 : -ENOMEM;
}

static bool is_option(const char *key, const struct config_node *name,
		      const struct config_node *value, struct config_mistakes *mistakes)
{
	char quoted[CONFIG_QUOTED_SIZE];

	if (name->is_bad || value->is_bad)
		return false;
	if (name->kind == CONFIG_NODE_SCALAR && !name->is_null &&
	    value->kind == CONFIG_NODE_SCALAR && !value->is_null)
		return true;
	config_mistakes_add(mistakes, value->position, "%s: expected a value, found %s", key,
			    config_node_describe(value, quoted));
	return false;
}

/* As librdkafka's own list of sensitive properties ends, and what may follow it there. */
bool config_options_is_secret(struct text name)
{
	static const char *const ends[] = {"password", "passphrase", "secret", "key.pem"};

	for (size_t i = 0; i < array_length(ends); i++) {
		size_t length = strlen(ends[i]);

		if (name.length >= length &&
		    strncasecmp(name.at + name.length - length, ends[i], length) == 0)
			return true;
	}
	return false;
}

int config_options_read(const char *key, const struct config_node *mapping,
			struct config_options *ret, struct config_mistakes *mistakes)
{
	struct config_options options = {.count = 0};
	size_t count = 0;
	int r = 0;

	for (const struct config_node *name = mapping->first; name; name = name->next)
		count++;
	options.items = calloc(count / 2 + 1, sizeof(*options.items));
	if (!options.items)
		return -ENOMEM;
	for (const struct config_node *name = mapping->first; name && name->next && r >= 0;
	     name = name->next->next)
		if (!is_option(key, name, name->next, mistakes))
			r = OPTIONS_E_WRONG;
		else if (add_option(&options, name, name->next) < 0)
			r = -ENOMEM;
	if (r != 0) {
		config_options_fini(&options);
		return r;
	}
	config_options_fini(ret);
	*ret = options;
	return 0;
}

void config_options_fini(struct config_options *options)
{
	for (size_t i = 0; i < options->count; i++) {
		free(options->items[i].name);
		free(options->items[i].value);
	}
	free(options->items);
	*options = (struct config_options){.count = 0};
}
