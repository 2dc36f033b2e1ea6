# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon changes on the host, and that it leaves nothing behind."""

import contextlib
import subprocess

import pytest

from harness.counters import Truth
from harness.records import assert_has

PORT = 8104
SETTINGS = ("net.netfilter.nf_conntrack_acct", "net.netfilter.nf_conntrack_timestamp")


def settings(namespace):
    return [namespace.sysctl(name) for name in SETTINGS]


def test_sigterm_leaves_the_host_as_it_was(pair, daemon):
    before = settings(pair.probe)
    assert before == ["0", "0"] and pair.probe.ruleset() == ""
    probed = daemon(pair.probe)
    assert settings(pair.probe) == ["1", "1"] and "procflow" in pair.probe.ruleset()
    probed.stop()
    assert settings(pair.probe) == before and pair.probe.ruleset() == ""


def test_sigkill_leaves_no_rule_and_the_next_start_mends_the_settings(pair, daemon):
    before = settings(pair.probe)
    probed = daemon(pair.probe)
    probed.kill()
    assert pair.probe.ruleset() == ""
    assert settings(pair.probe) == ["1", "1"]
    second = daemon(pair.probe, state=probed.state)
    assert settings(pair.probe) == ["1", "1"]
    second.stop()
    assert settings(pair.probe) == before


def test_what_was_on_stays_on(pair, daemon):
    pair.probe.sysctl("net.netfilter.nf_conntrack_acct", 1)
    daemon(pair.probe).stop()
    assert settings(pair.probe) == ["1", "0"]


def test_delay_accounting_is_put_back(pair, daemon, machine_settings):
    before = pair.probe.sysctl("kernel.task_delayacct")
    probed = daemon(pair.probe, {"processes": {"delay_accounting": True}})
    assert pair.probe.sysctl("kernel.task_delayacct") == "1"
    probed.stop()
    assert pair.probe.sysctl("kernel.task_delayacct") == before


def test_where_something_tracks_no_table_is_made(pair, daemon):
    rules = """table inet own {
        chain i { type filter hook input priority 0; ct state established accept; }
        chain o { type filter hook output priority 0; ct state established accept; }
    }"""
    pair.probe.nft(rules)
    daemon(pair.probe)
    assert "procflow" not in pair.probe.ruleset()


def test_second_daemon_of_a_host_is_refused(pair, daemon):
    """By hand beside the service: whichever ended first would put back the other's settings."""
    first = daemon(pair.probe)
    second = daemon(pair.probe, start=False)
    second.start(wait=False)
    assert second.wait_exit() == 3
    assert f"another procflowd runs (pid {first.pid})" in second.log()
    assert settings(pair.probe) == ["1", "1"] and "procflow" in pair.probe.ruleset()
    first.stop()
    assert settings(pair.probe) == ["0", "0"]
    second.start().stop()


def test_second_daemon_on_one_state_directory_is_refused(pair, daemon):
    first = daemon(pair.probe)
    second = daemon(pair.peer, state=first.state, start=False)
    second.prepared = False
    second.start(wait=False)
    assert second.wait_exit() == 3
    assert f"{first.state}: another procflowd runs with this state directory" in second.log()
    first.stop()


@pytest.mark.parametrize("trouble", ["read-only", "full"])
def test_state_directory_that_takes_nothing(pair, agent, daemon, cleanup, tmp_path, trouble):
    """The settings cannot be kept in mind, and so are not changed; flows are told all the same."""
    state = tmp_path / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "tmpfs", state], check=True)
    cleanup.callback(subprocess.run, ["umount", "-l", state], check=True)
    if trouble == "full":
        with open(state / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
    else:
        subprocess.run(["mount", "-o", "remount,ro", state], check=True)
    probed = daemon(pair.probe, state=state, as_unit=False)
    assert settings(pair.probe) == ["0", "0"]
    assert ("Read-only file system" if trouble == "read-only" else "No space left") in probed.log()
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    assert_has(probed.wait_record(L4_DST_PORT=PORT), client.as_end("SRC"))
    probed.stop()


def test_foreign_rules_and_flows_survive(pair, daemon):
    pair.probe.nft("table ip mine { chain c { type filter hook input priority 0; accept; }; }")
    mine = pair.probe.ruleset()
    probed = daemon(pair.probe)
    assert pair.probe.ruleset() != mine
    probed.kill()
    assert pair.probe.ruleset() == mine


def test_exporters_side_by_side(pair, agent, daemon, tmp_path):
    """All get the same; a collector that is not there does not hold the others up."""
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    probed = daemon(pair.probe, {"exporters": [
        {"name": "nobody-there", "type": "netflow9", "to": "udp://127.0.0.1:9"},
        *({"name": path.name, "type": "json", "to": f"file://{path}"} for path in paths)]},
        records=paths[0])
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    probed.sync()
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), **truth.read()})
    probed.stop()
    assert paths[0].read_text() == paths[1].read_text()
