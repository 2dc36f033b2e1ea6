/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "support/network_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#ifdef HAVE_LIBNFTABLES
#include <nftables/libnftables.h>
#endif

#include "base/cleanup.h"

int network_namespace_enter(void)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	cleanup_close int fd = -1;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &loopback) < 0)
		return -errno;
	return 0;
}

int network_namespace_set(const char *name, const char *value)
{
	char path[128];
	cleanup_close int fd = -1;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return -errno;
	return 0;
}

int network_namespace_get(const char *name)
{
	char path[128], text[32];
	cleanup_close int fd = -1;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, text, sizeof(text) - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	return atoi(text);
}

int network_namespace_run_nft(const char *commands)
{
#ifdef HAVE_LIBNFTABLES
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	int r;

	if (!nft)
		return -ENOMEM;
	r = nft_run_cmd_from_buffer(nft, commands);
	nft_ctx_free(nft);
	return r ? -ENOTSUP : 0;
#else
	fprintf(stderr, "no libnftables for: %s\n", commands);
	return -ENOTSUP;
#endif
}

int network_namespace_track(void)
{
	return network_namespace_run_nft(
		"table inet test_track {"
		"	chain in { type filter hook input priority 0; ct state new accept; };"
		"	chain out { type filter hook output priority 0; ct state new accept; };"
		"}");
}
