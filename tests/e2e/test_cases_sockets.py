# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases of docs/attribution-cases.md: sockets that are short, handed on, or not where one looks."""

import os
import shutil
import subprocess

import pytest

from harness.records import PROVEN

PORT = 8400

CONNECT = """
import socket, sys, time
made = socket.socket(socket.AF_INET if sys.argv[1] == "4" else socket.AF_INET6)
made.settimeout(15)
made.connect((sys.argv[2], int(sys.argv[3])))
print(made.getsockname()[1], flush=True)
sys.stdin.readline()
"""

CLOSE_AT_ONCE = """
import socket, sys
made = socket.socket(socket.AF_INET if sys.argv[1] == "4" else socket.AF_INET6)
made.setblocking(False)
made.connect_ex((sys.argv[2], int(sys.argv[3])))
print(made.getsockname()[1], flush=True)
made.close()
"""

# The main thread ends by exit(2), not exit_group(2); another one connects after that.
WITHOUT_LEADER = """
import ctypes, socket, sys, threading, time
SYS_exit = {"x86_64": 60}.get(__import__("platform").machine(), 93)
def connect():
    while open("/proc/self/stat").read().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    made = socket.socket()
    made.connect((sys.argv[2], int(sys.argv[3])))
    print(made.getsockname()[1], flush=True)
    sys.stdin.readline()
    made.close()
threading.Thread(target=connect).start()
ctypes.CDLL(None).syscall(SYS_exit, 0)
"""

# A thread with descriptors of its own.
OWN_DESCRIPTORS = """
import ctypes, socket, sys, threading
CLONE_FILES = 0x400
def connect():
    assert ctypes.CDLL(None).unshare(CLONE_FILES) == 0
    made = socket.socket()
    made.connect((sys.argv[2], int(sys.argv[3])))
    print(made.getsockname()[1], flush=True)
    sys.stdin.readline()
    made.close()
thread = threading.Thread(target=connect)
thread.start()
thread.join()
"""

# The parent connects a UDP socket and exits; its child sends.
INHERITED_UDP = """
import os, socket, sys, time
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
made.connect((sys.argv[2], int(sys.argv[3])))
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    time.sleep(0.01)
made.send(b"x")
print(made.getsockname()[1], os.getpid(), flush=True)
sys.stdin.readline()
"""


def run(namespace, source, version, address, program="/usr/bin/python3"):
    process = namespace.popen(program, "-c", source, version, address, PORT,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    told = process.stdout.readline().split()
    assert told, "the sender ended"
    return process, [int(word) for word in told]


def finish(probed, process):
    probed.sync()
    process.stdin.close()


def listen(agent, namespace, version, address):
    server = agent(namespace, "server")
    server.listen(name="l", version=version, address=address, port=PORT)
    return server


@pytest.mark.parametrize("version", [4, 6])
def test_a03_closed_before_it_is_connected(pair, agent, daemon, version):
    probed = daemon(pair.probe)
    _, there = pair.addresses(version)
    listen(agent, pair.peer, version, there)
    process, (port,) = run(pair.probe, CLOSE_AT_ONCE, version, there)
    process.wait(timeout=20)
    probed.sync()
    probed.stop()
    record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=port)
    assert record["SRC_PROC_ATTRIBUTION"] in (*PROVEN, "none")
    assert record.get("SRC_PROC_PID", process.pid) == process.pid, record


# To multicast and broadcast addresses, each from a socket that is bound to nothing; then says its port.
SEND_TO_MANY = """
import socket, sys
print("ready", flush=True)
sys.stdin.readline()
device = next(index for index, name in socket.if_nameindex() if name != "lo")
kept = []
for address in sys.argv[2:]:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    kept.append(made)
    if made.family == socket.AF_INET:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.0.1"))
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, device)
    made.sendto(b"x", (address, int(sys.argv[1])))
    print(made.getsockname()[1], flush=True)
sys.stdin.readline()
"""
# On a device that it is told the kernel sends there without a look at the routes: trace has nothing.
LOCAL_MULTICAST = "224.0.0.251"
MANY = [LOCAL_MULTICAST, "239.255.255.250", "10.77.0.255", "ff02::fb", "ff15::1"]


@pytest.mark.parametrize("methods", [["trace"], ["sock_diag"], ["trace", "sock_diag"]], ids="+".join)
def test_a24_who_sends_to_many_is_named(pair, daemon, methods):
    probed = daemon(pair.probe, {"attribution": {"methods": methods},
                                 "flows": {"idle_timeout": "1s"}})
    process = pair.probe.popen("/usr/bin/python3", "-c", SEND_TO_MANY, PORT, *MANY,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    probed.sync()  # sock_diag believes in a sender that was there before the event that was read last
    process.stdin.write("\n")
    process.stdin.flush()
    ports = {address: int(process.stdout.readline()) for address in MANY}
    finish(probed, process)
    for address, port in ports.items():
        record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=port)
        assert record["DST_PROC_ATTRIBUTION"] == "remote" and "DST_PROC_PID" not in record, record
        if address == LOCAL_MULTICAST and methods == ["trace"]:
            assert record["SRC_PROC_ATTRIBUTION_REASON"] == "unsupported", record
            continue
        expected = methods[-1] if address == LOCAL_MULTICAST else methods[0]
        assert record["SRC_PROC_ATTRIBUTION"] == expected, record
        assert record["SRC_PROC_PID"] == process.pid, record


def test_a08_exec_after_connect(pair, agent, daemon, need):
    need("bash")
    probed = daemon(pair.probe)
    _, there = pair.addresses(4)
    server = listen(agent, pair.peer, 4, there)
    shell = pair.probe.popen("bash", "-c", f"exec 3<>/dev/tcp/{there}/{PORT}; exec cat",
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    server.accept(name="s", listener="l")
    finish(probed, shell)
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert record["SRC_PROC_PID"] == shell.pid and record["SRC_PROC_ATTRIBUTION"] in PROVEN, record
    assert record["SRC_PROC_NAME"] == "cat", record
    assert record["SRC_PROC_EXE"] == os.path.realpath(shutil.which("cat")), record


@pytest.mark.parametrize("source", [WITHOUT_LEADER, OWN_DESCRIPTORS],
                         ids=["a17_leader_exited", "a18_own_descriptors"])
@pytest.mark.parametrize("method", ["trace", "sock_diag"])
def test_threads(pair, agent, daemon, source, method):
    """With sock_diag alone: /proc/PID/fd shows the leader's descriptors, which does not have it."""
    probed = daemon(pair.probe, {"attribution": {"methods": [method]}})
    _, there = pair.addresses(4)
    server = listen(agent, pair.peer, 4, there)
    process, (port,) = run(pair.probe, source, 4, there)
    server.accept(name="s", listener="l")
    finish(probed, process)
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=port)
    assert record["SRC_PROC_ATTRIBUTION"] == method, record
    assert record["SRC_PROC_PID"] == process.pid, record


def test_a15_udp_socket_of_a_parent_that_exited(pair, daemon):
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})
    _, there = pair.addresses(4)
    process, (port, child) = run(pair.probe, INHERITED_UDP, 4, there)
    finish(probed, process)
    record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=port)
    assert record.get("SRC_PROC_PID") == child, record


def test_a20_executable_that_was_deleted(pair, agent, daemon, tmp_path):
    probed = daemon(pair.probe)
    _, there = pair.addresses(4)
    server = listen(agent, pair.peer, 4, there)
    program = tmp_path / "a20-program"
    shutil.copy("/usr/bin/python3", program)
    process = pair.probe.popen(program, "-c", "import sys; sys.stdin.readline()\n" + CONNECT, 4,
                               there, PORT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env={"PYTHONHOME": "/usr"})
    # By then it runs; ip and setpriv have gone before it.
    while not (path := open(f"/proc/{process.pid}/comm").read()).startswith("a20-program"):
        assert process.poll() is None, path
    program.unlink()
    process.stdin.write("\n")
    process.stdin.flush()
    port = int(process.stdout.readline())
    server.accept(name="s", listener="l")
    finish(probed, process)
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=port)
    assert record["SRC_PROC_EXE"] == str(program) and record["SRC_PROC_PID"] == process.pid, record


def test_a05_port_used_again_by_another_process(pair, agent, daemon):
    """From one source port, to two servers, one process after the other."""
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})
    _, there = pair.addresses(4)
    pids = {}
    for name, port in (("first", PORT), ("second", PORT + 1)):
        sender = agent(pair.probe, name)
        sender.open(name="c", version=4, address="0.0.0.0", port=8399)
        sender.send_to(name="c", count=10, address=there, port=port)
        pids[port] = sender.pid
        sender.end()
    for port, pid in pids.items():
        record = probed.wait_record(L4_DST_PORT=port, L4_SRC_PORT=8399)
        assert record["SRC_PROC_PID"] == pid, record


def test_a47_untracked_traffic_is_no_flow(pair, agent, daemon):
    pair.probe.nft(f"""table inet untracked {{
        chain out {{
            type filter hook output priority raw
            udp dport {PORT} notrack
        }}
    }}""")
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})
    _, there = pair.addresses(4)
    sender = agent(pair.probe, "sender")
    sender.open(name="c", version=4)
    sender.send_to(name="c", count=10, address=there, port=PORT)
    sender.send_to(name="c", count=10, address=there, port=PORT + 1)
    probed.wait_record(L4_DST_PORT=PORT + 1)
    assert not probed.find(L4_DST_PORT=PORT)


def test_a48_a_forwarded_question_is_the_resolvers(pair, agent, daemon):
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})
    _, there = pair.addresses(4)
    resolver, asker = agent(pair.probe, "resolver"), agent(pair.probe, "asker")
    resolver.open(name="in", version=4, address="127.0.0.53", port=PORT)
    asker.open(name="c", version=4)
    asker.send_to(name="c", count=30, address="127.0.0.53", port=PORT)
    resolver.receive_from(name="in")
    resolver.open(name="out", version=4)
    resolver.send_to(name="out", count=30, address=there, port=PORT + 1)
    inner = probed.wait_record(L4_DST_PORT=PORT)
    outer = probed.wait_record(L4_DST_PORT=PORT + 1)
    assert inner["SRC_PROC_PID"] == asker.pid and inner["DST_PROC_PID"] == resolver.pid, inner
    assert outer["SRC_PROC_PID"] == resolver.pid, outer


# A UDP packet that is written to the device: it passes no connection tracking on its way out.
PACKET = """
import socket, struct, sys
device, here, there, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
def mac(path):
    return bytes.fromhex(open(path).read().strip().replace(":", ""))
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 29, 0, 0, 64, 17, 0, socket.inet_aton(here),
                 socket.inet_aton(there))
words = struct.unpack("!10H", ip)
total = sum(words)
total = (total & 0xffff) + (total >> 16)
ip = ip[:10] + struct.pack("!H", ~total & 0xffff) + ip[12:]
udp = struct.pack("!HHHH", port, port, 9, 0) + b"x"
raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
raw.sendto(ip + udp, (device, 0x0800, 0, 0, b"\\xff" * 6))
"""


def test_a29_packet_sockets_make_no_flow(pair, agent, daemon):
    """They pass by what tells of flows; nobody else's flow is made of them."""
    probed = daemon(pair.probe)
    here, there = pair.addresses(4)
    device = pair.probe.run("ip", "-o", "route", "get", there).stdout.split(" dev ")[1].split()[0]
    sender = pair.probe.run("/usr/bin/python3", "-c", PACKET, device, here, there, PORT + 1)
    assert sender.returncode == 0
    server = listen(agent, pair.peer, 4, there)
    process, (port,) = run(pair.probe, CONNECT, 4, there)
    server.accept(name="s", listener="l")
    finish(probed, process)
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=port)
    assert record["SRC_PROC_PID"] == process.pid, record
    assert not [line for line in pair.probe.conntrack("-p", "udp") if f"={PORT + 1}" in line]


def test_a22_without_ipv6(pair, agent, daemon):
    """As far as it can be switched off at run time."""
    pair.probe.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    probed = daemon(pair.probe)
    _, there = pair.addresses(4)
    server = listen(agent, pair.peer, 4, there)
    process, (port,) = run(pair.probe, CONNECT, 4, there)
    server.accept(name="s", listener="l")
    finish(probed, process)
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=port)
    assert record["SRC_PROC_PID"] == process.pid, record


def test_a46_picked_up_the_wrong_way_round(pair, agent, daemon):
    """Connection tracking forgets a connection, and the next packet is the server's: it is the initiator
    then. Whose an address is does not depend on that."""
    probed = daemon(pair.probe)
    here, _ = pair.addresses(4)
    server, client = agent(pair.probe, "server"), agent(pair.peer, "client")
    server.listen(name="l", version=4, address=here, port=PORT)
    client.connect(name="c", version=4, address=here, port=PORT)
    server.accept(name="s", listener="l")
    probed.sync()
    pair.probe.run("conntrack", "-D", "-p", "tcp", "--dport", PORT)
    server.send(name="s", count=100)
    client.receive(name="c", count=100)
    probed.sync()
    server.close(name="s")
    client.close(name="c")
    record = probed.wait_record(L4_SRC_PORT=PORT)
    assert record["SRC_PROC_ATTRIBUTION"] in PROVEN, record
    assert record["SRC_PROC_PID"] == server.pid, record
