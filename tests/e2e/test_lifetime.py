# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows that are older than the daemon, outlive it, or end in unusual ways."""

import signal

import pytest

from harness.counters import Truth
from harness.namespaces import connect
from harness.records import assert_has, sum_counters
from harness.waiting import wait_for

PORT = 8100
TRACK = """table inet tracking {
    chain i { type filter hook prerouting priority 0; ct state new accept; }
    chain o { type filter hook output priority 0; ct state new accept; }
}"""


def open_connection(client, server, address, port=PORT):
    server.listen(name="l", version=4, address=address, port=port)
    client.connect(name="c", address=address, port=port)
    server.accept(name="s", listener="l")


def send(client, server, count):
    client.send(name="c", count=count)
    server.receive(name="s", count=count)


def close(client, server):
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")


def track(namespace):
    """What a host with a firewall has before the daemon starts."""
    namespace.nft(TRACK)
    namespace.sysctl("net.netfilter.nf_conntrack_acct", 1)


def minus(after, before):
    return {key: after[key] - before[key] for key in after}


def test_a09_flow_is_older_than_the_daemon(pair, agent, daemon):
    track(pair.probe)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.probe, "client", user=65534), agent(pair.peer, "server")
    open_connection(client, server, pair.PEER4)
    send(client, server, 5000)
    probed = daemon(pair.probe)
    probed.sync()
    before = truth.read()
    send(client, server, 7000)
    close(client, server)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "FLOW_END_REASON": 3,
                        **minus(truth.read(), before)})


def test_a10_restart_counts_nothing_twice(pair, agent, daemon):
    track(pair.probe)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    first = daemon(pair.probe)
    open_connection(client, server, pair.PEER4)
    send(client, server, 5000)
    first.stop()
    second = daemon(pair.probe, state=first.state)
    second.sync()
    send(client, server, 7000)
    close(client, server)
    second.wait_record(L4_DST_PORT=PORT)
    second.stop()
    records = first.find(L4_DST_PORT=PORT) + second.find(L4_DST_PORT=PORT)
    assert [record["FLOW_END_REASON"] for record in records] == [4, 3]
    assert sum_counters(records) == truth.read()
    assert all(record["SRC_PROC_PID"] == client.pid for record in records)


def test_sigterm_flushes_open_flows(pair, agent, daemon):
    probed = daemon(pair.probe)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    open_connection(client, server, pair.PEER4)
    send(client, server, 1234)
    probed.sync()
    probed.stop()
    (record,) = probed.find(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "FLOW_END_REASON": 4, **truth.read()})


def test_sigint_ends_like_sigterm(pair, agent, daemon):
    probed = daemon(pair.probe)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    open_connection(client, server, pair.PEER4)
    probed.sync()
    probed.signal(signal.SIGINT)
    assert probed.wait_exit() == 0
    (record,) = probed.find(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "FLOW_END_REASON": 4})


def test_a44_conntrack_flush_is_a_forced_end(pair, agent, daemon):
    probed = daemon(pair.probe)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    open_connection(client, server, pair.PEER4)
    send(client, server, 4321)
    probed.sync()
    pair.probe.run("conntrack", "-F")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "FLOW_END_REASON": 4, **truth.read()})


def test_max_flows_reports_the_idlest(pair, agent, daemon):
    """Twice as many flows as there is room for: each is reported, the early ones with reason 5."""
    room, total = 8, 16
    probed = daemon(pair.probe, {"flows": {"max_flows": room}})
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    server.open(name="s", version=4, address=pair.PEER4, port=PORT)
    for number in range(total):
        client.open(name=f"c{number}", version=4)
        client.send_to(name=f"c{number}", count=10, address=pair.PEER4, port=PORT)
        server.receive_from(name="s")
    probed.wait_records(total - room, L4_DST_PORT=PORT, FLOW_END_REASON=5)
    probed.stop()
    records = probed.find(L4_DST_PORT=PORT)
    assert len({record["L4_SRC_PORT"] for record in records}) == total
    assert sum(record.get("IN_PKTS", 0) for record in records) == total
    assert all(record["SRC_PROC_PID"] == client.pid for record in records)


@pytest.fixture
def zoned(make_namespace):
    """The probe, and two neighbours with one address, told apart by the wire they come in on."""
    probe, left, right = (make_namespace(role) for role in ("probe", "left", "right"))
    connect(probe, "left", ["10.79.0.1/24"], left, "e0", ["10.79.0.2/24"])
    connect(probe, "right", ["10.79.0.1/24"], right, "e0", ["10.79.0.2/24"])
    for device in ("all", "left", "right"):
        probe.sysctl(f"net.ipv4.conf.{device}.rp_filter", 0)
    probe.nft("""table ip zones { chain c { type filter hook prerouting priority -300;
        iifname left ct zone set 1
        iifname right ct zone set 2; }; }""")
    return probe, left, right


def send_from(namespace, agent, server, count, port=5000):
    client = agent(namespace, "client")
    client.open(name="c", version=4, address="10.79.0.2", port=port)
    for _ in range(count):
        client.send_to(name="c", count=100, address="10.79.0.1", port=PORT)
        server.receive_from(name="s")


@pytest.mark.parametrize("packets", [False, True], ids=["plain", "nflog"])
def test_a39_zones_keep_flows_apart(agent, daemon, zoned, packets):
    """Packets do not say which zone they are of: what they told is left out."""
    probe, left, right = zoned
    probed = daemon(probe, {"nflog": {"enable": packets}})
    truths = [Truth.of_port(namespace, "udp", PORT) for namespace in (left, right)]
    server = agent(probe, "server")
    server.open(name="s", version=4, address="10.79.0.1", port=PORT)
    for namespace, count in ((left, 3), (right, 5)):
        send_from(namespace, agent, server, count)
    probed.sync()
    probed.stop()
    records = probed.find(L4_DST_PORT=PORT, L4_SRC_PORT=5000)
    assert len({record["FLOW_ID"] for record in records}) == 2
    expected = sorted(truth.read()["IN_BYTES"] for truth in truths)
    assert sorted(record["IN_BYTES"] for record in records) == expected
    assert expected == [3 * 128, 5 * 128]
    assert not any("MIN_TTL" in record or "INPUT_SNMP" in record for record in records), records


def test_a39_packets_of_a_flow_in_a_zone(agent, daemon, zoned):
    """One that no other zone has is described by its packets, and is one flow."""
    probe, left, right = zoned
    probed = daemon(probe, {"nflog": {"enable": True}})
    server = agent(probe, "server")
    server.open(name="s", version=4, address="10.79.0.1", port=PORT)
    send_from(left, agent, server, 3, port=5001)
    send_from(right, agent, server, 2, port=5002)
    probed.sync()
    probed.stop()
    for device, port, count in (("left", 5001, 3), ("right", 5002, 2)):
        index = int(probe.run("cat", f"/sys/class/net/{device}/ifindex").stdout)
        record, = probed.find(L4_SRC_PORT=port)
        assert_has(record, {"INPUT_SNMP": index, "MIN_TTL": 64, "IN_PKTS": count,
                            **server.as_end("DST")})
    assert len(probed.find(L4_DST_PORT=PORT)) == 2


def test_report_when_conntrack_forgets(pair, agent, daemon):
    pair.probe.sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", 1)
    pair.probe.sysctl("net.netfilter.nf_conntrack_tcp_timeout_close", 1)
    probed = daemon(pair.probe, {"flows": {"report_tcp_end": "destroy"}})
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    open_connection(client, server, pair.PEER4)
    send(client, server, 100)
    probed.sync()
    close(client, server)
    assert any("TIME_WAIT" in line for line in pair.probe.conntrack())
    assert not probed.find(L4_DST_PORT=PORT)
    wait_for(lambda: not pair.probe.conntrack("-p", "tcp"), "the end of the entry")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "FLOW_END_REASON": 3, **truth.read()})
    probed.stop()
    assert len(probed.find(L4_DST_PORT=PORT)) == 1


def test_excluded_networks_are_left_out(pair, agent, daemon):
    probed = daemon(pair.probe, {"flows": {"exclude": [pair.PEER4 + "/32"]}})
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    open_connection(client, server, pair.PEER4)
    close(client, server)
    probed.sync()
    probed.stop()
    assert probed.records() and not probed.find(L4_DST_PORT=PORT)


def test_only_local_leaves_forwarded_flows_out(routed, agent, daemon):
    routed.route_back()
    probed = daemon(routed.router, {"flows": {"only_local": True}})
    client, server = agent(routed.client, "client"), agent(routed.server, "server")
    open_connection(client, server, routed.SERVER4)
    close(client, server)
    assert any(f"dport={PORT}" in line for line in routed.router.conntrack())
    probed.sync()
    probed.stop()
    assert probed.records() and not probed.find(L4_DST_PORT=PORT)
