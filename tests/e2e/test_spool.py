# SPDX-License-Identifier: GPL-2.0-or-later
"""The spool: what waits or is on its way outlives the daemon. What a JSON file next to it has is the
truth; that file has no spool, and its records are 200 ms older than those of the spool."""

import json
import signal
import struct

import pytest

from harness.bulk_server import BulkServer
from harness.waiting import wait_for
from test_kafka import TOPIC, Cluster
from test_transports import (FLOWS, Collector, counters, identify, make_certificate, make_flows, serve_tls,
                             settings, tcp, wait_sent)

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
    make_flows(probe, 100)
    wait_for(lambda: counters(probed)["away"]["spooled_records"] > 50, lambda: f"records on disk: {counters(probed)}")
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


# identify() of 17 bytes.
IDENTITY = ["FLOW_ID", "FLOW_END_MILLISECONDS", "PROTOCOL"]


def identify_messages(*paths):
    """The flows of IPFIX messages with that template; the last message may not be whole yet."""
    found = []
    for path in paths:
        data, at = path.read_bytes(), 0
        while at + 16 <= len(data) and at + (end := struct.unpack_from(">H", data, at + 2)[0]) <= len(data):
            end, at = at + end, at + 16
            while at < end:
                number, length = struct.unpack_from(">HH", data, at)
                if 256 <= number < 768:
                    assert (length - 4) % 17 == 0
                    found += [one[:2] for one in struct.iter_unpack(">QQB", data[at + 4:at + length])]
                at += length
    return found


def test_a_tls_collector_that_dies_and_comes_back(pair, daemon, need, tmp_path):
    """More than the queue takes, and over a restart: each record once, in order. The collector has read what
    its kernel acknowledged when it dies; what it has not is lost with it, and nobody can tell."""
    need("openssl", "nft")
    probe, path, first, second = pair.probe, tmp_path / "all.json", tmp_path / "first", tmp_path / "second"
    for name, issuer in (("ca", None), ("server", "ca"), ("probe", "ca")):
        make_certificate(tmp_path, name, issuer)
    server = serve_tls(probe, tmp_path, 9301, "server", first)
    probed = daemon(probe, settings(path, {
        "name": "away", "type": "ipfix", "to": "tls://127.0.0.1:9301", "reconnect": "200ms", "queue": 20,
        "template": IDENTITY, "spool": tmp_path / "spool", "ca_file": tmp_path / "ca.pem",
        "certificate_file": tmp_path / "probe.pem", "key_file": tmp_path / "probe.key"}), records=path)
    traffic = probe.popen("/usr/bin/python3", "-c", FLOWS, 2 * MANY)
    wait_for(lambda: counters(probed)["away"]["sent_records"] > 50, "records to be sent")
    probe.nft("""table inet hole {
        chain out {
            type filter hook output priority 0
            tcp dport 9301 drop
        }
    }
    """)
    seen = []

    def has_read_all():
        waits = probe.run("ss", "-Htn", "sport = :9301").stdout.split()[1] != "0"
        seen.append((waits, len(identify_messages(first)), counters(probed)["away"]["sent_records"]))
        return seen[-3:] == [(False, seen[-1][2], seen[-1][2])] * 3
    wait_for(has_read_all, lambda: f"the collector to read what its kernel has: {seen[-3:]}")
    server.kill()
    server.wait()
    probe.nft("delete table inet hole")
    make_flows(probe, 100)
    wait_for(lambda: counters(probed)["away"]["spooled_records"] > 50, lambda: f"records on disk: {counters(probed)}")
    probed.stop()
    probed.start()
    assert traffic.wait(60) == 0
    assert counters(probed)["away"]["recovered_records"] > 50
    serve_tls(probe, tmp_path, 9301, "server", second)
    probed.sync()
    wait_sent(probed, "away")
    now = counters(probed)["away"]
    assert not [name for name, count in now.items() if name.startswith("dropped_") and count], now
    received = identify_messages(first, second)
    assert len(set(received)) == len(received), "nothing twice"
    wanted = identify(probed.stop())
    probed.start()  # what its end may have left in the spool
    wait_for(lambda: set(wanted) <= set(identify_messages(first, second)), "all records")
    received, known = dict.fromkeys(identify_messages(first, second)), set(wanted)
    assert [one for one in received if one in known] == wanted, "each, in order"
    assert min(len(identify_messages(first)), len(identify_messages(second))) > 50


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
