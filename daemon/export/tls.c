/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "export"

/* In front of base/macros.h, whose "unused" they use as an attribute's name. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "export/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "runtime/log.h"

/* A file may be the service's by its group, but nobody else's. */
enum { FORBIDDEN_MODE = 0027, READ_PIECE = 4096, REASON_SIZE = 256 };

struct tls_context {
	SSL_CTX *ssl;
	const char *server_name; /* the configuration's */
};

struct tls {
	SSL *ssl;
	bool is_confirmed;
	char reason[REASON_SIZE];
};

DEFINE_CLEANUP(struct tls_context *, tls_context_free);
DEFINE_CLEANUP(struct tls *, tls_free);

static const char *last_error(void)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(error);

	return reason ? reason : "unknown TLS error";
}

static int tell(const char *log_name, const char *path)
{
	log_error("%s: %s: %s", log_name, path, last_error());
	return -EINVAL;
}

static int check_key_file(const char *path, const char *log_name)
{
	struct stat status;

	if (stat(path, &status) < 0) {
		int r = -errno;

		log_error("%s: %s: %s", log_name, path, strerror(-r));
		return r;
	}
	if (!(status.st_mode & FORBIDDEN_MODE))
		return 0;
	log_error("%s: %s has mode %04o: others than its owner and group must have no access "
		  "(chmod 0600)",
		  log_name, path, status.st_mode & 07777);
	return -EACCES;
}

static int load_own(SSL_CTX *ssl, const struct config_exporter *config, const char *log_name)
{
	int r;

	if (!config->certificate_file)
		return 0;
	r = check_key_file(config->key_file, log_name);
	if (r < 0)
		return r;
	if (SSL_CTX_use_certificate_chain_file(ssl, config->certificate_file) != 1)
		return tell(log_name, config->certificate_file);
	if (SSL_CTX_use_PrivateKey_file(ssl, config->key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ssl) != 1)
		return tell(log_name, config->key_file);
	return 0;
}

static int load_trusted(SSL_CTX *ssl, const struct config_exporter *config, const char *log_name)
{
	if (!config->ca_file)
		return SSL_CTX_set_default_verify_paths(ssl) == 1 ? 0
								  : tell(log_name, "CA directory");
	return SSL_CTX_load_verify_locations(ssl, config->ca_file, NULL) == 1
		       ? 0
		       : tell(log_name, config->ca_file);
}

/* Comes with the first session ticket; the session itself is of no use here. */
static int on_session(SSL *ssl, unused SSL_SESSION *session)
{
	struct tls *tls = SSL_get_app_data(ssl);

	tls->is_confirmed = true;
	return 0;
}

int tls_context_new(const struct config_exporter *config, const char *log_name,
		    struct tls_context **ret)
{
	cleanup(tls_context_free_cleanup) struct tls_context *context = calloc(1, sizeof(*context));
	int r;

	if (!context)
		return -ENOMEM;
	ERR_clear_error();
	context->ssl = SSL_CTX_new(TLS_client_method());
	if (!context->ssl)
		return -ENOMEM;
	SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION);
	SSL_CTX_set_mode(context->ssl,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(context->ssl,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context->ssl, on_session);
	r = load_own(context->ssl, config, log_name);
	if (r == 0)
		r = load_trusted(context->ssl, config, log_name);
	if (r < 0)
		return r;
	context->server_name = config->server_name ? config->server_name : config->to.host;
	*ret = steal_pointer(&context);
	return 0;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl);
	free(context);
}

/* RFC 6066 3: an address is no server name. */
static bool set_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1)
		return true;
	X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

int tls_new(struct tls_context *context, int fd, struct tls **ret)
{
	cleanup(tls_free_cleanup) struct tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return -ENOMEM;
	tls->ssl = SSL_new(context->ssl);
	if (!tls->ssl || SSL_set_fd(tls->ssl, fd) != 1 || !set_name(tls->ssl, context->server_name))
		return -ENOMEM;
	SSL_set_app_data(tls->ssl, tls);
	SSL_set_connect_state(tls->ssl);
	*ret = steal_pointer(&tls);
	return 0;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	ERR_clear_error();
	if (tls->ssl && SSL_is_init_finished(tls->ssl))
		(void)SSL_shutdown(tls->ssl);
	SSL_free(tls->ssl);
	free(tls);
}

/* What OpenSSL says to a call that gave "result": 0 for more to read, TLS_WANTS_WRITE, or an errno
 * with its reason. */
static int judge(struct tls *tls, int result)
{
	int error = SSL_get_error(tls->ssl, result), saved = errno;
	long verified = SSL_get_verify_result(tls->ssl);
	const char *reason = last_error();

	switch (error) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANTS_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANTS_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return -ECONNRESET;
	case SSL_ERROR_SYSCALL:
		if (ERR_peek_error() == 0)
			return saved ? -saved : -ECONNRESET;
		break;
	default:
		break;
	}
	if (verified != X509_V_OK)
		reason = X509_verify_cert_error_string(verified);
	strncpy(tls->reason, reason, sizeof(tls->reason) - 1);
	return -EPROTO;
}

static void prepare(void)
{
	ERR_clear_error();
	errno = 0;
}

int tls_handshake(struct tls *tls)
{
	int result;

	prepare();
	result = SSL_connect(tls->ssl);
	if (result != 1)
		return judge(tls, result);
	if (SSL_version(tls->ssl) < TLS1_3_VERSION)
		tls->is_confirmed = true;
	return 0;
}

bool tls_is_confirmed(const struct tls *tls)
{
	return tls->is_confirmed;
}

int tls_write(struct tls *tls, const void *bytes, size_t length, size_t *ret_taken)
{
	size_t taken = 0;
	int result;

	prepare();
	result = SSL_write_ex(tls->ssl, bytes, length, &taken);
	if (result == 1) {
		*ret_taken = taken;
		return 0;
	}
	result = judge(tls, result);
	return result > 0 ? -EAGAIN : result;
}

int tls_read(struct tls *tls)
{
	char piece[READ_PIECE];
	int result;

	prepare();
	result = SSL_read(tls->ssl, piece, sizeof(piece));
	if (result > 0)
		return 0;
	result = judge(tls, result);
	return result > 0 ? -EAGAIN : result;
}

uint64_t tls_get_written(const struct tls *tls)
{
	return BIO_number_written(SSL_get_wbio(tls->ssl));
}

const char *tls_get_reason(const struct tls *tls)
{
	return tls->reason;
}
