# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting on conditions, each with a deadline."""

import time

DEADLINE_S = 60.0
_PAUSE_S = 0.02


class DeadlineError(AssertionError):
    pass


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """The first true value that condition() returns. what: a text, or a function that makes one."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            text = what() if callable(what) else what
            raise DeadlineError(f"{deadline_s:g} s have passed without {text}")
        time.sleep(_PAUSE_S)
