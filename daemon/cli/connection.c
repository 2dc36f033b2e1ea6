/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/connection.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "runtime/control_request.h"

/* Longer than the daemon lets anything wait. */
enum { ANSWER_SECONDS = 30 };

static const char item_start[] = "{\"item\":";

static void tell_forbidden(const char *path)
{
	struct stat status;
	const struct group *group;

	if (stat(path, &status) == 0 && status.st_mode & S_IWGRP &&
	    (group = getgrgid(status.st_gid)))
		fprintf(stderr,
			"procflow: %s may be asked by root and the group %s only:\n"
			"  sudo usermod -aG %s \"$USER\"     (and log in again), or use sudo\n",
			path, group->gr_name, group->gr_name);
	else
		fprintf(stderr, "procflow: %s may be asked by root only: use sudo\n", path);
}

static void tell_absent(const char *path, int error)
{
	if (error == EACCES || error == EPERM)
		tell_forbidden(path);
	else if (error == ENOENT || error == ECONNREFUSED)
		fprintf(stderr,
			"procflow: procflowd does not run: nobody answers at %s\n"
			"  sudo systemctl start procflow     (or see control.socket in its "
			"configuration, and -s)\n",
			path);
	else
		fprintf(stderr, "procflow: %s: %s\n", path, strerror(error));
}

/* A descriptor, or -1 with everything told. */
static int open_socket(const char *path)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr, "procflow: %s: too long for a socket's name\n", path);
		return -1;
	}
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		tell_absent(path, errno);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return steal_fd(&fd);
}

/* A daemon that refuses closes at once: its reason is there to be read all the same. */
static int send_request(int fd, json_t *request)
{
	cleanup_free char *text = NULL;
	size_t length;

	json_object_set_new(request, "version", json_integer(CONTROL_VERSION));
	text = json_dumps(request, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	length = strlen(text);
	text[length] = '\n';
	if (send(fd, text, length + 1, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		return -errno;
	return 0;
}

enum line_kind {
	LINE_HEAD,
	LINE_ITEM,
	LINE_END,
	LINE_ERROR,
	LINE_STRANGE,
};

static enum line_kind read_line(const char *line, size_t length, struct connection_end *end)
{
	enum line_kind kind = LINE_STRANGE;
	json_t *object, *value;

	if (length > sizeof(item_start) && memcmp(line, item_start, sizeof(item_start) - 1) == 0)
		return LINE_ITEM;
	object = json_loadb(line, length, 0, NULL);
	if ((value = json_object_get(object, "error"))) {
		const char *word = json_string_value(value);
		const char *message = json_string_value(json_object_get(object, "message"));

		fprintf(stderr, "procflow: %s (%s)\n", message ? message : "refused",
			word ? word : "?");
		kind = LINE_ERROR;
	} else if ((value = json_object_get(object, "end"))) {
		end->matched = (uint64_t)json_integer_value(json_object_get(value, "matched"));
		end->shown = (uint64_t)json_integer_value(json_object_get(value, "shown"));
		kind = LINE_END;
	} else if (json_object_get(object, "procflow")) {
		kind = LINE_HEAD;
	}
	json_decref(object);
	return kind;
}

static enum connection_outcome read_answer(FILE *stream, const struct connection_handler *handler,
					   struct connection_end *end)
{
	cleanup_free char *line = NULL;
	size_t room = 0;
	ssize_t length;

	while ((length = getline(&line, &room, stream)) > 0) {
		if (line[length - 1] == '\n')
			line[--length] = '\0';
		switch (read_line(line, (size_t)length, end)) {
		case LINE_HEAD:
			break;
		case LINE_ITEM:
			line[length - 1] = '\0'; /* the brace of the line */
			if (handler->on_item(handler->userdata, line + sizeof(item_start) - 1,
					     (size_t)length - sizeof(item_start)) != 0)
				return CONNECTION_FAILED;
			break;
		case LINE_END:
			return CONNECTION_FINE;
		case LINE_ERROR:
			return CONNECTION_FAILED;
		case LINE_STRANGE:
			fputs("procflow: the daemon's answer is not understood\n", stderr);
			return CONNECTION_FAILED;
		}
	}
	fprintf(stderr, "procflow: the answer broke off: %s\n",
		ferror(stream) ? strerror(errno) : "the daemon closed the connection");
	return CONNECTION_FAILED;
}

enum connection_outcome connection_ask(const char *path, json_t *request,
				       const struct connection_handler *handler,
				       struct connection_end *ret)
{
	cleanup_file FILE *stream = NULL;
	int fd = open_socket(path), r;

	if (fd < 0)
		return CONNECTION_ABSENT;
	r = send_request(fd, request);
	if (r == 0 && !(stream = fdopen(fd, "r")))
		r = -errno;
	if (r < 0) {
		fprintf(stderr, "procflow: %s: %s\n", path, strerror(-r));
		close(fd);
		return CONNECTION_FAILED;
	}
	return read_answer(stream, handler, ret);
}
