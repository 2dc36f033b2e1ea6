# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases of docs/attribution-cases.md: flows without ports or without a socket. Who sends is known by trace
alone: he is gone at once."""

import shlex
import subprocess

import pytest

from harness.records import ADDRESSES, assert_has, assert_no_process

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
