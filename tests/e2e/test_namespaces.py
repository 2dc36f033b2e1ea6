# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows of processes in other network namespaces of the host, seen in the host's own connection
tracking: containers on a bridge, with MASQUERADE to the outside and published ports."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from harness.agent import Agent
from harness.namespaces import Namespace, connect, run
from harness.records import PROVEN, assert_has, assert_no_process
from harness.waiting import wait_for

PORT, INNER_PORT = 8201, 8202
ALL = {"attribution": {"namespaces": "all"}}
BY_SOCKET = {"attribution": {"namespaces": "all", "methods": ["sock_diag"]}}


class Containers:
    """A host with a bridge, containers on it and an outside. Addresses are this test run's own:
    every namespace of the machine is looked at, also those of another run."""

    def __init__(self):
        self.net = f"10.{64 + os.getpid() % 128}.{os.getpid() // 128 % 64 * 4}"
        self.outer = f"10.{64 + os.getpid() % 128}.{os.getpid() // 128 % 64 * 4 + 1}"
        self.net6 = f"fd79:{os.getpid():x}:1"
        self.outer6 = f"fd79:{os.getpid():x}:2"
        self.host, self.outside = Namespace("host"), Namespace("outside")
        self.made = [self.host, self.outside]
        self.host.ip("link", "add", "br0", "type", "bridge")
        self.host.ip("link", "set", "br0", "up")
        self.host.ip("address", "add", f"{self.net}.1/24", "dev", "br0")
        self.host.ip("address", "add", f"{self.net6}::1/64", "dev", "br0", "nodad")
        connect(self.outside, "e0", [f"{self.outer}.2/24", f"{self.outer6}::2/64"],
                self.host, "up0", [f"{self.outer}.1/24", f"{self.outer6}::1/64"])
        self.host.sysctl("net.ipv4.ip_forward", 1)
        self.host.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.host.nft("""table inet nat { chain post { type nat hook postrouting priority 100;
            oifname up0 masquerade; }; }""")

    def add(self, number, role="container"):
        made = Namespace(role)
        self.made.append(made)
        connect(made, "eth0", [f"{self.net}.{number}/24", f"{self.net6}::{number}/64"],
                self.host, f"c{number}", [])
        # A bridge tells its neighbours apart by their MACs.
        made.ip("link", "set", "eth0", "address", f"02:00:00:00:01:{number:02x}")
        self.host.ip("link", "set", f"c{number}", "address", f"02:00:00:00:02:{number:02x}")
        self.host.ip("link", "set", f"c{number}", "master", "br0")
        made.ip("route", "add", "default", "via", f"{self.net}.1")
        made.ip("-6", "route", "add", "default", "via", f"{self.net6}::1")
        made.address = {4: f"{self.net}.{number}", 6: f"{self.net6}::{number}"}
        return made

    def publish(self, to, port=PORT, inner_port=INNER_PORT):
        self.host.nft(f"""table ip publish {{
            chain pre {{ type nat hook prerouting priority -100;
                fib daddr type local tcp dport {port} dnat to {to}:{inner_port}; }};
            chain post {{ type nat hook postrouting priority 100;
                ip saddr {self.net}.0/24 ip daddr {to} tcp dport {inner_port} masquerade; }}; }}""")

    @property
    def outside_address(self):
        return {4: f"{self.outer}.2", 6: f"{self.outer6}::2"}


@pytest.fixture
def containers(cleanup):
    made = Containers()
    cleanup.callback(lambda: [namespace.remove() for namespace in made.made])
    return made


def exchange(probed, client, server, to, at, listen_port, port, version=4, protocol="tcp"):
    """Client reaches server, says something and is answered; both sockets are looked at before they
    close."""
    if protocol == "tcp":
        server.listen(name="l", version=version, address=at, port=listen_port)
        local = client.connect(name="c", version=version, address=to, port=port)
        server.accept(name="s", listener="l")
        client.send(name="c", count=2000)
        server.receive(name="s", count=2000)
        server.send(name="s", count=3000)
        client.receive(name="c", count=3000)
    else:
        server.open(name="s", version=version, protocol="udp", address=at, port=listen_port)
        local = client.connect(name="c", version=version, protocol="udp", address=to, port=port)
        client.send(name="c", count=200)
        peer = server.receive_from(name="s")
        server.send_to(name="s", count=300, address=peer["address"], port=peer["port"])
        client.receive(name="c", count=300)
    probed.sync()
    return local


def end_exchange(probed, client, server, protocol="tcp", port=PORT):
    client.close(name="c")
    if protocol == "tcp":
        server.receive_end(name="s")
    server.close(name="s")
    if protocol == "udp":
        probed.stop()
    return probed.wait_record(L4_DST_PORT=port)


@pytest.mark.parametrize("config", [ALL, BY_SOCKET], ids=["trace", "sock_diag"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("version", [4, 6])
def test_a33_client_in_a_container_behind_masquerade(containers, agent, daemon, version, protocol,
                                                     config):
    container = containers.add(2)
    probed = daemon(containers.host, config)
    client = agent(container, "inner", user=65534)
    server = agent(containers.outside, "outer")
    exchange(probed, client, server, containers.outside_address[version],
             containers.outside_address[version], PORT, PORT, version, protocol)
    record = end_exchange(probed, client, server, protocol)
    assert_has(record, {**client.as_end("SRC"), **server.as_end("DST")})
    assert record["SRC_PROC_ATTRIBUTION"] in PROVEN, record
    assert len(probed.find(L4_DST_PORT=PORT)) == 1, "A36: one logical flow"


def test_a33_only_the_host_where_told_so(containers, agent, daemon):
    container = containers.add(2)
    probed = daemon(containers.host, {"attribution": {"namespaces": "host"}})
    client, server = agent(container, "inner"), agent(containers.outside, "outer")
    exchange(probed, client, server, containers.outside_address[4], containers.outside_address[4],
             PORT, PORT)
    record = end_exchange(probed, client, server)
    assert_has(record, {"SRC_PROC_ATTRIBUTION": "remote", "DST_PROC_ATTRIBUTION": "remote"})


def make_twin(containers, cleanup):
    """A namespace with the address of container 2, on a bridge of its own that leads nowhere."""
    twin = Namespace("twin")
    cleanup.callback(twin.remove)
    twin.ip("link", "add", "eth0", "type", "bridge")
    twin.ip("address", "add", f"{containers.net}.2/24", "dev", "eth0")
    twin.ip("link", "set", "eth0", "up")
    twin.ip("route", "add", "default", "dev", "eth0")
    return twin


@pytest.mark.parametrize("config", [ALL, BY_SOCKET], ids=["trace", "sock_diag"])
def test_a33_one_address_in_two_namespaces(containers, agent, daemon, cleanup, config):
    """Told apart by the tuple, which exists in one of them."""
    container, twin = containers.add(2), make_twin(containers, cleanup)
    probed = daemon(containers.host, config)
    client, server = agent(container, "inner"), agent(containers.outside, "outer")
    bystander = agent(twin, "bystander")
    bystander.connect(name="c", protocol="udp", address=containers.outside_address[4], port=PORT)
    exchange(probed, client, server, containers.outside_address[4], containers.outside_address[4],
             PORT, PORT)
    record = end_exchange(probed, client, server)
    assert_has(record, {**client.as_end("SRC"), **server.as_end("DST")})


@pytest.mark.parametrize("config", [ALL, BY_SOCKET], ids=["trace", "sock_diag"])
def test_a33_one_tuple_in_two_namespaces(containers, agent, daemon, cleanup, config):
    """Nothing tells them apart: nobody is named."""
    container, twin = containers.add(2), make_twin(containers, cleanup)
    probed = daemon(containers.host, config)
    server = agent(containers.outside, "outer")
    for namespace in twin, container:
        client = agent(namespace, "inner")
        client.open(name="c", version=4, protocol="udp", address=f"{containers.net}.2", port=40123)
        client.connect(name="c", protocol="udp", address=containers.outside_address[4], port=PORT)
    server.open(name="s", version=4, protocol="udp", address=containers.outside_address[4], port=PORT)
    client.send(name="c", count=200)
    server.receive_from(name="s")
    probed.sync()
    probed.stop()
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_no_process(record, "SRC", but=("ATTRIBUTION_REASON",))
    assert record["SRC_PROC_ATTRIBUTION"] == "none", record


def test_a34_namespace_without_a_process(containers, agent, daemon):
    """A mount keeps it; the socket's process is elsewhere."""
    container = containers.add(2)
    probed = daemon(containers.host, ALL)
    server, client = agent(containers.host, "gonehome"), agent(containers.outside, "outer")
    containers.outside.ip("route", "add", f"{containers.net}.0/24", "via", f"{containers.outer}.1")
    server.enter(path=f"/run/netns/{container.name}")
    server.listen(name="l", version=4, address=container.address[4], port=PORT)
    server.enter(path=f"/run/netns/{containers.host.name}")
    client.connect(name="c", address=container.address[4], port=PORT)
    server.accept(name="s", listener="l")
    client.send(name="c", count=100)
    server.receive(name="s", count=100)
    probed.sync()
    record = end_exchange(probed, client, server)
    assert_has(record, {**server.as_end("DST"), **client.as_end("SRC")})


def test_a35_namespace_that_only_a_socket_keeps(containers, agent, daemon):
    """It cannot be found any more. Nobody else is named."""
    container = containers.add(2)
    probed = daemon(containers.host, BY_SOCKET)
    server, client = agent(containers.host, "gonehome"), agent(containers.outside, "outer")
    containers.outside.ip("route", "add", f"{containers.net}.0/24", "via", f"{containers.outer}.1")
    server.enter(path=f"/run/netns/{container.name}")
    server.listen(name="l", version=4, address=container.address[4], port=PORT)
    server.enter(path=f"/run/netns/{containers.host.name}")
    container.remove()
    client.connect(name="c", address=container.address[4], port=PORT)
    server.accept(name="s", listener="l")
    probed.sync()
    record = end_exchange(probed, client, server)
    assert record["DST_PROC_ATTRIBUTION"] in ("remote", "none"), record
    assert_no_process(record, "DST", but=("ATTRIBUTION_REASON",))
    assert_has(record, client.as_end("SRC"))


def test_a35_sender_in_a_namespace_that_only_a_socket_keeps(containers, agent, daemon):
    """It cannot be found, but who sends from it is seen."""
    container = containers.add(2)
    probed = daemon(containers.host, ALL)
    client, server = agent(containers.host, "gonehome"), agent(containers.outside, "outer")
    containers.outside.ip("route", "add", f"{containers.net}.0/24", "via", f"{containers.outer}.1")
    server.listen(name="l", version=4, address=containers.outside_address[4], port=PORT)
    client.enter(path=f"/run/netns/{container.name}")
    client.open(name="c", version=4, protocol="tcp", address=container.address[4])
    client.enter(path=f"/run/netns/{containers.host.name}")
    container.remove()
    client.connect(name="c", address=containers.outside_address[4], port=PORT)
    server.accept(name="s", listener="l")
    probed.sync()
    if "trace is not to be had" in probed.log():
        pytest.skip("no tracepoints")
    # The namespace may go with the socket, before it has answered the server's end: then no end is seen.
    client.close(name="c")
    server.close(name="s")
    probed.stop()
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "SRC_PROC_ATTRIBUTION": "trace"})


@pytest.mark.parametrize("config", [ALL, BY_SOCKET], ids=["trace", "sock_diag"])
def test_a33_public_address_that_came_just_before_the_flow(containers, agent, daemon, config):
    """No look at all namespaces is made for it at once; the end is told as another host's until the
    next."""
    container = containers.add(2)
    net, host = f"2001:db8:{os.getpid():x}::", containers.host
    host.ip("address", "add", f"{net}1/64", "dev", "br0", "nodad")
    probed = daemon(host, {**config, "flows": {"active_timeout": "1s"}})
    client, server = agent(container, "inner"), agent(containers.outside, "outer")
    server.listen(name="l", version=6, address=containers.outside_address[6], port=PORT)
    container.ip("address", "add", f"{net}2/64", "dev", "eth0", "nodad")
    client.open(name="c", version=6, protocol="tcp", address=f"{net}2")
    client.connect(name="c", version=6, address=containers.outside_address[6], port=PORT)
    server.accept(name="s", listener="l")
    assert_has(probed.wait_record(L4_DST_PORT=PORT, SRC_PROC_PID=client.pid), client.as_end("SRC"))


def test_a36_masquerade_is_one_flow_with_both_tuples(containers, agent, daemon):
    container = containers.add(2)
    probed = daemon(containers.host, ALL)
    client, server = agent(container, "inner"), agent(containers.outside, "outer")
    local = exchange(probed, client, server, containers.outside_address[4],
                     containers.outside_address[4], PORT, PORT)
    record = end_exchange(probed, client, server)
    assert_has(record, {"IPV4_SRC_ADDR": container.address[4], "L4_SRC_PORT": local["port"],
                        "POST_NAT_SRC_IPV4_ADDR": f"{containers.outer}.1", **client.as_end("SRC")})
    assert len(probed.find(L4_DST_PORT=PORT)) == 1


@pytest.mark.parametrize("config", [ALL, BY_SOCKET], ids=["trace", "sock_diag"])
def test_a37_published_port(containers, agent, daemon, config):
    container = containers.add(2)
    containers.publish(container.address[4])
    probed = daemon(containers.host, config)
    server, client = agent(container, "inner", user=65534), agent(containers.outside, "outer")
    exchange(probed, client, server, f"{containers.outer}.1", container.address[4], INNER_PORT, PORT)
    record = end_exchange(probed, client, server)
    assert_has(record, {"IPV4_DST_ADDR": f"{containers.outer}.1",
                        "POST_NAT_DST_IPV4_ADDR": container.address[4],
                        "POST_NAPT_DST_TRANSPORT_PORT": INNER_PORT,
                        **client.as_end("SRC"), **server.as_end("DST")})


def test_a37_published_port_from_a_neighbour(containers, agent, daemon):
    """Hairpin: in by the bridge, translated at both ends, out by the bridge."""
    container, neighbour = containers.add(2), containers.add(3)
    containers.publish(container.address[4])
    probed = daemon(containers.host, ALL)
    server, client = agent(container, "inner"), agent(neighbour, "neighbour")
    exchange(probed, client, server, f"{containers.outer}.1", container.address[4], INNER_PORT, PORT)
    record = end_exchange(probed, client, server)
    assert_has(record, {"IPV4_SRC_ADDR": neighbour.address[4], **client.as_end("SRC"),
                        **server.as_end("DST")})


def test_a37_published_port_from_the_host(containers, agent, daemon):
    """The client's end is the host's own, the server's a container's."""
    container = containers.add(2)
    probed = daemon(containers.host, ALL)
    server, client = agent(container, "inner"), agent(containers.host, "local")
    exchange(probed, client, server, container.address[4], container.address[4], PORT, PORT)
    record = end_exchange(probed, client, server)
    assert_has(record, {**client.as_end("SRC"), **server.as_end("DST")})


def test_a38_container_to_a_translated_destination(containers, agent, daemon):
    """The container's socket has the address that it dialled, which is nobody's."""
    container = containers.add(2)
    containers.host.nft(f"""table ip elsewhere {{ chain pre {{ type nat hook prerouting priority -100;
        ip daddr 192.0.2.7 tcp dport {PORT} dnat to {containers.outside_address[4]}:{INNER_PORT};
        }}; }}""")
    probed = daemon(containers.host, BY_SOCKET)
    client, server = agent(container, "inner"), agent(containers.outside, "outer")
    exchange(probed, client, server, "192.0.2.7", containers.outside_address[4], INNER_PORT, PORT)
    record = end_exchange(probed, client, server)
    assert_has(record, {"IPV4_DST_ADDR": "192.0.2.7", **client.as_end("SRC"),
                        **server.as_end("DST")})


def test_a40_two_containers_share_a_namespace(containers, agent, daemon):
    container = containers.add(2)
    probed = daemon(containers.host, BY_SOCKET)
    server = agent(containers.outside, "outer")
    server.listen(name="l", version=4, address=containers.outside_address[4], port=PORT)
    clients = [agent(container, name, user=user) for name, user in
               (("first", 65534), ("second", 1))]
    local = [client.connect(name="c", address=containers.outside_address[4], port=PORT)
             for client in clients]
    probed.sync()
    probed.stop()
    for client, where in zip(clients, local):
        record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=where["port"])
        assert_has(record, client.as_end("SRC"))


class Entered:
    """The namespace of a process, joined as "docker exec" and nsenter do."""

    def __init__(self, host, pid):
        self.host, self.pid = host, pid

    def popen(self, *argv, user=None, **options):
        return self.host.popen("nsenter", "-t", self.pid, "-n", *argv, user=user, **options)


@pytest.mark.parametrize("config", [ALL, BY_SOCKET], ids=["trace", "sock_diag"])
def test_a41_exec_into_a_container(containers, agent, daemon, config):
    """The same program in the container, in it by exec, and on the host: three processes."""
    container = containers.add(2)
    probed = daemon(containers.host, config)
    server = agent(containers.outside, "outer")
    server.listen(name="l", version=4, address=containers.outside_address[4], port=PORT)
    first = agent(container, "first")
    clients = [first, Agent(Entered(containers.host, first.pid), "joined"),
               agent(containers.host, "onhost")]
    local = [client.connect(name="c", address=containers.outside_address[4], port=PORT)
             for client in clients]
    probed.sync()
    probed.stop()
    for client, where in zip(clients, local):
        record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=where["port"])
        assert_has(record, client.as_end("SRC"))


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a33_processes_that_are_gone_at_once(containers, agent, daemon, protocol):
    """Seen by trace; their parent in the container lives."""
    container = containers.add(2)
    probed = daemon(containers.host, {**ALL, "flows": {"idle_timeout": "500ms",
                                                       "active_timeout": "1s"}})
    parent, server = agent(container, "parent"), agent(containers.outside, "outer")
    if protocol == "tcp":
        server.listen(name="l", version=4, address=containers.outside_address[4], port=PORT)
    else:
        server.open(name="l", version=4, protocol="udp", address=containers.outside_address[4], port=PORT)
    sent = parent.send_by_children(count=20, protocol=protocol,
                                   address=containers.outside_address[4], port=PORT)["sent"]
    probed.sync()
    if "trace is not to be had" in probed.log():
        pytest.skip("no tracepoints")
    probed.stop()
    for one in sent:
        record = probed.wait_record(L4_DST_PORT=PORT, L4_SRC_PORT=one["port"])
        assert_has(record, {"SRC_PROC_PID": one["pid"], "SRC_PROC_ATTRIBUTION": "trace",
                            "SRC_PROC_NAME": "parent", "SRC_PROC_UID": 0,
                            "SRC_FATHER_PROC_PID": parent.pid,
                            "SRC_FATHER_PROC_NAME": "parent"})


def test_a33_unshared_namespace_that_no_mount_keeps(containers, agent, daemon):
    """unshare -n: known by its process alone, made after the daemon started; gone with it."""
    probed = daemon(containers.host, ALL)
    namespace = Unshared(containers.host)
    client, server = Agent(namespace, "inner"), agent(containers.outside, "outer")
    address = f"{containers.net}.9"
    run_ip = ["ip", "-n", containers.host.name]
    subprocess.run([*run_ip, "link", "add", "c9", "type", "veth", "peer", "name", "eth0", "netns",
                    str(client.pid)], check=True)
    subprocess.run([*run_ip, "link", "set", "c9", "master", "br0", "up"], check=True)
    for command in (f"address add {address}/24 dev eth0", "link set eth0 up",
                    f"route add default via {containers.net}.1"):
        subprocess.run(["nsenter", "-t", str(client.pid), "-n", "ip", *command.split()], check=True)
    exchange(probed, client, server, containers.outside_address[4], containers.outside_address[4],
             PORT, PORT)
    record = end_exchange(probed, client, server)
    assert_has(record, client.as_end("SRC"))
    client.end()
    wait_for(lambda: "c9" not in containers.host.run("ip", "-br", "link").stdout,
             "the namespace to end: nothing of the daemon may keep it")


class Unshared:
    def __init__(self, host):
        self.host = host

    def popen(self, *argv, user=None, **options):
        return self.host.popen("unshare", "-n", *argv, user=user, **options)


class Podman:
    """podman whose network is that of a namespace; all that it keeps is below a directory."""

    def __init__(self, host, directory):
        self.options = ["podman", "--root", directory / "store", "--runroot", directory / "run",
                        "--cgroup-manager", "cgroupfs", "--storage-driver", "vfs", "--runtime",
                        "runc"]
        self.host = host
        self.root = directory / "root"
        for name in "bin", "dev", "etc", "proc", "run", "sys", "tmp":
            (self.root / name).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), self.root / "bin" / "busybox")

    def call(self, *arguments, check=True):
        # Not ip netns exec: that mounts a /sys without the control groups.
        return run("nsenter", f"--net=/run/netns/{self.host.name}", *self.options, *arguments,
                   check=check, timeout=60)

    def start(self, *argv):
        return self.call("run", "-d", "--rm", "--ulimit", "nofile=1024:1024", "--ulimit",
                         "nproc=1024:1024", "--network", "podman", "--rootfs", self.root,
                         "/bin/busybox", *argv, check=False)


def test_a33_podman_container_on_its_bridge(containers, agent, daemon, need, cleanup):
    need("podman", "runc", "busybox", "iptables")
    directory = tempfile.mkdtemp(prefix="pf-", dir="/tmp")  # podman takes 50 characters at most
    cleanup.callback(lambda: shutil.rmtree(directory, ignore_errors=True))
    podman = Podman(containers.host, pathlib.Path(directory))
    probed = daemon(containers.host, ALL)
    server = agent(containers.outside, "outer")
    server.listen(name="l", version=4, address=containers.outside_address[4], port=PORT)
    started = podman.start("nc", containers.outside_address[4], str(PORT))
    if started.returncode != 0:
        pytest.skip(f"podman does not work here: {started.stderr.strip()[-200:]}")
    container = started.stdout.strip()
    cleanup.callback(lambda: podman.call("rm", "-f", "-t", "0", container, check=False))
    server.accept(name="s", listener="l")
    pid = int(podman.call("inspect", "-f", "{{.State.Pid}}", container).stdout)
    probed.sync()
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"SRC_PROC_PID": pid, "SRC_PROC_NAME": "busybox",
                        **server.as_end("DST")})
    assert record["SRC_PROC_ATTRIBUTION"] in PROVEN, record
