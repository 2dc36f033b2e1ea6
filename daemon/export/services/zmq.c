/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ntopng by ZeroMQ. A publisher drops in silence what a subscriber is too slow for, and all while there
 * is none. Ours is an XPUB socket, which is the same on the wire but tells of subscriptions, with
 * ZMQ_XPUB_NODROP: while nobody has subscribed to flows, or the slowest subscriber's buffer is full,
 * records wait in the exporter's queue, whose losses are counted.
 *
 * ZMQ_FD is edge triggered: after every call on the socket ZMQ_EVENTS is to be looked at. */

#define LOG_MODULE "export"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <zmq.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macros.h"
#include "export/delivery.h"
#include "export/services/secret.h"
#include "export/services/zmq_message.h"
#include "runtime/log.h"

enum {
	/* The header counts bytes in 16 bits; a record has at most some 30 KiB. */
	CHUNK_BYTES = 24 * 1024,
	LONGEST_PAYLOAD = UINT16_MAX,
	MESSAGES_IN_FLIGHT = 100, /* in libzmq, for each subscriber */
	SUBSCRIPTIONS = 64,
	PREFIX_SIZE = 32,
	KEY_SIZE = 41, /* Z85, with its NUL */
	EVENTS_A_TEMPLATE = 30,
	LINGER_MS = 500,
	MOST_ADDRESS_BYTES = 16 * 1024,
	KEEPALIVE_S = 30,
};

#define EVENT_EVERY_NS (2 * NS_PER_SEC)
#define PORTS_EVERY_NS (60 * NS_PER_SEC)
#define CLOSE_WAIT_NS  NS_PER_SEC
#define RECONNECT_MS   500

struct subscription {
	uint8_t prefix[PREFIX_SIZE];
	size_t length;
};

struct zmq {
	struct delivery head;
	void *context, *socket;
	struct loop_source *readable, *timer;
	struct subscription subscriptions[SUBSCRIPTIONS];
	size_t subscription_count;
	uint32_t number; /* of the next message */
	unsigned events; /* told since the last template */
	bool is_attached;
	struct buffer json;
	struct buffer ports; /* the message of listening ports; empty: not told yet */
	uint64_t ports_due_ns;
	size_t ports_left_out;
	uint64_t octets, packets, told_octets, told_packets, told_ns;
	char address[INET6_ADDRSTRLEN], uuid[64], system[160];
	uint64_t speed_mbit;
};

DEFINE_CLEANUP(struct delivery *, delivery_close);

static const struct config_exporter *config_of(const struct zmq *self)
{
	return self->head.options.config;
}

/* Subscriptions are prefixes of a message's first part, which begins with the topic. */
static bool is_wanted(const struct zmq *self, const char *topic)
{
	size_t topic_length = strlen(topic);

	for (size_t i = 0; i < self->subscription_count; i++) {
		const struct subscription *subscription = &self->subscriptions[i];
		size_t length =
			subscription->length < topic_length ? subscription->length : topic_length;

		if (memcmp(subscription->prefix, topic, length) == 0)
			return true;
	}
	return false;
}

static struct subscription *find_subscription(struct zmq *self, const uint8_t *prefix,
					      size_t length)
{
	for (size_t i = 0; i < self->subscription_count; i++)
		if (self->subscriptions[i].length == length &&
		    memcmp(self->subscriptions[i].prefix, prefix, length) == 0)
			return &self->subscriptions[i];
	return NULL;
}

/* 01 or 00 and the prefix: one came, the last of its kind left. */
static void take_subscription(struct zmq *self, const uint8_t *bytes, size_t length)
{
	struct subscription *found;

	if (length < 1 || length > PREFIX_SIZE || bytes[0] > 1)
		return;
	found = find_subscription(self, bytes + 1, length - 1);
	if (bytes[0] == 0) {
		if (found)
			*found = self->subscriptions[--self->subscription_count];
		return;
	}
	if (!found && self->subscription_count < SUBSCRIPTIONS) {
		found = &self->subscriptions[self->subscription_count++];
		found->length = length - 1;
		memcpy(found->prefix, bytes + 1, length - 1);
	}
	self->head.options.counters->connections++;
	self->events = EVENTS_A_TEMPLATE; /* the newcomer needs a template */
	self->ports_due_ns = 0;
	(void)loop_source_set_time(self->timer, 0);
}

static void take_subscriptions(struct zmq *self)
{
	uint8_t bytes[256];
	int length;

	while ((length = zmq_recv(self->socket, bytes, sizeof(bytes), ZMQ_DONTWAIT)) >= 0)
		take_subscription(self, bytes,
				  (size_t)length < sizeof(bytes) ? (size_t)length : sizeof(bytes));
}

static int send_message(struct zmq *self, const char *topic, uint8_t format, const uint8_t *payload,
			size_t length)
{
	struct zmq_message_header header = {.topic = topic,
					    .format = format,
					    .size = (uint16_t)length,
					    .number = self->number,
					    .source_id = config_of(self)->source_id};
	uint8_t bytes[ZMQ_MESSAGE_HEADER_SIZE];
	size_t header_length =
		zmq_message_encode_header(&header, config_of(self)->header_version, bytes);

	if (zmq_send(self->socket, bytes, header_length, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
	    zmq_send(self->socket, payload, length, ZMQ_DONTWAIT) < 0)
		return -errno;
	self->number++;
	self->head.options.counters->sent_messages++;
	self->head.options.counters->sent_bytes += header_length + length;
	return 0;
}

static void send_json(struct zmq *self, const char *topic, const struct buffer *json)
{
	if (!json->failed && json->length > 0 && json->length <= LONGEST_PAYLOAD &&
	    is_wanted(self, topic))
		(void)send_message(self, topic, ZMQ_MESSAGE_JSON, json->bytes, json->length);
}

static uint64_t rate(uint64_t now, uint64_t before, uint64_t span_ns)
{
	return span_ns > 0 ? (uint64_t)((__uint128_t)(now - before) * NS_PER_SEC / span_ns) : 0;
}

static void send_event(struct zmq *self)
{
	const struct config_exporter *config = config_of(self);
	uint64_t now_ns = clock_now_ns(), span_ns = now_ns - self->told_ns;
	struct zmq_message_event event = {
		.probe_address = self->address,
		.speed_mbit = self->speed_mbit,
		.uuid = self->uuid,
		.system = self->system,
		.source_id = config->source_id,
		.time_s = clock_wall_ns() / NS_PER_SEC,
		.octets = self->octets,
		.packets = self->packets,
		.bits_per_s = 8 * rate(self->octets, self->told_octets, span_ns),
		.packets_per_s = rate(self->packets, self->told_packets, span_ns),
		.lost_records = exporter_counters_sum_dropped(self->head.options.counters),
		.sent_records = self->head.options.counters->sent_records,
		.active_timeout_s = (config->active_timeout_ns + NS_PER_SEC - 1) / NS_PER_SEC,
		.idle_timeout_s = (config->idle_timeout_ns + NS_PER_SEC - 1) / NS_PER_SEC,
	};

	buffer_clear(&self->json);
	zmq_message_add_event(&self->json, &event);
	send_json(self, "event", &self->json);
	self->told_ns = now_ns;
	self->told_octets = self->octets;
	self->told_packets = self->packets;
}

/* An address that is taken may be so by the exporter that this one replaces: tried again later. */
static int attach(struct zmq *self)
{
	const struct config_exporter *config = config_of(self);
	bool is_v6 = strchr(config->to.host, ':') != NULL;
	char endpoint[300];
	int r;

	snprintf(endpoint, sizeof(endpoint), "tcp://%s%.250s%s:%u", is_v6 ? "[" : "",
		 config->to.host, is_v6 ? "]" : "", config->to.port);
	r = config->connect ? zmq_connect(self->socket, endpoint)
			    : zmq_bind(self->socket, endpoint);
	self->is_attached = r == 0;
	if (r == 0)
		return 0;
	r = -errno;
	if (r == -EADDRINUSE || r == -EADDRNOTAVAIL) {
		delivery_tell_trouble(&self->head, r, "bind", NULL);
		return 0;
	}
	log_error("%s: cannot %s %s: %s", delivery_get_name(&self->head),
		  config->connect ? "connect to" : "bind", endpoint, zmq_strerror(-r));
	return r;
}

/* An event now and then, for a silent probe is forgotten after ten seconds. */
static void on_timer(void *userdata, uint64_t now_ns)
{
	struct zmq *self = userdata;

	if (!self->is_attached)
		(void)attach(self);
	take_subscriptions(self);
	if (++self->events >= EVENTS_A_TEMPLATE) {
		buffer_clear(&self->json);
		zmq_message_add_template(&self->json);
		send_json(self, "template", &self->json);
		self->events = 0;
	}
	if (now_ns >= self->ports_due_ns && self->ports.length > 0) {
		send_json(self, "listening-ports", &self->ports);
		self->ports_due_ns = now_ns + PORTS_EVERY_NS;
	}
	send_event(self);
	(void)loop_source_set_time(self->timer, now_ns + EVENT_EVERY_NS);
	delivery_ready(&self->head);
}

static void on_readable(void *userdata, uint32_t events)
{
	struct zmq *self = userdata;

	(void)events;
	take_subscriptions(self);
	delivery_ready(&self->head);
}

static int zmq_submit(struct delivery *delivery, struct chunk *chunk)
{
	struct zmq *self = (struct zmq *)delivery;
	int r;

	take_subscriptions(self);
	if (chunk->bytes.length > LONGEST_PAYLOAD) {
		delivery_finish(delivery, chunk,
				&(struct delivery_outcome){.too_large = chunk->records});
		return 0;
	}
	if (!is_wanted(self, "flow"))
		return -EAGAIN;
	r = send_message(self, "flow", ZMQ_MESSAGE_TLV, chunk->bytes.bytes, chunk->bytes.length);
	if (r < 0) {
		if (r != -EAGAIN)
			delivery_tell_trouble(delivery, r, "send", zmq_strerror(-r));
		return -EAGAIN;
	}
	self->octets += chunk->octets;
	self->packets += chunk->packets;
	delivery_tell_success(delivery);
	delivery_finish_sent(delivery, chunk);
	return 0;
}

static void zmq_finish_all(struct delivery *delivery, uint64_t until_ns)
{
	struct zmq *self = (struct zmq *)delivery;
	const struct exporter_counters *counters = delivery->options.counters;
	uint64_t now_ns;

	delivery_ready(delivery);
	while (counters->accepted_records >
		       counters->sent_records + exporter_counters_sum_dropped(counters) &&
	       (now_ns = clock_now_ns()) < until_ns) {
		zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};

		/* A full buffer has no other sign than that sending works again. */
		(void)zmq_poll(&item, 1, 20);
		delivery_ready(delivery);
	}
}

static void *end_context(void *context)
{
	zmq_ctx_term(context);
	return NULL;
}

/* Waits for what libzmq still has to send, but not for ever. */
static void close_context(void *context, bool is_outlived)
{
	uint64_t until_ns = clock_now_ns() + CLOSE_WAIT_NS;
	struct timespec until = {(time_t)(until_ns / NS_PER_SEC), (long)(until_ns % NS_PER_SEC)};
	pthread_t thread;

	if (pthread_create(&thread, NULL, end_context, context) == 0 &&
	    (is_outlived || pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != 0))
		pthread_detach(thread);
}

static void zmq_close_delivery(struct delivery *delivery)
{
	struct zmq *self = (struct zmq *)delivery;

	loop_source_free(self->readable);
	loop_source_free(self->timer);
	if (self->socket)
		zmq_close(self->socket);
	if (self->context)
		close_context(self->context, self->head.is_outlived);
	buffer_fini(&self->json);
	buffer_fini(&self->ports);
	free(self);
}

static int set_number(struct zmq *self, int option, int value)
{
	return zmq_setsockopt(self->socket, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* ntopng shows its key's 40 characters as 80 hexadecimal digits. */
static void read_server_key(const char *text, char key[KEY_SIZE])
{
	unsigned byte;

	if (strlen(text) == KEY_SIZE - 1) {
		memcpy(key, text, KEY_SIZE);
		return;
	}
	for (size_t i = 0; i < KEY_SIZE - 1; i++)
		key[i] = sscanf(text + 2 * i, "%2x", &byte) == 1 ? (char)byte : '?';
	key[KEY_SIZE - 1] = '\0';
}

static int set_key(struct zmq *self, int option, const char *key)
{
	return zmq_setsockopt(self->socket, option, key, KEY_SIZE - 1) < 0 ? -errno : 0;
}

static int read_own_key(struct zmq *self, char secret[KEY_SIZE], char public[KEY_SIZE])
{
	const char *path = config_of(self)->secret_key_file;
	char line[KEY_SIZE + 2]; /* with the end of its line */
	int r;

	if (!path)
		return zmq_curve_keypair(public, secret) < 0 ? -errno : 0;
	r = secret_read(path, line, sizeof(line));
	if (r == 0 && strlen(line) != KEY_SIZE - 1)
		r = -EINVAL;
	if (r == 0)
		memcpy(secret, line, KEY_SIZE);
	explicit_bzero(line, sizeof(line));
	if (r == 0 && zmq_curve_public(public, secret) < 0)
		r = -EINVAL;
	if (r < 0)
		log_error("%s: secret_key_file %s: %s", delivery_get_name(&self->head), path,
			  secret_describe(r));
	return r;
}

static int set_curve(struct zmq *self)
{
	const struct config_exporter *config = config_of(self);
	char secret[KEY_SIZE], public[KEY_SIZE], server[KEY_SIZE];
	int r;

	if (!config->server_key && !config->secret_key_file)
		return 0;
	if (!zmq_has("curve")) {
		log_error("%s: this libzmq has no CURVE", delivery_get_name(&self->head));
		return -EOPNOTSUPP;
	}
	r = read_own_key(self, secret, public);
	if (r == 0)
		r = set_key(self, ZMQ_CURVE_SECRETKEY, secret);
	explicit_bzero(secret, sizeof(secret));
	if (r < 0)
		return r;
	if (!config->server_key)
		return set_number(self, ZMQ_CURVE_SERVER, 1);
	read_server_key(config->server_key, server);
	r = set_key(self, ZMQ_CURVE_PUBLICKEY, public);
	return r < 0 ? r : set_key(self, ZMQ_CURVE_SERVERKEY, server);
}

static int set_options(struct zmq *self)
{
	static const struct {
		int option, value;
	} options[] = {
		{ZMQ_XPUB_NODROP, 1},
		{ZMQ_XPUB_VERBOSE, 1},
		{ZMQ_SNDHWM, MESSAGES_IN_FLIGHT},
		{ZMQ_LINGER, LINGER_MS},
		{ZMQ_IPV6, 1},
		{ZMQ_RECONNECT_IVL, RECONNECT_MS},
		{ZMQ_TCP_KEEPALIVE, 1},
		{ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_S},
		{ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_S / 3},
		{ZMQ_TCP_KEEPALIVE_CNT, 3},
		/* A subscriber that does not acknowledge is none. */
		{ZMQ_TCP_MAXRT, KEEPALIVE_S * 1000},
	};

	for (size_t i = 0; i < array_length(options); i++) {
		int r = set_number(self, options[i].option, options[i].value);

		if (r < 0)
			return r;
	}
	return set_number(self, ZMQ_RECONNECT_IVL_MAX,
			  (int)(config_of(self)->reconnect_ns / NS_PER_MS));
}

/* Mbit/s; 0: its driver does not tell. Not from /sys, which may be another namespace's. */
static uint64_t read_speed(const char *interface)
{
	struct ethtool_cmd command = {.cmd = ETHTOOL_GSET};
	struct ifreq request = {.ifr_data = (void *)&command};
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t speed;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) < 0)
		return 0;
	speed = ethtool_cmd_speed(&command);
	return speed == (uint32_t)SPEED_UNKNOWN ? 0 : speed;
}

static bool is_told(const struct ifaddrs *entry)
{
	const struct sockaddr *address = entry->ifa_addr;

	return address && !(entry->ifa_flags & IFF_LOOPBACK) && entry->ifa_flags & IFF_UP &&
	       (address->sa_family == AF_INET || address->sa_family == AF_INET6);
}

static void write_address(const struct ifaddrs *entry, char out[INET6_ADDRSTRLEN])
{
	const struct sockaddr *address = entry->ifa_addr;

	if (address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
			  out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6,
			  &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, out,
			  INET6_ADDRSTRLEN);
}

/* The first address that others may know us by. */
static void find_address(struct zmq *self)
{
	struct ifaddrs *list, *entry;

	strcpy(self->address, "127.0.0.1");
	if (getifaddrs(&list) < 0)
		return;
	for (entry = list; entry; entry = entry->ifa_next)
		if (is_told(entry) && entry->ifa_addr->sa_family == AF_INET) {
			write_address(entry, self->address);
			self->speed_mbit = read_speed(entry->ifa_name);
			break;
		}
	freeifaddrs(list);
}

/* All of them, in quotes with commas between. */
static void list_addresses(struct buffer *out)
{
	struct ifaddrs *list, *entry;
	char address[INET6_ADDRSTRLEN];

	if (getifaddrs(&list) < 0)
		return;
	for (entry = list; entry; entry = entry->ifa_next)
		if (is_told(entry) && out->length < MOST_ADDRESS_BYTES) {
			write_address(entry, address);
			buffer_add_format(out, "%s\"%s\"", out->length > 0 ? "," : "", address);
		}
	buffer_add_byte(out, '\0');
	freeifaddrs(list);
}

static void tell_left_out(struct zmq *self, size_t left_out)
{
	if (left_out > 0 && self->ports_left_out == 0)
		log_warning("%s: %zu listening ports are left out: more do not fit a message",
			    delivery_get_name(&self->head), left_out);
	self->ports_left_out = left_out;
}

static void zmq_take_listening_ports(struct delivery *delivery, const struct listening_ports *ports)
{
	struct zmq *self = (struct zmq *)delivery;
	struct buffer addresses, before = self->ports;

	buffer_init(&addresses);
	list_addresses(&addresses);
	buffer_clear(&self->json);
	tell_left_out(self, zmq_message_add_listening_ports(
				    &self->json, ports,
				    addresses.length > 0 ? (const char *)addresses.bytes : "",
				    LONGEST_PAYLOAD));
	buffer_fini(&addresses);
	if (self->json.failed || (self->json.length == before.length &&
				  memcmp(self->json.bytes, before.bytes, before.length) == 0))
		return;
	self->ports = self->json;
	self->json = before;
	self->ports_due_ns = 0;
	(void)loop_source_set_time(self->timer, 0);
}

static void describe_host(struct zmq *self)
{
	cleanup_file FILE *file = fopen("/etc/machine-id", "re");
	struct utsname names;

	find_address(self);
	if (!file || fscanf(file, "%32[0-9a-f]", self->uuid) != 1)
		strcpy(self->uuid, "unknown");
	if (uname(&names) == 0)
		snprintf(self->system, sizeof(self->system), "%.64s %.64s", names.sysname,
			 names.release);
	for (char *at = self->system; *at; at++)
		if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ')
			*at = '?';
}

static int open_socket(struct zmq *self)
{
	int r;

	self->context = zmq_ctx_new();
	if (!self->context)
		return -errno;
	self->socket = zmq_socket(self->context, ZMQ_XPUB);
	if (!self->socket)
		return -errno;
	r = set_options(self);
	if (r == 0)
		r = set_curve(self);
	return r < 0 ? r : attach(self);
}

static int watch_socket(struct zmq *self)
{
	size_t size = sizeof(int);
	int fd, r;

	if (zmq_getsockopt(self->socket, ZMQ_FD, &fd, &size) < 0)
		return -errno;
	r = loop_add_io(self->head.options.loop, fd, EPOLLIN, on_readable, self, &self->readable);
	if (r < 0)
		return r;
	return loop_add_timer(self->head.options.loop, clock_now_ns(), on_timer, self,
			      &self->timer);
}

static const struct delivery_ops zmq_ops;

static int zmq_open(const struct delivery_options *options, struct delivery **ret)
{
	struct zmq *self = calloc(1, sizeof(*self));
	cleanup(delivery_close_cleanup) struct delivery *delivery = self ? &self->head : NULL;
	int r;

	if (!self)
		return -ENOMEM;
	delivery_init(&self->head, &zmq_ops, options);
	buffer_init(&self->json);
	buffer_init(&self->ports);
	self->number = 1;
	self->told_ns = clock_now_ns();
	describe_host(self);
	r = open_socket(self);
	if (r == 0)
		r = watch_socket(self);
	if (r < 0)
		return r;
	*ret = steal_pointer(&delivery);
	return 0;
}

static const struct delivery_ops zmq_ops = {
	.chunk_bytes = CHUNK_BYTES,
	.open = zmq_open,
	.close = zmq_close_delivery,
	.submit = zmq_submit,
	.finish_all = zmq_finish_all,
	.take_listening_ports = zmq_take_listening_ports,
};

#define TEXT(number)   #number
#define DIGITS(number) TEXT(number)

DELIVERY_PLUGIN("zmq",
		"libzmq " DIGITS(ZMQ_VERSION_MAJOR) "." DIGITS(ZMQ_VERSION_MINOR) "." DIGITS(
			ZMQ_VERSION_PATCH),
		&zmq_ops);
