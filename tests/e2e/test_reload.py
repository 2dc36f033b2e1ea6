# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGHUP: the configuration is read again, all of it or nothing."""

import signal

from harness.daemon import to_yaml
from harness.waiting import wait_for
from test_transports import Collector, counters, identify, make_flows, tcp


def reload(probed, text, answer):
    before = probed.log().count(answer)
    probed.config_path.write_text(text)
    probed.signal(signal.SIGHUP)
    wait_for(lambda: probed.log().count(answer) > before, lambda: f"{answer}\n{probed.log()}")


def read_notifications(probed):
    wait_for(lambda: (said := probed._notifications.recv(4096)) and b"RELOADING=1" in said
             and b"MONOTONIC_USEC=" in said, "RELOADING=1")
    wait_for(lambda: b"READY=1" in probed._notifications.recv(4096), "READY=1 after a reload")


def test_exporters_come_and_go(pair, daemon, tmp_path):
    probe = pair.probe
    path = tmp_path / "all.json"
    stays, moves = tcp("stays", 9201), tcp("moves", 9202)
    goes = {"name": "goes", "type": "json", "to": f"file://{tmp_path}/goes", "rotate_size": 0}
    probed = daemon(probe, {"exporters": [
        {"name": "file", "type": "json", "to": f"file://{path}"}, stays, moves, goes]},
        records=path)
    text = probed.config_path.read_text()
    make_flows(probe, 50)
    probed.sync()
    before = counters(probed)
    assert before["stays"]["waiting_records"] >= 50 and before["moves"]["waiting_records"] >= 50

    # A broken file, then one with an exporter that cannot be opened: all stays as it is.
    reload(probed, text.replace("type: json", "type: jsn"), "the running configuration stays")
    read_notifications(probed)
    assert 'did you mean "json"?' in probed.log() and "procflow.yaml:" in probed.log()
    head, _, tail = text.partition("exporters:\n")
    reload(probed, head + "exporters:\n" + to_yaml(
        [{"name": "bad", "type": "json", "to": "file:///proc/nowhere/x"}], 1) + tail,
        "the running configuration stays")
    assert set(counters(probed)) == {"file", "stays", "moves", "goes"}

    # One is added, one removed, one changes its collector; a key of another section is named.
    collector, other = (Collector(probe, port, tmp_path / str(port)) for port in (9201, 9203))
    new = {"name": "new", "type": "json", "to": f"file://{tmp_path}/new", "rotate_size": 0}
    listed = text[text.index("exporters:\n"):text.index("control:")]
    reload(probed, text.replace(listed, "exporters:\n" + to_yaml(
        [{"name": "file", "type": "json", "to": f"file://{path}"}, stays, tcp("moves", 9203), new],
        1)).replace("active_timeout: 60s", "active_timeout: 61s").replace(
            "level: debug", "level: info"), "configuration read again")
    for said in ("goes: removed", "new: added", "moves: changed",
                 "flows.active_timeout has changed in the file: that needs a restart"):
        assert said in probed.log(), said
    assert "flows.idle_timeout" not in probed.log()
    make_flows(probe, 20)
    probed.sync()
    wait_for(lambda: all(counters(probed)[name]["waiting_records"] == 0
                         for name in ("file", "stays", "moves", "new")), "all to be sent")
    now = counters(probed)
    assert set(now) == {"file", "stays", "moves", "new"}
    for name in ("stays", "moves", "new"):
        assert now[name]["sent_records"] == now[name]["accepted_records"], now[name]
    assert now["stays"]["accepted_records"] == now["file"]["accepted_records"], now
    assert now["moves"]["accepted_records"] == now["file"]["accepted_records"], now
    assert now["new"]["accepted_records"] < now["file"]["accepted_records"], now
    wait_for(lambda: len(collector.lines()) >= now["stays"]["sent_records"]
             and len(other.lines()) >= now["moves"]["sent_records"], "the collectors to write")
    wanted = identify(probed.records())
    for one in (collector, other):
        received = identify(one.lines())
        assert received == wanted[:len(received)], one.path
    probed.stop()
