/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sources/host_report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const words[] = {
	[HOST_OK] = "ok", [HOST_MISSING] = "missing", [HOST_NOTE] = "note"};

void host_report_write(struct host_report *report, enum host_status status, const char *what,
		       const char *format, ...)
{
	va_list arguments;
	char text[1024];

	if (status == HOST_MISSING)
		report->missing++;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (report->out)
		fprintf(report->out, "%-8s %-20s %s\n", words[status], what, text);
	else
		report->on_line(report->userdata, words[status], what, text);
}

bool host_report_has_capability(const struct host_report *report, unsigned capability)
{
	return report->capabilities >> capability & 1;
}

int host_report_read_text(const struct host_report *report, const char *path, struct buffer *text)
{
	cleanup_close int fd = openat(report->proc_fd, path, O_RDONLY | O_CLOEXEC);
	char bytes[4096];
	ssize_t length;

	if (fd < 0)
		return -errno;
	while ((length = read(fd, bytes, sizeof(bytes))) > 0)
		buffer_add(text, bytes, (size_t)length);
	if (length < 0)
		return -errno;
	return text->failed ? -ENOMEM : 0;
}

int host_report_read_number(const struct host_report *report, const char *path, int64_t *ret_number)
{
	struct buffer text;
	char *end;
	int r;

	buffer_init(&text);
	r = host_report_read_text(report, path, &text);
	buffer_add_byte(&text, 0);
	if (r == 0 && !text.failed) {
		int64_t number = strtoll((char *)text.bytes, &end, 10);

		if (end == (char *)text.bytes || (*end != '\n' && *end != '\0'))
			r = -ERANGE;
		else
			*ret_number = number;
	}
	buffer_fini(&text);
	return r;
}

/* The first line that begins with "start", from behind that on; empty where there is none. */
static struct text find_line(struct text text, const char *start)
{
	size_t start_length = strlen(start);

	while (text.length > 0) {
		const char *end = memchr(text.at, '\n', text.length);
		size_t length = end ? (size_t)(end - text.at) : text.length;

		if (length >= start_length && memcmp(text.at, start, start_length) == 0)
			return (struct text){text.at + start_length, length - start_length};
		length += end ? 1 : 0;
		text.at += length;
		text.length -= length;
	}
	return (struct text){0};
}

int host_report_parse_capabilities(struct text status, uint64_t *ret_capabilities)
{
	struct text line = find_line(status, "CapEff:\t");
	char digits[17], *end;
	uint64_t capabilities;

	if (line.length == 0 || line.length >= sizeof(digits))
		return -EBADMSG;
	memcpy(digits, line.at, line.length);
	digits[line.length] = '\0';
	capabilities = strtoull(digits, &end, 16);
	if (*end != '\0')
		return -EBADMSG;
	*ret_capabilities = capabilities;
	return 0;
}

static bool contains(struct text text, const char *word)
{
	return text.length > 0 && memmem(text.at, text.length, word, strlen(word));
}

bool host_report_parse_hidepid(struct text mountinfo)
{
	bool hides = false;

	while (mountinfo.length > 0) {
		const char *end = memchr(mountinfo.at, '\n', mountinfo.length);
		struct text line = {mountinfo.at,
				    end ? (size_t)(end - mountinfo.at) : mountinfo.length};
		size_t taken = line.length + (end ? 1 : 0);

		/* A later mount covers an earlier one. */
		if (contains(line, " /proc ") && contains(line, " - proc "))
			hides = contains(line, "hidepid=") && !contains(line, "hidepid=0") &&
				!contains(line, "hidepid=off");
		mountinfo.at += taken;
		mountinfo.length -= taken;
	}
	return hides;
}
