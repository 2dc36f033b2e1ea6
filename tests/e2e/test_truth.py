# SPDX-License-Identifier: GPL-2.0-or-later
"""Many processes that open one flow each and exit, and what the daemon's records say of them: the
small version of tests/bench/bench_truth.py."""

import pytest

from harness import truth

FLOWS = 150
# The clocks and records that these cells depend on leave nothing to luck: a UDP sender's record is written
# in its own context before its flow is announced, and there is no handshake to wait for.
CERTAIN = ("answer", "send")


def run(pair, daemon, cell, methods):
    probed = daemon(pair.probe, {"attribution": {"methods": methods}})
    with truth.Generator(pair, cell, FLOWS) as generator:
        probed.sync()
        score = generator.score(probed.stop())
    assert score.sent == FLOWS, "senders that failed"
    assert score.src["wrong"] == 0 and score.dst["wrong"] == 0, "\n".join(score.mistakes)
    assert score.src["no record"] == 0
    return probed, score


@pytest.mark.parametrize("cell", truth.cells(), ids=truth.name)
def test_a01_a02_trace_names_every_short_life(pair, daemon, cell):
    probed, score = run(pair, daemon, cell, ["trace", "sock_diag"])
    if "the method trace is not to be had" in probed.log():
        pytest.skip("trace is not to be had here")
    if cell.kind in CERTAIN:
        assert score.src["right"] == score.scored(), score.src


@pytest.mark.parametrize("cell", [cell for cell in truth.cells() if cell.is_local],
                         ids=truth.name)
def test_a02_sock_diag_alone_names_nobody_wrongly(pair, daemon, cell):
    run(pair, daemon, cell, ["sock_diag"])
