/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "export/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolver {
	struct gaicb request;
	struct addrinfo hints;
	char host[256], port[8];
	struct addrinfo *addresses;
	int error; /* EAI_ */
};

int resolver_new(const char *host, uint16_t port, int socket_type, struct resolver **ret)
{
	struct resolver *self = calloc(1, sizeof(*self));
	struct gaicb *list[1];

	if (!self)
		return -ENOMEM;
	snprintf(self->host, sizeof(self->host), "%s", host);
	snprintf(self->port, sizeof(self->port), "%u", port);
	self->hints = (struct addrinfo){.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
					.ai_socktype = socket_type};
	*ret = self;
	self->error = getaddrinfo(self->host, self->port, &self->hints, &self->addresses);
	if (self->error == 0)
		return 0;
	self->addresses = NULL;
	self->hints.ai_flags = AI_NUMERICSERV;
	self->request = (struct gaicb){
		.ar_name = self->host, .ar_service = self->port, .ar_request = &self->hints};
	list[0] = &self->request;
	self->error = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
	if (self->error == 0)
		self->error = EAI_INPROGRESS;
	return 0;
}

int resolver_poll(struct resolver *resolver, const struct addrinfo **ret)
{
	if (resolver->error == EAI_INPROGRESS) {
		resolver->error = gai_error(&resolver->request);
		if (resolver->error == EAI_INPROGRESS)
			return RESOLVER_PENDING;
		if (resolver->error == 0)
			resolver->addresses = resolver->request.ar_result;
	}
	if (resolver->error != 0)
		return -EADDRNOTAVAIL;
	*ret = resolver->addresses;
	return 0;
}

const char *resolver_get_reason(const struct resolver *resolver)
{
	return gai_strerror(resolver->error);
}

void resolver_free(struct resolver *resolver)
{
	const struct addrinfo *none;

	if (!resolver)
		return;
	if (resolver->error == EAI_INPROGRESS && gai_cancel(&resolver->request) == EAI_NOTCANCELED)
		return;
	(void)resolver_poll(resolver, &none);
	if (resolver->addresses)
		freeaddrinfo(resolver->addresses);
	free(resolver);
}
