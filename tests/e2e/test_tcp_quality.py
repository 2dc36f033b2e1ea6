# SPDX-License-Identifier: GPL-2.0-or-later
"""How TCP connections went, as their sockets tell when they end: against ss(8), while they lived."""

import re

import pytest

from harness.records import assert_has
from harness.waiting import wait_for

PORT = 8199
UP, DOWN = 400000, 150000
MODES = {
    "plain": {},
    "nflog": {"nflog": {"enable": True}},
    "packets alone": {"nflog": {"enable": True, "packets": 0}, "conntrack": {"activate": "never"}},
}
WAYS = [(4, "plain"), (6, "plain"), (4, "nflog"), (4, "packets alone"), (6, "packets alone")]
FIELDS = ("TCP_RTT_MICROSECONDS", "TCP_MIN_RTT_MICROSECONDS", "TCP_DELIVERED_BYTES")


def to_us(milliseconds):
    return round(float(milliseconds) * 1000)


def look(namespace, port, side):
    """The socket that has "port" on that side, as ss tells it."""
    text = namespace.run("ss", "-tinHO", "state", "established", f"( {side} = :{port} )").stdout
    assert text.count("\n") == 1, text
    retransmitted = re.search(r"retrans:\d+/(\d+)", text)
    return {"retransmissions": int(retransmitted.group(1)) if retransmitted else 0,
            "rtt_us": to_us(re.search(r"\brtt:([\d.]+)/", text).group(1)),
            "min_rtt_us": to_us(re.search(r"minrtt:([\d.]+)", text).group(1)),
            "is_idle": "unacked:" not in text and "notsent:" not in text}


def look_when_idle(namespace, port, side):
    """... when all that it sent has been acknowledged: nothing is sent again after that."""
    def is_idle():
        seen = look(namespace, port, side)
        return seen if seen["is_idle"] else None

    return wait_for(is_idle, f"an idle socket with {side} {port} in {namespace.role}")


def open_connection(client, server, version, address):
    server.listen(name="l", version=version, address=address, port=PORT)
    client.connect(name="c", version=version, address=address, port=PORT)
    server.accept(name="s", listener="l")


def exchange(client, server):
    begun = server.begin("receive", name="s", count=UP)
    client.send(name="c", count=UP)
    server.finish(begun)
    begun = client.begin("receive", name="c", count=DOWN)
    server.send(name="s", count=DOWN)
    client.finish(begun)


def close(client, server):
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")


def drop_some(namespace, direction, match):
    """Every ninth of the long packets is lost on its way."""
    namespace.nft(f"""table inet lossy {{
        counter lost {{ }}
        chain lossy {{ type filter hook {direction} priority raw; policy accept;
            {match} meta length > 600 numgen inc mod 9 == 4 counter name lost drop
        }}
    }}""")
    return lambda: int(re.search(r"packets (\d+)", namespace.run(
        "nft", "list", "counter", "inet", "lossy", "lost").stdout).group(1))


def assert_end(record, side, seen, sent):
    """The FIN's own round trip is an eighth of the smoothed one and may be the shortest."""
    assert record[f"{side}_TCP_DELIVERED_BYTES"] == sent, record
    assert 0 < record[f"{side}_TCP_MIN_RTT_MICROSECONDS"] <= seen["min_rtt_us"], (record, seen)
    assert record[f"{side}_TCP_RTT_MICROSECONDS"] >= seen["rtt_us"] * 0.85, (record, seen)
    assert record[f"{side}_TCP_RTT_MICROSECONDS"] < seen["rtt_us"] + 1000000, (record, seen)


def assert_silent(record, side):
    told = [name for name in FIELDS if f"{side}_{name}" in record]
    assert not told, f"{side} has no socket here, but the record has {told}: {record}"


@pytest.mark.parametrize("version, mode", WAYS)
def test_both_sockets_of_a_loopback_connection(pair, agent, daemon, version, mode, need):
    need("ss")
    probed = daemon(pair.probe, MODES[mode])
    client, server = agent(pair.probe, "client"), agent(pair.probe, "server")
    open_connection(client, server, version, "127.0.0.1" if version == 4 else "::1")
    exchange(client, server)
    seen = {side: look_when_idle(pair.probe, PORT, port)
            for side, port in (("SRC", "dport"), ("DST", "sport"))}
    close(client, server)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"RETRANSMITTED_IN_PKTS": seen["SRC"]["retransmissions"],
                        "RETRANSMITTED_OUT_PKTS": seen["DST"]["retransmissions"]})
    assert_end(record, "SRC", seen["SRC"], UP)
    assert_end(record, "DST", seen["DST"], DOWN)


@pytest.mark.parametrize("version, mode", WAYS)
def test_retransmissions_are_those_of_ss(pair, agent, daemon, version, mode, need):
    """The peer's input loses what the client sends: the client sends it again."""
    need("ss")
    probed = daemon(pair.probe, MODES[mode])
    lost = drop_some(pair.peer, "input", f"tcp dport {PORT}")
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    open_connection(client, server, version, pair.addresses(version)[1])
    exchange(client, server)
    seen = look_when_idle(pair.probe, PORT, "dport")
    assert seen["retransmissions"] >= lost() > 0, "the rule lost nothing"
    close(client, server)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert record["RETRANSMITTED_IN_PKTS"] == seen["retransmissions"], (record, seen)
    assert_end(record, "SRC", seen, UP)
    assert "RETRANSMITTED_OUT_PKTS" not in record, "the peer's socket is not this host's"
    assert_silent(record, "DST")


def test_sockets_of_other_namespaces(routed, agent, daemon, need):
    """The daemon stands in the middle; both ends are namespaces of this host, as containers are."""
    need("ss")
    routed.route_back()
    probed = daemon(routed.router, {"attribution": {"namespaces": "all"}})
    drop_some(routed.client, "input", f"tcp sport {PORT}")
    client, server = agent(routed.client, "client"), agent(routed.server, "server")
    open_connection(client, server, 4, routed.SERVER4)
    exchange(client, server)
    seen = {"SRC": look_when_idle(routed.client, PORT, "dport"),
            "DST": look_when_idle(routed.server, PORT, "sport")}
    assert seen["DST"]["retransmissions"] > 0
    close(client, server)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"RETRANSMITTED_IN_PKTS": seen["SRC"]["retransmissions"],
                        "RETRANSMITTED_OUT_PKTS": seen["DST"]["retransmissions"]})
    assert_end(record, "SRC", seen["SRC"], UP)
    assert_end(record, "DST", seen["DST"], DOWN)


def test_what_is_not_known_is_left_out(pair, agent, daemon):
    """A reset that makes the kernel forget all about the connection."""
    probed = daemon(pair.probe)
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    open_connection(client, server, 4, pair.PEER4)
    client.reset(name="c")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_silent(record, "SRC")
    assert "RETRANSMITTED_IN_PKTS" not in record
