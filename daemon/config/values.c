/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "config/values.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"
#include "config/keys.h"

/* sun_path with its end, unix(7). */
enum { LONGEST_SOCKET_PATH = 107 };

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{"ms", NS_PER_MS},	  {"s", NS_PER_SEC},	     {"m", 60 * NS_PER_SEC},
	{"h", 3600 * NS_PER_SEC}, {"d", 86400 * NS_PER_SEC}, {NULL, 0},
};

static const struct unit sizes[] = {
	{"", 1},       {"k", 1000},	     {"M", 1000 * 1000},	  {"G", 1000 * 1000 * 1000},
	{"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {NULL, 0},
};

static const struct unit counts[] = {{"", 1}, {NULL, 0}};

static int parse_scaled(const char *text, const struct unit *units, uint64_t *ret)
{
	bool negative = *text == '-', overflow = false;
	const char *digits = text + negative, *at = digits;
	uint64_t value = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		overflow |= __builtin_mul_overflow(value, 10, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
	}
	while (units->name && strcmp(units->name, at) != 0)
		units++;
	if (at == digits || !units->name)
		return CONFIG_VALUE_E_FORM;
	overflow |= __builtin_mul_overflow(value, units->factor, &value);
	if (negative || overflow)
		return CONFIG_VALUE_E_RANGE;
	*ret = value;
	return 0;
}

int config_parse_duration(const char *text, uint64_t *ret_ns)
{
	return parse_scaled(text, durations, ret_ns);
}

int config_parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse_scaled(text, sizes, ret_bytes);
}

int config_parse_count(const char *text, uint64_t *ret)
{
	const char *digits = text + (*text == '-');

	if (digits[0] == '0' && digits[1])
		return CONFIG_VALUE_E_FORM;
	return parse_scaled(text, counts, ret);
}

int config_parse_bool(const char *text, bool *ret)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (size_t i = 0; i < array_length(words); i++) {
		if (strcasecmp(text, words[i]) != 0)
			continue;
		*ret = i % 2;
		return 0;
	}
	return CONFIG_VALUE_E_FORM;
}

void config_address_fini(struct config_address *address)
{
	free(address->text);
	free(address->host);
	free(address->path);
	free(address->url);
	*address = (struct config_address){.transport = CONFIG_TRANSPORT_STDOUT};
}

static int parse_port(const char *text, uint16_t *ret)
{
	uint64_t port;

	if (config_parse_count(text, &port) != 0 || port == 0 || port > UINT16_MAX)
		return CONFIG_VALUE_E_FORM;
	*ret = (uint16_t)port;
	return 0;
}

/* Whether it is an IPv6 address, perhaps with a zone ("%eth0"). */
static bool is_v6(struct text host)
{
	char text[IP_ADDRESS_TEXT_SIZE];
	const char *zone = memchr(host.at, '%', host.length);
	size_t length = zone ? (size_t)(zone - host.at) : host.length;
	struct ip_address address;
	enum ip_family family;

	if (length >= sizeof(text))
		return false;
	memcpy(text, host.at, length);
	text[length] = '\0';
	return ip_address_parse(text, &family, &address) == 0 && family == IP_FAMILY_V6;
}

/* NULL, or the reason why "[host]..." is none. */
static const char *split_v6(const char *text, struct text *ret_host, const char **ret_behind)
{
	const char *end = strchr(text, ']');
	struct text host;

	if (!end)
		return "the bracket before the host is never closed";
	host = (struct text){.at = text + 1, .length = (size_t)(end - text - 1)};
	if (host.length > 0 && !is_v6(host))
		return "what stands in the brackets is no IPv6 address";
	*ret_host = host;
	*ret_behind = end + 1;
	return NULL;
}

/* NULL, or the reason. */
static const char *split_host(const char *text, struct text *ret_host, const char **ret_behind)
{
	const char *end;

	if (text[0] == '[')
		return split_v6(text, ret_host, ret_behind);
	end = strchrnul(text, ':');
	if (*end && strchr(end + 1, ':'))
		return "an IPv6 address needs brackets: udp://[2001:db8::1]:2055";
	*ret_host = (struct text){.at = text, .length = (size_t)(end - text)};
	*ret_behind = end;
	return NULL;
}

/* Letters, digits and what host names, addresses and their zones ("%eth0") are made of. */
static bool is_host(struct text host)
{
	for (size_t i = 0; i < host.length; i++)
		if (!isalnum((unsigned char)host.at[i]) && !strchr("-._:%", host.at[i]))
			return false;
	return host.length > 0;
}

static int parse_host(const char *text, struct config_address *ret, const char **ret_reason)
{
	struct config_address address = {.transport = ret->transport};
	struct text host;
	const char *behind;

	*ret_reason = split_host(text, &host, &behind);
	if (*ret_reason)
		return CONFIG_VALUE_E_FORM;
	/* "*": all addresses, for who binds; checked by type. */
	if (!is_host(host) &&
	    !(ret->transport == CONFIG_TRANSPORT_TCP && strncmp(text, "*:", 2) == 0)) {
		*ret_reason = "the host is missing or not a name or address";
		return CONFIG_VALUE_E_FORM;
	}
	if (*behind && (*behind != ':' || parse_port(behind + 1, &address.port) != 0)) {
		*ret_reason = "the port is not a number from 1 to 65535";
		return CONFIG_VALUE_E_FORM;
	}
	address.host = text_copy(host);
	if (!address.host)
		return -ENOMEM;
	*ret = address;
	return 0;
}

static int parse_path(const char *text, struct config_address *ret, const char **ret_reason)
{
	struct config_address address = {.transport = ret->transport};
	size_t length = strlen(text);

	if (text[0] != '/') {
		*ret_reason = "the path is not absolute (file:///path, three slashes)";
		return CONFIG_VALUE_E_FORM;
	}
	if (text[length - 1] == '/') {
		*ret_reason = "the path names a directory, not a file";
		return CONFIG_VALUE_E_FORM;
	}
	if (ret->transport == CONFIG_TRANSPORT_UNIX && length > LONGEST_SOCKET_PATH) {
		*ret_reason = "the path of a socket has at most 107 bytes";
		return CONFIG_VALUE_E_FORM;
	}
	address.path = strdup(text);
	if (!address.path)
		return -ENOMEM;
	*ret = address;
	return 0;
}

/* "host:port/prefix"; the URL is kept whole, without slashes at its end. */
static int parse_url(const char *text, struct config_address *ret, const char **ret_reason)
{
	struct config_address address = {.transport = ret->transport}, host = address;
	char *before = strndup(text, strcspn(text, "/"));
	size_t length = strlen(text);
	int r = before ? parse_host(before, &host, ret_reason) : -ENOMEM;

	free(before);
	config_address_fini(&host);
	if (r != 0)
		return r;
	for (const char *at = text; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-._~:/[]%", *at)) {
			*ret_reason = "it has more than a host, a port and a path";
			return CONFIG_VALUE_E_FORM;
		}
	while (length > 0 && text[length - 1] == '/')
		length--;
	if (asprintf(&address.url, "%s://%.*s", config_transport_get_name(ret->transport),
		     (int)length, text) < 0)
		return -ENOMEM;
	*ret = address;
	return 0;
}

/* "host:port,host:port", for librdkafka to take apart. */
static int parse_brokers(const char *text, struct config_address *ret, const char **ret_reason)
{
	struct config_address address = {.transport = ret->transport}, broker = address;

	for (const char *at = text;;) {
		char *one = strndup(at, strcspn(at, ","));
		int r = one ? parse_host(one, &broker, ret_reason) : -ENOMEM;

		free(one);
		config_address_fini(&broker);
		if (r != 0)
			return r;
		at += strcspn(at, ",");
		if (*at++ == '\0')
			break;
	}
	address.url = strdup(text);
	if (!address.url)
		return -ENOMEM;
	*ret = address;
	return 0;
}

static const struct {
	const char *name;
	enum config_transport transport;
	int (*parse)(const char *text, struct config_address *ret, const char **ret_reason);
} schemes[] = {
	{"udp", CONFIG_TRANSPORT_UDP, parse_host},
	{"tcp", CONFIG_TRANSPORT_TCP, parse_host},
	{"tls", CONFIG_TRANSPORT_TLS, parse_host},
	{"file", CONFIG_TRANSPORT_FILE, parse_path},
	{"unix", CONFIG_TRANSPORT_UNIX, parse_path},
	{"http", CONFIG_TRANSPORT_HTTP, parse_url},
	{"https", CONFIG_TRANSPORT_HTTPS, parse_url},
	{"kafka", CONFIG_TRANSPORT_KAFKA, parse_brokers},
};

int config_parse_address(const char *text, struct config_address *ret, const char **ret_reason)
{
	if (strcmp(text, "stdout:") == 0) {
		*ret = (struct config_address){.transport = CONFIG_TRANSPORT_STDOUT};
		return 0;
	}
	for (size_t i = 0; i < array_length(schemes); i++) {
		size_t length = strlen(schemes[i].name);
		struct config_address address = {.transport = schemes[i].transport};
		int r;

		if (strncmp(text, schemes[i].name, length) != 0 ||
		    strncmp(text + length, "://", 3) != 0)
			continue;
		r = schemes[i].parse(text + length + 3, &address, ret_reason);
		if (r == 0)
			*ret = address;
		return r;
	}
	*ret_reason = "expected stdout:, file:///path, unix:///path, or udp://, tcp:// or "
		      "tls://HOST:PORT; http:// or https:// for elasticsearch, kafka://";
	return CONFIG_VALUE_E_FORM;
}

int config_parse_listen(const char *text, struct config_listen *ret)
{
	const char *colon = strrchr(text, ':');
	char address[IP_ADDRESS_TEXT_SIZE + 2] = "127.0.0.1";
	struct config_listen listen;
	enum ip_family family;
	size_t length;

	if (parse_port(colon ? colon + 1 : text, &listen.port) != 0)
		return CONFIG_VALUE_E_FORM;
	if (colon) {
		length = (size_t)(colon - text);
		if (length > 1 && text[0] == '[' && colon[-1] == ']') {
			text++;
			length -= 2;
		} else if (memchr(text, ':', length)) {
			return CONFIG_VALUE_E_FORM;
		}
		if (length == 0 || length >= sizeof(address))
			return CONFIG_VALUE_E_FORM;
		memcpy(address, text, length);
		address[length] = '\0';
	}
	if (ip_address_parse(address, &family, &listen.address) < 0)
		return CONFIG_VALUE_E_FORM;
	listen.family = (uint8_t)family;
	*ret = listen;
	return 0;
}
