# SPDX-License-Identifier: GPL-2.0-or-later
"""What people see in a terminal, and what becomes of a daemon whose terminal goes away."""

import os
import pathlib
import re
import signal
import subprocess

import pytest

from harness.daemon import MARK, executable
from harness.terminal import Terminal
from harness.waiting import DEADLINE_S, wait_for

PORT, COLUMNS = 8106, 100
SETTINGS = ("net.netfilter.nf_conntrack_acct", "net.netfilter.nf_conntrack_timestamp",
            "kernel.task_delayacct")
BUILD_DEADLINE_S = 900  # all of it from nothing, on a machine that does other things too

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


def test_tools_run(pair, agent, terminal, machine_settings):
    """The first of README's two commands, from its build to Ctrl-C."""
    run = pathlib.Path(__file__).resolve().parents[2] / "tools" / "run"

    def look():
        return [pair.probe.sysctl(name) for name in SETTINGS], pair.probe.ruleset()

    before = look()
    shown = terminal(pair.probe, run, columns=COLUMNS)
    shown.wait_line(lambda line: line.startswith("run: flows follow"), "the end of the build",
                    BUILD_DEADLINE_S)
    wait_for(lambda: "procflow" in pair.probe.ruleset(), "the daemon's nft table")
    client, server = agent(pair.probe, "client", user=65534), agent(pair.peer, "server")
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    local = client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    shown.wait_line(lambda line: f"{pair.PEER4}:{PORT}" in line, "the flow's destination")
    head, _, table = "\n".join(shown.lines()).partition("Ctrl-C ends this\n")
    assert "\x1b[" in table and "\x1b[" not in head, "colours in the table"
    rows = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", table).split("\n")
            if not line.startswith("procflowd: ")]  # its log
    assert max(map(len, rows)) <= COLUMNS, rows
    # Too narrow for one line a flow: the destination has a second one.
    source = f"{pair.PROBE4}:{local['port']}"
    assert [row for row in rows if f"client[{client.pid}] nobody" in row and source in row], rows
    shown.type("\x03")
    assert shown.wait_exit() == 0, shown.text
    assert look() == before
