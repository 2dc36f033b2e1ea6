# SPDX-License-Identifier: GPL-2.0-or-later
"""The method sysdig: recordings through the real program, and the live system by a stand-in for it,
for its driver is not to be had on test machines."""

import json
import os
import pathlib
import re
import time

import pytest

from harness.daemon import build_directory, run_procflowd
from harness.records import assert_has
from harness.waiting import wait_for

PORT = 8299
TRACK = """table inet tracking {
    chain i { type filter hook prerouting priority 0; ct state new accept; }
    chain o { type filter hook output priority 0; ct state new accept; }
}"""

# Runs as "sysdig" would: says what it was started with, then writes what the test puts into a pipe.
STAND_IN = """
import json, os, sys
directory = sys.argv[1]
with open(directory + "/starts", "a") as file:
    about = {"pid": os.getpid(), "group": os.getpgrp(), "argv": sys.argv[2:]}
    file.write(json.dumps(about) + "\\n")
pipe = os.open(directory + "/lines", os.O_RDONLY)
while (some := os.read(pipe, 1 << 16)):
    while some:
        some = some[os.write(1, some):]
"""


class StandIn:
    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        directory.chmod(0o777)  # for a daemon that is not root
        (directory / "program").write_text(STAND_IN)
        os.mkfifo(directory / "lines")
        self.command = ["/usr/bin/python3", str(directory / "program"), str(directory)]

    def config(self, methods=("sysdig",), **changes):
        return {"attribution": {"methods": list(methods)},
                "sysdig": {"enable": True, "command": self.command, **changes}}

    def starts(self):
        path = self.directory / "starts"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_starts(self, count):
        return wait_for(lambda: self.starts() if len(self.starts()) >= count else None,
                        lambda: f"{count} starts, there are {self.starts()}")

    def open(self):
        """What it writes from here on, until this is closed: then it ends."""
        return open(self.directory / "lines", "wb", buffering=0)


@pytest.fixture
def stand_in(tmp_path):
    return StandIn(tmp_path / "standin")


def line(call, pid, protocol, first, second, result=0, since_ns=None):
    """"since_ns": when the call began; it returns now."""
    now = time.time_ns()
    tuple_ = "->".join(f"{end['address']}:{end['port']}" for end in (first, second))
    return json.dumps({
        "evt.arg.tuple": tuple_, "evt.dir": ">" if call.startswith("send") else "<",
        "evt.latency": now - since_ns if since_ns else 0,
        "evt.rawres": None if call.startswith("send") else result,
        "evt.rawtime": now, "evt.type": call, "fd.l4proto": protocol,
        "proc.name": "x\ny", "proc.pid": pid, "proc.ppid": 1, "thread.tid": pid}).encode() + b"\n"


def captures():
    top = pathlib.Path(__file__).resolve()
    for parent in top.parents:
        if (parent / "shared" / "captures").is_dir():
            return parent / "shared" / "captures"
    pytest.skip("the recordings (shared/captures) are not there")


CAPTURED = {
    "curl_google.scap": [
        r"connect udp \[2600:1f18:262c:6542:9aa6:df7a:9a47:d29e\]:40251 -> "
        r"\[2001:4860:4860::8888\]:53 curl\[17497\] 0",
        r"connect tcp \[2600:1f18:262c:6542:9aa6:df7a:9a47:d29e\]:37140 -> "
        r"\[2607:f8b0:4004:802::2004\]:80 curl\[17497\] -115"],
    "single_ipv6_conn.scap": [
        r"accept tcp \[2001:db8::3\]:1234 <- \[2001:db8::4\]:54405 \[25886\] 4",
        r"connect tcp \[2001:db8::4\]:54405 -> \[2001:db8::3\]:1234 \[25888\] -115"],
    "test_ipv6_client.scap": [
        r"connect udp \[::1\]:38255 -> \[::1\]:2345 test_ipv6_clien\[19747\] 0",
        r"sendto udp \[::1\]:38255 -> \[::1\]:2345 test_ipv6_clien\[19747\]"],
}


def test_recordings_through_the_real_program(need, tmp_path):
    need("sysdig")
    directory = captures()
    for name, wanted in CAPTURED.items():
        shown = run_procflowd("-c", "/dev/null", "--capture", directory / name)
        assert shown.returncode == 0, shown.stderr
        for pattern in wanted:
            assert re.search(rf"^\S+Z {pattern}$", shown.stdout, re.M), (pattern, shown.stdout)
        assert " 0 unknown, 0 malformed, 0 too long" in shown.stderr
    (tmp_path / "cut").write_bytes((directory / "curl_google.scap").read_bytes()[:9000])
    for path in (tmp_path / "cut", tmp_path / "missing"):
        shown = run_procflowd("-c", "/dev/null", "--capture", path)
        assert shown.returncode == 3 and "could not be read to its end" in shown.stderr


def test_a_recording_of_another_time(pair, daemon, need):
    """It is read to its end, and nothing else changes."""
    need("sysdig")
    recording = captures() / "curl_google.scap"
    probed = daemon(pair.probe, {"attribution": {"methods": ["sock_diag", "sysdig"]},
                                 "sysdig": {"enable": True, "command": ["sysdig"],
                                            "capture": str(recording)}})
    counted = wait_for(lambda: probed.status()["sysdig"] if probed.status()["sysdig"]["ends"]
                       else None, "the end of the recording")
    assert counted["lines"] > 0 and counted["too_old"] > 0, counted
    assert counted["ends"] == counted["starts"] == 1 and counted["sockets"] == 0, counted
    probed.stop()


def test_a_recording_of_this_boot(pair, agent, daemon, tmp_path):
    """It knows of a connection that is older than the daemon; nothing else is asked."""
    pair.probe.nft(TRACK)
    pair.probe.sysctl("net.netfilter.nf_conntrack_timestamp", 1)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    since = time.time_ns()
    local, remote = connect(client, server, pair.PEER4)
    recording, reader = tmp_path / "recording", tmp_path / "reader"
    recording.write_bytes(line("connect", client.pid, "tcp", local, remote, since_ns=since))
    reader.write_text('#!/bin/sh\n[ "$1" = -r ] && exec cat "$2"\n')
    reader.chmod(0o755)
    probed = daemon(pair.probe, {"attribution": {"methods": ["sysdig"]},
                                 "sysdig": {"enable": True, "command": [str(reader), "--live"],
                                            "capture": str(recording)}})
    wait_for(lambda: probed.status()["sysdig"]["sockets"] == 1, "what the recording tells")
    close(client, server)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"SRC_PROC_ATTRIBUTION": "sysdig", "SRC_PROC_PID": client.pid})
    assert probed.status()["sysdig"]["ends"] == 1, "once"


def connect(client, server, address):
    server.listen(name="l", version=4, address=address, port=PORT)
    local = client.connect(name="c", version=4, address=address, port=PORT)
    server.accept(name="s", listener="l")
    return local, {"address": address, "port": PORT}


def close(client, server):
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")


def test_who_sysdig_saw_is_the_owner(pair, agent, daemon, stand_in):
    """Among garbage: cut, enormous, of other events and with a line within a name."""
    probed = daemon(pair.probe, stand_in.config())
    client, server = agent(pair.probe, "client"), agent(pair.probe, "server")
    start = stand_in.wait_starts(1)[0]
    assert start["group"] == start["pid"], "a group of its own"
    assert start["argv"][:3] == ["--unbuffered", "-j", "-p"] and "evt.type" in start["argv"][-1]
    with stand_in.open() as pipe:
        since = time.time_ns()
        local, remote = connect(client, server, "127.0.0.1")
        pipe.write(b"\xff\x00garbage\n\n{}\n[1]\n" + b"x" * 20000 + b"\n")
        pipe.write(line("connect", client.pid, "tcp", local, remote, result=-115, since_ns=since))
        pipe.write(line("accept4", server.pid, "tcp", local, remote, result=5))
        pipe.write(line("open", os.getpid(), "tcp", local, remote))
        forged = line("connect", os.getpid(), "tcp", local, remote).decode().rstrip("\n")
        pipe.write(json.dumps({"proc.name": f"\n{forged}\n"}).encode() + b"\n")
        close(client, server)
        record = probed.wait_record(L4_DST_PORT=PORT)
        counted = probed.status()["sysdig"]
    assert_has(record, {"SRC_PROC_ATTRIBUTION": "sysdig", "SRC_PROC_PID": client.pid,
                        "DST_PROC_ATTRIBUTION": "sysdig", "DST_PROC_PID": server.pid})
    # Malformed: garbage, an empty line, and objects without what every event has.
    assert {name: counted[name] for name in ("sockets", "malformed", "unknown", "too_long")} == \
        {"sockets": 2, "malformed": 5, "unknown": 1, "too_long": 1}, counted
    probed.stop()


@pytest.mark.parametrize("method", ["trace", "sock_diag"])
def test_stronger_methods_are_believed_first(pair, agent, daemon, stand_in, method):
    probed = daemon(pair.probe, stand_in.config(methods=(method, "sysdig")))
    client, server = agent(pair.probe, "client"), agent(pair.probe, "server")
    stand_in.wait_starts(1)
    with stand_in.open() as pipe:
        since = time.time_ns()
        local, remote = connect(client, server, "127.0.0.1")
        pipe.write(line("connect", os.getpid(), "tcp", local, remote, since_ns=since))
        wait_for(lambda: probed.status()["sysdig"]["sockets"] == 1, "the line")
        close(client, server)
        record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"SRC_PROC_ATTRIBUTION": method, "SRC_PROC_PID": client.pid})


def test_weaker_methods_give_way(pair, agent, daemon, stand_in):
    """Of a socket that two hold, and of a connection that nobody has accepted yet, sysdig knows more: its
    lines come when both have been answered for."""
    probed = daemon(pair.probe, stand_in.config(methods=("sock_diag", "sysdig")))
    client, server = agent(pair.probe, "client"), agent(pair.probe, "server")
    worker = agent(pair.probe, "worker")
    stand_in.wait_starts(1)
    server.listen(name="l", version=4, address="127.0.0.1", port=PORT)
    with stand_in.open() as pipe:
        since = time.time_ns()
        client.open(name="c", version=4, protocol="tcp")
        client.share(name="c")
        local = client.connect(name="c", version=4, address="127.0.0.1", port=PORT)
        remote = {"address": "127.0.0.1", "port": PORT}

        def answered():
            flow, = probed.ask("flows", "--port", str(PORT)) or [{}]
            return (flow.get("SRC_PROC_ATTRIBUTION"), flow.get("DST_PROC_ATTRIBUTION"))

        wait_for(lambda: answered() == ("shared", "listener"), lambda: f"the answers: {answered()}")
        pipe.write(line("connect", worker.pid, "tcp", local, remote, since_ns=since))
        pipe.write(line("accept4", worker.pid, "tcp", local, remote, result=5))
        wait_for(lambda: probed.status()["sysdig"]["sockets"] == 2, "the lines")
        # The reset ends the flow while both still hold the socket: the last of two would be proven.
        server.close(name="l")
        record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"SRC_PROC_ATTRIBUTION": "sysdig", "SRC_PROC_PID": worker.pid,
                        "DST_PROC_ATTRIBUTION": "sysdig", "DST_PROC_PID": worker.pid})


def anonymous_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status).group(1))


def is_gone(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_its_death_and_its_silence(pair, daemon, stand_in):
    """Started again after a pause; a line without end; and it dies with the daemon."""
    probed = daemon(pair.probe, stand_in.config(methods=("sock_diag", "sysdig")))
    stand_in.wait_starts(1)
    with stand_in.open() as pipe:
        pipe.write(b'{"evt.rawtime":')
    starts = stand_in.wait_starts(2)
    assert "exit status 0; it is started again in 1 s" in probed.log()
    with stand_in.open() as pipe:
        before, block = anonymous_kib(probed.pid), b"y" * (1 << 20)
        for _ in range(256):  # a line of a quarter of a gigabyte
            pipe.write(block)
        probed.sync()
        assert anonymous_kib(probed.pid) - before < 64 * 1024
        os.kill(starts[-1]["pid"], 9)
        starts = stand_in.wait_starts(3)
    assert "was ended by signal 9; it is started again in 2 s" in probed.log()
    probed.sync()  # it says nothing, and all goes on
    probed.kill()
    wait_for(lambda: is_gone(starts[-1]["pid"]), "its end with the daemon's")


def test_a_program_that_is_missing_or_complains(pair, daemon, stand_in, tmp_path):
    missing = daemon(pair.probe, {"attribution": {"methods": ["sock_diag", "sysdig"]},
                                  "sysdig": {"enable": True, "command": ["no-such-sysdig"]}})
    wait_for(lambda: missing.status()["sysdig"]["failures"] >= 3, "three tries")
    assert missing.log().count("no-such-sysdig cannot be run: No such file or directory") == 1
    missing.stop()
    script = tmp_path / "complains"
    script.write_text("#!/bin/sh\nprintf 'no \\033[31mdriver\\n' >&2\nexit 1\n")
    script.chmod(0o755)
    complains = daemon(pair.probe, {"attribution": {"methods": ["sock_diag", "sysdig"]},
                                    "sysdig": {"enable": True, "command": [str(script)]}})
    wait_for(lambda: complains.log().count("exit status 1; it is started again") >= 2,
             "two starts")
    assert "it says: no ?[31mdriver" in complains.log()
    assert "in 1 s" in complains.log() and "in 2 s" in complains.log()
    complains.stop()


def test_a_program_that_complains_without_end(pair, daemon, tmp_path):
    """All its lines are counted, and the first ones are in the log."""
    script = tmp_path / "complains"
    script.write_text("#!/bin/sh\nyes 'no driver' | head -n 5000 >&2\nexec sleep 1000\n")
    script.chmod(0o755)
    probed = daemon(pair.probe, {"attribution": {"methods": ["sock_diag", "sysdig"]},
                                 "sysdig": {"enable": True, "command": [str(script)]}})
    wait_for(lambda: probed.status()["sysdig"]["complaints"] == 5000, "all complaints")
    assert 0 < probed.log().count("it says: no driver") <= 40
    probed.stop()


def test_a_program_that_comes_later(pair, daemon, tmp_path):
    """One line for each reason why it cannot be started; then it is."""
    program = tmp_path / "later"
    probed = daemon(pair.probe, {"attribution": {"methods": ["sock_diag", "sysdig"]},
                                 "sysdig": {"enable": True, "command": [str(program)]}})
    wait_for(lambda: "later cannot be run: No such file" in probed.log(), "the first reason")
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    wait_for(lambda: "later cannot be run: Permission denied" in probed.log(), "the second one")
    program.chmod(0o755)
    counted = wait_for(lambda: probed.status()["sysdig"] if probed.status()["sysdig"]["starts"]
                       else None, "its start")
    assert counted["starts"] == 1 and counted["failures"] >= 2
    assert probed.log().count("later cannot be run") == 2
    probed.stop()


def test_the_configuration_asks_for_both_halves():
    for text, said in (
            ("sysdig: {enable: true}", "sysdig is not one of attribution.methods"),
            ("attribution: {methods: [sysdig]}", "sysdig needs sysdig.enable: true"),
            ("sysdig: {command: []}", "an empty list is not enough"),
            ("sysdig: {command: [[a]]}", "sysdig.command")):
        path = build_directory() / "test_sysdig.yaml"
        path.write_text(text + "\n")
        tested = run_procflowd("-t", "-c", path)
        path.unlink()
        assert tested.returncode == 1 and said in tested.stdout + tested.stderr, tested
