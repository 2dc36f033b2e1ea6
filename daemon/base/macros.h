/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* A parameter that an interface gives and this function has no use for. */
#define unused __attribute__((unused))

#define array_length(array) (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))
