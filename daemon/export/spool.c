/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A place is a number of bytes since the beginning of the spool, over all its files: the file
 * START (16 hexadecimal digits) holds the places from START on. The file "done" tells how far all is
 * sent. */

#define LOG_MODULE "export"

#include "export/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "runtime/log.h"

enum {
	MAGIC = 0x70666c31,
	NAME_DIGITS = 16,
	FILE_MODE = 0600,
	DIRECTORY_MODE = 0750,
	FILES_PER_SPOOL = 8,
	LARGEST_ENTRY = 1 << 28,
};

#define LARGEST_FILE (4ull << 20)

struct entry {
	uint32_t magic, bytes, documents; /* lengths of what follows */
	uint32_t records, templates, data_records;
	uint64_t packets, octets;
	uint64_t is_lines;
	uint64_t checksum; /* of all in front of it and all that follows */
};

struct done {
	uint64_t at, begin, sent;
	uint64_t checksum;
};

struct spool {
	char *path;		      /* for the log */
	int directory, done_fd, file; /* file: that is written to, -1: none */
	uint64_t *starts;	      /* of the files, oldest first */
	size_t count;
	uint64_t end, unread_at, max_bytes;
	uint64_t unread_records;
	struct done done;
};

DEFINE_CLEANUP(struct spool *, spool_close);

static void make_name(uint64_t start, char name[NAME_DIGITS + 1])
{
	snprintf(name, NAME_DIGITS + 1, "%016" PRIx64, start);
}

static uint64_t sum_entry(const struct entry *entry, const void *bytes, const void *documents)
{
	uint64_t sum = hash_bytes(MAGIC, entry, offsetof(struct entry, checksum));

	if (entry->bytes)
		sum = hash_bytes(sum, bytes, entry->bytes);
	return entry->documents ? hash_bytes(sum, documents, entry->documents) : sum;
}

static size_t entry_length(const struct entry *entry)
{
	return sizeof(*entry) + entry->bytes + (size_t)entry->documents;
}

static bool read_at(int fd, void *out, size_t length, uint64_t offset)
{
	return pread(fd, out, length, (off_t)offset) == (ssize_t)length;
}

/* The chunk at the offset, and the bytes it takes. -EBADMSG: there is no whole one. */
static int read_entry(int fd, uint64_t offset, struct chunk *chunk, size_t *ret_length)
{
	struct entry entry;
	uint8_t *bytes, *documents;

	if (!read_at(fd, &entry, sizeof(entry), offset) || entry.magic != MAGIC ||
	    entry.bytes > LARGEST_ENTRY || entry.documents > LARGEST_ENTRY)
		return -EBADMSG;
	bytes = buffer_extend(&chunk->bytes, entry.bytes);
	documents = buffer_extend(&chunk->documents, entry.documents);
	if (chunk->bytes.failed || chunk->documents.failed)
		return -ENOMEM;
	if (!read_at(fd, bytes, entry.bytes, offset + sizeof(entry)) ||
	    (entry.documents &&
	     !read_at(fd, documents, entry.documents, offset + sizeof(entry) + entry.bytes)) ||
	    sum_entry(&entry, bytes, documents) != entry.checksum)
		return -EBADMSG;
	chunk->records = entry.records;
	chunk->templates = entry.templates;
	chunk->data_records = entry.data_records;
	chunk->packets = entry.packets;
	chunk->octets = entry.octets;
	chunk->is_lines = entry.is_lines;
	*ret_length = entry_length(&entry);
	return 0;
}

static int open_file(const struct spool *spool, uint64_t start, int flags)
{
	char name[NAME_DIGITS + 1];
	int fd;

	make_name(start, name);
	fd = openat(spool->directory, name, flags | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	return fd < 0 ? -errno : fd;
}

static void remove_first(struct spool *spool)
{
	char name[NAME_DIGITS + 1];

	make_name(spool->starts[0], name);
	if (unlinkat(spool->directory, name, 0) < 0)
		log_warning("%s/%s: %s", spool->path, name, strerror(errno));
	spool->count--;
	memmove(spool->starts, spool->starts + 1, spool->count * sizeof(spool->starts[0]));
	if (spool->count == 0 && spool->file >= 0)
		close(steal_fd(&spool->file));
}

static int add_start(struct spool *spool, uint64_t start)
{
	uint64_t *starts = reallocarray(spool->starts, spool->count + 1, sizeof(spool->starts[0]));

	if (!starts)
		return -ENOMEM;
	spool->starts = starts;
	starts[spool->count++] = start;
	return 0;
}

/* The file that holds the place, or the first one behind it. */
static size_t find_file(const struct spool *spool, uint64_t at)
{
	size_t i = 0;

	while (i + 1 < spool->count && spool->starts[i + 1] <= at)
		i++;
	return i;
}

static int begin_file(struct spool *spool)
{
	int fd = open_file(spool, spool->end, O_RDWR | O_CREAT | O_TRUNC);

	if (fd < 0)
		return fd;
	if (spool->count == 0 || spool->starts[spool->count - 1] != spool->end) {
		int r = add_start(spool, spool->end);

		if (r < 0) {
			close(fd);
			return r;
		}
	}
	if (spool->file >= 0)
		close(spool->file);
	spool->file = fd;
	return 0;
}

int spool_append(struct spool *spool, struct chunk *chunk)
{
	struct entry entry = {.magic = MAGIC,
			      .bytes = (uint32_t)chunk->bytes.length,
			      .documents = (uint32_t)chunk->documents.length,
			      .records = chunk->records,
			      .templates = chunk->templates,
			      .data_records = chunk->data_records,
			      .packets = chunk->packets,
			      .octets = chunk->octets,
			      .is_lines = chunk->is_lines};
	struct iovec parts[] = {{&entry, sizeof(entry)},
				{chunk->bytes.bytes, entry.bytes},
				{chunk->documents.bytes, entry.documents}};
	size_t length = entry_length(&entry);
	uint64_t begin = spool->count ? spool->starts[0] : spool->end;
	uint64_t largest = spool->max_bytes / FILES_PER_SPOOL;
	uint64_t offset;
	ssize_t written;
	int r = 0;

	if (spool->end - begin + length > spool->max_bytes)
		return SPOOL_FULL;
	if (largest > LARGEST_FILE)
		largest = LARGEST_FILE;
	if (spool->file < 0 || spool->end - spool->starts[spool->count - 1] >= largest)
		r = begin_file(spool);
	if (r < 0)
		return r;
	entry.checksum = sum_entry(&entry, chunk->bytes.bytes, chunk->documents.bytes);
	offset = spool->end - spool->starts[spool->count - 1];
	written = pwritev(spool->file, parts, array_length(parts), (off_t)offset);
	if (written != (ssize_t)length) {
		r = written < 0 ? -errno : -ENOSPC;
		(void)!ftruncate(spool->file, (off_t)offset);
		return r;
	}
	chunk->spool_at = spool->end;
	spool->end += length;
	spool->unread_records += chunk->records;
	return 0;
}

void spool_skip_unread(struct spool *spool)
{
	spool->unread_at = spool->end;
	spool->unread_records = 0;
}

/* Of the first chunk that is not done, some records may be. */
static void take_off_sent(const struct spool *spool, struct chunk *chunk)
{
	if (chunk->spool_at != spool->done.at || spool->done.begin > chunk->bytes.length ||
	    spool->done.sent > chunk->records)
		return;
	chunk->begin = spool->done.begin;
	chunk->records -= (uint32_t)spool->done.sent;
	chunk->sent = (uint32_t)spool->done.sent;
}

int spool_read(struct spool *spool, struct chunk_pool *pool, struct chunk **ret)
{
	struct chunk *chunk = NULL;

	while (spool->unread_at < spool->end) {
		size_t index = find_file(spool, spool->unread_at), length;
		uint64_t start = spool->starts[index];
		int fd = open_file(spool, start, O_RDONLY), r = -EBADMSG;

		chunk = chunk_new(pool);
		if (!chunk) {
			if (fd >= 0)
				close(fd);
			return -ENOMEM;
		}
		if (spool->unread_at < start)
			spool->unread_at = start;
		if (fd >= 0) {
			r = read_entry(fd, spool->unread_at - start, chunk, &length);
			close(fd);
		}
		if (r == 0) {
			chunk->spool_at = spool->unread_at;
			take_off_sent(spool, chunk);
			spool->unread_at += length;
			spool->unread_records -= chunk->records < spool->unread_records
							 ? chunk->records
							 : spool->unread_records;
			*ret = chunk;
			return 0;
		}
		chunk->bytes.failed = chunk->documents.failed = false;
		chunk_free(pool, chunk);
		if (r == -ENOMEM)
			return r;
		/* The end of a file that was cut. */
		spool->unread_at = index + 1 < spool->count ? spool->starts[index + 1] : spool->end;
	}
	return SPOOL_READ;
}

uint64_t spool_get_unread_at(const struct spool *spool)
{
	return spool->unread_at;
}

uint64_t spool_count_unread(const struct spool *spool)
{
	return spool->unread_records;
}

void spool_set_done(struct spool *spool, uint64_t at, uint64_t begin, uint32_t sent)
{
	struct done done = {.at = at, .begin = begin, .sent = sent};

	if (at == spool->done.at && begin == spool->done.begin)
		return;
	done.checksum = hash_bytes(MAGIC, &done, offsetof(struct done, checksum));
	if (pwrite(spool->done_fd, &done, sizeof(done), 0) != sizeof(done))
		log_warning("%s/done: %s", spool->path, strerror(errno));
	spool->done = done;
	while (spool->count > 0 && (spool->count > 1 ? spool->starts[1] <= at : spool->end <= at))
		remove_first(spool);
}

static int compare_starts(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return one < other ? -1 : one > other;
}

static int list_files(struct spool *spool)
{
	int fd = dup(spool->directory), r = 0;
	DIR *listing = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *found;

	if (!listing) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	rewinddir(listing);
	while (r == 0 && (found = readdir(listing))) {
		char *end;
		uint64_t start = strtoull(found->d_name, &end, 16);

		if (end == found->d_name + NAME_DIGITS && !*end)
			r = add_start(spool, start);
	}
	closedir(listing);
	if (spool->count > 0)
		qsort(spool->starts, spool->count, sizeof(spool->starts[0]), compare_starts);
	return r;
}

/* Where the whole entries of the file end; cuts off what is behind them. */
static int scan_file(struct spool *spool, uint64_t start, uint64_t *ret_end)
{
	struct chunk_pool pool = {.spare = NULL};
	cleanup_close int fd = open_file(spool, start, O_RDWR);
	uint64_t offset = spool->done.at > start ? spool->done.at - start : 0;
	struct stat status;
	int r = 0;

	if (fd < 0 || fstat(fd, &status) < 0)
		return fd < 0 ? fd : -errno;
	while (r == 0) {
		struct chunk *chunk = chunk_new(&pool);
		size_t length;

		if (!chunk)
			return -ENOMEM;
		r = read_entry(fd, offset, chunk, &length);
		if (r == 0) {
			chunk->spool_at = start + offset;
			take_off_sent(spool, chunk);
			spool->unread_records += chunk->records;
			offset += length;
		}
		chunk_free(&pool, chunk);
	}
	chunk_pool_fini(&pool);
	if (r != -EBADMSG)
		return r;
	if ((uint64_t)status.st_size > offset) {
		log_warning("%s: %" PRIu64 " bytes that are no whole entries are left out",
			    spool->path, (uint64_t)status.st_size - offset);
		if (ftruncate(fd, (off_t)offset) < 0)
			return -errno;
	}
	*ret_end = start + offset;
	return 0;
}

static void read_done(struct spool *spool)
{
	struct done done;

	if (read_at(spool->done_fd, &done, sizeof(done), 0) &&
	    done.checksum == hash_bytes(MAGIC, &done, offsetof(struct done, checksum)))
		spool->done = done;
}

static int scan(struct spool *spool)
{
	int r = list_files(spool);

	read_done(spool);
	while (r == 0 && spool->count > 1 && spool->starts[1] <= spool->done.at)
		remove_first(spool);
	spool->end = spool->done.at;
	for (size_t i = 0; r == 0 && i < spool->count; i++) {
		uint64_t end = 0;

		r = scan_file(spool, spool->starts[i], &end);
		if (r == 0 && end > spool->end)
			spool->end = end;
	}
	spool->unread_at = spool->done.at;
	return r;
}

static int make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(path, DIRECTORY_MODE) < 0 && errno != EEXIST)
			return -errno;
		if (!slash)
			return 0;
		*slash = '/';
	}
}

static int open_directory(struct spool *spool)
{
	int r = make_directories(spool->path);

	if (r < 0)
		return r;
	spool->directory = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->directory < 0)
		return -errno;
	spool->done_fd = openat(spool->directory, "done", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
				FILE_MODE);
	if (spool->done_fd < 0)
		return -errno;
	if (flock(spool->done_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return scan(spool);
}

/* A name is free text: what could leave the directory stands as "_". */
static void clean_name(char *name)
{
	for (char *at = name; *at; at++)
		if (*at == '/' || (at == name && *at == '.'))
			*at = '_';
}

int spool_open(const char *directory, const char *name, uint64_t max_bytes, struct spool **ret)
{
	cleanup(spool_close_cleanup) struct spool *spool = calloc(1, sizeof(*spool));
	cleanup_free char *clean = strdup(name);
	int r;

	if (!spool || !clean)
		return -ENOMEM;
	spool->directory = spool->done_fd = spool->file = -1;
	spool->max_bytes = max_bytes;
	clean_name(clean);
	if (asprintf(&spool->path, "%s/%s", directory, clean) < 0) {
		spool->path = NULL;
		return -ENOMEM;
	}
	r = open_directory(spool);
	if (r < 0) {
		log_error("%s: cannot open the spool %s: %s", name, spool->path,
			  r == -EBUSY ? "it is in use; an exporter with a spool changes with a "
					"restart only"
				      : strerror(-r));
		return r;
	}
	*ret = steal_pointer(&spool);
	return 0;
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	if (spool->file >= 0)
		close(spool->file);
	if (spool->done_fd >= 0)
		close(spool->done_fd);
	if (spool->directory >= 0)
		close(spool->directory);
	free(spool->starts);
	free(spool->path);
	free(spool);
}
