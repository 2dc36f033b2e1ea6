/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/packages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "process/rpm_database.h"
#include "process/rpm_header.h"

#define CHECK_INTERVAL_NS (5 * NS_PER_SEC)

enum {
	BYTES_A_TURN = 128 * 1024,
	BYTES_A_READ = 32 * 1024,
	FILES_A_TURN = 64, /* most lists are short: opening them costs more than reading */
	MAX_PACKAGES = UINT16_MAX,
	MAX_LIST_BYTES = 64 * 1024 * 1024,
	FIRST_SLOTS = 16384,
};

/* Open-addressed; a slot is 48 bits of the hash and 16 of the package's number, from 1 on. */
struct index {
	uint64_t *slots;
	size_t size, used;
	char **names;
	size_t name_count, name_capacity;
};

/* dpkg-divert(1): the file "from" of every package but "package" is at "to". */
struct diversion {
	uint64_t from;
	char *to, *package;
};

/* Of dpkg's directory and of rpm's database; 0 where there is none. */
struct change_times {
	struct timespec dpkg, rpm;
};

struct packages {
	char *root;
	uint64_t seed;
	struct index index, next;
	struct diversion *diversions; /* of the reading */
	size_t diversion_count;
	DIR *lists;  /* NULL: none is being read */
	int list_fd; /* of one of these that is read at the moment; -1 */
	char list_name[NAME_MAX + 1];
	struct buffer unread;	  /* its last line so far, which may go on */
	struct rpm_database *rpm; /* likewise; dpkg's lists come first */
	uint64_t checked_ns;
	bool was_checked;
	struct change_times read_times, seen_times; /* as they are in the index; last */
	unsigned merged; /* bits of aliases[] that are links below /usr */
	struct packages_counters counters;
};

DEFINE_CLEANUP(struct packages *, packages_free);

/* Directories that are links to those below /usr where /usr is merged: dpkg's lists may have the one
 * name, /proc/PID/exe always has the other. */
static const char *const aliases[] = {"/bin/", "/sbin/", "/lib/", "/lib64/", "/lib32/", "/libx32/"};

/* What nothing is executed from, which is most of all files. */
static const char *const skipped[] = {
	"/usr/share/doc/", "/usr/share/man/",	   "/usr/share/locale/", "/usr/share/icons/",
	"/usr/include/",   "/usr/share/zoneinfo/", "/usr/src/",		 "/usr/lib/python3/"};

int packages_new(const char *root, struct packages **ret)
{
	cleanup(packages_free_cleanup) struct packages *packages = calloc(1, sizeof(*packages));

	if (!packages)
		return -ENOMEM;
	packages->list_fd = -1;
	buffer_init(&packages->unread);
	packages->seed = hash_seed_new();
	packages->root = strdup(root);
	if (!packages->root)
		return -ENOMEM;
	*ret = steal_pointer(&packages);
	return 0;
}

static void fini_index(struct index *index)
{
	for (size_t i = 0; i < index->name_count; i++)
		free(index->names[i]);
	free(index->names);
	free(index->slots);
	*index = (struct index){0};
}

static void close_list(struct packages *packages)
{
	if (packages->list_fd >= 0)
		close(packages->list_fd);
	packages->list_fd = -1;
	buffer_clear(&packages->unread);
}

static void end_reading(struct packages *packages)
{
	for (size_t i = 0; i < packages->diversion_count; i++) {
		free(packages->diversions[i].to);
		free(packages->diversions[i].package);
	}
	free(packages->diversions);
	packages->diversions = NULL;
	packages->diversion_count = 0;
	close_list(packages);
	buffer_fini(&packages->unread);
	if (packages->lists)
		closedir(packages->lists);
	packages->lists = NULL;
	rpm_database_close(packages->rpm);
	packages->rpm = NULL;
	fini_index(&packages->next);
}

void packages_free(struct packages *packages)
{
	if (!packages)
		return;
	end_reading(packages);
	fini_index(&packages->index);
	free(packages->root);
	free(packages);
}

static uint64_t *find_slot(const struct index *index, uint64_t hash)
{
	size_t i = (hash >> 16) & (index->size - 1);

	while (index->slots[i] && index->slots[i] >> 16 != hash >> 16)
		i = (i + 1) & (index->size - 1);
	return &index->slots[i];
}

static int grow(struct index *index)
{
	struct index larger = {.size = index->size ? index->size * 2 : FIRST_SLOTS};

	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < index->size; i++)
		if (index->slots[i])
			*find_slot(&larger, index->slots[i]) = index->slots[i];
	free(index->slots);
	index->slots = larger.slots;
	index->size = larger.size;
	return 0;
}

/* 0 or -ENOMEM. Of two packages with one path the first that is read counts. */
static int add_path(struct index *index, uint64_t hash)
{
	uint64_t *slot;

	if (index->used * 4 >= index->size * 3 && grow(index) < 0)
		return -ENOMEM;
	slot = find_slot(index, hash);
	if (*slot)
		return 0;
	*slot = (hash & ~(uint64_t)UINT16_MAX) | index->name_count;
	index->used++;
	return 0;
}

static bool begins_with(struct text text, const char *word)
{
	return text.length > strlen(word) && memcmp(text.at, word, strlen(word)) == 0;
}

/* Of the path that the kernel tells for it. */
static uint64_t hash_path(const struct packages *packages, struct text path)
{
	char whole[PATH_MAX];

	for (size_t i = 0; i < array_length(aliases); i++) {
		if (!(packages->merged & 1u << i) || !begins_with(path, aliases[i]) ||
		    path.length + 4 > sizeof(whole))
			continue;
		memcpy(whole, "/usr", 4);
		memcpy(whole + 4, path.at, path.length);
		return hash_bytes(packages->seed, whole, path.length + 4);
	}
	return hash_bytes(packages->seed, path.at, path.length);
}

static uint64_t divert(const struct packages *packages, const char *package, uint64_t hash)
{
	for (size_t i = 0; i < packages->diversion_count; i++) {
		const struct diversion *diversion = &packages->diversions[i];

		if (diversion->from == hash && strcmp(diversion->package, package) != 0)
			return hash_path(packages, text_from(diversion->to));
	}
	return hash;
}

static bool take_line(struct text *rest, struct text *ret)
{
	const char *end;

	if (rest->length == 0)
		return false;
	end = memchr(rest->at, '\n', rest->length);
	*ret = (struct text){rest->at, end ? (size_t)(end - rest->at) : rest->length};
	rest->at += ret->length + (end ? 1 : 0);
	rest->length -= ret->length + (end ? 1 : 0);
	return true;
}

static bool is_skipped(struct text path)
{
	for (size_t i = 0; i < array_length(skipped); i++)
		if (begins_with(path, skipped[i]))
			return true;
	return false;
}

/* Paths that are added belong to it from now on. 0 or -ENOMEM. */
static int add_name(struct packages *packages, struct text name)
{
	struct index *index = &packages->next;

	if (index->name_count == index->name_capacity) {
		size_t capacity = index->name_capacity ? index->name_capacity * 2 : 256;
		char **names = realloc(index->names, capacity * sizeof(*names));

		if (!names)
			return -ENOMEM;
		index->names = names;
		index->name_capacity = capacity;
	}
	index->names[index->name_count] = text_copy(name);
	if (!index->names[index->name_count])
		return -ENOMEM;
	index->name_count++;
	return 0;
}

/* Of the package that was named last. 0 or -ENOMEM. */
static int add_list_path(struct packages *packages, struct text path)
{
	if (path.length < 2 || path.at[0] != '/' || is_skipped(path))
		return 0;
	return add_path(&packages->next,
			divert(packages, packages->list_name, hash_path(packages, path)));
}

/* 0 or a negative errno. */
static int read_file(int directory_fd, const char *name, struct buffer *buffer)
{
	cleanup_close int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat found;

	buffer_clear(buffer);
	if (fd < 0 || fstat(fd, &found) < 0)
		return -errno;
	if (!S_ISREG(found.st_mode) || found.st_size > MAX_LIST_BYTES)
		return -EFBIG;
	while (buffer->length < (size_t)found.st_size) {
		size_t left = (size_t)found.st_size - buffer->length;
		void *at = buffer_extend(buffer, left);
		ssize_t length = at ? read(fd, at, left) : -1;

		if (length < 0)
			return at ? -errno : -ENOMEM;
		buffer->length -= left - (size_t)length;
		if (length == 0)
			break;
	}
	return 0;
}

/* "curl.list", "libc6:amd64.list"; false: another file. */
static bool parse_list_name(const char *file, char *out, size_t size)
{
	size_t length = strlen(file), suffix = strlen(".list");
	const char *colon = strchr(file, ':');

	if (length <= suffix || strcmp(file + length - suffix, ".list") != 0)
		return false;
	length = colon ? (size_t)(colon - file) : length - suffix;
	return (size_t)snprintf(out, size, "%.*s", (int)length, file) < size;
}

/* Three lines each: from, to, and the package that is not diverted, or ":" where it is nobody's. */
static void read_diversions(struct packages *packages)
{
	struct buffer buffer;
	struct text rest, from, to, package;
	char path[PATH_MAX];
	size_t capacity = 0;

	buffer_init(&buffer);
	snprintf(path, sizeof(path), "%s/var/lib/dpkg/diversions", packages->root);
	if (read_file(AT_FDCWD, path, &buffer) < 0)
		buffer_clear(&buffer);
	rest = (struct text){(const char *)buffer.bytes, buffer.length};
	while (take_line(&rest, &from) && take_line(&rest, &to) && take_line(&rest, &package)) {
		struct diversion *diversion;

		if (packages->diversion_count == capacity) {
			void *larger;

			capacity = capacity ? capacity * 2 : 16;
			larger = realloc(packages->diversions, capacity * sizeof(*diversion));
			if (!larger)
				break;
			packages->diversions = larger;
		}
		diversion = &packages->diversions[packages->diversion_count];
		*diversion = (struct diversion){.from = hash_path(packages, from),
						.to = text_copy(to),
						.package = text_copy(package)};
		packages->diversion_count++;
		if (!diversion->to || !diversion->package) {
			free(diversion->to);
			free(diversion->package);
			packages->diversion_count--;
			break;
		}
	}
	buffer_fini(&buffer);
}

static void look_for_aliases(struct packages *packages)
{
	packages->merged = 0;
	for (size_t i = 0; i < array_length(aliases); i++) {
		char path[PATH_MAX], target[64];
		ssize_t length;

		snprintf(path, sizeof(path), "%s%.*s", packages->root, (int)strlen(aliases[i]) - 1,
			 aliases[i]);
		length = readlink(path, target, sizeof(target) - 1);
		if (length <= 0)
			continue;
		target[length] = '\0';
		if (strncmp(target, "usr/", 4) == 0 || strncmp(target, "/usr/", 5) == 0)
			packages->merged |= 1u << i;
	}
}

static void begin_reading(struct packages *packages)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/var/lib/dpkg/info", packages->root);
	packages->lists = opendir(path);
	if (rpm_database_open(packages->root, &packages->rpm) < 0)
		packages->rpm = NULL;
	packages->read_times = packages->seen_times;
	look_for_aliases(packages);
	read_diversions(packages);
}

static void finish_reading(struct packages *packages)
{
	struct packages_counters *counters = &packages->counters;

	fini_index(&packages->index);
	packages->index = packages->next;
	packages->next = (struct index){0};
	counters->readings++;
	counters->paths = packages->index.used;
	counters->packages = packages->index.name_count;
	counters->bytes = packages->index.size * sizeof(uint64_t) +
			  packages->index.name_capacity * sizeof(char *);
	for (size_t i = 0; i < packages->index.name_count; i++)
		counters->bytes += strlen(packages->index.names[i]) + 1;
	end_reading(packages);
}

static int add_rpm_path(void *userdata, struct text directory, struct text file)
{
	struct packages *packages = userdata;
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%.*s%.*s", (int)directory.length, directory.at,
			      (int)file.length, file.at);
	struct text whole = {path, (size_t)length};

	if (length < 2 || length >= (int)sizeof(path) || path[0] != '/' || is_skipped(whole))
		return 0;
	return add_path(&packages->next, hash_path(packages, whole));
}

/* A part of rpm's database. What cannot be read ends it: it is looked at again when it has changed. 0 or
 * -ENOMEM. */
static int read_rpm(struct packages *packages)
{
	size_t bytes = 0, length;
	const void *blob;
	int r = 1;

	while (bytes < BYTES_A_TURN && r > 0) {
		struct rpm_header header;

		r = rpm_database_read(packages->rpm, &blob, &length);
		if (r <= 0)
			break;
		bytes += length;
		if (packages->next.name_count >= MAX_PACKAGES ||
		    rpm_header_parse(blob, length, &header) < 0) {
			packages->counters.dropped++;
			continue;
		}
		if (add_name(packages, header.name) < 0 ||
		    rpm_header_walk(&header, add_rpm_path, packages) < 0)
			return -ENOMEM;
	}
	if (r > 0)
		return 0;
	packages->counters.dropped += r < 0;
	rpm_database_close(packages->rpm);
	packages->rpm = NULL;
	return r == -ENOMEM ? r : 0;
}

/* The next list of dpkg's directory, or none. 0 or -ENOMEM. */
static int open_list(struct packages *packages)
{
	const struct dirent *entry = readdir(packages->lists);
	cleanup_close int fd = -1;
	struct stat found;

	if (!entry) {
		closedir(packages->lists);
		packages->lists = NULL;
		return 0;
	}
	if (!parse_list_name(entry->d_name, packages->list_name, sizeof(packages->list_name)))
		return 0;
	fd = openat(dirfd(packages->lists), entry->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (packages->next.name_count >= MAX_PACKAGES || fd < 0 || fstat(fd, &found) < 0 ||
	    !S_ISREG(found.st_mode) || found.st_size > MAX_LIST_BYTES) {
		packages->counters.dropped++;
		return 0;
	}
	packages->list_fd = steal_fd(&fd);
	return add_name(packages, text_from(packages->list_name));
}

/* Whole lines; at its end the rest as well. 0 or -ENOMEM. */
static int take_lines(struct packages *packages, bool is_end)
{
	struct buffer *unread = &packages->unread;
	struct text rest = {(const char *)unread->bytes, unread->length}, path;
	int r = 0;

	while (r == 0 && (is_end || memchr(rest.at, '\n', rest.length)) && take_line(&rest, &path))
		r = add_list_path(packages, path);
	if (rest.length > 0)
		memmove(unread->bytes, rest.at, rest.length);
	unread->length = rest.length;
	return r;
}

/* A part of the list that is open; adds to "bytes". 0 or -ENOMEM. */
static int read_list(struct packages *packages, size_t *bytes)
{
	void *at = buffer_extend(&packages->unread, BYTES_A_READ);
	ssize_t length = at ? read(packages->list_fd, at, BYTES_A_READ) : -1;
	int r;

	if (!at)
		return -ENOMEM;
	packages->unread.length -= BYTES_A_READ - (size_t)(length > 0 ? length : 0);
	*bytes += (size_t)(length > 0 ? length : 0);
	packages->counters.dropped += length < 0;
	r = take_lines(packages, length <= 0);
	if (length <= 0)
		close_list(packages);
	return r;
}

/* A part of the lists. 0 or -ENOMEM. */
static int read_lists(struct packages *packages)
{
	unsigned files = 0;
	size_t bytes = 0;
	int r = 0;

	while (packages->lists && r == 0 && files < FILES_A_TURN && bytes < BYTES_A_TURN) {
		if (packages->list_fd >= 0) {
			r = read_list(packages, &bytes);
		} else {
			files++;
			r = open_list(packages);
		}
	}
	return r;
}

static bool is_reading(const struct packages *packages)
{
	return packages->lists || packages->rpm;
}

/* Without memory the index before stays. */
static void read_on(struct packages *packages)
{
	int r = packages->lists ? read_lists(packages) : read_rpm(packages);

	if (r < 0) {
		packages->counters.dropped++;
		end_reading(packages);
	} else if (!is_reading(packages)) {
		finish_reading(packages);
	}
}

static bool is_equal_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same(const struct change_times *a, const struct change_times *b)
{
	return is_equal_time(&a->dpkg, &b->dpkg) && is_equal_time(&a->rpm, &b->rpm);
}

/* dpkg replaces its lists by rename(2), which the directory's time tells. What changed within the last
 * interval may go on changing. */
static void look_for_changes(struct packages *packages)
{
	struct change_times now = {0};
	char path[PATH_MAX];
	struct stat found;
	bool is_settled;

	snprintf(path, sizeof(path), "%s/var/lib/dpkg/info", packages->root);
	if (stat(path, &found) == 0)
		now.dpkg = found.st_mtim;
	rpm_database_find(packages->root, &now.rpm);
	is_settled = !packages->was_checked || is_same(&now, &packages->seen_times);
	packages->seen_times = now;
	packages->was_checked = true;
	if (is_settled && !is_same(&now, &packages->read_times))
		begin_reading(packages);
}

uint64_t packages_run(struct packages *packages, uint64_t now_ns)
{
	if (is_reading(packages)) {
		read_on(packages);
	} else if (now_ns >= packages->checked_ns + CHECK_INTERVAL_NS || !packages->checked_ns) {
		packages->checked_ns = now_ns;
		look_for_changes(packages);
	}
	return is_reading(packages) ? now_ns : packages->checked_ns + CHECK_INTERVAL_NS;
}

const char *packages_find(const struct packages *packages, const char *path)
{
	uint64_t slot;

	if (!packages->index.used)
		return NULL;
	slot = *find_slot(&packages->index, hash_bytes(packages->seed, path, strlen(path)));
	return slot ? packages->index.names[(slot & UINT16_MAX) - 1] : NULL;
}

const struct packages_counters *packages_get_counters(const struct packages *packages)
{
	return &packages->counters;
}
