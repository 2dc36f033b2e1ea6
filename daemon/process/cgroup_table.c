/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/cgroup_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/hash_map.h"
#include "base/list.h"
#include "process/cgroup.h"

enum {
	MAX_IDS = 1024,
	FILE_SIZE = 16384,	   /* fourteen hierarchies of v1, with paths of a pod */
	KERNFS_HANDLE_TYPE = 0xfe, /* FILEID_KERNFS, include/linux/exportfs.h; by trial since 5.5 */
	ROOT_ID = 1,
};

struct kept_cgroup {
	struct cgroup cgroup;
	unsigned references;
	char texts[];
};

/* The ids that were asked for last, each with a reference to its cgroup. */
struct known_id {
	uint64_t id;
	struct cgroup *cgroup;
	struct list_node age;
};

struct cgroup_table {
	int proc_fd;
	struct hash_map by_path, by_id;
	struct list_node ids; /* the longest not asked for first */
	uint64_t seed;
	int mount_fd; /* of cgroup v2; -1: none */
	char *mount_point, *mount_root;
	struct cgroup_table_counters counters;
};

DEFINE_CLEANUP(struct cgroup_table *, cgroup_table_free);

static void open_mount(struct cgroup_table *table);

int cgroup_table_new(int proc_fd, struct cgroup_table **ret)
{
	cleanup(cgroup_table_free_cleanup) struct cgroup_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->proc_fd = proc_fd;
	table->mount_fd = -1;
	table->seed = hash_seed_new();
	hash_map_init(&table->by_path);
	hash_map_init(&table->by_id);
	list_init(&table->ids);
	open_mount(table); /* now: a mount of its own is not allowed once rights are given up */
	*ret = steal_pointer(&table);
	return 0;
}

void cgroup_table_free(struct cgroup_table *table)
{
	size_t position = 0;
	void *value;

	if (!table)
		return;
	while ((value = hash_map_next(&table->by_id, &position)))
		free(value);
	position = 0;
	while ((value = hash_map_next(&table->by_path, &position)))
		free(value);
	hash_map_fini(&table->by_id);
	hash_map_fini(&table->by_path);
	if (table->mount_fd >= 0)
		close(table->mount_fd);
	free(table->mount_point);
	free(table->mount_root);
	free(table);
}

static uint64_t hash_path(const struct cgroup_table *table, struct text path)
{
	return hash_bytes(table->seed, path.at, path.length);
}

static bool match_path(const void *value, const void *key)
{
	const struct kept_cgroup *kept = value;
	const struct text *path = key;

	return strncmp(kept->cgroup.path, path->at, path->length) == 0 &&
	       kept->cgroup.path[path->length] == '\0';
}

static char *append(char **at, const char *text, size_t length)
{
	char *begin = *at;

	memcpy(begin, text, length);
	begin[length] = '\0';
	*at += length + 1;
	return begin;
}

static struct kept_cgroup *make(struct text path)
{
	char container[CGROUP_CONTAINER_SIZE] = "", unit[CGROUP_UNIT_SIZE] = "";
	bool has_container = cgroup_find_container(path, container);
	bool has_unit = cgroup_find_unit(path, unit);
	struct kept_cgroup *kept =
		malloc(sizeof(*kept) + path.length + strlen(container) + strlen(unit) + 3);
	char *at;

	if (!kept)
		return NULL;
	at = kept->texts;
	*kept = (struct kept_cgroup){0};
	kept->cgroup.path = append(&at, path.at, path.length);
	if (has_container)
		kept->cgroup.container = append(&at, container, strlen(container));
	if (has_unit)
		kept->cgroup.unit = append(&at, unit, strlen(unit));
	return kept;
}

struct cgroup *cgroup_table_take(struct cgroup_table *table, struct text path)
{
	uint64_t hash = hash_path(table, path);
	struct kept_cgroup *kept = hash_map_find(&table->by_path, hash, match_path, &path);

	if (!kept) {
		kept = make(path);
		if (!kept)
			return NULL;
		if (hash_map_add(&table->by_path, hash, kept) < 0) {
			free(kept);
			return NULL;
		}
		table->counters.cgroups++;
	}
	kept->references++;
	return &kept->cgroup;
}

void cgroup_table_release(struct cgroup_table *table, struct cgroup *cgroup)
{
	struct kept_cgroup *kept = (struct kept_cgroup *)(void *)cgroup;
	struct text path;

	if (!cgroup || --kept->references)
		return;
	path = text_from(cgroup->path);
	hash_map_remove(&table->by_path, hash_path(table, path), match_path, &path);
	table->counters.cgroups--;
	free(kept);
}

static ssize_t read_all(int fd, char *out, size_t size)
{
	size_t length = 0;
	ssize_t r;

	while (length < size && (r = read(fd, out + length, size - length)) != 0) {
		if (r < 0)
			return -errno;
		length += (size_t)r;
	}
	return (ssize_t)length;
}

struct cgroup *cgroup_table_read(struct cgroup_table *table, int process_fd)
{
	cleanup_close int fd = openat(process_fd, "cgroup", O_RDONLY | O_CLOEXEC);
	char file[FILE_SIZE];
	struct text path;
	ssize_t length = fd >= 0 ? read_all(fd, file, sizeof(file)) : -1;

	if (length < 0 || !cgroup_parse_file((struct text){file, (size_t)length}, &path))
		return NULL;
	return cgroup_table_take(table, path);
}

/* proc(5): 41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw */
static bool find_mount(FILE *mountinfo, char **ret_root, char **ret_point)
{
	cleanup_free char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, mountinfo) >= 0) {
		cleanup_free char *root = NULL, *point = NULL;

		if (!strstr(line, " - cgroup2 ") ||
		    sscanf(line, "%*s %*s %*s %ms %ms", &root, &point) != 2)
			continue;
		*ret_root = steal_pointer(&root);
		*ret_point = steal_pointer(&point);
		return true;
	}
	return false;
}

/* A mount that is in nobody's tree (fsopen(2), kernel 5.2; the C library has it since 2.36): for where
 * v2 is not mounted, or, as "ip netns exec" does, something was mounted over it. */
static int open_detached_mount(void)
{
	cleanup_close int fd = (int)syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC);
	cleanup_close int mount_fd = -1;

	if (fd < 0 || syscall(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount_fd = (int)syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, 0);
	/* That one is O_PATH, which open_by_handle_at() does not take. */
	return openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void open_mount(struct cgroup_table *table)
{
	cleanup_close int fd = openat(table->proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	cleanup_file FILE *mountinfo = fd >= 0 ? fdopen(fd, "re") : NULL;

	if (!mountinfo)
		return;
	fd = -1;
	if (find_mount(mountinfo, &table->mount_root, &table->mount_point))
		table->mount_fd = open(table->mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (table->mount_fd >= 0)
		return;
	free(table->mount_point);
	free(table->mount_root);
	table->mount_point = strdup("");
	table->mount_root = strdup("/");
	if (table->mount_point && table->mount_root)
		table->mount_fd = open_detached_mount();
}

/* "name" is the directory's path as this process sees it. False where it is not below the mount. */
static bool to_cgroup_path(const struct cgroup_table *table, char *name, char *out, size_t size)
{
	size_t length = strlen(table->mount_point);
	const char *root = strcmp(table->mount_root, "/") == 0 ? "" : table->mount_root;

	if (strncmp(name, table->mount_point, length) != 0 ||
	    (name[length] != '/' && name[length] != '\0'))
		return false;
	return (size_t)snprintf(out, size, "%s%s", root, name + length) < size;
}

/* 0, or a negative errno: -ESTALE where the cgroup is gone. */
static int find_path(struct cgroup_table *table, uint64_t id, char *out, size_t size)
{
	struct {
		struct file_handle header;
		uint64_t id;
	} handle = {.header = {.handle_bytes = sizeof(id), .handle_type = KERNFS_HANDLE_TYPE},
		    .id = id};
	cleanup_close int fd = -1;
	char link[32], name[PATH_MAX];
	ssize_t length;

	if (table->mount_fd < 0)
		return -ENOENT;
	fd = open_by_handle_at(table->mount_fd, &handle.header, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(link, sizeof(link), "self/fd/%d", fd);
	length = readlinkat(table->proc_fd, link, name, sizeof(name) - 1);
	if (length < 0)
		return -errno;
	name[length] = '\0';
	return to_cgroup_path(table, name, out, size) ? 0 : -ENOENT;
}

static bool match_id(const void *value, const void *key)
{
	return ((const struct known_id *)value)->id == *(const uint64_t *)key;
}

static void forget_id(struct cgroup_table *table, struct known_id *known)
{
	hash_map_remove(&table->by_id, hash_u64(table->seed, known->id), match_id, &known->id);
	list_remove(&known->age);
	cgroup_table_release(table, known->cgroup);
	free(known);
}

/* Without memory it is looked up again next time. */
static void remember_id(struct cgroup_table *table, uint64_t id, struct cgroup *cgroup)
{
	struct known_id *known;

	if (table->by_id.used >= MAX_IDS)
		forget_id(table, container_of(list_first(&table->ids), struct known_id, age));
	known = calloc(1, sizeof(*known));
	if (!known || hash_map_add(&table->by_id, hash_u64(table->seed, id), known) < 0) {
		free(known);
		return;
	}
	known->id = id;
	known->cgroup = cgroup;
	((struct kept_cgroup *)(void *)cgroup)->references++;
	list_add_tail(&table->ids, &known->age);
}

struct cgroup *cgroup_table_find_id(struct cgroup_table *table, uint64_t id)
{
	struct known_id *known;
	struct cgroup *cgroup;
	char path[PATH_MAX];
	int r;

	if (id <= ROOT_ID)
		return NULL;
	known = hash_map_find(&table->by_id, hash_u64(table->seed, id), match_id, &id);
	if (known) {
		list_move_tail(&table->ids, &known->age);
		((struct kept_cgroup *)(void *)known->cgroup)->references++;
		return known->cgroup;
	}
	r = find_path(table, id, path, sizeof(path));
	if (r < 0) {
		*(r == -ESTALE ? &table->counters.ids_gone : &table->counters.ids_refused) += 1;
		return NULL;
	}
	cgroup = cgroup_table_take(table, text_from(path));
	if (!cgroup)
		return NULL;
	table->counters.ids_resolved++;
	remember_id(table, id, cgroup);
	return cgroup;
}

const struct cgroup_table_counters *cgroup_table_get_counters(const struct cgroup_table *table)
{
	return &table->counters;
}
