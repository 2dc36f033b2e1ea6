# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases of docs/attribution-cases.md: flows without ports or without a socket. Who sends is known by trace
alone: he is gone at once."""

import shlex
import socket
import subprocess

import pytest

from harness.records import ADDRESSES, PROVEN, assert_has, assert_no_process
from harness.waiting import wait_for

PORT = 8450

# A SYN for each port, with an IP header of its own; nobody has a socket of that tuple.
SCAN = """
import socket, struct, sys
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~((total & 0xffff) + (total >> 16)) & 0xffff
here, there, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
src, dst = socket.inet_aton(here), socket.inet_aton(there)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for port in range(first, first + count):
    tcp = struct.pack("!HHIIBBHHH", 1234, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
    pseudo = src + dst + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, src, dst)
    raw.sendto(ip + tcp, (there, 0))
"""

# One packet of a protocol that no port belongs to.
RAW = """
import socket, sys
family = socket.AF_INET if sys.argv[1] == "4" else socket.AF_INET6
socket.socket(family, socket.SOCK_RAW, 253).sendto(b"packet", (sys.argv[2], 0))
"""


@pytest.fixture
def probed(pair, daemon):
    return daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})


@pytest.fixture
def shell(pair):
    """shell(*argv): runs a child of a process that lives on in the namespace (of one that is gone, its
    family tells the namespace), and returns its pid."""
    process = pair.probe.popen("sh", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(*argv):
        print(shlex.join(map(str, argv)), ">/dev/null & echo $!; wait $!; echo $?",
              file=process.stdin, flush=True)
        pid, status = int(process.stdout.readline()), int(process.stdout.readline())
        assert status == 0, argv
        return pid
    yield run
    process.stdin.close()
    process.wait(timeout=20)


@pytest.mark.parametrize("version", [4, 6])
def test_a27_pings_that_are_gone_at_once(pair, probed, shell, need, version):
    """One packet each, to one address, one after the other; then two at once, which only their sockets
    tell apart: none may be named wrongly."""
    need("ping")
    _, there = pair.addresses(version)
    src, dst = ADDRESSES[version]
    expected = {"PROTOCOL": 1 if version == 4 else 58, dst: there}
    for number in range(1, 6):
        pid = shell("ping", "-n", "-c", "1", there)
        record = probed.wait_records(number, **expected)[-1]
        assert_has(record, {"SRC_PROC_ATTRIBUTION": "trace", "SRC_PROC_PID": pid,
                            "SRC_PROC_NAME": "ping"})
    pings = [pair.probe.popen("ping", "-n", "-c", "3", "-i", "0.2", there,
                              stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [ping.wait(timeout=20) for ping in pings] == [0, 0]
    records = probed.wait_records(7, **expected)[5:]
    named = [record["SRC_PROC_PID"] for record in records if "SRC_PROC_PID" in record]
    assert len(set(named)) == len(named) and set(named) <= {ping.pid for ping in pings}, records


@pytest.mark.parametrize("version", [4, 6])
def test_a26_echo_replies_are_the_kernels(pair, probed, need, version):
    """Somebody here pings as well, and has a socket that replies could be blamed on."""
    need("ping")
    here, there = pair.addresses(version)
    src, dst = ADDRESSES[version]
    ours = pair.probe.popen("ping", "-n", "-c", "10", "-i", "0.2", there,
                            stdout=subprocess.DEVNULL)
    pair.peer.run("ping", "-n", "-c", "3", "-i", "0.2", here)
    record = probed.wait_record(PROTOCOL=1 if version == 4 else 58, **{src: there, dst: here})
    assert_has(record, {"DST_PROC_ATTRIBUTION": "none", "DST_PROC_ATTRIBUTION_REASON": "kernel"})
    assert_no_process(record, "DST", but=("ATTRIBUTION_REASON",))
    assert ours.wait(timeout=20) == 0


def test_a28_a_scanner_is_named(pair, probed, shell, agent):
    """Half-open connections, of which a process has no socket."""
    here, there = pair.addresses(4)
    listener = agent(pair.peer, "listener")
    listener.listen(name="l", version=4, address=there, port=PORT)
    pid = shell("/usr/bin/python3", "-c", SCAN, here, there, PORT, 3)
    for port in range(PORT, PORT + 3):
        record = probed.wait_record(L4_SRC_PORT=1234, L4_DST_PORT=port)
        assert_has(record, {"SRC_PROC_ATTRIBUTION": "trace", "SRC_PROC_PID": pid,
                            "SRC_PROC_NAME": "python3"})


@pytest.mark.parametrize("version", [4, 6])
def test_a30_a_protocol_without_ports(pair, probed, shell, version):
    _, there = pair.addresses(version)
    pid = shell("/usr/bin/python3", "-c", RAW, version, there)
    record = probed.wait_record(PROTOCOL=253)
    assert_has(record, {"SRC_PROC_ATTRIBUTION": "trace", "SRC_PROC_PID": pid})


def need_protocol(protocol):
    """Skips, by name, where the kernel has no such sockets."""
    kind, number = {"udplite": (socket.SOCK_DGRAM, 136), "mptcp": (socket.SOCK_STREAM, 262),
                    "sctp": (socket.SOCK_STREAM, 132)}[protocol]
    try:
        socket.socket(socket.AF_INET, kind, number).close()
    except OSError as error:
        pytest.skip(f"this kernel has no {protocol}: {error}")


@pytest.mark.parametrize("protocol", ["udplite", "mptcp", "sctp"])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("methods", [["trace", "sock_diag"], ["sock_diag"]], ids=lambda m: m[0])
def test_a30_other_transports_have_both_ends(pair, daemon, agent, version, protocol, methods):
    need_protocol(protocol)
    probed = daemon(pair.probe, {"attribution": {"methods": methods}})
    here = "127.0.0.1" if version == 4 else "::1"
    client, server = agent(pair.probe, "client"), agent(pair.probe, "server")
    if protocol == "udplite":
        server.open(name="s", version=version, protocol=protocol, address=here, port=PORT)
    else:
        server.listen(name="l", version=version, protocol=protocol, address=here, port=PORT)
    client.connect(name="c", version=version, protocol=protocol, address=here, port=PORT)
    if protocol != "udplite":
        server.accept(name="s", listener="l")
    client.send(name="c", count=100)
    server.receive(name="s", count=100)
    probed.sync()
    client.close(name="c")
    server.close(name="s")
    probed.stop()
    (record,) = probed.find(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), **server.as_end("DST")})
    assert {record[f"{end}_PROC_ATTRIBUTION"] for end in ("SRC", "DST")} <= set(PROVEN), record


def test_a30_second_subflow_of_mptcp(pair, daemon, agent):
    """The kernel makes it, in a worker of its own, for the socket of the same process."""
    need_protocol("mptcp")
    other = "10.77.0.3"
    pair.probe.ip("address", "add", f"{other}/24", "dev", "e0")
    for namespace in pair.namespaces():
        namespace.ip("mptcp", "limits", "set", "subflow", "2", "add_addr_accepted", "2")
    pair.probe.ip("mptcp", "endpoint", "add", other, "dev", "e0", "subflow")
    probed = daemon(pair.probe)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    server.listen(name="l", version=4, protocol="mptcp", address=pair.PEER4, port=PORT)
    client.connect(name="c", protocol="mptcp", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    client.send(name="c", count=100)
    server.receive(name="s", count=100)
    wait_for(lambda: any(f"src={other} " in line for line in pair.probe.conntrack()),
             "the second subflow")
    probed.sync()
    client.close(name="c")
    server.close(name="s")
    probed.stop()
    records = probed.find(L4_DST_PORT=PORT)
    assert {record["IPV4_SRC_ADDR"] for record in records} == {pair.PROBE4, other}, records
    for record in records:
        assert_has(record, client.as_end("SRC"))


@pytest.mark.parametrize("methods", [["trace", "sock_diag"], ["sock_diag"]], ids=lambda m: m[0])
def test_a31_a32_inner_and_outer_flow_of_a_tunnel(pair, daemon, agent, methods):
    """VXLAN: the inner flow is the process', the outer one the kernel's, which sends it from ports that no
    socket has."""
    addresses = ["10.79.0.1", "10.79.0.2"]
    for namespace, here, there in zip(pair.namespaces(), addresses, reversed(pair.addresses(4))):
        namespace.ip("link", "add", "vx0", "type", "vxlan", "id", "7", "remote", there, "dstport",
                     "4789", "dev", "e0")
        namespace.ip("address", "add", f"{here}/24", "dev", "vx0")
        namespace.ip("link", "set", "vx0", "up")
    probed = daemon(pair.probe, {"attribution": {"methods": methods}})
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    server.listen(name="l", version=4, address=addresses[1], port=PORT)
    client.connect(name="c", address=addresses[1], port=PORT)
    server.accept(name="s", listener="l")
    client.send(name="c", count=1000)
    server.receive(name="s", count=1000)
    probed.sync()
    client.close(name="c")
    server.close(name="s")
    probed.stop()
    (inner,) = probed.find(L4_DST_PORT=PORT)
    assert_has(inner, {"IPV4_SRC_ADDR": addresses[0], **client.as_end("SRC")})
    outer = probed.find(L4_DST_PORT=4789, PROTOCOL=17)
    sent = [record for record in outer if record["IPV4_SRC_ADDR"] == pair.PROBE4]
    received = [record for record in outer if record["IPV4_SRC_ADDR"] == pair.PEER4]
    assert sent and received, outer
    for end, records in (("SRC", sent), ("DST", received)):
        for record in records:
            assert_has(record, {f"{end}_PROC_ATTRIBUTION": "none",
                                f"{end}_PROC_ATTRIBUTION_REASON": "kernel"})


# A new socket for each round, of which four threads send the first packets at once: each makes an entry of
# the same tuple, and all but one lose the race (nf_ct_resolve_clash()).
CLASH = """
import socket, sys, threading
family = socket.AF_INET if sys.argv[1] == "4" else socket.AF_INET6
for _ in range(int(sys.argv[4])):
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind(("", 0))
    start = threading.Barrier(4)
    def send():
        start.wait()
        made.sendto(b"x", (sys.argv[2], int(sys.argv[3])))
    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(made.getsockname()[1])
    made.close()
"""


@pytest.mark.parametrize("version", [4, 6])
def test_a42_packets_that_race_for_an_entry(pair, probed, version):
    """One flow for each socket, with all its packets: none twice, none lost."""
    _, there = pair.addresses(version)
    rounds = 50
    told = pair.probe.run("/usr/bin/python3", "-c", CLASH, version, there, PORT, rounds)
    ports = [int(line) for line in told.stdout.split()]
    assert len(ports) == rounds
    records = probed.wait_records(len(set(ports)), deadline_s=60, PROTOCOL=17, L4_DST_PORT=PORT)
    assert sorted(record["L4_SRC_PORT"] for record in records) == sorted(set(ports))
    assert sum(record["IN_PKTS"] for record in records) == 4 * rounds
