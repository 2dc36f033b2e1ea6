# SPDX-License-Identifier: GPL-2.0-or-later
"""The exporter to ntopng by ZeroMQ: a libzmq subscriber checks every byte of headers and TLV. What a
JSON file next to it has is the truth."""

import json
import pathlib
import signal
import struct
import subprocess

import pytest

from harness.daemon import executable
from harness.services import ADDRESS, FLOWS, adds_up, exporters_of, make_flows
from harness.waiting import wait_for

PORT, CURVE_PORT, SOURCE = 5556, 5557, 300
MAIN = pathlib.Path(__file__).parent / "harness" / "zmq_main.py"


@pytest.fixture(autouse=True)
def needs_zmq():
    found = subprocess.run(["/usr/bin/python3", "-c", "import zmq"], capture_output=True)
    if found.returncode:
        pytest.skip("python3-zmq is not installed")


class Collector:
    def __init__(self, namespace, path, *arguments):
        self.path = path
        with open(path, "ab") as out:
            self.process = namespace.popen("/usr/bin/python3", MAIN, *arguments, stdout=out)
        wait_for(lambda: b"ready" in path.read_bytes(), "the collector")

    def messages(self):
        """(topic, format, number, source id, payload) of each; the header's length and size are
        checked, and that numbers follow each other."""
        lines = self.path.read_text().split("\n")[1:-1]
        return [self._read(*map(bytes.fromhex, line.split())) for line in lines]

    @staticmethod
    def _read(header, payload):
        topic = header[:16].rstrip(b"\0").decode()
        assert header[:16] == topic.encode().ljust(16, b"\0")
        if len(header) == 28:
            version, pad, size = struct.unpack_from("=BBH", header, 16)
            number, = struct.unpack_from(">I", header, 20)
            source, = struct.unpack_from("=I", header, 24)
            assert pad == 0
        else:
            assert len(header) == 24
            version, source, size = struct.unpack_from("=BBH", header, 16)
            number, = struct.unpack_from(">I", header, 20)
        assert size == len(payload)
        assert version == (3 if topic == "flow" else 2)
        return topic, number, source, payload

    def end(self):
        self.process.terminate()
        self.process.wait(20)


def read_tlv(payload):
    """Records as {number or name: value}, and nothing left over."""
    assert payload[:2] == b"\1\1"
    at, records, record = 2, [], {}

    def take(count):
        nonlocal at
        at += count
        assert at <= len(payload)
        return payload[at - count:at]

    def value(kind):
        if kind in (2, 3, 4, 5):
            raw = take(1 << kind - 2)
            number = int.from_bytes(raw, "big")
            assert kind == 2 or number >> (1 << kind) != 0, "the smallest size that fits"
            return number
        if kind == 10:
            return struct.unpack("<f", take(4))[0]
        assert kind == 11, kind
        return take(int.from_bytes(take(2), "big")).decode()

    while at < len(payload):
        kinds, = take(1)
        if kinds == 1:
            records.append(record)
            record = {}
            continue
        key = value(kinds >> 4)
        assert key not in record
        record[key] = value(kinds & 15)
    assert not record, "the last group has its end"
    return records


def numbers_of(template):
    return {row["field"] + (57472 if row["PEN"] else 0): row["name"]
            for row in json.loads(template)}


def named(record, numbers):
    return {numbers.get(key, key): value for key, value in record.items()}


def flows_of(messages):
    template = [payload for topic, _, _, payload in messages if topic == "template"]
    if not template:
        return []
    numbers = numbers_of(template[0])
    return [named(record, numbers) for topic, _, _, payload in messages if topic == "flow"
            for record in read_tlv(payload)]


def without(record, *names):
    return {key: value for key, value in record.items() if key not in names}


def keys_of(value, path=()):
    if not isinstance(value, dict):
        return {".".join(path)}
    return set().union(*(keys_of(inner, (*path, key)) for key, inner in value.items()))


def make_keys():
    """(secret, public)"""
    return subprocess.run(["/usr/bin/python3", "-c", "import zmq; public, secret = zmq.curve_keypair();"
                           "print(secret.decode(), public.decode())"],
                          capture_output=True, text=True, check=True).stdout.split()


def test_every_flow_arrives_once(pair, daemon, tmp_path):
    keys = make_keys()
    path = tmp_path / "flows.json"
    # The exporter connects: the public key as ntopng shows it, in hexadecimal.
    curved = Collector(pair.probe, tmp_path / "curved", "bind", f"tcp://127.0.0.1:{CURVE_PORT}",
                       *keys)
    probed = daemon(pair.probe, {
        "flows": {"include": [f"{ADDRESS}/32"]},
        "exporters": [
            {"type": "json", "to": f"file://{path}"},
            {"name": "ntopng", "type": "zmq", "to": f"tcp://*:{PORT}", "source_id": SOURCE},
            {"name": "curve", "type": "zmq", "to": f"tcp://127.0.0.1:{CURVE_PORT}", "connect": True,
             "header_version": 1, "source_id": 7, "server_key": f'"{keys[1].encode().hex()}"'},
            {"name": "open", "type": "zmq", "to": f"tcp://127.0.0.1:{CURVE_PORT}",
             "connect": True}]}, records=path)

    def arrived(*collectors):
        return sum(len(flows_of(collector.messages())) for collector in collectors)

    # Nobody listens: the records wait.
    make_flows(pair.probe, probed)
    assert exporters_of(probed)["ntopng"]["waiting_records"] == FLOWS
    first = Collector(pair.probe, tmp_path / "first", "connect", f"tcp://127.0.0.1:{PORT}")
    wait_for(lambda: arrived(first) == FLOWS, "what had waited")
    make_flows(pair.probe, probed)
    wait_for(lambda: arrived(first) == 2 * FLOWS, "what came then")
    wait_for(lambda: sum(m[0] == "event" for m in first.messages()) >= 2, "a second event")
    first.end()
    wait_for(lambda: probed.namespace.run("ss", "-Htn", "state", "established", "sport", "=",
                                          str(PORT)).stdout == "", "the end of the connection")
    make_flows(pair.probe, probed)
    second = Collector(pair.probe, tmp_path / "second", "connect", f"tcp://127.0.0.1:{PORT}")
    wait_for(lambda: arrived(second) == FLOWS, "what had waited again")
    wait_for(lambda: arrived(curved) == 3 * FLOWS, "the encrypted flows")

    records = {record["FLOW_ID"]: without(record, "RECORD_TYPE", "@timestamp")
               for record in probed.records()}
    for collectors in ((first, second), (curved,)):
        flows = [flow for one in collectors for flow in flows_of(one.messages())]
        assert len(flows) == len(records)
        assert {flow["FLOW_ID"]: flow for flow in flows} == records
    assert any("SRC_PROC_NAME" in record for record in records.values())
    for collector, source in ((first, SOURCE), (second, SOURCE), (curved, 7)):
        messages = collector.messages()
        assert {message[2] for message in messages} == {source}
        ids = [message[1] for message in messages]
        assert ids == list(range(ids[0], ids[0] + len(ids))), "a gap would show as a drop"
    event = json.loads([m for m in first.messages() if m[0] == "event"][-1][3])
    told = list(records.values())[:2 * FLOWS]
    assert event["bytes"] == sum(r["IN_BYTES"] + r["OUT_BYTES"] for r in told)
    assert event["timeout"] == {"lifetime": 60, "idle": 30, "collected_lifetime": 60}
    assert event["zmq"]["num_flow_exports"] == 2 * FLOWS
    assert event["probe"]["unique_source_id"] == SOURCE
    # Every key of the message, and no other. The speed is a veth's.
    assert keys_of(event) == {
        "iface.name", "iface.speed", "iface.ip", "probe.ip", "probe.uuid", "probe.unique_source_id",
        "probe.version", "probe.osname", "time", "bytes", "packets", "avg.bps", "avg.pps",
        "drops.export_queue_full", "timeout.lifetime", "timeout.idle", "timeout.collected_lifetime",
        "zmq.num_flow_exports", "zmq.num_exporters"}
    assert event["iface"] == {"name": "procflow", "speed": 10000, "ip": pair.PROBE4}
    counted = exporters_of(probed)
    assert all(map(adds_up, counted.values())), counted
    assert counted["ntopng"]["sent_records"] == len(records)
    assert counted["open"]["waiting_records"] == len(records), "it has no key"
    # A reload with another number for the source: the port goes over, and what comes then arrives.
    probed.config_path.write_text(probed.config_path.read_text().replace(
        f"source_id: {SOURCE}", f"source_id: {SOURCE + 1}"))
    probed.signal(signal.SIGHUP)
    make_flows(pair.probe, probed)
    wait_for(lambda: arrived(second) == 2 * FLOWS, "flows after the reload")
    assert {message[2] for message in second.messages()} == {SOURCE, SOURCE + 1}
    second.end(), curved.end()
    probed.stop()


LISTENER = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
family = socket.AF_INET6 if sys.argv[2] == "6" else socket.AF_INET
held = socket.socket(family, kind)
held.bind(("::1" if sys.argv[2] == "6" else "127.0.0.1", int(sys.argv[3])))
if sys.argv[1] == "tcp":
    held.listen()
print("ready", flush=True)
sys.stdin.read()
"""


def listen(namespace, kind, port):
    process = namespace.popen("/usr/bin/python3", "-c", LISTENER, kind[:3], kind[3], str(port),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def package_of(path):
    """As dpkg knows it; None where there is no dpkg, or no such package."""
    try:
        found = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return found.stdout.partition(":")[0] if found.returncode == 0 else None


def test_listening_ports(pair, daemon, tmp_path):
    """Of each kind one, known to the last key; one that comes later is told, one that ends is not."""
    kinds = {"tcp4": 7001, "tcp6": 7002, "udp4": 7003, "udp6": 7004}
    listeners = {kind: listen(pair.probe, kind, port) for kind, port in kinds.items()}
    program = str(pathlib.Path("/usr/bin/python3").resolve())
    probed = daemon(pair.probe, {"exporters": [
        {"name": "ntopng", "type": "zmq", "to": f"tcp://*:{PORT}"}]})
    collector = Collector(pair.probe, tmp_path / "collector", "connect", f"tcp://127.0.0.1:{PORT}")

    def told():
        return [json.loads(payload) for topic, _, _, payload in collector.messages()
                if topic == "listening-ports"]

    def entry(port):
        package = package_of(program)
        return {"port": port, "proc": program, **({"pkg": package} if package else {})}

    # The exporter's own port, and no other.
    own = {"port": PORT, "proc": str(executable())}

    def is_told(ports):
        messages = told()
        expected = {kind: [entry(port)] if kind in ports else [] for kind, port in kinds.items()}
        expected["tcp6"].insert(0, own)
        return messages and messages[-1] == {
            "listening-ports": {kind: sorted(expected[kind], key=lambda one: one["port"])
                                for kind in expected},
            "ip-addresses": messages[-1]["ip-addresses"]}

    wait_for(lambda: is_told(kinds), lambda: f"all four: {told()[-1:]}", 60)
    assert {pair.PROBE4, pair.PROBE6} <= set(told()[-1]["ip-addresses"])
    assert not {"127.0.0.1", "::1"} & set(told()[-1]["ip-addresses"])
    listeners["tcp4"].kill()
    wait_for(lambda: is_told(set(kinds) - {"tcp4"}), lambda: f"three: {told()[-1:]}", 60)
    # Who comes later is told at once.
    late = Collector(pair.probe, tmp_path / "late", "connect", f"tcp://127.0.0.1:{PORT}")
    wait_for(lambda: any(message[0] == "listening-ports" for message in late.messages()),
             "the ports for a newcomer")
    collector.end(), late.end()
    probed.stop()


def test_curve_server(pair, daemon, tmp_path):
    """secret_key_file: who knows our public key gets the flows, who does not gets nothing."""
    (secret, public), client, other = make_keys(), make_keys(), make_keys()
    key_file, path = tmp_path / "zmq.key", tmp_path / "flows.json"
    key_file.write_text(secret + "\n")
    key_file.chmod(0o600)
    probed = daemon(pair.probe, {
        "flows": {"include": [f"{ADDRESS}/32"]},
        "exporters": [
            {"type": "json", "to": f"file://{path}"},
            {"name": "ntopng", "type": "zmq", "to": f"tcp://*:{PORT}",
             "secret_key_file": key_file}]}, records=path)
    to = ("connect", f"tcp://127.0.0.1:{PORT}")
    strangers = [Collector(pair.probe, tmp_path / "plain", *to),
                 Collector(pair.probe, tmp_path / "wrong", *to, *client, other[1])]
    make_flows(pair.probe, probed)
    assert exporters_of(probed)["ntopng"]["waiting_records"] == FLOWS, "for a stranger nothing is sent"
    friend = Collector(pair.probe, tmp_path / "friend", *to, *client, public)
    wait_for(lambda: len(flows_of(friend.messages())) == FLOWS, "the flows, encrypted")
    assert {flow["FLOW_ID"] for flow in flows_of(friend.messages())} == {
        record["FLOW_ID"] for record in probed.records()}
    assert not any(stranger.messages() for stranger in strangers)
    for collector in (friend, *strangers):
        collector.end()
    probed.stop()


def test_a_subscriber_that_does_not_read(pair, daemon, tmp_path):
    """Its buffers fill, then records wait, then the oldest are dropped and counted; what was sent
    arrives when it reads again."""
    for name in ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"):
        pair.probe.sysctl(name, "4096 4096 4096")
    path, count = tmp_path / "flows.json", 600
    probed = daemon(pair.probe, {
        "flows": {"include": [f"{ADDRESS}/32"]},
        "exporters": [
            {"type": "json", "to": f"file://{path}"},
            # Messages of a record each, of which libzmq keeps 100.
            {"name": "ntopng", "type": "zmq", "to": f"tcp://*:{PORT}", "queue": 8}]}, records=path)
    collector = Collector(pair.probe, tmp_path / "collector", "connect", f"tcp://127.0.0.1:{PORT}")
    make_flows(pair.probe, probed, 1)
    wait_for(lambda: len(flows_of(collector.messages())) == 1, "the first flow")
    collector.process.send_signal(signal.SIGSTOP)
    make_flows(pair.probe, probed, count)
    counted = exporters_of(probed)["ntopng"]
    assert adds_up(counted), counted
    assert counted["waiting_records"] > 0 and counted["dropped_queue_full"] > 0, counted
    assert 1 < counted["sent_records"] < count, counted
    collector.process.send_signal(signal.SIGCONT)
    wait_for(lambda: exporters_of(probed)["ntopng"]["waiting_records"] == 0, "the rest", 60)
    counted = exporters_of(probed)["ntopng"]
    assert adds_up(counted), counted
    wait_for(lambda: len(flows_of(collector.messages())) == counted["sent_records"],
             lambda: f"{counted}, but {len(flows_of(collector.messages()))}", 60)
    assert counted["sent_records"] + counted["dropped_queue_full"] == count + 1, counted
    collector.end()
    probed.stop()
