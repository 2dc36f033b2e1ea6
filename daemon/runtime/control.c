/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A client is in one of three states. While it asks, bytes are read into one line of fixed length.
 * While it is answered, each time that its socket takes something and the last piece is all gone,
 * the next piece is made; so a client that does not read costs nothing but its place, and several are
 * served in turn, as the loop serves descriptors of one priority. When the answer is whole, what is
 * left of it is sent, and the client is closed. One timer looks after all deadlines. */

#include "runtime/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/list.h"
#include "runtime/control_socket.h"

enum client_state {
	CLIENT_ASKS,
	CLIENT_IS_ANSWERED,
	CLIENT_ENDS,
};

struct client {
	struct list_node node;
	struct control *control;
	struct loop_source *source;
	struct buffer out;
	size_t sent; /* of "out" */
	void *query;
	uint64_t since_ns, progress_ns;
	size_t asked; /* bytes of "request" */
	int fd;
	enum client_state state;
	char request[CONTROL_REQUEST_BYTES];
};

struct control {
	struct loop *loop;
	struct control_handler handler;
	struct control_counters counters;
	struct control_socket socket;
	struct loop_source *source, *timer;
	struct list_node clients;
	gid_t group;
	bool is_paused; /* nothing is accepted: descriptors ran out */
};

DEFINE_CLEANUP(struct control *, control_free);

static void free_client(struct client *client)
{
	struct control *control = client->control;

	if (client->query)
		control->handler.close(control->handler.userdata, client->query);
	list_remove(&client->node);
	loop_source_free(client->source);
	buffer_fini(&client->out);
	close(client->fd);
	control->counters.clients--;
	free(client);
}

static void add_error(struct buffer *out, const char *word, const char *message)
{
	json_text_open_object(out, NULL);
	json_text_add_string(out, "error", text_from(word));
	json_text_add_string(out, "message", text_from(message));
	json_text_close_object(out);
	buffer_add_byte(out, '\n');
}

void control_add_item_begin(struct buffer *out)
{
	buffer_add_text(out, "{\"item\":");
}

void control_add_item_end(struct buffer *out)
{
	buffer_add(out, "}\n", 2);
}

void control_add_end(struct buffer *out, uint64_t matched, uint64_t shown)
{
	json_text_open_object(out, NULL);
	json_text_open_object(out, "end");
	json_text_add_number(out, "matched", matched);
	json_text_add_number(out, "shown", shown);
	json_text_close_object(out);
	json_text_close_object(out);
	buffer_add_byte(out, '\n');
}

static void begin_answer(struct client *client, const struct control_request *request)
{
	json_text_open_object(&client->out, NULL);
	json_text_add_number(&client->out, "procflow", CONTROL_VERSION);
	json_text_add_string(&client->out, "command", text_from(request->command));
	json_text_close_object(&client->out);
	buffer_add_byte(&client->out, '\n');
	client->state = CLIENT_IS_ANSWERED;
}

static void refuse_request(struct client *client, const char *word, const char *message)
{
	add_error(&client->out, word, message);
	client->state = CLIENT_ENDS;
}

static void open_query(struct client *client, size_t length)
{
	struct control *control = client->control;
	struct control_request request;
	struct control_refusal refusal = {.word = "failed", .reason = "out of memory"};
	int r = control_request_parse(client->request, length, &request, &refusal);

	if (r == 0)
		r = control->handler.open(control->handler.userdata, &request, &client->query,
					  &refusal);
	if (r == 0) {
		begin_answer(client, &request);
		return;
	}
	if (r == -EINVAL)
		control->counters.refused_requests++;
	else
		control->counters.no_memory++;
	refuse_request(client, refusal.word, refusal.reason);
}

/* Sends what there is. False: the client is gone. */
static bool send_piece(struct client *client, uint64_t now_ns)
{
	struct buffer *out = &client->out;

	while (client->sent < out->length) {
		ssize_t taken = send(client->fd, out->bytes + client->sent,
				     out->length - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (taken < 0)
			return errno == EAGAIN || errno == EINTR;
		client->sent += (size_t)taken;
		client->progress_ns = now_ns;
	}
	buffer_clear(out);
	client->sent = 0;
	return true;
}

static void make_piece(struct client *client, uint64_t now_ns)
{
	struct control *control = client->control;
	int r = control->handler.step(control->handler.userdata, client->query, &client->out);

	client->progress_ns = now_ns;
	if (r == CONTROL_MORE && !client->out.failed)
		return;
	if (r < 0 || client->out.failed) {
		control->counters.no_memory++;
		buffer_clear(&client->out);
		add_error(&client->out, "failed", "out of memory");
	}
	client->state = CLIENT_ENDS;
}

/* One piece a turn. */
static void on_writable(struct client *client, uint64_t now_ns)
{
	if (client->out.length == 0 && client->state == CLIENT_IS_ANSWERED)
		make_piece(client, now_ns);
	if (!send_piece(client, now_ns)) {
		client->control->counters.hangups++;
		free_client(client);
		return;
	}
	if (client->state != CLIENT_ENDS || client->out.length > 0)
		return;
	if (client->query)
		client->control->counters.answered++;
	free_client(client);
}

/* What comes behind the request is not read: closing tells the client so. */
static void on_readable(struct client *client, uint64_t now_ns)
{
	size_t room = sizeof(client->request) - client->asked;
	ssize_t length = recv(client->fd, client->request + client->asked, room, MSG_DONTWAIT);
	const char *end;

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0) {
		client->control->counters.hangups++;
		free_client(client);
		return;
	}
	end = memchr(client->request + client->asked, '\n', (size_t)length);
	client->asked += (size_t)length;
	if (end) {
		open_query(client, (size_t)(end - client->request));
	} else if (client->asked == sizeof(client->request)) {
		client->control->counters.refused_too_long++;
		refuse_request(client, "too-long", "a request is one line of at most 4096 bytes");
	} else {
		return;
	}
	client->progress_ns = now_ns;
	loop_source_set_events(client->source, EPOLLOUT);
}

static void on_client(void *userdata, uint32_t events)
{
	struct client *client = userdata;
	uint64_t now_ns = clock_now_ns();

	if (client->state == CLIENT_ASKS) {
		on_readable(client, now_ns);
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		client->control->counters.hangups++;
		free_client(client);
	} else {
		on_writable(client, now_ns);
	}
}

/* The socket's own buffer holds the line: nobody is waited for. */
static void turn_away(int fd, const char *word, const char *message)
{
	struct buffer out;

	buffer_init(&out);
	add_error(&out, word, message);
	if (!out.failed)
		(void)!send(fd, out.bytes, out.length, MSG_DONTWAIT | MSG_NOSIGNAL);
	buffer_fini(&out);
}

static bool is_admitted(struct control *control, int fd)
{
	size_t most = CONTROL_CLIENTS_MAX - CONTROL_CLIENTS_RESERVED;
	bool is_member;
	uid_t user;

	if (control_socket_read_peer(fd, &user, control->group, &is_member) < 0 ||
	    (user != 0 && user != geteuid() && !is_member)) {
		control->counters.refused_peers++;
		turn_away(fd, "not-allowed",
			  "only root and the members of the group in control.group may ask");
		return false;
	}
	if (control->counters.clients >= (user == 0 ? CONTROL_CLIENTS_MAX : most)) {
		control->counters.refused_full++;
		turn_away(fd, "busy", "too many clients are being answered: try again");
		return false;
	}
	return true;
}

static int add_client(struct control *control, int fd)
{
	struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return -ENOMEM;
	*client = (struct client){
		.control = control, .fd = fd, .since_ns = clock_now_ns(), .state = CLIENT_ASKS};
	buffer_init(&client->out);
	r = loop_add_io(control->loop, fd, EPOLLIN, on_client, client, &client->source);
	if (r < 0) {
		free(client);
		return r;
	}
	list_add_tail(&control->clients, &client->node);
	if (control->counters.clients++ == 0)
		loop_source_set_time(control->timer, client->since_ns + NS_PER_SEC);
	return 0;
}

/* Without descriptors accept(2) fails and the socket stays readable: it is left alone for a second. */
static void pause_accepting(struct control *control)
{
	control->counters.accept_errors++;
	control->is_paused = true;
	loop_source_set_events(control->source, 0);
	loop_source_set_time(control->timer, clock_now_ns() + NS_PER_SEC);
}

static void on_connections(void *userdata, unused uint32_t events)
{
	struct control *control = userdata;

	for (int i = 0; i < CONTROL_ACCEPTS_PER_TURN; i++) {
		int fd = accept4(control->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS)
				pause_accepting(control);
			return;
		}
		control->counters.accepted++;
		if (!is_admitted(control, fd)) {
			close(fd);
		} else if (add_client(control, fd) < 0) {
			control->counters.no_memory++;
			close(fd);
		}
	}
}

static uint64_t *find_overdue(struct client *client, uint64_t now_ns)
{
	struct control_counters *counters = &client->control->counters;
	uint64_t age_ns = now_ns - client->since_ns;

	if (client->state == CLIENT_ASKS)
		return age_ns > CONTROL_REQUEST_SECONDS * NS_PER_SEC ? &counters->timeouts_request
								     : NULL;
	if (age_ns > CONTROL_ANSWER_SECONDS * NS_PER_SEC)
		return &counters->timeouts_answer;
	return now_ns - client->progress_ns > CONTROL_STALL_SECONDS * NS_PER_SEC
		       ? &counters->timeouts_stalled
		       : NULL;
}

static void on_timer(void *userdata, uint64_t now_ns)
{
	struct control *control = userdata;

	list_for_each_safe (node, &control->clients) {
		struct client *client = container_of(node, struct client, node);
		uint64_t *counter = find_overdue(client, now_ns);

		if (!counter)
			continue;
		++*counter;
		free_client(client);
	}
	if (control->is_paused) {
		control->is_paused = false;
		loop_source_set_events(control->source, EPOLLIN);
	}
	if (control->counters.clients > 0)
		loop_source_set_time(control->timer, now_ns + NS_PER_SEC);
}

static int open_sources(struct control *control)
{
	int r = loop_add_timer(control->loop, UINT64_MAX, on_timer, control, &control->timer);

	if (r < 0)
		return r;
	return loop_add_io(control->loop, control->socket.fd, EPOLLIN, on_connections, control,
			   &control->source);
}

int control_new(struct loop *loop, const struct control_options *options, struct control **ret)
{
	cleanup(control_free_cleanup) struct control *control = calloc(1, sizeof(*control));
	int r, group = 0;

	if (!control)
		return -ENOMEM;
	control->loop = loop;
	control->handler = options->handler;
	control->socket.fd = -1;
	control->group = (gid_t)-1;
	list_init(&control->clients);
	if (options->group && options->group[0] != '\0')
		group = control_socket_find_group(options->group, &control->group);
	r = control_socket_open(options->path, control->group, &control->socket);
	if (r == 0)
		r = open_sources(control);
	if (r < 0)
		return r;
	if (group == 0 && control->socket.lacks_group)
		group = CONTROL_NOT_GIVEN;
	*ret = steal_pointer(&control);
	return group < 0 ? CONTROL_NO_GROUP : group;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	list_for_each_safe (node, &control->clients)
		free_client(container_of(node, struct client, node));
	loop_source_free(control->source);
	loop_source_free(control->timer);
	if (control->socket.fd >= 0)
		control_socket_close(&control->socket);
	free(control);
}

const struct control_counters *control_get_counters(const struct control *control)
{
	return &control->counters;
}
