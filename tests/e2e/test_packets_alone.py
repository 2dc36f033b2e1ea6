# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows built from packets alone, where the daemon is the server's host or a router."""

import pytest

from harness.counters import Truth
from harness.frames import PEER_MAC, PROBE_MAC, ethernet, ipv4, send_frames, tcp
from harness.records import ADDRESSES, COUNTERS, REMOTE, assert_has, sum_counters

PORT = 8399
ALONE = {"nflog": {"enable": True, "packets": 0}, "conntrack": {"activate": "never"}}
# (the router's end of the client's wire and of the server's)
ROUTER_MAC, OTHER_MAC = PEER_MAC, PROBE_MAC


def alone(**flows):
    return {**ALONE, "flows": flows}


def interface(namespace, device):
    return int(namespace.run("cat", f"/sys/class/net/{device}/ifindex").stdout)


def open_connection(client, server, version, address):
    server.listen(name="l", version=version, address=address, port=PORT)
    client.connect(name="c", version=version, address=address, port=PORT)
    server.accept(name="s", listener="l")


def send_to_server(client, server, count):
    client.send(name="c", count=count)
    server.receive(name="s", count=count)


def send_to_client(client, server, count):
    begun = client.begin("receive", name="c", count=count)
    server.send(name="s", count=count)
    client.finish(begun)


def close(client, server):
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")


@pytest.mark.parametrize("version", [4, 6])
def test_the_server_is_here(pair, agent, daemon, version):
    probed = daemon(pair.probe, alone(idle_timeout="30s"))
    here, there = pair.addresses(version)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.peer, "client"), agent(pair.probe, "server")
    open_connection(client, server, version, here)
    send_to_server(client, server, 1000)
    send_to_client(client, server, 200000)
    close(client, server)
    record = probed.wait_record(L4_DST_PORT=PORT)
    src, dst = ADDRESSES[version]
    assert_has(record, {src: there, dst: here, **truth.read(), **REMOTE("SRC"),
                        **server.as_end("DST"), "INPUT_SNMP": interface(pair.probe, "e0"),
                        "IN_SRC_MAC": PEER_MAC.upper(), "MIN_TTL": 64, "MAX_TTL": 64,
                        "SERVER_NW_LATENCY_MS": 0, "FLOW_END_REASON": 3})
    assert "OUTPUT_SNMP" not in record and "OUT_DST_MAC" not in record
    probed.stop()
    assert len(probed.find(L4_DST_PORT=PORT)) == 1 and not probed.find(L4_SRC_PORT=PORT)


def test_forwarded_in_pieces(routed, agent, daemon):
    """Nothing puts the fragments of IPv4 together on their way through a router."""
    routed.route_back()
    probed = daemon(routed.router, alone(idle_timeout="1s"))
    client, server = agent(routed.client, "client"), agent(routed.server, "server")
    server.open(name="s", version=4, address=routed.SERVER4, port=PORT)
    client.connect(name="c", protocol="udp", address=routed.SERVER4, port=PORT)
    client.send(name="c", count=3000)
    peer = server.receive_from(name="s")
    server.send_to(name="s", count=2000, address=peer["address"], port=peer["port"])
    client.receive_from(name="c")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"IPV4_SRC_ADDR": routed.CLIENT4, "L4_SRC_PORT": peer["port"],
                        "IN_PKTS": 3, "IN_BYTES": 3 * 20 + 8 + 3000, "SRC_FRAGMENTS": 3,
                        "OUT_PKTS": 2, "OUT_BYTES": 2 * 20 + 8 + 2000, "DST_FRAGMENTS": 2,
                        "INPUT_SNMP": interface(routed.router, "inside"),
                        "OUTPUT_SNMP": interface(routed.router, "outside"),
                        **REMOTE("SRC"), **REMOTE("DST")})
    probed.stop()
    assert len([record for record in probed.records() if record["PROTOCOL"] == 17]) == 1


def test_flags_and_tos_of_each_side(routed, daemon):
    """A connection made by hand between two hosts that are not there."""
    a, b = "10.78.1.77", "10.78.2.77"
    routed.router.ip("neighbour", "replace", a, "lladdr", OTHER_MAC, "dev", "inside", "nud",
                     "permanent")
    routed.router.ip("neighbour", "replace", b, "lladdr", OTHER_MAC, "dev", "outside", "nud",
                     "permanent")
    probed = daemon(routed.router, alone(idle_timeout="30s"))
    #       from the client?, TOS, TTL, flags, sequence, acknowledged, data
    told = ((True, 0x20, 61, 0xc2, 100, 0, b""), (False, 0x40, 9, 0x12, 500, 101, b""),
            (True, 0x08, 33, 0x38, 101, 501, b"urgent"), (False, 0x04, 8, 0x14, 501, 107, b""))
    for from_client, tos, ttl, flags, seq, ack, data in told:
        ends = (a, b, 5000, PORT) if from_client else (b, a, PORT, 5000)
        packet = ipv4(*ends[:2], 6, tcp(*ends, seq, ack, flags, data), tos=tos, ttl=ttl)
        send_frames(routed.client if from_client else routed.server, "e0",
                    [ethernet(packet, 0x0800, src=OTHER_MAC, dst=ROUTER_MAC)])
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"IPV4_SRC_ADDR": a, "L4_SRC_PORT": 5000, "IPV4_DST_ADDR": b,
                        "CLIENT_TCP_FLAGS": 0xfa, "SERVER_TCP_FLAGS": 0x16, "TCP_FLAGS": 0xfe,
                        "SRC_TOS": 0x28, "DST_TOS": 0x44, "MIN_TTL": 32, "MAX_TTL": 60,
                        "IN_PKTS": 2, "IN_BYTES": 86, "OUT_PKTS": 2, "OUT_BYTES": 80,
                        "IN_SRC_MAC": OTHER_MAC.upper(), "OUT_DST_MAC": OTHER_MAC.upper(),
                        "FLOW_END_REASON": 3})
    probed.stop()
    assert len(probed.find(PROTOCOL=6)) == 1


def test_a_connection_that_pauses(pair, agent, daemon):
    """Longer than idle_timeout: another flow, of the same roles, whoever speaks first then."""
    probed = daemon(pair.probe, alone(idle_timeout="1s"))
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    open_connection(client, server, 4, pair.PEER4)
    send_to_server(client, server, 1000)
    probed.wait_record(L4_DST_PORT=PORT, FLOW_END_REASON=1)
    send_to_client(client, server, 2000)
    close(client, server)
    probed.wait_record(L4_DST_PORT=PORT, FLOW_END_REASON=3)
    probed.stop()
    records = probed.find(L4_DST_PORT=PORT)
    assert not probed.find(L4_SRC_PORT=PORT)
    assert sum_counters(records) == truth.read() and set(truth.read()) == set(COUNTERS)
    assert len({record["FLOW_ID"] for record in records}) == 2
    for record in records:
        assert_has(record, {**client.as_end("SRC"), **REMOTE("DST")})
