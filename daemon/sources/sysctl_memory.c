/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/sysctl_memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static const char first_line[] = "procflow-sysctl 1";

void sysctl_memory_format_name(bool of_namespace, const struct sysctl_place *place,
			       char name[SYSCTL_MEMORY_NAME_SIZE])
{
	if (of_namespace)
		snprintf(name, SYSCTL_MEMORY_NAME_SIZE, SYSCTL_MEMORY_PREFIX "net-%" PRIu64,
			 place->netns_inode);
	else
		snprintf(name, SYSCTL_MEMORY_NAME_SIZE, SYSCTL_MEMORY_PREFIX "kernel");
}

void sysctl_memory_encode(const struct sysctl_memory *memory, struct buffer *out)
{
	const struct sysctl_place *place = &memory->place;

	buffer_add_format(out, "%s\nboot %s\nnetns %" PRIu64 " %" PRIu64 "\n", first_line,
			  place->boot_id, place->netns_inode, place->netns_cookie);
	for (size_t i = 0; i < memory->changes.count; i++) {
		const struct sysctl_change *change = &memory->changes.items[i];

		buffer_add_format(out, "change %s %u %u", sysctl_rows[change->key].dotted,
				  change->old_value, change->new_value);
		if (change->since_ns > 0)
			buffer_add_format(out, " %" PRIu64, change->since_ns);
		buffer_add_text(out, "\n");
	}
	buffer_add_text(out, "end\n");
}

/* Cuts the first line off; false where no line feed ends it. */
static bool take_line(struct text *rest, struct text *ret_line)
{
	const char *end = rest->length ? memchr(rest->at, '\n', rest->length) : NULL;

	if (!end)
		return false;
	*ret_line = (struct text){rest->at, (size_t)(end - rest->at)};
	rest->length -= ret_line->length + 1;
	rest->at = end + 1;
	return true;
}

/* Cuts the first word off; words are parted by one space. Empty where there is none. */
static struct text take_word(struct text *line)
{
	const char *end = line->length ? memchr(line->at, ' ', line->length) : NULL;
	struct text word = {line->at, end ? (size_t)(end - line->at) : line->length};
	size_t taken = word.length + (end ? 1 : 0);

	line->at += taken;
	line->length -= taken;
	return word;
}

static bool is_word(struct text text, const char *string)
{
	return text.length == strlen(string) && memcmp(text.at, string, text.length) == 0;
}

static bool take_number(struct text *line, uint64_t most, uint64_t *ret_value)
{
	struct text word = take_word(line);
	uint64_t value = 0;

	if (word.length == 0)
		return false;
	for (size_t i = 0; i < word.length; i++) {
		if (!isdigit((unsigned char)word.at[i]) ||
		    __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(word.at[i] - '0'), &value))
			return false;
	}
	*ret_value = value;
	return value <= most;
}

static bool parse_boot(struct text *rest, struct sysctl_place *place)
{
	struct text line, word;

	if (!take_line(rest, &line) || !is_word(take_word(&line), "boot"))
		return false;
	word = take_word(&line);
	if (word.length != BOOT_ID_SIZE - 1 || line.length > 0)
		return false;
	for (size_t i = 0; i < word.length; i++)
		if (!isxdigit((unsigned char)word.at[i]) && word.at[i] != '-')
			return false;
	memcpy(place->boot_id, word.at, word.length);
	place->boot_id[word.length] = '\0';
	return true;
}

static bool parse_netns(struct text *rest, struct sysctl_place *place)
{
	struct text line;

	return take_line(rest, &line) && is_word(take_word(&line), "netns") &&
	       take_number(&line, UINT64_MAX, &place->netns_inode) &&
	       take_number(&line, UINT64_MAX, &place->netns_cookie) && line.length == 0;
}

static bool find_key(struct text word, const struct sysctl_changes *known, enum sysctl_key *ret_key)
{
	for (unsigned key = 0; key < SYSCTL_KEYS; key++) {
		if (!is_word(word, sysctl_rows[key].dotted))
			continue;
		for (size_t i = 0; i < known->count; i++)
			if (known->items[i].key == key)
				return false;
		*ret_key = key;
		return true;
	}
	return false;
}

static bool parse_change(struct text line, struct sysctl_changes *changes)
{
	struct sysctl_change change = {0};
	uint64_t old_value, new_value;

	if (!is_word(take_word(&line), "change") ||
	    !find_key(take_word(&line), changes, &change.key) ||
	    !take_number(&line, 255, &old_value) || !take_number(&line, 255, &new_value))
		return false;
	if (line.length > 0 && (!take_number(&line, UINT64_MAX, &change.since_ns) || line.length))
		return false;
	change.old_value = (unsigned)old_value;
	change.new_value = (unsigned)new_value;
	changes->items[changes->count++] = change;
	return true;
}

int sysctl_memory_parse(struct text text, struct sysctl_memory *ret_memory)
{
	struct sysctl_memory memory = {0};
	struct text line;

	if (!take_line(&text, &line) || !is_word(line, first_line) ||
	    !parse_boot(&text, &memory.place) || !parse_netns(&text, &memory.place))
		return -EBADMSG;
	for (;;) {
		if (!take_line(&text, &line))
			return -EBADMSG;
		if (is_word(line, "end"))
			break;
		if (!parse_change(line, &memory.changes))
			return -EBADMSG;
	}
	if (text.length > 0)
		return -EBADMSG;
	*ret_memory = memory;
	return 0;
}

enum sysctl_relation sysctl_memory_relate(const struct sysctl_place *remembered,
					  const struct sysctl_place *ours, enum sysctl_key key)
{
	if (strcmp(remembered->boot_id, ours->boot_id) != 0)
		return SYSCTL_RELATION_NOWHERE;
	if (!sysctl_rows[key].of_namespace)
		return SYSCTL_RELATION_HERE;
	if (remembered->netns_inode != ours->netns_inode)
		return SYSCTL_RELATION_AWAY;
	return remembered->netns_cookie == ours->netns_cookie ? SYSCTL_RELATION_HERE
							      : SYSCTL_RELATION_NOWHERE;
}

static uint64_t read_netns_cookie(void)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie;
	socklen_t length = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) < 0)
		return 0;
	return cookie;
}

int sysctl_place_read(int root_fd, struct sysctl_place *ret_place)
{
	cleanup_close int fd = openat(root_fd, "kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	struct sysctl_place place = {0};
	struct stat status;
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, place.boot_id, sizeof(place.boot_id) - 1);
	if (length < 0)
		return -errno;
	if (length != sizeof(place.boot_id) - 1)
		return -EBADMSG;
	if (stat("/proc/thread-self/ns/net", &status) < 0)
		return -errno;
	place.netns_inode = status.st_ino;
	place.netns_cookie = read_netns_cookie();
	*ret_place = place;
	return 0;
}
