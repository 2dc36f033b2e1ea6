# SPDX-License-Identifier: GPL-2.0-or-later
"""Collectors that misbehave, many at once: each exporter has its own fate, its counters add up, and
none disturbs another."""

import json
import os
import pathlib
import signal
import struct
import subprocess

import pytest

from harness.namespaces import run
from harness.waiting import wait_for

COLLECTOR = pathlib.Path(__file__).parent / "harness" / "collector_main.py"
FLOWS = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0), backlog=64)
for _ in range(int(sys.argv[1])):
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    client.close()
    server.recv(1)
    server.close()
"""


RECEIVER = """
import socket, sys
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    datagram = receiver.recv(65536)
    assert datagram.count(b"\\n") == 1 and datagram.endswith(b"\\n")
    with open(sys.argv[2], "ab") as file:
        file.write(datagram)
"""


def make_flows(namespace, count):
    namespace.run("/usr/bin/python3", "-c", FLOWS, count)


class Collector:
    def __init__(self, namespace, port, path, *limit):
        self.path = pathlib.Path(path)
        self._start = lambda: namespace.popen("/usr/bin/python3", COLLECTOR, port, path, *limit,
                                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.start()

    def start(self):
        self.process = self._start()
        assert self.process.stdout.readline() == b"listening\n"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def lines(self):
        """The whole lines. One that was cut stands in front of the first of the next connection."""
        data = self.path.read_bytes() if self.path.exists() else b""
        return [json.loads(line[line.rfind(b'{"RECORD_TYPE"'):])
                for line in data.rpartition(b"\n")[0].split(b"\n") if line]


def counters(probed):
    """By the exporter's name; each adds up."""
    answers = {answer["name"]: answer for answer in probed.ask("exporters")}
    for name, answer in answers.items():
        dropped = sum(value for key, value in answer.items() if key.startswith("dropped_"))
        assert answer["accepted_records"] == (answer["sent_records"] + answer["waiting_records"]
                                              + dropped), answer
    return answers


def identify(records):
    return [(record["FLOW_ID"], record["FLOW_END_MILLISECONDS"]) for record in records]


def tcp(name, port, **options):
    return {"name": name, "type": "json", "to": f"tcp://127.0.0.1:{port}", "reconnect": "200ms",
            **options}


def settings(probe_file, *exporters):
    return {"exporters": [{"name": "file", "type": "json", "to": f"file://{probe_file}"},
                          *exporters]}


def wait_sent(probed, *names):
    """Of what there is now nothing waits any more; exporters make flows themselves."""
    before = counters(probed)

    def are_sent():
        now = counters(probed)
        return all(now[name]["accepted_records"] - now[name]["waiting_records"]
                   >= before[name]["accepted_records"] for name in names)
    wait_for(are_sent, lambda: f"{names} to send {before}: {counters(probed)}")


def test_many_faults_at_once(pair, daemon, tmp_path, cleanup):
    probe = pair.probe
    probe.sysctl("net.ipv4.tcp_wmem", "4096 16384 65536")
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small)
    cleanup.callback(run, "umount", "-l", small)
    restarted = Collector(probe, 9001, tmp_path / "restarted")
    silent = Collector(probe, 9002, tmp_path / "silent", 0)
    cut = Collector(probe, 9003, tmp_path / "cut", 5000)
    blackholed = Collector(probe, 9004, tmp_path / "blackholed")
    path, removed = tmp_path / "all.json", tmp_path / "removed.json"
    probed = daemon(probe, settings(
        path, tcp("restarted", 9001), tcp("silent", 9002, queue=50), tcp("cut", 9003),
        tcp("blackholed", 9004), tcp("refused", 9005, queue=40),
        {"name": "removed", "type": "json", "to": f"file://{removed}", "rotate_size": 0},
        {"name": "small", "type": "json", "to": f"file://{small}/f", "rotate_size": 0}),
        records=path)
    make_flows(probe, 100)
    probed.sync()
    wait_sent(probed, "restarted", "cut", "blackholed", "removed")
    wait_for(lambda: len(restarted.lines()) == counters(probed)["restarted"]["sent_records"],
             "the collector to write what it has")
    restarted.kill()
    removed.unlink()
    probe.nft("""table inet hole {
        chain out {
            type filter hook output priority 0
            tcp dport 9004 drop
        }
    }
    """)
    make_flows(probe, 300)
    probed.sync()
    wait_for(lambda: counters(probed)["refused"]["dropped_queue_full"] > 0
             and counters(probed)["restarted"]["failed_connections"] > 0
             and counters(probed)["small"]["waiting_records"] > 0, "the faults to show")
    now = counters(probed)
    assert now["blackholed"]["waiting_records"] > 0, now["blackholed"]
    assert now["blackholed"]["sent_records"] < now["file"]["accepted_records"], now["blackholed"]
    assert now["file"]["waiting_records"] < 300, "the others must not hold it up"
    assert now["refused"]["sent_records"] == 0 and now["refused"]["waiting_records"] <= 45, now
    restarted.start()
    probe.nft("delete table inet hole")

    def is_small_empty():
        os.truncate(small / "f", 0)
        return counters(probed)["small"]["waiting_records"] < 3  # the exporters make flows too
    wait_for(is_small_empty, lambda: f"room on the small disk to be used: {counters(probed)}")
    wait_sent(probed, "restarted", "blackholed", "removed")
    now = counters(probed)
    for name in ("restarted", "cut", "blackholed", "removed", "small"):
        assert now[name]["sent_records"] > 400, now[name]
        assert sum(value for key, value in now[name].items() if key.startswith("dropped_")) == 0
    assert now["silent"]["dropped_queue_full"] > 0, now["silent"]
    assert removed.exists(), "a removed file comes back"
    records = probed.stop()
    wanted = identify(records)
    # Every record once and in order: also after a kill of the collector, after a black hole.
    wait_for(lambda: len(restarted.lines()) >= len(wanted) - 3
             and len(blackholed.lines()) >= len(wanted) - 3, "the collectors to write the rest")
    for collector in (restarted, blackholed):
        received = identify(collector.lines())
        assert received == [one for one in wanted if one in set(received)], collector.path
        assert set(wanted[:-20]) <= set(received), collector.path
    received = identify(cut.lines())
    assert received == [one for one in wanted if one in set(received)], "nothing twice"
    assert 5 < len(received) <= now["cut"]["sent_records"], "a reset takes what was not read along"
    # What its kernel acknowledged, and what ours still had at the end.
    silent.process.stdin.close()
    wait_for(lambda: len(silent.lines()) >= now["silent"]["sent_records"], "all that was sent")
    received = identify(silent.lines())
    assert received == [one for one in wanted if one in set(received)], "in order, nothing twice"
    assert len(received) <= len(wanted) - now["silent"]["dropped_queue_full"]


def test_json_over_udp(pair, daemon, tmp_path):
    """A record is a datagram. Where nobody listens, the kernel is told so, and the next one tells us."""
    probe, path, received = pair.probe, tmp_path / "all.json", tmp_path / "received"
    receiver = probe.popen("/usr/bin/python3", "-c", RECEIVER, 9601, received,
                           stdout=subprocess.PIPE)
    assert receiver.stdout.readline() == b"listening\n"
    probed = daemon(probe, {"exporters": [
        {"name": "file", "type": "json", "to": f"file://{path}"},
        {"name": "udp", "type": "json", "to": "udp://127.0.0.1:9601"},
        {"name": "refused", "type": "json", "to": "udp://127.0.0.1:9602"}]}, records=path)
    make_flows(probe, 50)
    probed.sync()
    wait_sent(probed, "udp", "refused")
    now = counters(probed)
    assert now["refused"]["refused_messages"] > 0 and now["refused"]["sent_records"] >= 50, now
    assert now["udp"]["refused_messages"] == 0 and now["udp"]["sent_messages"] >= 50, now
    wanted = [json.dumps(record) for record in probed.stop()]

    def lacks():
        there = {json.dumps(json.loads(line)) for line in received.read_bytes().splitlines()}
        return [record for record in wanted if record not in there]

    wait_for(lambda: not lacks(), lambda: f"all records: {lacks()}")
    assert len(received.read_bytes().splitlines()) == len(wanted), "nothing twice"
    receiver.kill()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_opens_files_again(pair, daemon, tmp_path, number):
    probe, path, old = pair.probe, tmp_path / "flows.json", tmp_path / "flows.json.old"
    probed = daemon(probe, {"exporters": [
        {"name": "file", "type": "json", "to": f"file://{path}", "rotate_size": 0}]}, records=path)
    make_flows(probe, 20)
    probed.sync()
    path.rename(old)
    probed.signal(number)
    wait_for(path.exists, "the file under its name again")
    first = len(old.read_bytes().splitlines())
    assert first >= 20
    make_flows(probe, 5)
    wait_for(lambda: path.read_bytes().count(b"\n") >= 5, "records in the new file")
    assert len(old.read_bytes().splitlines()) == first, "the old file is left alone"
    now = counters(probed)["file"]
    assert now["sent_records"] == first + path.read_bytes().count(b"\n"), now


def openssl(directory, *arguments):
    run("openssl", *arguments, cwd=directory)


def make_certificate(directory, name, issuer, subject_names="IP:127.0.0.1", days="2"):
    """NAME.pem and NAME.key, signed by ISSUER's, or by itself."""
    (directory / f"{name}.ext").write_text(
        f"subjectAltName={subject_names}\n" if issuer else "basicConstraints=CA:TRUE\n")
    openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    signer = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial"] if issuer else [
        "-signkey", f"{name}.key"]
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-extfile", f"{name}.ext", "-days",
            days, *signer, "-out", f"{name}.pem")
    (directory / f"{name}.key").chmod(0o600)


def serve_tls(namespace, directory, port, certificate, output):
    """openssl s_server that wants a certificate signed by ca."""
    with open(output, "wb") as file:
        process = namespace.popen(
            "openssl", "s_server", "-quiet", "-accept", port, "-Verify", "1",
            "-verify_return_error", "-CAfile", directory / "ca.pem", "-cert",
            directory / f"{certificate}.pem", "-key", directory / f"{certificate}.key",
            stdin=subprocess.PIPE, stdout=file, stderr=subprocess.DEVNULL)
    wait_for(lambda: f":{port} " in namespace.run("ss", "-Hltn").stdout, "s_server")
    return process


def read_ipfix(data):
    """(messages, flows' data sets, sequence numbers); fails on what is no stream of messages. The last one
    may not be whole yet."""
    messages, sequences, sets = 0, [], 0
    while len(data) >= 16:
        version, length, _, sequence, _ = struct.unpack_from(">HHIII", data)
        assert version == 10 and length >= 16, (version, length, len(data))
        if length > len(data):
            break
        at = 16
        while at < length:
            set_id, set_length = struct.unpack_from(">HH", data, at)
            sets += 256 <= set_id < 768
            at += set_length
        data, messages = data[length:], messages + 1
        sequences.append(sequence)
    return messages, sets, sequences


def read_all_sent(probed, name, path):
    """What s_server wrote, in a moment in which that is what was sent: acknowledged is not yet written, and
    the exporters make flows themselves, so there is more to send at any time."""
    def read():
        before = path.read_bytes()
        sent = counters(probed)[name]["sent_messages"]
        return before == path.read_bytes() and read_ipfix(before)[0] == sent and read_ipfix(before)

    return wait_for(read, lambda: f"{counters(probed)[name]} in {read_ipfix(path.read_bytes())}")


def test_tls(pair, daemon, need, tmp_path):
    need("openssl")
    probe, keys = pair.probe, tmp_path / "keys"
    keys.mkdir()
    make_certificate(keys, "ca", None)
    make_certificate(keys, "strange", None)
    for name, issuer, options in (
            ("server", "ca", {}), ("expired", "ca", {"days": "-1"}), ("probe", "ca", {}),
            ("named", "ca", {"subject_names": "DNS:collector.example"}),
            ("forged", "strange", {})):
        make_certificate(keys, name, issuer, **options)
    own = {"certificate_file": keys / "probe.pem", "key_file": keys / "probe.key"}
    # Name: the collector's certificate, what the exporter shows, and what the log says of it.
    cases = {
        "right": ("server", own, None),
        "right-name": ("named", {**own, "server_name": "collector.example"}, None),
        "other-name": ("named", own, "IP address mismatch"),
        "wrong": ("forged", own, "unable to get local issuer certificate"),
        "expired": ("expired", own, "certificate has expired"),
        "missing": ("server", {}, "certificate required"),
        "not-ours": ("server", {"certificate_file": keys / "forged.pem",
                                "key_file": keys / "forged.key"}, "unknown ca"),
    }
    exporters = []
    for number, (name, (certificate, shown, _)) in enumerate(cases.items()):
        serve_tls(probe, keys, 9100 + number, certificate, tmp_path / name)
        exporters.append({"name": name, "type": "ipfix", "to": f"tls://127.0.0.1:{9100 + number}",
                          "ca_file": keys / "ca.pem", "reconnect": "300ms", **shown})
    path = tmp_path / "all.json"
    probed = daemon(probe, settings(path, *exporters), records=path)
    make_flows(probe, 20)
    probed.sync()
    good = [name for name, case in cases.items() if case[2] is None]
    wait_sent(probed, *good)
    wait_for(lambda: all(counters(probed)[name]["failed_connections"] > 0 for name in cases
                         if name not in good), "the others to be refused")
    now = counters(probed)
    for name, (_, _, reason) in cases.items():
        if reason is None:
            assert now[name]["sent_records"] >= 20 and now[name]["connections"] == 1, now[name]
            messages, sets, sequences = read_all_sent(probed, name, tmp_path / name)
            assert messages > 1 and sets > 0, now[name]
            assert sequences == sorted(sequences) and sequences[0] == 0, sequences
        else:
            assert now[name]["sent_records"] == 0, now[name]
            lines = [line for line in probed.log().splitlines() if f" {name}: cannot" in line]
            assert any(reason in line for line in lines), (name, probed.log())
            assert (tmp_path / name).read_bytes() == b"", name
    probed.kill()


def test_tls_key_that_others_can_read(pair, daemon, need, tmp_path):
    need("openssl")
    make_certificate(tmp_path, "ca", None)
    (tmp_path / "ca.key").chmod(0o644)
    path = tmp_path / "all.json"
    refused = daemon(pair.probe, settings(path, {
        "name": "c", "type": "ipfix", "to": "tls://127.0.0.1", "ca_file": tmp_path / "ca.pem",
        "certificate_file": tmp_path / "ca.pem", "key_file": tmp_path / "ca.key"}),
        records=path, start=False)
    refused.start(wait=False)
    assert refused.wait_exit() == 3
    assert "chmod 0600" in refused.log()
