# SPDX-License-Identifier: GPL-2.0-or-later
"""What a flow costs in memory while it is open."""

import json
import pathlib

import pytest

from harness.daemon import build_directory, executable

MOST_BYTES_A_FLOW = 300


def anonymous_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines()
                if line.startswith("RssAnon:"))


def keep_flows(namespace, first, count):
    made = json.loads(namespace.run(build_directory() / "tests" / "bench" / "inject", "--keep",
                                    "--rate", 40000, "--first", first, "--count", count).stdout)
    assert made["created"] == count and made["errors"] == 0, made


def test_a_flow_costs_at_most_300_bytes(pair, daemon):
    if b"__asan_init" in pathlib.Path(executable()).read_bytes():
        pytest.skip("the address sanitiser's own memory is not the daemon's")
    # Without trace, whose stores grow with what the rest of the machine does meanwhile.
    probed = daemon(pair.probe, {"flows": {"active_timeout": "1h", "idle_timeout": "1h"},
                                 "attribution": {"methods": ["sock_diag"]}})
    keep_flows(pair.probe, 0, 30000)
    probed.sync()
    before = anonymous_bytes(probed.pid)
    keep_flows(pair.probe, 30000, 200000)
    probed.sync()
    bytes_a_flow = (anonymous_bytes(probed.pid) - before) / 200000
    assert 100 < bytes_a_flow <= MOST_BYTES_A_FLOW
    assert len(probed.stop()) >= 230000
