/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls with each input. A broken promise of the code under test is an abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
