# SPDX-License-Identifier: GPL-2.0-or-later
"""The spool: what waits or is on its way outlives the daemon. What a JSON file next to it has is the
truth; that file has no spool, and its records are 200 ms older than those of the spool."""

import json
import signal

import pytest

from harness.bulk_server import BulkServer
from harness.waiting import wait_for
from test_kafka import TOPIC, Cluster
from test_transports import FLOWS, Collector, counters, identify, make_flows, settings, tcp, wait_sent

SERVER, PORT = "127.0.0.9", 9200
MANY = 1500


class Lines:
    """A file that the daemon writes."""
    def __init__(self, path):
        self.path = path
        self.exporter = {"type": "json", "to": f"file://{path}", "rotate_size": 0}

    def received(self):
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else [b""]
        return [json.loads(line) for line in lines[:-1]]


class Stream:
    def __init__(self, probe, path):
        self.collector = Collector(probe, 9301, path)
        self.exporter = tcp("away", 9301)
        self.received = self.collector.lines


class Messages:
    def __init__(self, probe):
        self.cluster = Cluster(probe)
        self.exporter = {"type": "kafka", "to": f"kafka://{self.cluster.brokers}", "topic": TOPIC}

    def received(self):
        return [value for _, value in self.cluster.messages()]


class Documents:
    """By id: what is stored twice is there once."""
    def __init__(self, probe, cleanup):
        self.server = BulkServer(probe, SERVER, PORT)
        cleanup.callback(self.server.stop)
        self.server.start()
        self.exporter = {"type": "elasticsearch", "to": f"http://{SERVER}:{PORT}"}

    def received(self):
        return self.server.find("procflow-")


def open_collector(kind, probe, tmp_path, cleanup, need):
    if kind == "file":
        return Lines(tmp_path / "received")
    if kind == "tcp":
        return Stream(probe, tmp_path / "received")
    if kind == "kafka":
        need("kcat")
        return Messages(probe)
    return Documents(probe, cleanup)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("kind", ["file", "tcp", "kafka", "elasticsearch"])
def test_an_end_while_records_are_sent(pair, daemon, need, cleanup, tmp_path, kind, number):
    probe, path = pair.probe, tmp_path / "all.json"
    collector = open_collector(kind, probe, tmp_path, cleanup, need)
    probed = daemon(probe, settings(path, {
        **collector.exporter, "name": "away", "spool": tmp_path / "spool"}), records=path)
    traffic = probe.popen("/usr/bin/python3", "-c", FLOWS, MANY)
    wait_for(lambda: counters(probed)["away"]["sent_records"] > 50, "records to be sent")
    before = len(probed.records())
    wait_for(lambda: len(probed.records()) > before or traffic.poll() is not None, "more records")
    probed.signal(number)
    probed.wait_exit()
    # Which of the file's newest records were with the spool when it was killed is not known.
    wanted = identify(probed.records()[:before] if number == signal.SIGKILL else probed.records())
    first = len(probed.records())
    probed.start()
    assert traffic.wait(60) == 0
    probed.sync()
    wait_sent(probed, "away")
    wanted += identify(probed.stop()[first:])

    def missing():
        there = set(identify(collector.received()))
        return [one for one in wanted if one not in there]

    wait_for(lambda: not missing(), lambda: f"all records: {missing()[:5]} of {len(missing())}")
    received = identify(collector.received())
    assert len(received) > 50
    if number == signal.SIGTERM or kind in ("file", "elasticsearch"):
        assert len(set(received)) == len(received), "nothing twice"
    if kind in ("file", "tcp"):
        received, known = list(dict.fromkeys(received)), set(wanted)
        assert [one for one in received if one in known] == wanted, "in order"


def test_a_collector_that_is_away(pair, daemon, tmp_path):
    """Over a kill, an orderly end, a torn tail, and more records than the queue in memory and the
    smaller spool take; then each comes once, in order."""
    probe, spool, path = pair.probe, tmp_path / "spool", tmp_path / "all.json"
    full = settings(path, tcp("away", 9301, spool=spool, queue=20),
                    tcp("small", 9302, spool=spool, spool_max="1MiB"))
    probed = daemon(probe, full, records=path)
    make_flows(probe, 100)
    probed.sync()
    wait_for(lambda: counters(probed)["away"]["spooled_records"] > 50, "records on disk")
    accepted = counters(probed)["away"]["accepted_records"]
    probed.kill()
    probed.start()
    now = counters(probed)["away"]
    assert now["recovered_records"] >= accepted, now
    assert len(list((spool / "away").iterdir())) > 1
    make_flows(probe, MANY)
    probed.sync()
    assert counters(probed)["small"]["dropped_spool"] > 0, counters(probed)["small"]
    probed.stop()
    assert sum(file.stat().st_size for file in (spool / "small").iterdir()) <= 1 << 20
    # A tail that a crash tore.
    newest = sorted(file for file in (spool / "away").iterdir() if file.name != "done")[-1]
    with open(newest, "ab") as file:
        file.write(b"torn")
    probed.start()
    now = counters(probed)["away"]
    assert now["recovered_records"] >= accepted + MANY and "no whole entries" in probed.log()
    collector = Collector(probe, 9301, tmp_path / "received")
    wait_sent(probed, "away")
    wanted = identify(probed.stop())
    wait_for(lambda: len(collector.lines()) >= len(wanted), lambda: f"{len(collector.lines())}")
    received, known = identify(collector.lines()), set(wanted)
    assert len(set(received)) == len(received), "nothing twice"
    assert [one for one in received if one in known] == wanted, "each, in order"
    # The spool may have what had not come into the file when the daemon was killed.
    assert len(received) - len(wanted) <= 100, "of before the kill"
    left = sum(file.stat().st_size for file in (spool / "away").iterdir())
    assert left < 100000, "what is sent leaves the disk"


@pytest.mark.parametrize("kind", ["kafka", "elasticsearch"])
def test_a_spool_of_another_type(pair, daemon, tmp_path, kind):
    """The same name and directory: lines are no documents."""
    probe, path = pair.probe, tmp_path / "all.json"
    one = tcp("away", 9301, spool=tmp_path / "spool")
    other = {"name": "away", "type": kind, "spool": tmp_path / "spool",
             "to": {"kafka": "kafka://127.0.0.1:9302", "elasticsearch": "http://127.0.0.1:9302"}[kind]}
    probed = daemon(probe, settings(path, one), records=path)
    make_flows(probe, 20)
    probed.sync()
    probed.stop()
    changed = daemon(probe, settings(path, other), records=path)
    now = wait_for(lambda: (now := counters(changed)["away"])["dropped_spool"] >= 20 and now,
                   lambda: f"what is there to be dropped: {counters(changed)}")
    assert now["dropped_spool"] == now["recovered_records"], now
    assert changed.log().count("of another type, schema or template") == 1
    make_flows(probe, 3)
    changed.sync()
    wait_for(lambda: counters(changed)["away"]["waiting_records"] >= 3, "new records to wait")
    changed.stop()
