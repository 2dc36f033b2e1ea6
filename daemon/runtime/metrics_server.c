/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/metrics_server.h"

#include <errno.h>
#include <stdlib.h>

#include "base/macros.h"

#ifdef HAVE_LIBMICROHTTPD

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct metrics_server {
	struct metrics_server_options options;
	struct metrics_server_counters counters;
	struct MHD_Daemon *http;
	struct loop_source *source, *timer;
	int listen_fd; /* the library's once it runs */
};

DEFINE_CLEANUP(struct metrics_server *, metrics_server_free);

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
			      const void *bytes, size_t length)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		length, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct metrics_server *server, struct MHD_Connection *connection,
			      unsigned status, const char *text)
{
	server->counters.refused++;
	return answer(connection, status, "text/plain", text, strlen(text));
}

static enum MHD_Result serve(struct metrics_server *server, struct MHD_Connection *connection)
{
	enum MHD_Result result = MHD_NO;
	struct buffer page;

	buffer_init(&page);
	server->options.encode(server->options.userdata, &page);
	if (!page.failed)
		result = answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4", page.bytes,
				page.length);
	server->counters.served += result == MHD_YES;
	buffer_fini(&page);
	return result;
}

/* The library calls first when the head is there, and again when the request is whole. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection,
				  const char *path, const char *method, unused const char *version,
				  unused const char *upload, unused size_t *upload_length,
				  void **is_whole)
{
	static const int marker;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(userdata, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
	if (!*is_whole) {
		*is_whole = (void *)(uintptr_t)&marker;
		return MHD_YES;
	}
	if (strcmp(path, "/metrics") != 0)
		return refuse(userdata, connection, MHD_HTTP_NOT_FOUND, "see /metrics\n");
	return serve(userdata, connection);
}

/* At the limit of connections the library leaves the listening socket alone, and takes it up again in
 * the call after the one in which a connection ended: so there are two. */
static void run(struct metrics_server *server)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	MHD_run(server->http);
	MHD_run(server->http);
	if (MHD_get_timeout(server->http, &wait_ms) == MHD_YES)
		loop_source_set_time(server->timer, clock_now_ns() + wait_ms * NS_PER_MS);
}

static void on_ready(void *userdata, unused uint32_t events)
{
	run(userdata);
}

static void on_timer(void *userdata, unused uint64_t now_ns)
{
	run(userdata);
}

static int open_socket(const struct metrics_server_options *options)
{
	bool is_v4 = options->family == IP_FAMILY_V4;
	cleanup_close int fd =
		socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(options->port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(options->port)};
	int one = 1;

	if (fd < 0)
		return -errno;
	memcpy(&v4.sin_addr, options->address.bytes, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, options->address.bytes, sizeof(v6.sin6_addr));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
		 is_v4 ? sizeof(v4) : sizeof(v6)) < 0 ||
	    listen(fd, METRICS_CONNECTIONS_MAX) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int start(struct metrics_server *server, struct loop *loop)
{
	const union MHD_DaemonInfo *info;
	int r;

	server->http = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET,
		server->listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)METRICS_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)METRICS_CONNECTION_SECONDS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)METRICS_CONNECTION_BYTES,
		MHD_OPTION_END);
	if (!server->http)
		return -ENOMEM;
	server->listen_fd = -1;
	info = MHD_get_daemon_info(server->http, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EINVAL;
	r = loop_add_timer(loop, UINT64_MAX, on_timer, server, &server->timer);
	if (r < 0)
		return r;
	return loop_add_io(loop, info->epoll_fd, EPOLLIN, on_ready, server, &server->source);
}

int metrics_server_new(struct loop *loop, const struct metrics_server_options *options,
		       struct metrics_server **ret)
{
	cleanup(metrics_server_free_cleanup) struct metrics_server *server =
		calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->options = *options;
	server->listen_fd = open_socket(options);
	if (server->listen_fd < 0)
		return server->listen_fd;
	r = start(server, loop);
	if (r < 0)
		return r;
	*ret = steal_pointer(&server);
	return 0;
}

void metrics_server_free(struct metrics_server *server)
{
	if (!server)
		return;
	loop_source_free(server->source);
	loop_source_free(server->timer);
	if (server->http)
		MHD_stop_daemon(server->http);
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	free(server);
}

const struct metrics_server_counters *
metrics_server_get_counters(const struct metrics_server *server)
{
	return &server->counters;
}

#else

int metrics_server_new(unused struct loop *loop,
		       unused const struct metrics_server_options *options,
		       unused struct metrics_server **ret)
{
	return -EOPNOTSUPP;
}

void metrics_server_free(unused struct metrics_server *server)
{
}

const struct metrics_server_counters *
metrics_server_get_counters(unused const struct metrics_server *server)
{
	return NULL;
}

#endif
