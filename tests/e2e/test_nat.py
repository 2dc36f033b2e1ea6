# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows whose addresses change on the way: the process is found, both tuples are kept."""

import pytest

from harness.counters import Truth
from harness.records import REMOTE, assert_has, assert_no_process

PORT, INNER_PORT = 8101, 8102
MASQUERADE = """table inet nat { chain post { type nat hook postrouting priority 100;
    oifname outside masquerade; }; }"""


def connection(probed, client, server, to, at, listen_port=PORT, version=4):
    """Client connects to "to"; the server listens at "at"."""
    server.listen(name="l", version=version, address=at, port=listen_port)
    local = client.connect(name="c", version=version, address=to, port=PORT)
    seen = server.accept(name="s", listener="l")
    client.send(name="c", count=2000)
    server.receive(name="s", count=2000)
    server.send(name="s", count=3000)
    client.receive(name="c", count=3000)
    probed.sync()
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    return local, seen


def datagrams(client, server, to, at, listen_port=PORT, version=4):
    """The same by UDP; nothing ends it but time."""
    server.open(name="s", version=version, address=at, port=listen_port)
    local = client.connect(name="c", version=version, protocol="udp", address=to, port=PORT)
    for count in (1, 1200, 20):
        client.send(name="c", count=count)
        seen = server.receive_from(name="s")
        server.send_to(name="s", count=count + 5, address=seen["address"], port=seen["port"])
        client.receive_from(name="c")
    return local, seen


def on_the_way(routed, version):
    """(client, inside of the router, outside of it, server)"""
    if version == 4:
        return (routed.CLIENT4, routed.ROUTER_INSIDE4, routed.ROUTER_OUTSIDE4, routed.SERVER4)
    return (routed.CLIENT6, routed.ROUTER_INSIDE6, routed.ROUTER_OUTSIDE6, routed.SERVER6)


def test_masquerade_seen_by_the_client(routed, agent, daemon):
    routed.router.nft(MASQUERADE)
    probed = daemon(routed.client)
    truth = Truth.of_port(routed.server, "tcp", PORT)
    client = agent(routed.client, "client", user=65534)
    connection(probed, client, agent(routed.server, "server"), routed.SERVER4, routed.SERVER4)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"IPV4_SRC_ADDR": routed.CLIENT4, "IPV4_DST_ADDR": routed.SERVER4,
                        **client.as_end("SRC"), **REMOTE("DST"), **truth.read()})
    assert not [key for key in record if key.startswith("POST_")], record


@pytest.mark.parametrize("version", [4, 6])
def test_masquerade_seen_by_the_router(routed, agent, daemon, version):
    routed.router.nft(MASQUERADE)
    probed = daemon(routed.router)
    truth = Truth.of_port(routed.server, "tcp", PORT)
    inside, _, outside, server = on_the_way(routed, version)
    local, seen = connection(probed, agent(routed.client, "client"), agent(routed.server, "server"),
                             server, server, version=version)
    assert seen["address"] == outside
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {
        f"IPV{version}_SRC_ADDR": inside, f"IPV{version}_DST_ADDR": server,
        f"POST_NAT_SRC_IPV{version}_ADDR": outside, f"POST_NAT_DST_IPV{version}_ADDR": server,
        "L4_SRC_PORT": local["port"], "POST_NAPT_SRC_TRANSPORT_PORT": seen["port"],
        "POST_NAPT_DST_TRANSPORT_PORT": PORT, "FLOW_END_REASON": 3,
        **REMOTE("SRC"), **REMOTE("DST"), **truth.read()})
    assert_no_process(record, "SRC")
    assert_no_process(record, "DST")


@pytest.mark.parametrize("version", [4, 6])
def test_masquerade_of_datagrams(routed, agent, daemon, version):
    routed.router.nft(MASQUERADE)
    probed = daemon(routed.router, {"flows": {"idle_timeout": "1s"}})
    truth = Truth.of_port(routed.server, "udp", PORT)
    inside, _, outside, server = on_the_way(routed, version)
    local, seen = datagrams(agent(routed.client, "client"), agent(routed.server, "server"), server,
                            server, version=version)
    assert seen["address"] == outside
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {
        "PROTOCOL": 17, f"IPV{version}_SRC_ADDR": inside, f"IPV{version}_DST_ADDR": server,
        f"POST_NAT_SRC_IPV{version}_ADDR": outside, f"POST_NAT_DST_IPV{version}_ADDR": server,
        "L4_SRC_PORT": local["port"], "POST_NAPT_SRC_TRANSPORT_PORT": seen["port"],
        "POST_NAPT_DST_TRANSPORT_PORT": PORT, "FLOW_END_REASON": 1,
        **REMOTE("SRC"), **REMOTE("DST"), **truth.read()})
    assert_no_process(record, "SRC")
    assert_no_process(record, "DST")


@pytest.mark.parametrize("version", [4, 6])
def test_masquerade_of_ping(routed, daemon, need, version):
    need("ping")
    routed.router.nft(MASQUERADE)
    probed = daemon(routed.router, {"flows": {"idle_timeout": "1s"}})
    truth = Truth.of_ping(routed.server, version)
    inside, _, outside, server = on_the_way(routed, version)
    routed.client.run("ping", "-n", "-c", "3", "-i", "0.2", "-s", "100", server)
    record = probed.wait_record(PROTOCOL=1 if version == 4 else 58,
                                **{f"IPV{version}_SRC_ADDR": inside})
    assert_has(record, {
        f"IPV{version}_DST_ADDR": server, f"POST_NAT_SRC_IPV{version}_ADDR": outside,
        f"POST_NAT_DST_IPV{version}_ADDR": server, "FLOW_END_REASON": 1, **REMOTE("SRC"),
        **REMOTE("DST"), **truth.read()})
    assert not [key for key in record if key.startswith("POST_NAPT_")], "pings have no ports"


def test_forwarded_without_nat(routed, agent, daemon):
    routed.route_back()
    probed = daemon(routed.router)
    truth = Truth.of_port(routed.server, "tcp", PORT)
    connection(probed, agent(routed.client, "client"), agent(routed.server, "server"), routed.SERVER4,
               routed.SERVER4)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**REMOTE("SRC"), **REMOTE("DST"), **truth.read()})
    assert not [key for key in record if key.startswith("POST_")], record


def test_a36_source_nat_on_the_client_itself(pair, agent, daemon):
    """The client's socket keeps the original tuple, the wire has another source port."""
    pair.probe.nft(f"""table ip nat {{ chain post {{ type nat hook postrouting priority 100;
        tcp dport {PORT} masquerade to :20000-20100; }}; }}""")
    probed = daemon(pair.probe)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    client = agent(pair.probe, "client", user=65534)
    local, seen = connection(probed, client, agent(pair.peer, "server"), pair.PEER4, pair.PEER4)
    assert seen["port"] != local["port"] and 20000 <= seen["port"] <= 20100
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"L4_SRC_PORT": local["port"],
                        "POST_NAPT_SRC_TRANSPORT_PORT": seen["port"], **client.as_end("SRC"),
                        **REMOTE("DST"), **truth.read()})


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a37_port_forwarded_by_the_router(routed, agent, daemon, protocol, version):
    routed.route_back()
    client_address, router, _, server_address = on_the_way(routed, version)
    to = f"ip to {server_address}" if version == 4 else f"ip6 to [{server_address}]"
    routed.router.nft(f"""table inet nat {{ chain pre {{ type nat hook prerouting priority -100;
        iifname inside meta nfproto ipv{version} {protocol} dport {PORT} dnat {to}:{INNER_PORT}; }}; }}""")
    probed = daemon(routed.router, {"flows": {"idle_timeout": "1s" if protocol == "udp" else "30s"}})
    truth = Truth.of_port(routed.server, protocol, INNER_PORT)
    ends = agent(routed.client, "client"), agent(routed.server, "server"), router, server_address
    if protocol == "tcp":
        local, _ = connection(probed, *ends, listen_port=INNER_PORT, version=version)
    else:
        local, _ = datagrams(*ends, listen_port=INNER_PORT, version=version)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {
        f"IPV{version}_SRC_ADDR": client_address, f"IPV{version}_DST_ADDR": router,
        f"POST_NAT_SRC_IPV{version}_ADDR": client_address,
        f"POST_NAT_DST_IPV{version}_ADDR": server_address, "L4_SRC_PORT": local["port"],
        "POST_NAPT_SRC_TRANSPORT_PORT": local["port"], "POST_NAPT_DST_TRANSPORT_PORT": INNER_PORT,
        **REMOTE("SRC"), **REMOTE("DST"), **truth.read()})


def test_a38_redirected_to_a_local_server(pair, agent, daemon):
    """The destination's socket has the translated port."""
    pair.probe.nft(f"""table ip nat {{ chain pre {{ type nat hook prerouting priority -100;
        tcp dport {PORT} redirect to :{INNER_PORT}; }}; }}""")
    probed = daemon(pair.probe)
    truth = Truth.of_port(pair.peer, "tcp", PORT)
    server = agent(pair.probe, "server", user=65534)
    connection(probed, agent(pair.peer, "client"), server, pair.PROBE4, pair.PROBE4,
               listen_port=INNER_PORT)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"IPV4_DST_ADDR": pair.PROBE4, "POST_NAPT_DST_TRANSPORT_PORT": INNER_PORT,
                        **REMOTE("SRC"), **server.as_end("DST"), **truth.read()})


def test_destination_nat_of_a_local_client(pair, agent, daemon):
    pair.probe.nft(f"""table ip nat {{ chain out {{ type nat hook output priority -100;
        ip daddr 192.0.2.7 tcp dport {PORT} dnat to {pair.PEER4}:{INNER_PORT}; }}; }}""")
    pair.probe.ip("route", "add", "192.0.2.0/24", "via", pair.PEER4)
    probed = daemon(pair.probe)
    truth = Truth.of_port(pair.peer, "tcp", INNER_PORT)
    client = agent(pair.probe, "client", user=65534)
    connection(probed, client, agent(pair.peer, "server"), "192.0.2.7", pair.PEER4,
               listen_port=INNER_PORT)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"IPV4_DST_ADDR": "192.0.2.7", "POST_NAT_DST_IPV4_ADDR": pair.PEER4,
                        "POST_NAPT_DST_TRANSPORT_PORT": INNER_PORT, **client.as_end("SRC"),
                        **REMOTE("DST"), **truth.read()})
