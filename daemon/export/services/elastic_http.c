/* SPDX-License-Identifier: GPL-2.0-or-later */

/* libcurl says which descriptors it waits for and until when; the loop tells it what happened. What
 * has ended is looked at after that, never from within libcurl's own callbacks, so that the next
 * request may be sent at once. */

#include "export/services/elastic_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"

enum { CONNECT_TIMEOUT_MS = 10000, URL_SIZE = 2048 };

struct elastic_http {
	struct elastic_http_options options;
	char *password;
	CURLM *multi;
	struct list_node watches;
	struct loop_source *timer;
};

struct elastic_request {
	struct elastic_http *http;
	elastic_on_done on_done;
	void *userdata;
	CURL *easy;
	struct curl_slist *headers;
	struct buffer answer;
	char error[CURL_ERROR_SIZE];
	bool is_running;
};

/* What waits for one descriptor of libcurl's. */
struct watch {
	struct list_node node; /* of http->watches */
	struct elastic_http *http;
	struct loop_source *source;
	curl_socket_t fd;
};

DEFINE_CLEANUP(struct elastic_http *, elastic_http_free);
DEFINE_CLEANUP(struct elastic_request *, elastic_request_free);

static void end_request(struct elastic_request *request, CURLcode code)
{
	struct elastic_result result = {.error = (int)code};
	curl_off_t retry_after_s = 0;
	long connects = 0;

	curl_multi_remove_handle(request->http->multi, request->easy);
	request->is_running = false;
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &result.status);
	curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connects);
	result.reason = request->error[0] ? request->error : curl_easy_strerror(code);
	result.answer = (const char *)request->answer.bytes;
	result.length = request->answer.length;
	result.retry_after_ns = retry_after_s > 0 && retry_after_s < 3600
					? (uint64_t)retry_after_s * NS_PER_SEC
					: 0;
	result.is_new_connection = connects > 0 && code == CURLE_OK;
	request->on_done(request->userdata, &result);
}

static void end_requests(struct elastic_http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct elastic_request *request = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		end_request(request, message->data.result);
	}
}

static void act(struct elastic_http *http, curl_socket_t fd, int events)
{
	int running;

	curl_multi_socket_action(http->multi, fd, events, &running);
	end_requests(http);
}

static void on_io(void *userdata, uint32_t events)
{
	const struct watch *watch = userdata;

	act(watch->http, watch->fd,
	    (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
		    (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
}

static void on_timer(void *userdata, uint64_t now_ns)
{
	(void)now_ns;
	act(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static void remove_watch(struct watch *watch)
{
	list_remove(&watch->node);
	loop_source_free(watch->source);
	free(watch);
}

static struct watch *add_watch(struct elastic_http *http, curl_socket_t fd, uint32_t events)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	*watch = (struct watch){.http = http, .fd = fd};
	if (loop_add_io(http->options.loop, fd, events, on_io, watch, &watch->source) < 0) {
		free(watch);
		return NULL;
	}
	list_add_tail(&http->watches, &watch->node);
	curl_multi_assign(http->multi, fd, watch);
	return watch;
}

/* Never an error, which would end all requests of libcurl's for good: at the end of the program the loop
 * takes nothing any more, and elastic_http_run() does without it; and a request without a watch ends by
 * its timeout. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
	uint32_t events =
		(what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	struct elastic_http *http = userdata;
	struct watch *watch = socket_data;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch)
			remove_watch(watch);
		return 0;
	}
	if (watch)
		(void)loop_source_set_events(watch->source, events);
	else
		(void)add_watch(http, fd, events);
	return 0;
}

static int on_timeout(CURLM *multi, long timeout_ms, void *userdata)
{
	struct elastic_http *http = userdata;
	uint64_t when_ns =
		timeout_ms < 0 ? UINT64_MAX : clock_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;

	(void)multi;
	(void)loop_source_set_time(http->timer, when_ns);
	return 0;
}

int elastic_http_new(const struct elastic_http_options *options, struct elastic_http **ret)
{
	cleanup(elastic_http_free_cleanup) struct elastic_http *http = calloc(1, sizeof(*http));
	int r;

	if (!http)
		return -ENOMEM;
	http->options = *options;
	list_init(&http->watches);
	r = loop_add_timer(options->loop, UINT64_MAX, on_timer, http, &http->timer);
	if (r < 0)
		return r;
	http->multi = curl_multi_init();
	if (!http->multi)
		return -ENOMEM;
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	*ret = steal_pointer(&http);
	return 0;
}

void elastic_http_free(struct elastic_http *http)
{
	struct list_node *node;

	if (!http)
		return;
	if (http->multi)
		curl_multi_cleanup(http->multi);
	while ((node = list_first(&http->watches)))
		remove_watch(container_of(node, struct watch, node));
	loop_source_free(http->timer);
	if (http->password)
		explicit_bzero(http->password, strlen(http->password));
	free(http->password);
	free(http);
}

int elastic_http_set_password(struct elastic_http *http, const char *password)
{
	char *copy = strdup(password);

	if (!copy)
		return -ENOMEM;
	if (http->password)
		explicit_bzero(http->password, strlen(http->password));
	free(http->password);
	http->password = copy;
	return 0;
}

void elastic_http_run(struct elastic_http *http, uint64_t until_ns)
{
	uint64_t now_ns = clock_now_ns();
	int running;

	curl_multi_perform(http->multi, &running);
	if (running > 0 && now_ns < until_ns) {
		uint64_t wait_ms = (until_ns - now_ns) / NS_PER_MS + 1;

		curl_multi_wait(http->multi, NULL, 0, wait_ms < 1000 ? (int)wait_ms : 1000, NULL);
		curl_multi_perform(http->multi, &running);
	}
	end_requests(http);
}

static size_t on_answer(char *bytes, size_t size, size_t count, void *userdata)
{
	struct elastic_request *request = userdata;

	if (request->answer.length + size * count > ELASTIC_ANSWER_MAX)
		return 0;
	buffer_add(&request->answer, bytes, size * count);
	return request->answer.failed ? 0 : size * count;
}

/* What is the same for all requests. */
static void set_up(struct elastic_request *request)
{
	const struct elastic_http_options *options = &request->http->options;
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(options->timeout_ns / NS_PER_MS));
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "procflow/" PROCFLOW_VERSION);
	if (options->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
	if (options->username) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, options->username);
	}
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else the end waits for a thread that waits for the resolver. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

int elastic_request_new(struct elastic_http *http, elastic_on_done on_done, void *userdata,
			struct elastic_request **ret)
{
	cleanup(elastic_request_free_cleanup) struct elastic_request *request =
		calloc(1, sizeof(*request));

	if (!request)
		return -ENOMEM;
	buffer_init(&request->answer);
	request->http = http;
	request->on_done = on_done;
	request->userdata = userdata;
	request->easy = curl_easy_init();
	if (!request->easy)
		return -ENOMEM;
	set_up(request);
	*ret = steal_pointer(&request);
	return 0;
}

void elastic_request_free(struct elastic_request *request)
{
	if (!request)
		return;
	if (request->is_running)
		curl_multi_remove_handle(request->http->multi, request->easy);
	if (request->easy)
		curl_easy_cleanup(request->easy);
	curl_slist_free_all(request->headers);
	buffer_fini(&request->answer);
	free(request);
}

static int set_headers(struct elastic_request *request, const struct elastic_content *content)
{
	struct curl_slist *headers = NULL, *longer;
	const char *lines[] = {NULL, "Expect:", "Content-Encoding: gzip"};
	char type[128];

	snprintf(type, sizeof(type), "Content-Type: %s", content->type);
	lines[0] = type;
	for (size_t i = 0; i < (content->is_gzip ? 3 : 2); i++) {
		longer = curl_slist_append(headers, lines[i]);
		if (!longer) {
			curl_slist_free_all(headers);
			return -ENOMEM;
		}
		headers = longer;
	}
	curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, headers);
	curl_slist_free_all(request->headers);
	request->headers = headers;
	return 0;
}

int elastic_request_send(struct elastic_request *request, const struct elastic_content *content)
{
	char url[URL_SIZE];
	int length = snprintf(url, sizeof(url), "%s%s", request->http->options.url, content->path);

	if (length >= URL_SIZE || set_headers(request, content) < 0)
		return -ENOMEM;
	buffer_clear(&request->answer);
	request->error[0] = '\0';
	curl_easy_setopt(request->easy, CURLOPT_URL, url);
	curl_easy_setopt(request->easy, CURLOPT_PASSWORD, request->http->password);
	curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)content->length);
	curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, content->body);
	curl_easy_setopt(request->easy, CURLOPT_CUSTOMREQUEST, content->method);
	if (curl_multi_add_handle(request->http->multi, request->easy) != CURLM_OK)
		return -ENOMEM;
	request->is_running = true;
	return 0;
}
