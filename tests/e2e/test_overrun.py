# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel drops events when the daemon is too slow: nothing that the kernel still knows may be
lost by that, and nothing counted twice."""

import collections
import json
import pathlib
import re
import signal
import subprocess

import pytest

from harness.counters import Truth
from harness.daemon import build_directory
from harness.records import assert_has
from harness.waiting import wait_for

PORT = 8200
FIRST = 20000
SMALL = {"conntrack": {"receive_buffer": "64KiB", "receive_buffer_max": "128KiB"}}
HEADERS = {4: 20 + 8, 6: 40 + 8}
INJECTED = "192.0.2.1"


class Sender:
    """send_flows in a namespace, and what it has sent from each port."""

    def __init__(self, namespace, version, source, destination):
        self.version, self.sent = version, collections.Counter()
        self.process = namespace.popen(build_directory() / "tests" / "bench" / "send_flows",
                                       source, destination, PORT, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)

    def send(self, first, count, times=1):
        self.process.stdin.write(f"{first} {count} {times}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n", "send_flows failed"
        for port in range(first, first + count):
            self.sent[port] += times

    def truth(self):
        """port: (packets, bytes)"""
        return {port: (sent, sent * (HEADERS[self.version] + 20 + port % 500))
                for port, sent in self.sent.items()}


def inject(namespace, *arguments):
    result = json.loads(namespace.run(build_directory() / "tests" / "bench" / "inject",
                                      *arguments).stdout)
    assert result["errors"] == 0, result
    return result


def stop_process(daemon):
    daemon.signal(signal.SIGSTOP)
    stat = pathlib.Path(f"/proc/{daemon.pid}/stat")
    wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the daemon to stop")


def overflow(namespace):
    """More events than the buffer holds many times over, of flows that are gone at once."""
    inject(namespace, "--count", 5000, "--rate", 200000, "--lifetime", 0)


def wait_overrun(daemon):
    wait_for(lambda: re.search(r"[1-9]\d* overruns", daemon.log()), "an overrun in the log")


def wait_resync(daemon):
    wait_for(lambda: re.search(r"[1-9]\d* overruns so far, [1-9]\d* listings", daemon.log()),
             "a listing to mend the overrun in the log")


def receive_buffer_kib(daemon):
    """As the kernel counts: twice what it is asked for."""
    return daemon.status()["conntrack"]["receive_buffer_bytes"] // 1024


def keep_long(namespace):
    for timeout in ("udp_timeout", "udp_timeout_stream"):
        namespace.sysctl(f"net.netfilter.nf_conntrack_{timeout}", 600)


def told(records):
    """port: (packets, bytes), and port: (distinct flow ids, last records)"""
    sums = collections.defaultdict(lambda: [0, 0])
    ids, ends = collections.defaultdict(set), collections.Counter()
    for record in records:
        port = record["L4_SRC_PORT"]
        sums[port][0] += record.get("IN_PKTS", 0)
        sums[port][1] += record.get("IN_BYTES", 0)
        ids[port].add(record["FLOW_ID"])
        ends[port] += record["FLOW_END_REASON"] != 2
    return ({port: tuple(value) for port, value in sums.items()},
            {port: (len(ids[port]), ends[port]) for port in ids})


def differences(found, expected):
    wrong = {port: (found.get(port), expected.get(port)) for port in found.keys() | expected.keys()
             if found.get(port) != expected.get(port)}
    return f"{len(wrong)} of {len(expected)} differ, (told, true): " \
           f"{dict(sorted(wrong.items())[:20])}" if wrong else ""


@pytest.mark.parametrize("version", [4, 6])
def test_a49_overrun_loses_no_flow_and_counts_none_twice(pair, agent, daemon, version):
    probe_address, peer_address = pair.addresses(version)
    agent(pair.peer, "sink").open(name="sink", version=version, protocol="udp",
                                  address=peer_address, port=PORT)
    keep_long(pair.probe)
    probed = daemon(pair.probe, {**SMALL, "flows": {"active_timeout": "2s"}})
    sender = Sender(pair.probe, version, probe_address, peer_address)
    sender.send(FIRST, 2000)
    probed.sync()
    assert receive_buffer_kib(probed) in (2 * 64, 2 * 128)  # that many flows may have been enough

    stop_process(probed)
    sender.send(FIRST, 1000, times=2)
    sender.send(FIRST + 2000, 3000)
    overflow(pair.probe)
    kept = inject(pair.probe, "--count", 2000, "--keep", "--first", 100000, "--rate", 200000)
    probed.signal(signal.SIGCONT)
    # While the daemon makes up for it.
    sender.send(FIRST + 5000, 500)
    sender.send(FIRST, 5500)

    wait_overrun(probed)
    wait_resync(probed)
    assert receive_buffer_kib(probed) == 2 * 128
    sender.send(FIRST, 5500, times=2)
    trace_lost = probed.status()["trace"]["lost"]
    records = probed.stop()
    source, destination = f"IPV{version}_SRC_ADDR", f"IPV{version}_DST_ADDR"
    ours = [record for record in records if record["L4_DST_PORT"] == PORT and
            record.get(source) == probe_address and record.get(destination) == peer_address]
    sums, lives = told(ours)
    assert not differences(sums, sender.truth())
    named = collections.Counter(record.get("SRC_PROC_PID") for record in ours)
    if trace_lost:  # each of these sockets was closed at once: sock_diag finds none of them
        del named[None]
    assert set(named) == {sender.process.pid}, named
    # An end that has nothing to add to the interim record before it has none of its own.
    assert not differences({port: (ids, max(ends, 1)) for port, (ids, ends) in lives.items()},
                           {port: (1, 1) for port in sender.sent})
    last = collections.Counter(record["L4_SRC_PORT"] for record in records
                               if record.get("IPV4_DST_ADDR") == INJECTED and
                               record["IPV4_SRC_ADDR"] == "10.0.0.3" and
                               record["FLOW_END_REASON"] != 2)
    assert len(last) == kept["created"] and set(last.values()) == {1}, last.most_common(5)


def test_a49_overrun_hides_the_end_of_udp_flows(pair, agent, daemon):
    """Nobody announces their end and nobody has their last bytes; they end once all the same, with
    what was known of them, which may be nothing."""
    agent(pair.peer, "sink").open(name="sink", version=4, protocol="udp", address=pair.PEER4,
                                  port=PORT)
    keep_long(pair.probe)
    probed = daemon(pair.probe, SMALL)
    sender = Sender(pair.probe, 4, pair.PROBE4, pair.PEER4)
    sender.send(FIRST, 20)
    probed.sync()
    stop_process(probed)
    overflow(pair.probe)
    pair.probe.run("conntrack", "-D", "-p", "udp", "--orig-port-dst", PORT)
    probed.signal(signal.SIGCONT)
    wait_overrun(probed)
    for port in range(FIRST, FIRST + 20):
        probed.wait_record(L4_SRC_PORT=port, L4_DST_PORT=PORT)
    records = [record for record in probed.stop() if record["L4_DST_PORT"] == PORT]
    sums, lives = told(records)
    assert not differences(lives, {port: (1, 1) for port in sender.sent})
    for port, (packets, size) in sender.truth().items():
        assert sums[port] in ((0, 0), (packets, size)), f"port {port}: {sums[port]}"


def test_a49_overrun_hides_the_end_of_a_connection(pair, agent, daemon):
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.probe, "client", user=65534), agent(pair.peer, "server")
    probed = daemon(pair.probe, SMALL)
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    client.send(name="c", count=5000)
    server.receive(name="s", count=5000)
    probed.sync()
    stop_process(probed)
    overflow(pair.probe)
    client.send(name="c", count=3000)
    server.receive(name="s", count=3000)
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    wait_for(lambda: any("TIME_WAIT" in line for line in pair.probe.conntrack("-p", "tcp")),
             "the connection to close")
    probed.signal(signal.SIGCONT)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**truth.read(), "FLOW_END_REASON": 3})
    wait_overrun(probed)
    assert len([r for r in probed.stop() if r["L4_DST_PORT"] == PORT]) == 1
