/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A place is a number of bytes since the beginning of the spool, over all its files: the file
 * START (16 hexadecimal digits) holds the places from START on. The file "done" tells how far all is
 * sent.
 *
 * An entry's head has a checksum of its own: with it alone the entry can be stepped over. Where a head
 * is damaged, the next one is looked for. How many records damage has cost is known when a file has
 * been read to its end: those that were written to it, or found whole at the start, and did not come
 * out. */

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
	MAGIC = 0x70666c32,
	NAME_DIGITS = 16,
	FILE_MODE = 0600,
	DIRECTORY_MODE = 0750,
	FILES_PER_SPOOL = 8,
	LARGEST_ENTRY = 1 << 28,
	SEARCH_BLOCK = 16 * 1024,
};

#define LARGEST_FILE (4ull << 20)

struct entry {
	uint32_t magic, bytes, documents; /* lengths of what follows */
	uint32_t records, templates, data_records;
	uint64_t format;
	uint64_t packets, octets;
	uint64_t is_lines;
	uint64_t checksum;	/* of what follows the head */
	uint64_t head_checksum; /* of all in front of it */
};

struct done {
	uint64_t at, begin, sent;
	uint64_t checksum;
};

struct file {
	uint64_t start;
	uint64_t unread; /* records */
};

struct spool {
	char *path;		      /* for the log */
	int directory, done_fd, file; /* file: that is written to, -1: none */
	struct file *files;	      /* oldest first */
	size_t count;
	uint64_t end, unread_at, max_bytes, format;
	uint64_t unread_records, lost_records;
	bool told_format;
	struct done done;
};

DEFINE_CLEANUP(struct spool *, spool_close);

static void make_name(uint64_t start, char name[NAME_DIGITS + 1])
{
	snprintf(name, NAME_DIGITS + 1, "%016" PRIx64, start);
}

static uint64_t sum_body(const void *bytes, size_t length, const void *documents,
			 size_t documents_length)
{
	uint64_t sum = length ? hash_bytes(MAGIC, bytes, length) : MAGIC;

	return documents_length ? hash_bytes(sum, documents, documents_length) : sum;
}

static uint64_t sum_head(const struct entry *entry)
{
	return hash_bytes(MAGIC, entry, offsetof(struct entry, head_checksum));
}

static bool is_head(const struct entry *entry)
{
	return entry->magic == MAGIC && entry->bytes <= LARGEST_ENTRY &&
	       entry->documents <= LARGEST_ENTRY && entry->head_checksum == sum_head(entry);
}

static size_t entry_length(const struct entry *entry)
{
	return sizeof(*entry) + entry->bytes + (size_t)entry->documents;
}

static bool read_at(int fd, void *out, size_t length, uint64_t offset)
{
	return pread(fd, out, length, (off_t)offset) == (ssize_t)length;
}

/* Where the next head is, damaged ones left out; "size" where there is none. */
static uint64_t find_head(int fd, uint64_t offset, uint64_t size)
{
	uint8_t block[SEARCH_BLOCK];
	struct entry entry = {.magic = 0};
	ssize_t length;

	while (offset + sizeof(entry) <= size) {
		length = pread(fd, block, sizeof(block), (off_t)offset);
		if (length < (ssize_t)sizeof(entry))
			break;
		for (size_t i = 0; i + sizeof(entry) <= (size_t)length; i++) {
			memcpy(&entry, block + i, sizeof(entry));
			if (is_head(&entry))
				return offset + i;
		}
		offset += (size_t)length - sizeof(entry) + 1;
	}
	return size;
}

/* 0; ENTRY_DAMAGED, and *ret_entry is its head; -EBADMSG: there is no head here; -ENOMEM. */
enum { ENTRY_DAMAGED = 1 };
static int read_entry(int fd, uint64_t offset, struct chunk *chunk, struct entry *ret_entry)
{
	struct entry entry = {.magic = 0};
	uint8_t *bytes, *documents;

	if (!read_at(fd, &entry, sizeof(entry), offset) || !is_head(&entry))
		return -EBADMSG;
	bytes = buffer_extend(&chunk->bytes, entry.bytes);
	documents = buffer_extend(&chunk->documents, entry.documents);
	if (chunk->bytes.failed || chunk->documents.failed)
		return -ENOMEM;
	*ret_entry = entry;
	if (!read_at(fd, bytes, entry.bytes, offset + sizeof(entry)) ||
	    (entry.documents &&
	     !read_at(fd, documents, entry.documents, offset + sizeof(entry) + entry.bytes)) ||
	    sum_body(bytes, entry.bytes, documents, entry.documents) != entry.checksum)
		return ENTRY_DAMAGED;
	chunk->records = entry.records;
	chunk->templates = entry.templates;
	chunk->data_records = entry.data_records;
	chunk->packets = entry.packets;
	chunk->octets = entry.octets;
	chunk->is_lines = entry.is_lines;
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

	make_name(spool->files[0].start, name);
	if (unlinkat(spool->directory, name, 0) < 0)
		log_warning("%s/%s: %s", spool->path, name, strerror(errno));
	spool->count--;
	memmove(spool->files, spool->files + 1, spool->count * sizeof(spool->files[0]));
	if (spool->count == 0 && spool->file >= 0)
		close(steal_fd(&spool->file));
}

static int add_file(struct spool *spool, uint64_t start)
{
	struct file *files = reallocarray(spool->files, spool->count + 1, sizeof(spool->files[0]));

	if (!files)
		return -ENOMEM;
	spool->files = files;
	files[spool->count++] = (struct file){.start = start};
	return 0;
}

/* The file that holds the place, or the first one behind it. */
static size_t find_file(const struct spool *spool, uint64_t at)
{
	size_t i = 0;

	while (i + 1 < spool->count && spool->files[i + 1].start <= at)
		i++;
	return i;
}

static uint64_t get_end(const struct spool *spool, size_t index)
{
	return index + 1 < spool->count ? spool->files[index + 1].start : spool->end;
}

static int begin_file(struct spool *spool)
{
	int fd = open_file(spool, spool->end, O_RDWR | O_CREAT | O_TRUNC);

	if (fd < 0)
		return fd;
	if (spool->count == 0 || spool->files[spool->count - 1].start != spool->end) {
		int r = add_file(spool, spool->end);

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
			      .format = spool->format,
			      .packets = chunk->packets,
			      .octets = chunk->octets,
			      .is_lines = chunk->is_lines};
	struct iovec parts[] = {{&entry, sizeof(entry)},
				{chunk->bytes.bytes, entry.bytes},
				{chunk->documents.bytes, entry.documents}};
	size_t length = entry_length(&entry);
	uint64_t begin = spool->count ? spool->files[0].start : spool->end;
	uint64_t largest = spool->max_bytes / FILES_PER_SPOOL;
	uint64_t offset;
	ssize_t written;
	int r = 0;

	if (spool->end - begin + length > spool->max_bytes)
		return SPOOL_FULL;
	if (largest > LARGEST_FILE)
		largest = LARGEST_FILE;
	if (spool->file < 0 || spool->end - spool->files[spool->count - 1].start >= largest)
		r = begin_file(spool);
	if (r < 0)
		return r;
	entry.checksum =
		sum_body(chunk->bytes.bytes, entry.bytes, chunk->documents.bytes, entry.documents);
	entry.head_checksum = sum_head(&entry);
	offset = spool->end - spool->files[spool->count - 1].start;
	written = pwritev(spool->file, parts, array_length(parts), (off_t)offset);
	if (written != (ssize_t)length) {
		r = written < 0 ? -errno : -ENOSPC;
		(void)!ftruncate(spool->file, (off_t)offset);
		return r;
	}
	chunk->spool_at = spool->end;
	spool->end += length;
	spool->unread_records += chunk->records;
	spool->files[spool->count - 1].unread += chunk->records;
	return 0;
}

void spool_skip_unread(struct spool *spool)
{
	spool->unread_at = spool->end;
	spool->unread_records = 0;
	for (size_t i = 0; i < spool->count; i++)
		spool->files[i].unread = 0;
}

/* Of the first entry that is not done, some records may be. */
static uint32_t count_sent(const struct spool *spool, uint64_t at, const struct entry *entry)
{
	if (at != spool->done.at || spool->done.begin > entry->bytes ||
	    spool->done.sent > entry->records)
		return 0;
	return (uint32_t)spool->done.sent;
}

static void count_out(struct spool *spool, struct file *file, uint64_t records)
{
	file->unread -= records;
	spool->unread_records -= records;
}

/* Reading goes on at the place: what is left of the files in front of it was damaged. */
static void go_on_at(struct spool *spool, uint64_t at)
{
	uint64_t lost = 0;

	spool->unread_at = at;
	for (size_t i = 0; i < spool->count && get_end(spool, i) <= at; i++) {
		lost += spool->files[i].unread;
		count_out(spool, &spool->files[i], spool->files[i].unread);
	}
	if (lost > 0)
		log_warning("%s: %" PRIu64 " records in it are damaged and left out", spool->path,
			    lost);
	spool->lost_records += lost;
}

static void leave_out_other_format(struct spool *spool, struct file *file, uint32_t records)
{
	if (!spool->told_format)
		log_warning("%s: what is there of another type, schema or template is dropped",
			    spool->path);
	spool->told_format = true;
	count_out(spool, file, records);
	spool->lost_records += records;
}

/* The entry at unread_at, and goes on behind it. 0; SPOOL_READ: there is none to be had; -ENOMEM. */
static int read_next(struct spool *spool, struct chunk *chunk)
{
	size_t index = find_file(spool, spool->unread_at);
	struct file *file = &spool->files[index];
	uint64_t at = spool->unread_at < file->start ? file->start : spool->unread_at;
	uint64_t end = get_end(spool, index), next;
	cleanup_close int fd = open_file(spool, file->start, O_RDONLY);
	struct entry entry = {.magic = 0};
	int r = fd < 0 ? -EBADMSG : read_entry(fd, at - file->start, chunk, &entry);

	if (r == -ENOMEM)
		return r;
	if (r == -EBADMSG)
		next = fd < 0 ? end
			      : file->start +
					find_head(fd, at - file->start + 1, end - file->start);
	else
		next = at + entry_length(&entry);
	if (r == 0) {
		uint32_t sent = count_sent(spool, at, &entry);

		chunk->spool_at = at;
		chunk->begin = sent ? spool->done.begin : 0;
		chunk->records -= sent;
		chunk->sent = sent;
		if (entry.format == spool->format) {
			count_out(spool, file, chunk->records);
		} else {
			leave_out_other_format(spool, file, chunk->records);
			r = SPOOL_READ;
		}
	}
	go_on_at(spool, next < end ? next : end);
	return r == 0 ? 0 : SPOOL_READ;
}

int spool_read(struct spool *spool, struct chunk_pool *pool, struct chunk **ret)
{
	while (spool->unread_at < spool->end) {
		struct chunk *chunk = chunk_new(pool);
		int r;

		if (!chunk)
			return -ENOMEM;
		r = read_next(spool, chunk);
		if (r == 0) {
			*ret = chunk;
			return 0;
		}
		chunk_free(pool, chunk);
		if (r == -ENOMEM)
			return r;
	}
	return SPOOL_READ;
}

uint64_t spool_take_lost(struct spool *spool)
{
	uint64_t lost = spool->lost_records;

	spool->lost_records = 0;
	return lost;
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
	while (spool->count > 0 && get_end(spool, 0) <= at)
		remove_first(spool);
}

static int compare_starts(const void *a, const void *b)
{
	const struct file *one = a, *other = b;

	return one->start < other->start ? -1 : one->start > other->start;
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
			r = add_file(spool, start);
	}
	closedir(listing);
	if (spool->count > 0)
		qsort(spool->files, spool->count, sizeof(spool->files[0]), compare_starts);
	return r;
}

/* Counts what is whole, and of what is not as much as its heads tell; *ret_end is behind the last whole
 * entry. 0, or a negative errno. */
static int scan_entries(struct spool *spool, struct file *file, int fd, uint64_t size,
			uint64_t *ret_end)
{
	struct chunk_pool pool = {.spare = NULL};
	uint64_t offset = spool->done.at > file->start ? spool->done.at - file->start : 0;
	uint64_t whole = 0;
	int r = 0;

	*ret_end = offset < size ? offset : size;
	for (uint64_t begin = *ret_end; offset < size && r != -ENOMEM;) {
		struct chunk *chunk = chunk_new(&pool);
		struct entry entry = {.magic = 0};

		r = chunk ? read_entry(fd, offset, chunk, &entry) : -ENOMEM;
		chunk_free(&pool, chunk);
		if (r == 0) {
			file->unread +=
				entry.records - count_sent(spool, file->start + offset, &entry);
			whole += entry_length(&entry);
			*ret_end = offset + entry_length(&entry);
		} else if (r == ENTRY_DAMAGED) {
			spool->lost_records +=
				entry.records - count_sent(spool, file->start + offset, &entry);
		}
		offset = r == -EBADMSG ? find_head(fd, offset + 1, size)
				       : offset + entry_length(&entry);
		if (offset >= size && size - begin > whole)
			log_warning("%s: %" PRIu64 " bytes that are no whole entries are left out",
				    spool->path, size - begin - whole);
	}
	chunk_pool_fini(&pool);
	spool->unread_records += file->unread;
	return r == -ENOMEM ? r : 0;
}

static int scan_file(struct spool *spool, struct file *file, uint64_t *ret_end)
{
	cleanup_close int fd = open_file(spool, file->start, O_RDWR);
	struct stat status;
	uint64_t end;
	int r;

	if (fd < 0 || fstat(fd, &status) < 0)
		return fd < 0 ? fd : -errno;
	r = scan_entries(spool, file, fd, (uint64_t)status.st_size, &end);
	if (r < 0)
		return r;
	/* Places go on behind it. */
	if ((uint64_t)status.st_size > end && ftruncate(fd, (off_t)end) < 0)
		return -errno;
	*ret_end = file->start + end;
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
	while (r == 0 && spool->count > 1 && spool->files[1].start <= spool->done.at)
		remove_first(spool);
	spool->end = spool->done.at;
	for (size_t i = 0; r == 0 && i < spool->count; i++) {
		uint64_t end = 0;

		r = scan_file(spool, &spool->files[i], &end);
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

int spool_open(const struct spool_options *options, struct spool **ret)
{
	cleanup(spool_close_cleanup) struct spool *spool = calloc(1, sizeof(*spool));
	cleanup_free char *clean = strdup(options->name);
	int r;

	if (!spool || !clean)
		return -ENOMEM;
	spool->directory = spool->done_fd = spool->file = -1;
	spool->max_bytes = options->max_bytes;
	spool->format = options->format;
	clean_name(clean);
	if (asprintf(&spool->path, "%s/%s", options->directory, clean) < 0) {
		spool->path = NULL;
		return -ENOMEM;
	}
	r = open_directory(spool);
	if (r < 0) {
		log_error("%s: cannot open the spool %s: %s", options->name, spool->path,
			  r == -EBUSY ? "it is in use" : strerror(-r));
		return r;
	}
	*ret = steal_pointer(&spool);
	return 0;
}

void spool_change(struct spool *spool, uint64_t max_bytes, uint64_t format)
{
	spool->max_bytes = max_bytes;
	spool->told_format &= spool->format == format;
	spool->format = format;
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
	free(spool->files);
	free(spool->path);
	free(spool);
}
