/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/cgroup.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

enum { ID_LENGTH = 64, SHORT_ID_LENGTH = 12, ECS_ID_LENGTH = 32 };

static const char deleted_suffix[] = " (deleted)";

static bool is_equal(struct text text, const char *word)
{
	return text.length == strlen(word) && memcmp(text.at, word, text.length) == 0;
}

static bool begins_with(struct text text, const char *word)
{
	return text.length >= strlen(word) && memcmp(text.at, word, strlen(word)) == 0;
}

static bool ends_with(struct text text, const char *word)
{
	size_t length = strlen(word);

	return text.length >= length && memcmp(text.at + text.length - length, word, length) == 0;
}

/* Cuts the text up to "separator" off "rest"; false where nothing is left. */
static bool take_part(struct text *rest, char separator, struct text *ret)
{
	const char *end;

	if (rest->length == 0)
		return false;
	end = memchr(rest->at, separator, rest->length);
	*ret = (struct text){rest->at, end ? (size_t)(end - rest->at) : rest->length};
	rest->at += ret->length + (end ? 1 : 0);
	rest->length -= ret->length + (end ? 1 : 0);
	return true;
}

/* The next component that is not empty. */
static bool take_component(struct text *rest, struct text *ret)
{
	while (take_part(rest, '/', ret))
		if (ret->length > 0)
			return true;
	return false;
}

/* Rank of a hierarchy by its controllers; -1: not looked at. */
static int find_rank(struct text hierarchy, struct text controllers)
{
	struct text controller;

	if (is_equal(hierarchy, "0") && controllers.length == 0)
		return 0;
	if (is_equal(controllers, "name=systemd"))
		return 1;
	while (take_part(&controllers, ',', &controller))
		if (is_equal(controller, "memory"))
			return 2;
	return -1;
}

bool cgroup_parse_file(struct text file, struct text *ret_path)
{
	struct text paths[3] = {{0}}, line, hierarchy, controllers;
	char word[CGROUP_UNIT_SIZE];
	const struct text *first = NULL;

	while (take_part(&file, '\n', &line)) {
		int rank = -1;

		/* The path may hold colons; the controllers may be none. */
		if (take_part(&line, ':', &hierarchy) && take_part(&line, ':', &controllers))
			rank = find_rank(hierarchy, controllers);
		if (rank < 0 || line.length == 0 || line.at[0] != '/')
			continue;
		/* cgroup_show_path() of a cgroup that was removed below its last process. */
		if (ends_with(line, deleted_suffix))
			line.length -= sizeof(deleted_suffix) - 1;
		paths[rank] = line;
	}
	for (size_t i = 0; i < array_length(paths); i++) {
		if (paths[i].length && cgroup_find_container(paths[i], word)) {
			*ret_path = paths[i];
			return true;
		}
	}
	for (size_t i = 0; i < array_length(paths) && !first; i++)
		if (paths[i].length && cgroup_find_unit(paths[i], word))
			first = &paths[i];
	for (size_t i = 0; i < array_length(paths) && !first; i++)
		if (paths[i].length > 1)
			first = &paths[i];
	for (size_t i = 0; i < array_length(paths) && !first; i++)
		if (paths[i].length)
			first = &paths[i];
	if (!first)
		return false;
	*ret_path = *first;
	return true;
}

static bool is_hex(const char *at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!(at[i] >= '0' && at[i] <= '9') && !(at[i] >= 'a' && at[i] <= 'f'))
			return false;
	return true;
}

static bool is_digits(const char *at, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isdigit((unsigned char)at[i]))
			return false;
	return length > 0;
}

static void copy(struct text text, char *out, size_t size)
{
	size_t length = text.length < size ? text.length : size - 1;

	memcpy(out, text.at, length);
	out[length] = '\0';
}

/* [RUNTIME-]ID[.scope], 64 digits: docker-ID.scope, libpod-ID.scope, crio-ID,
 * cri-containerd-ID.scope, kubepods-...-podUID.slice:cri-containerd:ID, or the id alone. */
static bool find_id(struct text part, char ret[CGROUP_CONTAINER_SIZE])
{
	struct text before = part;

	if (ends_with(part, ".scope"))
		part.length -= strlen(".scope");
	if (part.length < ID_LENGTH)
		return false;
	before.length = part.length - ID_LENGTH;
	if (!is_hex(part.at + before.length, ID_LENGTH))
		return false;
	if (before.length && !ends_with(before, "-") && !ends_with(before, ":"))
		return false;
	if (ends_with(before, "conmon-"))
		return false;
	copy((struct text){part.at + before.length, SHORT_ID_LENGTH}, ret, CGROUP_CONTAINER_SIZE);
	return true;
}

/* Fargate: /ecs/TASK/TASK-DIGITS, the task's id of 32 hex digits. */
static bool find_ecs_id(struct text part, char ret[CGROUP_CONTAINER_SIZE])
{
	if (part.length <= ECS_ID_LENGTH + 1 || !is_hex(part.at, ECS_ID_LENGTH) ||
	    part.at[ECS_ID_LENGTH] != '-' ||
	    !is_digits(part.at + ECS_ID_LENGTH + 1, part.length - ECS_ID_LENGTH - 1))
		return false;
	copy((struct text){part.at, SHORT_ID_LENGTH}, ret, CGROUP_CONTAINER_SIZE);
	return true;
}

static int digit_value(char digit)
{
	return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

/* unit_name_unescape() in systemd's unit-name.c: "-" is "/", which no machine's name has. */
static void unescape(struct text text, char *out, size_t size)
{
	size_t written = 0;

	for (size_t i = 0; i < text.length && written + 1 < size; i++) {
		if (text.at[i] == '\\' && text.length - i >= 4 && text.at[i + 1] == 'x' &&
		    is_hex(text.at + i + 2, 2)) {
			out[written++] = (char)(digit_value(text.at[i + 2]) * 16 +
						digit_value(text.at[i + 3]));
			i += 3;
		} else {
			out[written++] = text.at[i];
		}
	}
	out[written] = '\0';
}

static bool take_between(struct text part, const char *prefix, const char *suffix,
			 char ret[CGROUP_CONTAINER_SIZE])
{
	if (!begins_with(part, prefix) || !ends_with(part, suffix) ||
	    part.length <= strlen(prefix) + strlen(suffix))
		return false;
	part.at += strlen(prefix);
	part.length -= strlen(prefix) + strlen(suffix);
	unescape(part, ret, CGROUP_CONTAINER_SIZE);
	return true;
}

/* systemd-nspawn@NAME.service, and machine-NAME.scope of machined: nspawn by hand, libvirt. */
static bool find_machine(struct text part, struct text parent, char ret[CGROUP_CONTAINER_SIZE])
{
	char name[CGROUP_CONTAINER_SIZE];

	if (take_between(part, "systemd-nspawn@", ".service", ret))
		return true;
	if (!is_equal(parent, "machine.slice") || !take_between(part, "machine-", ".scope", name) ||
	    strncmp(name, "qemu-", 5) == 0)
		return false;
	memcpy(ret, name, sizeof(name));
	return true;
}

/* lxc.payload.NAME (4.0), lxc.payload/NAME, lxc/NAME (before). */
static bool find_lxc(struct text part, struct text parent, char ret[CGROUP_CONTAINER_SIZE])
{
	if (take_between(part, "lxc.payload.", "", ret))
		return true;
	if (!is_equal(parent, "lxc") && !is_equal(parent, "lxc.payload"))
		return false;
	copy(part, ret, CGROUP_CONTAINER_SIZE);
	return true;
}

bool cgroup_find_container(struct text path, char ret[CGROUP_CONTAINER_SIZE])
{
	struct text part, parent = {0}, grandparent = {0};
	char found[CGROUP_CONTAINER_SIZE] = "", before[CGROUP_CONTAINER_SIZE] = "";
	bool was_found = false;

	while (take_component(&path, &part)) {
		if (was_found && is_equal(part, "supervisor")) {
			memcpy(found, before, sizeof(found));
		} else {
			char id[CGROUP_CONTAINER_SIZE];

			was_found = find_id(part, id) || find_machine(part, parent, id) ||
				    find_lxc(part, parent, id) ||
				    (is_equal(grandparent, "ecs") && find_ecs_id(part, id));
			if (was_found) {
				memcpy(before, found, sizeof(before));
				memcpy(found, id, sizeof(found));
			}
		}
		grandparent = parent;
		parent = part;
	}
	if (!found[0])
		return false;
	memcpy(ret, found, sizeof(found));
	return true;
}

static bool is_slice(struct text part)
{
	return part.length > strlen(".slice") && ends_with(part, ".slice");
}

/* The types of unit that have processes. */
static bool is_unit(struct text part)
{
	static const char *const suffixes[] = {".service", ".scope", ".socket", ".mount", ".swap"};

	for (size_t i = 0; i < array_length(suffixes); i++)
		if (part.length > strlen(suffixes[i]) && ends_with(part, suffixes[i]))
			return true;
	return false;
}

/* The first unit behind the slices that "path" begins with, and the last of those. */
static bool take_unit(struct text *path, struct text *ret_unit, struct text *ret_slice)
{
	struct text part;

	while (take_component(path, &part)) {
		/* cg_escape(): names that look like the kernel's own files. */
		if (part.at[0] == '_' && part.length > 1)
			part = (struct text){part.at + 1, part.length - 1};
		if (!is_slice(part)) {
			*ret_unit = part;
			return is_unit(part);
		}
		*ret_slice = part;
	}
	return false;
}

bool cgroup_find_unit(struct text path, char ret[CGROUP_UNIT_SIZE])
{
	struct text unit = {0}, slice = {0}, inner, inner_slice;

	if (!take_unit(&path, &unit, &slice))
		unit = slice;
	else if (begins_with(unit, "user@") && ends_with(unit, ".service") &&
		 take_unit(&path, &inner, &inner_slice) && !is_equal(inner, "init.scope"))
		unit = inner;
	if (unit.length == 0 || unit.length >= CGROUP_UNIT_SIZE)
		return false;
	copy(unit, ret, CGROUP_UNIT_SIZE);
	return true;
}
