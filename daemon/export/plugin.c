/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"

#include "export/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/log.h"

#define SYMBOL "procflow_delivery_plugin"

/* In the build tree procflowd stands in daemon/ and the objects below it. The directory is that of
 * the program itself, not of the environment: nobody without its rights writes there. */
static bool find_build_directory(char directory[PATH_MAX])
{
	char path[PATH_MAX];
	ssize_t length =
		readlink("/proc/self/exe", path, sizeof(path) - sizeof("/export/services"));
	char *slash;

	if (length <= 0)
		return false;
	path[length] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return false;
	strcpy(slash, "/procflowd.p");
	if (access(path, F_OK) < 0)
		return false;
	strcpy(slash, "/export/services");
	if (access(path, F_OK) < 0)
		return false;
	memcpy(directory, path, sizeof(path));
	return true;
}

void plugin_find_directory(char directory[PATH_MAX])
{
	if (!find_build_directory(directory))
		snprintf(directory, PATH_MAX, "%s", PROCFLOW_PLUGINDIR);
}

static int make_path(const char *directory, const char *name, char path[PATH_MAX])
{
	int length = snprintf(path, PATH_MAX, "%s/exporter_%s.so", directory, name);

	return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

bool plugin_is_installed(const char *directory, const char *name)
{
	char path[PATH_MAX];

	return make_path(directory, name, path) == 0 && access(path, F_OK) == 0;
}

static bool fits(const struct delivery_plugin *plugin, const char *name)
{
	return plugin->interface == DELIVERY_PLUGIN_INTERFACE &&
	       plugin->config_bytes == sizeof(struct config_exporter) &&
	       strcmp(plugin->version, PROCFLOW_VERSION) == 0 && strcmp(plugin->name, name) == 0;
}

int plugin_load(const char *directory, const char *name, const char *log_name,
		const struct delivery_ops **ret)
{
	const struct delivery_plugin *plugin;
	char path[PATH_MAX];
	void *object;

	if (make_path(directory, name, path) < 0 || access(path, F_OK) < 0) {
		log_error("%s: type %s needs the package procflow-exporter-%s (there is no %s)",
			  log_name, name, name, path);
		return -ENOENT;
	}
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		log_error("%s: %s", log_name, dlerror());
		return -ELIBACC;
	}
	plugin = dlsym(object, SYMBOL);
	if (!plugin || !fits(plugin, name)) {
		log_error("%s: %s is of another version than this procflowd (" PROCFLOW_VERSION ")",
			  log_name, path);
		dlclose(object);
		return -ELIBACC;
	}
	log_info("%s: with %s", log_name, plugin->library);
	*ret = plugin->ops;
	return 0;
}
