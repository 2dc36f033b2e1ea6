# SPDX-License-Identifier: GPL-2.0-or-later
"""What people see in a terminal, and what becomes of a daemon whose terminal goes away."""

import os
import signal
import subprocess

import pytest

from harness.daemon import MARK, executable
from harness.terminal import Terminal
from harness.waiting import DEADLINE_S, wait_for

# One setting for the whole machine: left alone.
QUIET = "processes:\n  delay_accounting: false\n"


@pytest.fixture
def terminal(cleanup):
    def make(*arguments, **options):
        made = Terminal(*arguments, **options)
        cleanup.callback(made.close)
        return made
    return make


@pytest.mark.parametrize("controls", [True, False], ids=["hangup", "only-gone"])
def test_lost_terminal_ends_the_daemon(pair, terminal, tmp_path, controls):
    """SIGHUP; and where nobody sends it, the first line that cannot be written."""
    (tmp_path / "quiet.yaml").write_text(QUIET)
    before = pair.probe.ruleset()
    shown = terminal(pair.probe, executable(), "-c", tmp_path / "quiet.yaml", "-o", "text",
                     controls=controls, env={**os.environ, "STATE_DIRECTORY": str(tmp_path)})
    wait_for(lambda: "procflow" in pair.probe.ruleset(), "the daemon's nft table")
    shown.hang_up()

    def has_ended():
        if not controls:
            pair.probe.run("/usr/bin/python3", "-c", MARK)
        return shown.process.poll() is not None

    wait_for(has_ended, "the end of the daemon")
    assert shown.process.returncode == 0
    assert pair.probe.ruleset() == before


def test_nohup_is_obeyed(pair, tmp_path):
    (tmp_path / "quiet.yaml").write_text(QUIET)
    process = pair.probe.popen("env", "--ignore-signal=HUP", executable(), "-c",
                               tmp_path / "quiet.yaml", "-o", "json", stdout=subprocess.PIPE,
                               text=True, env={**os.environ, "STATE_DIRECTORY": str(tmp_path)})
    wait_for(lambda: "procflow" in pair.probe.ruleset(), "the daemon's nft table")
    process.send_signal(signal.SIGHUP)
    for _ in range(2):
        port = pair.probe.run("/usr/bin/python3", "-c", MARK).stdout.strip()
        while f'"L4_DST_PORT":{port},' not in process.stdout.readline():
            assert process.poll() is None, "SIGHUP has ended it"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=DEADLINE_S) == 0
