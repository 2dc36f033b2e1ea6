/* SPDX-License-Identifier: GPL-2.0-or-later */

/* In the place of tls.c where there is no OpenSSL: the configuration refuses tls:// before. */

#define LOG_MODULE "export"

#include <errno.h>

#include "base/macros.h"
#include "export/tls.h"
#include "runtime/log.h"

int tls_context_new(unused const struct config_exporter *config, const char *log_name,
		    unused struct tls_context **ret)
{
	log_error("%s: tls:// is not built in", log_name);
	return -EOPNOTSUPP;
}

void tls_context_free(unused struct tls_context *context)
{
}

int tls_new(unused struct tls_context *context, unused int fd, unused struct tls **ret)
{
	return -EOPNOTSUPP;
}

void tls_free(unused struct tls *tls)
{
}

int tls_handshake(unused struct tls *tls)
{
	return -EPROTO;
}

bool tls_is_confirmed(unused const struct tls *tls)
{
	return false;
}

int tls_write(unused struct tls *tls, unused const void *bytes, unused size_t length,
	      unused size_t *ret_taken)
{
	return -EPROTO;
}

int tls_read(unused struct tls *tls)
{
	return -EPROTO;
}

uint64_t tls_get_written(unused const struct tls *tls)
{
	return 0;
}

const char *tls_get_reason(unused const struct tls *tls)
{
	return "not built in";
}
