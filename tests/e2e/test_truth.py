# SPDX-License-Identifier: GPL-2.0-or-later
"""Many processes that open one flow each and exit, and what the daemon's records say of them: the
small version of tests/bench/bench_truth.py."""

import pytest

from harness import truth

FLOWS = 150  # of these one in a thousand may be nobody's: none


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
    assert score.src["right"] == score.scored(), score.src
    assert score.src["partial"] == 0, score.gaps
    if cell.is_local:
        assert score.dst["right"] == score.scored(), score.dst
        assert score.dst["partial"] == 0, score.gaps


@pytest.mark.parametrize("cell", [cell for cell in truth.cells() if cell.is_local],
                         ids=truth.name)
def test_a02_sock_diag_alone_names_nobody_wrongly(pair, daemon, cell):
    run(pair, daemon, cell, ["sock_diag"])
