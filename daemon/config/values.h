/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The texts of values: parsing only, no limits. */

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

/* Named outcomes. */
enum {
	CONFIG_VALUE_E_FORM = 1,  /* not such a value at all */
	CONFIG_VALUE_E_RANGE = 2, /* one, but negative or too large to be kept */
};

/* A whole number and a unit: ms, s, m, h, d. 0 or an outcome. */
int config_parse_duration(const char *text, uint64_t *ret_ns);
/* A whole number, alone for bytes or with k, M, G (1000) or KiB, MiB, GiB (1024). */
int config_parse_size(const char *text, uint64_t *ret_bytes);
/* Decimal digits. "010" is none: YAML 1.1 takes it for eight, people do not. */
int config_parse_count(const char *text, uint64_t *ret);
/* true, yes, on, false, no, off, in any case of letters. */
int config_parse_bool(const char *text, bool *ret);

/* "127.0.0.1:9477", "[::1]:9477", or "9477" for the first: numbers only. 0 or CONFIG_VALUE_E_FORM. */
int config_parse_listen(const char *text, struct config_listen *ret);

/* "stdout:", "file:///path", "unix:///path", "udp://host", "udp://host:port", "udp://[v6]:port",
 * and so for tcp and tls; port 0 where none is given. 0; -ENOMEM; CONFIG_VALUE_E_FORM, and *ret_reason says to people what is wrong. */
int config_parse_address(const char *text, struct config_address *ret, const char **ret_reason);
void config_address_fini(struct config_address *address);
