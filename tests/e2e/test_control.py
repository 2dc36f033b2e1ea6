# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket: who may ask, what is answered, and what a client cannot do to the daemon."""

import grp
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from harness.daemon import build_directory, run_procflow
from harness.waiting import wait_for

PORT = 8601
FLOODS = 128  # of 8 MiB: a gigabyte
GROUP = "games"  # any group that is there and that nobody is in


def ask_raw(path, data=b"", read=True):
    """What the daemon says to these bytes, to the end."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        said = b""
        try:
            client.sendall(data)
            while read and (part := client.recv(65536)):
                said += part
        except (BrokenPipeError, ConnectionResetError):
            pass
        return said


def request(command, **keys):
    return json.dumps({"version": 1, "command": command, **keys}).encode() + b"\n"


def connect(agent, pair, number):
    client, server = agent(pair.probe, f"client{number}"), agent(pair.peer, f"server{number}")
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT + number)
    local = client.connect(name="c", address=pair.PEER4, port=PORT + number)
    server.accept(name="s", listener="l")
    return client, server, local["port"]


def test_status_is_true(pair, agent, daemon):
    probed = daemon(pair.probe)
    before = probed.status()
    assert before["pid"] == probed.pid and before["version"]
    client, server, _ = connect(agent, pair, 0)
    probed.sync()
    now = probed.status()
    assert now["flows"]["open"] == 1, "the connection that is open"
    assert now["records"]["records"] == len(probed.records()) == 1, "the mark"
    assert now["conntrack"]["entries"] == len(pair.probe.conntrack())
    ours = {line.split(":")[0]: line.split()[1] for line in
            open(f"/proc/{probed.pid}/status", encoding="ascii") if line.startswith("VmRSS")}
    assert abs(now["daemon"]["memory_bytes"] - int(ours["VmRSS"]) * 1024) < 8 << 20
    assert now["uptime_ns"] > before["uptime_ns"]
    exporter, = now["exporters"]
    assert exporter["to"] == f"file://{probed.records_path}"
    assert exporter["sent_bytes"] == probed.records_path.stat().st_size
    assert [exporter] == probed.ask("exporters")
    table = run_procflow("-s", probed.control_path, "status").stdout
    assert f"process {probed.pid}" in table and "1 open" in table and "json: 1 sent" in table
    assert "\x1b" not in table, "colours are for terminals"
    client.end(), server.end()


def test_k6_how_full_connection_tracking_is(pair, agent, daemon):
    """Both as the kernel has them, over a table that stands still."""
    probed = daemon(pair.probe)
    ends = [connect(agent, pair, number) for number in range(3)]
    probed.sync()
    told = json.loads(run_procflow("-s", probed.control_path, "status", "--json").stdout)
    entries, most = (int(pair.probe.sysctl(f"net.netfilter.nf_conntrack_{name}"))
                     for name in ("count", "max"))
    assert told["conntrack"]["entries"] == entries >= len(ends)
    assert told["conntrack"]["max_entries"] == most > entries
    for client, server, _ in ends:
        client.end(), server.end()


def test_who_may_ask(pair, daemon, cleanup):
    """A member of the group by its list of groups; nobody else's processes, whatever the file's mode."""
    # Under the unit the socket has the daemon's own group, or none.
    probed = daemon(pair.probe, {"control": {"group": GROUP}}, as_unit=False)
    status = os.stat(probed.control_path)
    gid = grp.getgrnam(GROUP).gr_gid
    assert stat.S_IMODE(status.st_mode) == 0o660 and status.st_gid == gid
    directory = cleanup.enter_context(tempfile.TemporaryDirectory())
    os.chmod(directory, 0o755)
    program = shutil.copy(build_directory() / "daemon" / "cli" / "procflow", directory)

    def ask(*groups):
        argv = ["setpriv", "--reuid=65534", "--regid=65534", *groups, program, "-s",
                str(probed.control_path), "status"]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)

    member = ask(f"--groups={gid}")
    assert member.returncode == 0, member
    many = ask("--groups=" + ",".join(map(str, [*range(7000, 7200), gid])))
    assert many.returncode == 0, many
    other = ask("--clear-groups")
    assert other.returncode == 3 and f"usermod -aG {GROUP}" in other.stderr, other
    os.chmod(probed.control_path, 0o666)
    other = ask("--clear-groups")
    assert other.returncode == 1 and "not-allowed" in other.stderr, other
    assert probed.status()["control"]["refused_peers"] == 1


def test_group_that_the_socket_may_not_be_given_to(pair, daemon):
    """The unit has no CAP_CHOWN: who may ask is root then, and not nobody."""
    probed = daemon(pair.probe, {"control": {"group": GROUP}}, as_unit=True)
    assert stat.S_IMODE(os.stat(probed.control_path).st_mode) == 0o600
    assert f'may not be given to the group "{GROUP}"' in probed.log()
    assert f"Group={GROUP}" in probed.log()
    assert probed.status()["pid"] == probed.pid


def test_daemon_that_is_not_there(pair, daemon, tmp_path):
    absent = run_procflow("-s", tmp_path / "none", "status")
    assert absent.returncode == 3 and "does not run" in absent.stderr
    probed = daemon(pair.probe)
    probed.kill()
    dead = run_procflow("-s", probed.control_path, "exporters")
    assert dead.returncode == 3 and "does not run" in dead.stderr
    version = run_procflow("-s", probed.control_path, "version", "--json")
    assert version.returncode == 0 and "daemon" not in json.loads(version.stdout)
    probed.start()  # a dead one's socket is replaced
    assert probed.status()["pid"] == probed.pid
    assert probed.ask("version")[0]["daemon"]["pid"] == probed.pid
    probed.stop()
    assert not probed.control_path.exists()


def test_living_socket_stays(pair, make_namespace, daemon, tmp_path):
    probed = daemon(pair.probe)
    second = daemon(make_namespace("second"), {"control": {"socket": probed.control_path}})
    assert "another procflowd answers" in second.log()
    second.stop()
    assert probed.status()["pid"] == probed.pid
    precious = tmp_path / "precious"
    precious.write_text("not a socket")
    third = daemon(make_namespace("third"), {"control": {"socket": precious}})
    third.stop()
    assert precious.read_text() == "not a socket"


@pytest.mark.parametrize("arguments", [[], ["stauts"], ["status", "--pid", "1"], ["flows", "x"],
                                       ["flows", "--port", "65536"], ["flows", "--sort", "memory"],
                                       ["flows", "--host", "10.0.0.1/8"], ["--no-such"]], ids=str)
def test_wrong_usage_is_status_2(arguments):
    result = run_procflow(*arguments)
    assert result.returncode == 2 and result.stderr and not result.stdout, result


def test_check(make_namespace):
    here = make_namespace("probe")
    result = run_procflow("check", namespace=here)
    assert "conntrack" in result.stdout and result.returncode in (0, 1), result
    again = run_procflow("check", "--json", namespace=here)
    lines = [json.loads(line) for line in again.stdout.splitlines()]
    assert [line["status"] for line in lines] == \
        [line.split()[0] for line in result.stdout.splitlines()]
    assert again.returncode == (1 if any(line["status"] == "missing" for line in lines) else 0)


def test_abuse(pair, agent, daemon, cleanup):
    """Whatever clients do, flows arrive without loss, and each refusal is counted under its name."""
    probed = daemon(pair.probe)
    path = probed.control_path

    def hold(data=b""):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(path))
        cleanup.callback(client.close)
        if data:  # one that is refused may be closed by now
            client.sendall(data)
        return client

    def counters():
        return probed.status()["control"]

    silent = [hold(), hold(request("status")[:-1])]
    assert b"bad-request" in ask_raw(path, b"garbage\n")
    assert b"bad-request" in ask_raw(path, b"\0\xff\n")
    assert b"unsupported-version" in ask_raw(path, b'{"version":9,"command":"status"}\n')
    assert b"unknown-command" in ask_raw(path, request("destroy"))
    before = probed.status()["daemon"]["memory_bytes"]
    for _ in range(FLOODS):
        flood = ask_raw(path, b"x" * (8 << 20))
        assert flood == b"" or b"too-long" in flood
    assert probed.status()["daemon"]["memory_bytes"] < before + (16 << 20)
    ask_raw(path, request("status") + b"y" * (1 << 20))
    now = counters()
    assert now["refused_requests"] == 4 and now["refused_too_long"] == FLOODS, now
    assert now["clients"] == 3

    crowd = [hold() for _ in range(200)]
    pairs = [connect(agent, pair, number) for number in range(3)]
    for client, server, _ in pairs:
        client.send(name="c", count=50000)
        client.close(name="c")
        server.receive_end(name="s")
        server.close(name="s")
    for number, (client, _, port) in enumerate(pairs):
        record = probed.wait_record(L4_SRC_PORT=port, L4_DST_PORT=PORT + number)
        assert record["SRC_PROC_PID"] == client.pid
    refused = [client for client in crowd if b"busy" in read_now(client)]
    assert len(refused) >= 200 - 64
    for client in crowd:
        client.close()
    # Until the daemon has seen them go there may be no place to ask.
    wait_for(lambda: probed.ask("exporters", check=False), "the end of the crowd")
    assert counters()["refused_full"] >= len(refused)
    for client in silent:
        assert wait_for(lambda: client.recv(1) == b"", "the end of a client that asks nothing")
    wait_for(lambda: counters()["clients"] == 1, "the end of all other clients")
    now = probed.status()
    # On a busy machine the crowd stays longer than a request may take.
    assert now["control"]["timeouts_request"] >= 2
    assert now["losses"] == []


def read_now(client):
    client.setblocking(False)
    try:
        return client.recv(65536)
    except BlockingIOError:
        return b""


def test_flows_and_filters(pair, agent, daemon):
    """Open flows against what the test made; filters pick what they say, in the daemon."""
    probed = daemon(pair.probe, {"flows": {"active_timeout": "2s"}})
    pairs = [connect(agent, pair, number) for number in range(3)]
    (client, server, port), (big, _, big_port), (_, _, last_port) = pairs
    big.send(name="c", count=300000)
    pairs[1][1].receive(name="s", count=300000)
    client.send(name="c", count=5000)
    server.receive(name="s", count=5000)

    def flows(*arguments):
        return probed.ask("flows", *arguments)

    def ports(*arguments):
        return [flow["L4_SRC_PORT"] for flow in flows(*arguments)]

    wait_for(lambda: sorted(ports()) == sorted([port, big_port, last_port]), "three open flows")
    flow, = wait_for(lambda: [flow for flow in flows("--port", PORT)
                              if flow.get("IN_BYTES", 0) > 5000], "the counters of the flow")
    assert {**flow, **client.as_end("SRC")} == flow
    assert flow["DST_PROC_ATTRIBUTION"] == "remote" and flow["IPV4_DST_ADDR"] == pair.PEER4
    begin = flow["FLOW_START_MILLISECONDS"]
    record = probed.wait_record(L4_SRC_PORT=port, FLOW_END_REASON=2)
    assert record["FLOW_ID"] == flow["FLOW_ID"]
    assert begin == record["FLOW_START_MILLISECONDS"]
    flow, = flows("--process", client.name)
    assert flow["FLOW_START_MILLISECONDS"] == begin, "the begin of all, not of what is untold"
    assert flow["IN_BYTES"] == record["IN_BYTES"], "totals, not what is untold"
    assert wait_for(lambda: "SRC_PROC_AVERAGE_CPU_LOAD" in flows("--port", PORT)[0], "a load")

    assert ports("--pid", big.pid) == [big_port]
    assert ports("--port", big_port) == [big_port] and ports("--port", 1) == []
    assert len(ports("--host", pair.PEER4)) == 3 and ports("--host", "192.0.2.0/24") == []
    assert len(ports("--host", "10.77.0.0/24", "--user", "root")) == 3
    assert len(ports("--user", 0)) == 3 and ports("--user", "nobody") == []
    assert ports("--process", client.name, "--pid", big.pid) == []
    assert ports("--container", "0123") == []
    wait_for(lambda: ports("--sort", "bytes", "--limit", 2) == [big_port, port], "sorted by bytes")
    assert ports("--sort", "age") == [port, big_port, last_port]
    assert sorted(ports("--sort", "cpu")) == sorted([port, big_port, last_port])
    assert len(ports("--limit", 1)) == 1

    table = run_procflow("-s", probed.control_path, "flows", "--sort", "bytes", "--limit", 1)
    assert table.stderr == "1 of 3\n" and f"{big.name}[{big.pid}] root" in table.stdout
    assert f"{pair.PROBE4}:{big_port}" in table.stdout
    assert re.search(r" 3[01]\dk ", table.stdout), table
    on_terminal = pair.probe.run("script", "-qec", f"stty cols 70; {build_directory()}/daemon/cli/"
                                 f"procflow -s {probed.control_path} flows", "/dev/null").stdout
    lines = on_terminal.replace("\r", "").splitlines()
    assert "\x1b[1m" in lines[0], on_terminal
    assert all(len(line) <= 70 for line in lines[1:]) and len(lines) == 4, on_terminal


def test_times_that_conntrack_does_not_tell(pair, agent, daemon, need):
    """Flows older than the daemon, without a timestamp: when they began is not known. One was picked up in
    the middle and waits for an acknowledgement, with a timeout of minutes instead of days: its last packet
    was not days ago."""
    need("conntrack")
    pair.probe.sysctl("net.netfilter.nf_conntrack_timestamp", 0)
    made_ms = time.time_ns() // 1_000_000
    client, _, middle = connect(agent, pair, 0)
    pair.probe.nft(f"""table inet before {{
        chain out {{
            type filter hook output priority 0
            ct state new accept
        }}
        chain lost {{
            type filter hook prerouting priority -400
            tcp sport {PORT} drop
        }}
    }}
    """)
    _, _, whole = connect(agent, pair, 1)
    client.send(name="c", count=100)
    assert "delta-time" not in pair.probe.run("conntrack", "-L", "-o", "ktimestamp").stdout
    probed = daemon(pair.probe)
    _, _, new = connect(agent, pair, 2)
    flows = wait_for(lambda: len(flows := probed.ask("flows", "--sort", "age")) == 3 and flows, "three flows")
    assert [flow["L4_SRC_PORT"] for flow in flows][2] == new, "what was there before is older"
    assert sorted(flow["L4_SRC_PORT"] for flow in flows[:2]) == sorted([middle, whole])
    assert [flow.get("FLOW_START_MILLISECONDS", 0) >= made_ms for flow in flows] == [False, False, True]
    assert not [flow for flow in flows[:2] if "FLOW_START_MILLISECONDS" in flow]
    # What an entry has left to live is told in whole seconds: its last packet seems a second too early.
    assert [flow["LAST_SEEN_MILLISECONDS"] >= made_ms - 1000 for flow in flows] == [True] * 3, flows
    head, *lines = run_procflow("-s", probed.control_path, "flows", "--sort", "age").stdout.splitlines()
    begin, end = head.index("RECV") + len("RECV"), head.index("AGE") + len("AGE")
    assert [line[begin:end].strip() != "" for line in lines] == [False, False, True], (head, lines)


def test_processes(pair, agent, daemon):
    probed = daemon(pair.probe, {"flows": {"active_timeout": "1s"},
                                 "processes": {"sample_interval": "100ms"}})
    client, server, _ = connect(agent, pair, 0)
    client.send(name="c", count=100000)
    server.receive(name="s", count=100000)

    def processes(*arguments):
        return probed.ask("processes", *arguments)

    def sent():
        found = processes("--pid", client.pid)
        return found if found and found[0]["PROC_SENT_BYTES"] >= 100000 else None

    one, = wait_for(sent, "the bytes of the process")
    assert one["PROC_NAME"] == client.name and one["PROC_USER_NAME"] == "root"
    assert one["FATHER_PROC_PID"] == os.getpid() and one["PROC_EXE"].startswith("/")
    assert one["PROC_SENT_BYTES"] < 120000 and 0 < one["PROC_RECEIVED_BYTES"] < 20000
    assert one["PROC_FLOWS"] == one["LAST_MINUTE_FLOWS"] == 1
    assert one["LAST_MINUTE_SENT_BYTES"] == one["PROC_SENT_BYTES"]
    used = sum(float(value) for value in pathlib.Path(f"/proc/{client.pid}/stat").read_text(
        encoding="ascii").rpartition(")")[2].split()[11:13]) / os.sysconf("SC_CLK_TCK")
    assert abs(one["PROC_CPU_MICROSECONDS"] / 1e6 - used) < 0.1, (one, used)
    assert one["LAST_MINUTE_CPU_MICROSECONDS"] <= one["PROC_CPU_MICROSECONDS"]
    resident = int(pathlib.Path(f"/proc/{client.pid}/statm").read_text(
        encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
    assert abs(one["PROC_ACTUAL_MEMORY"] - resident) < 1 << 20

    record = probed.wait_record(SRC_PROC_PID=client.pid, FLOW_END_REASON=2)
    assert record["IN_BYTES"] == one["PROC_SENT_BYTES"]
    names = [item["PROC_NAME"] for item in processes("--sort", "memory")]
    assert client.name in names and server.name not in names
    assert ("PROC_IOWAIT_MICROSECONDS" in one) == ("LAST_MINUTE_PCTG_IOWAIT" in one)
    assert processes("--process", client.name, "--user", "nobody") == []
    table = run_procflow("-s", probed.control_path, "processes", "--process", client.name).stdout
    assert str(client.pid) in table and client.name in table and len(table.splitlines()) == 2

    client.close(name="c")
    server.receive_end(name="s")
    probed.sync()
    assert processes("--pid", client.pid), "one that lives is not forgotten with its last flow"
    client.end()
    assert wait_for(lambda: not processes("--pid", client.pid), "the end of the process")


def test_many_flows_and_a_reader_that_does_not_read(pair, agent, daemon, cleanup):
    """All of them once, while the table changes; and one that asks and does not read holds up nobody."""
    count = 20000
    probed = daemon(pair.probe, {"flows": {"active_timeout": "1h", "idle_timeout": "1h"}})

    def inject(*arguments):
        made = json.loads(pair.probe.run(build_directory() / "tests" / "bench" / "inject", "--rate",
                                         40000, *arguments).stdout)
        assert made["errors"] == 0, made

    inject("--keep", "--first", 0, "--count", count)
    probed.sync()
    lazy = socket.socket(socket.AF_UNIX)
    cleanup.callback(lazy.close)
    lazy.connect(str(probed.control_path))
    lazy.sendall(request("flows"))
    before = set(flow["FLOW_ID"] for flow in probed.ask("flows"))
    assert len(before) >= count
    changing = pair.probe.popen(build_directory() / "tests" / "bench" / "inject", "--first", count,
                                "--count", 20000, "--rate", 20000, "--lifetime", 50,
                                stdout=subprocess.PIPE)
    seen = [flow["FLOW_ID"] for flow in probed.ask("flows")]
    assert len(seen) == len(set(seen)), "none is told twice"
    assert before <= set(seen), "none that stays is left out"
    changing.communicate(timeout=30)
    largest = probed.ask("flows", "--sort", "age", "--limit", 3)
    assert [flow["FLOW_ID"] for flow in largest] == sorted(before)[:3]
    client, server, port = connect(agent, pair, 0)
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    record = probed.wait_record(L4_SRC_PORT=port, L4_DST_PORT=PORT)
    assert record["SRC_PROC_PID"] == client.pid
    wait_for(lambda: probed.status()["control"]["timeouts_stalled"] == 1, "the end of the lazy one")
    assert probed.status()["losses"] == []
