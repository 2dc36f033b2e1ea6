# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests say about records."""

COUNTERS = ("IN_BYTES", "IN_PKTS", "OUT_BYTES", "OUT_PKTS")
ADDRESSES = {4: ("IPV4_SRC_ADDR", "IPV4_DST_ADDR"), 6: ("IPV6_SRC_ADDR", "IPV6_DST_ADDR")}
# Methods that name the process for certain.
PROVEN = ("trace", "sock_diag")


def REMOTE(side):
    return {f"{side}_PROC_ATTRIBUTION": "remote"}


def assert_has(record, wanted):
    wrong = {key: (record.get(key), value) for key, value in wanted.items()
             if record.get(key) != value}
    assert not wrong, f"(is, should be): {wrong} in {record}"


def assert_no_process(record, side, but=()):
    """Nothing but how the end was attributed."""
    allowed = {f"{side}_PROC_{name}" for name in ("ATTRIBUTION", *but)}
    named = {key for key in record
             if key.startswith((f"{side}_PROC_", f"{side}_FATHER_"))} - allowed
    assert not named, f"{side} has no process, but the record has {named}: {record}"


def sum_counters(records):
    return {key: sum(record[key] for record in records) for key in COUNTERS}
