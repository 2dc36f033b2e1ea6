# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests stand on: network namespaces, the daemon under test, processes that
know their own pids and bytes, packet counters that do not depend on the daemon, and its records."""
