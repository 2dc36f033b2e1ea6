# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows between two hosts and on loopback: whose they are, and how much they carried."""

import os
import subprocess

import pytest

from harness.agent import own_name
from harness.counters import Truth
from harness.records import (ADDRESSES, COUNTERS, PROVEN, REMOTE, assert_has, assert_no_process,
                             sum_counters)
from harness.waiting import wait_for

NOBODY = 65534
PORT = 8099


def tcp_exchange(probed, client, server, version, address, up=1000, down=300000):
    """A whole connection, its directions told apart by their bytes. Closed by the client first,
    when the daemon has had the time to look at its sockets."""
    server.listen(name="l", version=version, address=address, port=PORT)
    local = client.connect(name="c", version=version, address=address, port=PORT)
    server.accept(name="s", listener="l")
    client.send(name="c", count=up)
    server.receive(name="s", count=up)
    begun = client.begin("receive", name="c", count=down)
    server.send(name="s", count=down)
    client.finish(begun)
    probed.sync()
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    return local


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_client_is_local(pair, agent, daemon, version):
    probed = daemon(pair.probe)
    here, there = pair.addresses(version)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client = agent(pair.probe, "client", user=NOBODY)
    local = tcp_exchange(probed, client, agent(pair.peer, "server"), version, there)
    record = probed.wait_record(L4_DST_PORT=PORT)
    src, dst = ADDRESSES[version]
    assert_has(record, {
        "RECORD_TYPE": "flow", "PROTOCOL": 6, "IP_PROTOCOL_VERSION": version, src: here, dst: there,
        "L4_SRC_PORT": local["port"], "FLOW_END_REASON": 3, **truth.read(),
        **client.as_end("SRC"), **REMOTE("DST")})
    assert record["SRC_PROC_ATTRIBUTION"] in PROVEN
    assert record["FLOW_START_MILLISECONDS"] <= record["FLOW_END_MILLISECONDS"]
    assert_no_process(record, "DST")
    # The kernel keeps the entry for two minutes more; the record did not wait for that.
    assert any(f"dport={PORT}" in line for line in pair.probe.conntrack("-p", "tcp", "-f",
                                                                        f"ipv{version}"))
    probed.stop()
    assert len(probed.find(L4_DST_PORT=PORT)) == 1


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_server_is_local(pair, agent, daemon, version):
    probed = daemon(pair.probe)
    here, there = pair.addresses(version)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    server = agent(pair.probe, "server", user=NOBODY)
    tcp_exchange(probed, agent(pair.peer, "client"), server, version, here)
    record = probed.wait_record(L4_DST_PORT=PORT)
    src, dst = ADDRESSES[version]
    assert_has(record, {src: there, dst: here, "FLOW_END_REASON": 3, **truth.read(),
                        **server.as_end("DST"), **REMOTE("SRC")})
    assert_no_process(record, "SRC")


@pytest.mark.parametrize("version", [4, 6])
def test_a45_loopback_tells_both_ends(pair, agent, daemon, version):
    probed = daemon(pair.probe)
    here = "127.0.0.1" if version == 4 else "::1"
    truth = Truth.of_port(pair.probe, "tcp", PORT, hooks=("postrouting",))
    client, server = agent(pair.probe, "client", user=NOBODY), agent(pair.probe, "server")
    tcp_exchange(probed, client, server, version, here)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"FLOW_END_REASON": 3, **truth.read(), **client.as_end("SRC"),
                        **server.as_end("DST")})
    assert client.pid != server.pid


def udp_exchange(client, server, version, address, connected):
    server.open(name="s", version=version, address=address, port=PORT)
    if connected:
        local = client.connect(name="c", version=version, protocol="udp", address=address,
                               port=PORT)
    else:
        client.open(name="c", version=version)
    for count in (1, 1200, 20):
        if connected:
            client.send(name="c", count=count)
        else:
            client.send_to(name="c", count=count, address=address, port=PORT)
        peer = server.receive_from(name="s")
        server.send_to(name="s", count=2 * count if count < 700 else 7, address=peer["address"],
                       port=peer["port"])
        client.receive_from(name="c")
    return local["port"] if connected else peer["port"]


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "a23_unconnected"])
@pytest.mark.parametrize("version", [4, 6])
def test_udp_client_is_local(pair, agent, daemon, version, connected):
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})
    here, there = pair.addresses(version)
    truth = Truth.of_port(pair.peer, "udp", PORT)
    client = agent(pair.probe, "client", user=NOBODY)
    port = udp_exchange(client, agent(pair.peer, "server"), version, there, connected)
    record = probed.wait_record(L4_DST_PORT=PORT)
    src, dst = ADDRESSES[version]
    assert_has(record, {"PROTOCOL": 17, src: here, dst: there, "L4_SRC_PORT": port,
                        "FLOW_END_REASON": 1, **truth.read(), **client.as_end("SRC"),
                        **REMOTE("DST")})
    probed.stop()
    assert len(probed.find(L4_DST_PORT=PORT)) == 1


@pytest.mark.parametrize("version", [4, 6])
def test_udp_server_is_local(pair, agent, daemon, version):
    """The server's socket stays unconnected; conntrack itself ends this flow."""
    pair.probe.sysctl("net.netfilter.nf_conntrack_udp_timeout", 1)
    pair.probe.sysctl("net.netfilter.nf_conntrack_udp_timeout_stream", 1)
    probed = daemon(pair.probe)
    here, _ = pair.addresses(version)
    truth = Truth.of_port(pair.peer, "udp", PORT)
    server = agent(pair.probe, "server", user=NOBODY)
    udp_exchange(agent(pair.peer, "client"), server, version, here, True)
    # The kernel looks for entries whose time is over when something asks for them.
    wait_for(lambda: not pair.probe.conntrack("-p", "udp", "-f", f"ipv{version}"),
             "the end of the UDP entry")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"FLOW_END_REASON": 1, **truth.read(), **server.as_end("DST"),
                        **REMOTE("SRC")})


@pytest.mark.parametrize("version", [4, 6])
def test_udp_on_loopback(pair, agent, daemon, version):
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})
    here = "127.0.0.1" if version == 4 else "::1"
    truth = Truth.of_port(pair.probe, "udp", PORT, hooks=("postrouting",))
    client, server = agent(pair.probe, "client", user=NOBODY), agent(pair.probe, "server")
    port = udp_exchange(client, server, version, here, True)
    record = probed.wait_record(L4_DST_PORT=PORT)
    src, dst = ADDRESSES[version]
    assert_has(record, {src: here, dst: here, "L4_SRC_PORT": port, "FLOW_END_REASON": 1,
                        **truth.read(), **client.as_end("SRC"), **server.as_end("DST")})


def ping(source, version, address):
    source.run("ping", "-n", "-c", "3", "-i", "0.2", "-s", "100", address)
    return 1 if version == 4 else 58


@pytest.mark.parametrize("version", [4, 6])
def test_ping_from_there(pair, daemon, version, need):
    need("ping")
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})
    here, there = pair.addresses(version)
    truth = Truth.of_ping(pair.peer, version)
    protocol = ping(pair.peer, version, here)
    src, dst = ADDRESSES[version]
    record = probed.wait_record(PROTOCOL=protocol, **{src: there, dst: here})
    assert_has(record, {"FLOW_END_REASON": 1, **truth.read(), **REMOTE("SRC")})


@pytest.mark.parametrize("version", [4, 6])
def test_ping_on_loopback(pair, daemon, version, need):
    need("ping")
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})
    here = "127.0.0.1" if version == 4 else "::1"
    truth = Truth.of_ping(pair.probe, version, hooks=("postrouting",))
    protocol = ping(pair.probe, version, here)
    src, dst = ADDRESSES[version]
    record = probed.wait_record(PROTOCOL=protocol, **{src: here, dst: here})
    assert_has(record, {"FLOW_END_REASON": 1, **truth.read()})


@pytest.mark.parametrize("version", [4, 6])
def test_a27_ping(pair, daemon, version, need):
    need("ping")
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}})
    here, there = pair.addresses(version)
    truth = Truth.of_ping(pair.peer, version)
    ping = pair.probe.popen("ping", "-n", "-c", "3", "-i", "0.2", "-s", "100", there,
                            stdout=subprocess.DEVNULL)
    assert ping.wait(timeout=20) == 0
    protocol, echo = (1, 8) if version == 4 else (58, 128)
    src, dst = ADDRESSES[version]
    record = probed.wait_record(PROTOCOL=protocol, **{src: here, dst: there})
    assert_has(record, {"L4_SRC_PORT": 0, "L4_DST_PORT": echo * 256, "FLOW_END_REASON": 1,
                        **truth.read(), **REMOTE("DST")})
    if record["SRC_PROC_ATTRIBUTION"] == "none":
        assert record["SRC_PROC_ATTRIBUTION_REASON"]
        assert_no_process(record, "SRC", but=("ATTRIBUTION_REASON",))
    else:
        assert_has(record, {"SRC_PROC_PID": ping.pid, "SRC_PROC_NAME": "ping"})


def test_curl_and_nginx(pair, daemon, need, tmp_path):
    """Real programs: curl here, nginx there and here; each seen from its own side."""
    need("curl", "nginx")
    (tmp_path / "www").mkdir(mode=0o755)
    (tmp_path / "www" / "page").write_bytes(b"p" * 50000)
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"""
        daemon off; worker_processes 1; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;
        user root;
        events {{}}
        http {{ access_log off; client_body_temp_path {tmp_path}/t1; proxy_temp_path {tmp_path}/t2;
                fastcgi_temp_path {tmp_path}/t3; uwsgi_temp_path {tmp_path}/t4;
                scgi_temp_path {tmp_path}/t5; limit_rate 100k; limit_rate_after 1k;
                server {{ listen {PORT}; listen [::]:{PORT}; root {tmp_path}/www; }} }}
    """)
    probed = daemon(pair.probe)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    master = pair.probe.popen("nginx", "-c", str(conf), "-e", str(tmp_path / "error.log"))
    url = f"http://{pair.PROBE4}:{PORT}/page"
    wait_for(lambda: f":{PORT} " in pair.probe.run("ss", "-Hltn").stdout, "nginx listening")
    got = pair.peer.run("curl", "-s", "-o", "/dev/null", "-w", "%{size_download}", url)
    assert got.stdout == "50000"
    record = probed.wait_record(L4_DST_PORT=PORT)
    workers = pair.probe.run("pgrep", "-P", master.pid).stdout.split()
    assert_has(record, {"DST_PROC_NAME": "nginx", "DST_FATHER_PROC_PID": master.pid,
                        "DST_FATHER_PROC_NAME": "nginx", "FLOW_END_REASON": 3, **truth.read()})
    assert str(record["DST_PROC_PID"]) in workers


def test_curl_is_local(pair, agent, daemon, need):
    """A short-lived client: found while it waits for the answer, father and all."""
    need("curl")
    probed = daemon(pair.probe)
    server = agent(pair.peer, "server")
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    curl = pair.probe.popen("curl", "-s", f"http://{pair.PEER4}:{PORT}/", user=NOBODY,
                            stdout=subprocess.PIPE)
    server.accept(name="s", listener="l")
    server.receive_until(name="s", text="\r\n\r\n")
    probed.sync()
    server.send_text(name="s", text="HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server.close(name="s")
    assert curl.communicate(timeout=20)[0] == b"ok"
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"SRC_PROC_PID": curl.pid, "SRC_PROC_NAME": "curl", "SRC_PROC_UID": NOBODY,
                        "SRC_PROC_USER_NAME": "nobody", "SRC_FATHER_PROC_PID": os.getpid(),
                        "SRC_FATHER_PROC_NAME": own_name(), "FLOW_END_REASON": 3, **truth.read()})


def test_a21_mapped_sockets(pair, agent, daemon):
    """IPv4 on the wire, IPv6 sockets at both ends."""
    probed = daemon(pair.probe)
    client, server = agent(pair.probe, "client", user=NOBODY), agent(pair.probe, "server")
    server.listen(name="l", version=6, address="::", port=PORT, dual=True)
    client.connect(name="c", version=6, address="::ffff:127.0.0.1", port=PORT)
    server.accept(name="s", listener="l")
    client.send(name="c", count=10)
    server.receive(name="s", count=10)
    probed.sync()
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"IPV4_SRC_ADDR": "127.0.0.1", "IPV4_DST_ADDR": "127.0.0.1",
                        **client.as_end("SRC"), **server.as_end("DST")})


def test_what_the_process_used(pair, agent, daemon, delays_off):
    """CPU, faults and memory: of the flow's time, not of the process's life."""
    probed = daemon(pair.probe)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    client.burn(cpu_ms=600)
    client.touch(pages=2000)
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    probed.sync()
    burnt_ms = client.burn(cpu_ms=300)["cpu_ms"]
    touched = client.touch(pages=1000)["bytes"]
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, client.as_end("SRC"))
    span_ms = record["FLOW_END_MILLISECONDS"] - record["FLOW_START_MILLISECONDS"]
    used_ms = record["SRC_PROC_AVERAGE_CPU_LOAD"] * span_ms / 10000
    assert burnt_ms * 0.9 - 10 <= used_ms <= burnt_ms + 250, record
    assert 1000 <= record["SRC_PROC_NUM_PAGE_FAULTS"] < 1600, record
    assert record["SRC_PROC_ACTUAL_MEMORY"] >= touched
    assert record["SRC_PROC_PEAK_MEMORY"] >= record["SRC_PROC_ACTUAL_MEMORY"]
    assert "SRC_PROC_PCTG_IOWAIT" not in record, "delay accounting is off: unknown, not 0"


def test_interim_records_are_deltas(pair, agent, daemon):
    probed = daemon(pair.probe, {"flows": {"active_timeout": "1s"}})
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    for interim in (1, 2, 3):
        client.send(name="c", count=interim * 10000)
        server.receive(name="s", count=interim * 10000)
        probed.wait_records(interim, L4_DST_PORT=PORT, FLOW_END_REASON=2)
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    probed.wait_record(L4_DST_PORT=PORT, FLOW_END_REASON=3)
    probed.stop()
    records = probed.find(L4_DST_PORT=PORT)
    assert [record["FLOW_END_REASON"] for record in records[-2:]] == [2, 3]
    assert len({record["FLOW_ID"] for record in records}) == 1
    assert sum_counters(records) == truth.read()
    for before, after in zip(records, records[1:]):
        assert before["FLOW_END_MILLISECONDS"] <= after["FLOW_START_MILLISECONDS"] + 1
    for record in records:
        assert_has(record, client.as_end("SRC"))


def test_k1_without_accounting_bytes_are_absent(pair, agent, daemon):
    probed = daemon(pair.probe, {"conntrack": {"accounting": False}})
    client = agent(pair.probe, "client")
    tcp_exchange(probed, client, agent(pair.peer, "server"), 4, pair.PEER4)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "FLOW_END_REASON": 3})
    assert not set(COUNTERS) & set(record)
    said = [line for line in probed.log().splitlines() if "nf_conntrack_acct" in line]
    assert len(said) == 1, probed.log()
