# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a process belongs: its cgroup, container and unit, its father's user, its command line."""

import contextlib
import os
import pathlib
import shutil
import subprocess

import pytest

from harness.namespaces import run
from harness.records import assert_has
from harness.waiting import wait_for

PORT = 8105
WITH_PROCESSES = {"processes": {"report": "networked"}}
CONTAINER = "3f29a1b0c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f"


def cgroup_mount():
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            return pathlib.Path(line.split()[4])
    return None


@pytest.fixture
def make_cgroup(cleanup):
    """make_cgroup("a/b"): made in cgroup v2, and removed with all that was made on the way."""
    mount = cgroup_mount()
    if mount is None or not os.access(mount / "cgroup.procs", os.W_OK):
        pytest.skip("cgroup v2 is not mounted, or not writable")

    def remove(path):
        def is_removed():
            with contextlib.suppress(FileNotFoundError):
                try:
                    path.rmdir()
                except OSError:
                    for pid in (path / "cgroup.procs").read_text().split():
                        (mount / "cgroup.procs").write_text(pid)
                    return False
            return True
        wait_for(is_removed, f"the end of {path}")

    def make(name):
        path = mount
        for part in name.split("/"):
            path = path / part
            if not path.exists():
                path.mkdir()
                cleanup.callback(remove, path)
        return path
    return make


def track(namespace):
    """What a host with a firewall has before the daemon starts."""
    namespace.nft("""table inet tracking {
        chain i { type filter hook prerouting priority 0; ct state new accept; }
        chain o { type filter hook output priority 0; ct state new accept; }
    }""")


def scope_of_a_container():
    return f"pf{os.getpid()}.slice/docker-{CONTAINER}.scope"


def assert_same_life(probed, record, *names, side="SRC"):
    """The record of the process, which has ended, says the same as its flow's."""
    life = probed.wait_record(RECORD_TYPE="process", PROC_PID=record[f"{side}_PROC_PID"],
                              PROC_EVENT="end")
    assert_has(life, {f"PROC_{name}": record[f"{side}_PROC_{name}"] for name in names})


def standing(server, address):
    """The port of a listener that stays."""
    server.listen(name="standing", version=4, address=address, port=PORT + 1)
    return PORT + 1


def talk(client, server, address, daemon):
    """A connection that stands until the daemon has looked at it."""
    server.listen(name="l", version=4, address=address, port=PORT)
    client.connect(name="c", address=address, port=PORT)
    server.accept(name="s", listener="l")
    client.send(name="c", count=10)
    server.receive(name="s", count=10)
    daemon.sync()
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    server.close(name="l")


@pytest.mark.parametrize("method", ["trace", "sock_diag"])
def test_container_and_unit_of_a_process(pair, agent, daemon, make_cgroup, method):
    path = make_cgroup(scope_of_a_container())
    probed = daemon(pair.probe, {"attribution": {"methods": [method]}, **WITH_PROCESSES})
    inside, outside = agent(pair.probe, "inside"), agent(pair.probe, "outside")
    server = agent(pair.peer, "server")
    (path / "cgroup.procs").write_text(str(inside.pid))
    talk(inside, server, pair.PEER4, probed)
    talk(outside, server, pair.PEER4, probed)
    record = probed.wait_record(L4_DST_PORT=PORT, SRC_PROC_PID=inside.pid)
    assert_has(record, {"SRC_PROC_CONTAINER_ID": CONTAINER[:12],
                        "SRC_PROC_UNIT": f"docker-{CONTAINER}.scope",
                        "SRC_PROC_CGROUP": "/" + scope_of_a_container()})
    asked = probed.ask("processes", "--container", CONTAINER[:6])
    assert [one["PROC_PID"] for one in asked] == [inside.pid], "picked by the begin of its container"
    inside.connect(name="d", address=pair.PEER4, port=standing(server, pair.PEER4))
    wait_for(lambda: [flow["SRC_PROC_PID"] for flow in
                      probed.ask("flows", "--container", CONTAINER[:12])] == [inside.pid],
             "the flow of the container")
    server.close(name="standing")  # with what nobody accepted: a process is told when its flows are over
    assert inside.end() == 0
    assert_same_life(probed, record, "CONTAINER_ID", "UNIT", "CGROUP", "EXE")
    record = probed.wait_record(L4_DST_PORT=PORT, SRC_PROC_PID=outside.pid)
    assert "SRC_PROC_CONTAINER_ID" not in record
    assert CONTAINER not in record.get("SRC_PROC_CGROUP", "")


def test_short_lives_have_unit_and_executable(pair, agent, daemon, make_cgroup):
    """Gone before anybody looks: what is told was recorded before they went."""
    unit = f"pf{os.getpid()}-brief.service"
    path = make_cgroup(f"system.slice/{unit}")
    probed = daemon(pair.probe)
    if "trace is not to be had" in probed.log():
        pytest.skip("no tracepoints")
    parent, server = agent(pair.probe, "parent"), agent(pair.peer, "server")
    (path / "cgroup.procs").write_text(str(parent.pid))
    server.open(name="u", version=4, address=pair.PEER4, port=PORT)
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    sent = {number: parent.send_by_children(count=30, protocol=protocol, address=pair.PEER4,
                                            port=PORT)["sent"]
            for number, protocol in ((17, "udp"), (6, "tcp"))}
    probed.sync()
    probed.stop()
    for protocol, children in sent.items():
        for one in children:
            (record,) = probed.find(L4_DST_PORT=PORT, L4_SRC_PORT=one["port"], PROTOCOL=protocol)
            assert_has(record, {"SRC_PROC_PID": one["pid"], "SRC_PROC_UNIT": unit,
                                "SRC_PROC_CGROUP": f"/system.slice/{unit}",
                                "SRC_PROC_USER_NAME": "root"})
            # A link is told as execve(2) was given it where nobody saw the process alive.
            assert os.path.realpath(record["SRC_PROC_EXE"]) == os.path.realpath("/usr/bin/python3")


def test_service_answers_with_its_unit(pair, agent, daemon, make_cgroup):
    unit = f"pf{os.getpid()}-web.service"
    path = make_cgroup(f"system.slice/{unit}")
    probed = daemon(pair.probe, WITH_PROCESSES)
    client, server = agent(pair.peer, "client"), agent(pair.probe, "server")
    (path / "cgroup.procs").write_text(str(server.pid))
    talk(client, server, pair.PROBE4, probed)
    record = probed.wait_record(L4_DST_PORT=PORT, DST_PROC_PID=server.pid)
    assert_has(record, {"DST_PROC_UNIT": unit, "DST_PROC_CGROUP": f"/system.slice/{unit}"})
    assert server.end() == 0
    assert_same_life(probed, record, "UNIT", "CGROUP", "EXE", side="DST")
    assert "DST_PROC_CONTAINER_ID" not in record


def test_socket_without_a_process_tells_its_container(pair, agent, daemon, make_cgroup):
    """The process is gone before the daemon starts; the kernel keeps its socket, whose last packet
    nobody acknowledges. The record is made when the cgroup is gone as well."""
    track(pair.probe)
    path = make_cgroup(scope_of_a_container())
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    (path / "cgroup.procs").write_text(str(client.pid))
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    pair.peer.nft("table ip deaf { chain c { type filter hook prerouting priority -600; drop; }; }")
    assert client.end() == 0
    probed = daemon(pair.probe, {"attribution": {"methods": ["sock_diag"]}})
    probed.sync()
    path.rmdir()
    probed.stop()
    (record,) = probed.find(L4_DST_PORT=PORT)
    assert_has(record, {"SRC_PROC_ATTRIBUTION": "none", "SRC_PROC_CONTAINER_ID": CONTAINER[:12],
                        "SRC_PROC_UNIT": f"docker-{CONTAINER}.scope",
                        "SRC_PROC_CGROUP": "/" + scope_of_a_container()})
    assert "SRC_PROC_PID" not in record


def test_father_user(pair, agent, daemon):
    probed = daemon(pair.probe)
    client, server = agent(pair.probe, "client", user=65534), agent(pair.peer, "server")
    talk(client, server, pair.PEER4, probed)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "SRC_FATHER_PROC_UID": 0,
                        "SRC_FATHER_PROC_USER_NAME": "root"})


def test_command_line_is_off_by_default(pair, agent, daemon):
    probed = daemon(pair.probe)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    talk(client, server, pair.PEER4, probed)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, client.as_end("SRC"))
    assert "CMDLINE" not in " ".join(record)


def test_command_line_where_it_is_asked_for(pair, agent, daemon):
    probed = daemon(pair.probe, {"processes": {"command_line": True, "report": "networked"}})
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    talk(client, server, pair.PEER4, probed)
    record = probed.wait_record(L4_DST_PORT=PORT)
    wanted = pathlib.Path(f"/proc/{client.pid}/cmdline").read_bytes()[:4096]
    wanted = wanted.rstrip(b"\0").replace(b"\0", b" ").decode()
    assert wanted.startswith("/usr/bin/python3 -c ")
    assert_has(record, {"SRC_PROC_CMDLINE": wanted})
    assert client.end() == 0
    assert_same_life(probed, record, "CMDLINE", "EXE")


def dpkg_owner(path):
    """The package by dpkg itself, by the path or by its name before /usr was merged."""
    for name in (path, path.removeprefix("/usr")):
        found = run("dpkg-query", "-S", name, check=False)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    return None


def connect_by(pair, probed, server, executable):
    """A connection of a program of this path: its record."""
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    client = pair.probe.popen(executable, "-s", "-m", "20", f"telnet://{pair.PEER4}:{PORT}",
                              stdin=subprocess.PIPE)
    server.accept(name="s", listener="l")
    probed.sync()
    server.close(name="s")
    client.stdin.close()
    client.wait(timeout=20)
    server.close(name="l")
    return probed.wait_record(L4_DST_PORT=PORT, SRC_PROC_PID=client.pid)


def connect_when_packages_are_read(*arguments):
    """The first record that is made with all of dpkg's lists read: its father is of a package."""
    def connect():
        record = connect_by(*arguments)
        return record if "SRC_FATHER_PROC_PKG_NAME" in record else None
    return wait_for(connect, "a record with the package of the father")


def test_package_of_an_executable(pair, agent, daemon, need):
    need("dpkg-query", "curl")
    probed = daemon(pair.probe, WITH_PROCESSES)
    server = agent(pair.peer, "server")
    executable = os.path.realpath(shutil.which("curl"))
    wanted = dpkg_owner(executable)
    assert wanted
    record = connect_when_packages_are_read(pair, probed, server, executable)
    father = dpkg_owner(os.path.realpath("/proc/self/exe"))
    assert_has(record, {"SRC_PROC_EXE": executable, "SRC_PROC_PKG_NAME": wanted,
                        "SRC_FATHER_PROC_PKG_NAME": father})
    assert_same_life(probed, record, "EXE", "PKG_NAME")


def test_file_of_no_package_has_none(pair, agent, daemon, need, tmp_path):
    need("dpkg-query", "curl")
    copy = shutil.copy(os.path.realpath(shutil.which("curl")), tmp_path / "curl")
    probed = daemon(pair.probe)
    server = agent(pair.peer, "server")
    record = connect_when_packages_are_read(pair, probed, server, str(copy))
    assert_has(record, {"SRC_PROC_EXE": str(copy)})
    assert "SRC_PROC_PKG_NAME" not in record and "SRC_FATHER_PROC_PKG_NAME" in record


def test_package_of_the_same_path_in_a_container_is_not_the_hosts(pair, agent, daemon, need,
                                                                  tmp_path):
    """/usr/bin/curl below another mount is not the host's file, though its path is the same."""
    need("dpkg-query", "curl", "unshare")
    executable = os.path.realpath(shutil.which("curl"))
    copy = shutil.copy(executable, tmp_path / "curl")
    script = tmp_path / "run"
    script.write_text(f'#!/bin/sh\nexec unshare -m --propagation private sh -c '
                      f'\'mount --bind "{copy}" {executable} && exec {executable} "$@"\' sh "$@"\n')
    script.chmod(0o755)
    probed = daemon(pair.probe)
    server = agent(pair.peer, "server")
    record = connect_when_packages_are_read(pair, probed, server, str(script))
    assert_has(record, {"SRC_PROC_EXE": executable, "SRC_PROC_NAME": "curl"})
    assert "SRC_PROC_PKG_NAME" not in record


def test_package_names_can_be_switched_off(pair, agent, daemon, need):
    need("dpkg-query", "curl")
    probed = daemon(pair.probe, {"processes": {"package_names": False}})
    record = connect_by(pair, probed, agent(pair.peer, "server"), shutil.which("curl"))
    assert "PKG_NAME" not in " ".join(record)
