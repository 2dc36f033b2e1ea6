# SPDX-License-Identifier: GPL-2.0-or-later
"""What logged packets add to flows, and flows that nothing tracks."""

import base64
import pathlib
import re
import struct
import subprocess
import textwrap
import time

import pytest

from harness.collectors import Tshark, write_pcap
from harness.counters import Truth
from harness.daemon import run_procflowd
from harness.frames import PEER_MAC, PROBE_MAC, ethernet, ipv4, ipv6, send_frames, udp
from harness.namespaces import run
from harness.records import ADDRESSES, PROVEN, REMOTE, assert_has, assert_no_process
from harness.waiting import wait_for

NOBODY = 65534
PORT = 8099


def nflog(**more):
    return {"nflog": {"enable": True, **more}}


def exchange(client, server, version, address, protocol):
    """Bytes both ways, over connections that end; returns the client's port."""
    if protocol == "tcp":
        server.listen(name="l", version=version, address=address, port=PORT)
    else:
        server.open(name="s", version=version, address=address, port=PORT)
    port = client.connect(name="c", version=version, protocol=protocol, address=address,
                          port=PORT)["port"]
    if protocol == "tcp":
        server.accept(name="s", listener="l")
        client.send(name="c", count=1000)
        server.receive(name="s", count=1000)
        begun = client.begin("receive", name="c", count=200000)
        server.send(name="s", count=200000)
        client.finish(begun)
        client.close(name="c")
        server.receive_end(name="s")
        server.close(name="s")
        server.close(name="l")
        return port
    for count in (100, 1200, 7):
        client.send(name="c", count=count)
        peer = server.receive_from(name="s")
        server.send_to(name="s", count=2 * count if count < 700 else 3, address=peer["address"],
                       port=peer["port"])
        client.receive_from(name="c")
    client.close(name="c")
    server.close(name="s")
    return port


NOTRACK = """table inet raw {
    chain pre { type filter hook prerouting priority raw; th dport 8099 notrack; th sport 8099 notrack; }
    chain out { type filter hook output priority raw; th dport 8099 notrack; th sport 8099 notrack; }
}"""
MODES = {
    "tracked": {},
    "every packet of tracked ones": {"nflog": {"packets": 0}},
    "notrack": {},
    "packets alone": {"nflog": {"packets": 0}, "conntrack": {"activate": "never"}},
}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("mode", MODES)
def test_the_same_flows_with_and_without_tracking(pair, agent, daemon, mode, version):
    """To the byte, by the counters of nft; with the same processes, reasons, users."""
    if mode == "notrack":
        pair.probe.nft(NOTRACK)
    changes = {"flows": {"idle_timeout": "1s"}, **MODES[mode]}
    changes["nflog"] = {"enable": True, **changes.get("nflog", {})}
    probed = daemon(pair.probe, changes)
    _, there = pair.addresses(version)
    src, dst = ADDRESSES[version]
    client, server = agent(pair.probe, "client", user=NOBODY), agent(pair.peer, "server")
    truth = {protocol: Truth.of_port(pair.peer, protocol, PORT, table="truth_" + protocol)
             for protocol in ("tcp", "udp")}
    index = int(pair.probe.run("cat", "/sys/class/net/e0/ifindex").stdout)
    for protocol, number in (("tcp", 6), ("udp", 17)):
        port = exchange(client, server, version, there, protocol)
        record = probed.wait_record(L4_DST_PORT=PORT, PROTOCOL=number)
        assert_has(record, {"L4_SRC_PORT": port, dst: there, **truth[protocol].read(),
                            "FLOW_END_REASON": 3 if protocol == "tcp" else 1,
                            **client.as_end("SRC"), **REMOTE("DST"), "OUTPUT_SNMP": index,
                            "OUT_DST_MAC": PEER_MAC.upper(), "MIN_TTL": 64, "MAX_TTL": 64})
        assert record["SRC_PROC_ATTRIBUTION"] in PROVEN
        assert "INPUT_SNMP" not in record and "IN_SRC_MAC" not in record
        if protocol == "tcp":  # SYN, ACK, FIN; PSH by chance
            for side in ("CLIENT", "SERVER"):
                assert record[f"{side}_TCP_FLAGS"] & ~8 == 0x13, record
        else:
            assert "CLIENT_TCP_FLAGS" not in record
    probed.stop()
    # One record each, and none that packets made beside conntrack's.
    assert len(probed.find(L4_DST_PORT=PORT)) == 2 and not probed.find(L4_SRC_PORT=PORT)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("tracked", [True, False], ids=["tracked", "alone"])
def test_pings_and_refusals(pair, agent, daemon, need, tracked, version):
    """One flow for questions and answers; a connection that is refused ends at once, and errors and
    neighbours' talk are no flows."""
    need("ping")
    changes = {"flows": {"idle_timeout": "1s"}, **nflog(packets=0)}
    if not tracked:
        changes["conntrack"] = {"activate": "never"}
    probed = daemon(pair.probe, changes)
    _, there = pair.addresses(version)
    truth = Truth.of_ping(pair.peer, version)
    pair.probe.run("ping", "-n", "-c", "2", "-i", "0.2", there)
    client = agent(pair.probe, "client")
    client.open(name="u", version=version)
    client.send_to(name="u", count=9, address=there, port=PORT)  # port unreachable
    with pytest.raises(AssertionError, match="refused"):
        client.connect(name="c", version=version, address=there, port=PORT)
    record = probed.wait_record(PROTOCOL=1 if version == 4 else 58)
    assert_has(record, {**truth.read(), "L4_DST_PORT": (8 if version == 4 else 128) << 8,
                        "SRC_PROC_NAME": "ping", **REMOTE("DST")})
    record = probed.wait_record(L4_DST_PORT=PORT, PROTOCOL=17)
    assert_has(record, {"IN_PKTS": 1, "OUT_PKTS": 0, **client.as_end("SRC")})
    record = probed.wait_record(L4_DST_PORT=PORT, PROTOCOL=6)
    assert_has(record, {"IN_PKTS": 1, "OUT_PKTS": 1, "FLOW_END_REASON": 3, **client.as_end("SRC")})
    assert record["CLIENT_TCP_FLAGS"] & 0x3f == 2
    # Its entry went with the answer: that may be told only after the record is out.
    assert record.get("SERVER_TCP_FLAGS", 0x14) == 0x14
    probed.stop()
    assert len([record for record in probed.records()
                if there in (record.get(key) for key in ADDRESSES[version])]) == 3


@pytest.mark.parametrize("tracked", [True, False], ids=["tracked", "alone"])
def test_loopback_is_seen_once(pair, agent, daemon, tracked):
    changes = nflog(packets=0)
    if not tracked:
        changes["conntrack"] = {"activate": "never"}
    probed = daemon(pair.probe, changes)
    truth = Truth.of_port(pair.probe, "tcp", PORT, hooks=("postrouting",))
    client, server = agent(pair.probe, "client", user=NOBODY), agent(pair.probe, "server")
    exchange(client, server, 4, "127.0.0.1", "tcp")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**truth.read(), **client.as_end("SRC"), **server.as_end("DST"),
                        "CLIENT_NW_LATENCY_MS": 0, "SERVER_NW_LATENCY_MS": 0})
    assert "OUT_DST_MAC" not in record


def test_crafted_packets(pair, agent, daemon):
    """TOS, TTL, MACs, IPv4 options, extension headers; what is wrong is counted and shown to none."""
    # (every one: conntrack takes a datagram of the wrong length for invalid)
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}, **nflog(packets=0)})
    other = "02:00:00:00:00:77"
    source4, source6 = pair.PEER4, pair.PEER6
    index = int(pair.probe.run("cat", "/sys/class/net/e0/ifindex").stdout)
    frames = [ethernet(ipv4(source4, pair.PROBE4, 17, udp(source4, pair.PROBE4, 1111, 2222, b"abc"),
                            tos=tos, ttl=ttl, options=b"\1\1\1\0"), 0x0800, src=other)
              for tos, ttl in ((0x20, 61), (0x08, 17), (0, 200))]
    chain = bytes([60, 0, 1, 4, 0, 0, 0, 0]) + bytes([60, 0, 1, 4, 0, 0, 0, 0]) + \
        bytes([17, 0, 1, 4, 0, 0, 0, 0])
    data6 = udp(source6, pair.PROBE6, 3333, 4444, b"abcdef")
    frames.append(ethernet(ipv6(source6, pair.PROBE6, 0, chain + data6, tos=0x48, ttl=33), 0x86dd))
    # A datagram whose own length is more than the packet's.
    wrong = struct.pack(">HHHH", 5555, 6666, 900, 0) + b"x"
    frames.append(ethernet(ipv4(source4, pair.PROBE4, 17, wrong), 0x0800))
    # More headers than are looked through, and more of them than are logged.
    deep = [bytes([60, 0, 1, 4, 0, 0, 0, 0])] * 9 + [bytes([17, 0, 1, 4, 0, 0, 0, 0])]
    long = [bytes([17, 39, 1, 253]) + bytes(253) + bytes([1, 61]) + bytes(61)]
    # (somebody takes them: an error would carry them once more)
    agent(pair.probe, "server").open(name="s", version=6, address=pair.PROBE6, port=6666)
    for chain in (deep, long):
        data = udp(source6, pair.PROBE6, 5555, 6666, b"x")
        frames.append(ethernet(ipv6(source6, pair.PROBE6, 60, b"".join(chain) + data), 0x86dd))
    send_frames(pair.peer, "e0", frames)
    record = probed.wait_record(L4_DST_PORT=2222)
    assert_has(record, {"IPV4_SRC_ADDR": source4, "SRC_TOS": 0x28, "MIN_TTL": 17, "MAX_TTL": 200,
                        "IN_SRC_MAC": other.upper(), "INPUT_SNMP": index, "IN_PKTS": 3,
                        "IN_BYTES": 3 * (24 + 8 + 3)})
    assert "DST_TOS" not in record and "OUTPUT_SNMP" not in record and "SRC_VLAN" not in record
    record = probed.wait_record(L4_DST_PORT=4444)
    assert_has(record, {"SRC_TOS": 0x48, "MIN_TTL": 33, "MAX_TTL": 33, "IN_PKTS": 1,
                        "IN_BYTES": 40 + 24 + 8 + 6, "IN_SRC_MAC": PEER_MAC.upper(),
                        "L4_SRC_PORT": 3333, "PROTOCOL": 17})
    counted = probed.status()["nflog"]["faults"]
    assert {fault: counted[fault] for fault in ("cut", "wrong-length", "too-deep")} == \
        {"cut": 1, "wrong-length": 1, "too-deep": 1}, counted
    probed.stop()
    assert not [record for record in probed.find(L4_DST_PORT=6666) if "SRC_TOS" in record]


def test_fragments_of_a_flow_without_tracking(pair, daemon):
    """IPv6 comes to the input hook in pieces where nothing tracks it."""
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}, **nflog(packets=0),
                                 "conntrack": {"activate": "never"}})
    data = udp(pair.PEER6, pair.PROBE6, 1111, 2222, bytes(2000))
    pieces = [data[:1200], data[1200:]]
    frames = [ethernet(ipv6(pair.PEER6, pair.PROBE6, 44,
                            struct.pack(">BBHI", 17, 0, offset | more, 4711) + piece), 0x86dd)
              for piece, offset, more in ((pieces[0], 0, 1), (pieces[1], 1200, 0))]
    # One that belongs to no first fragment makes no flow.
    frames.append(ethernet(ipv6(pair.PEER6, pair.PROBE6, 44,
                                struct.pack(">BBHI", 17, 0, 1200, 99) + pieces[1]), 0x86dd))
    send_frames(pair.peer, "e0", frames)
    record = probed.wait_record(L4_DST_PORT=2222)
    assert_has(record, {"IN_PKTS": 2, "IN_BYTES": 2 * (40 + 8) + len(data), "SRC_FRAGMENTS": 2,
                        "DST_FRAGMENTS": 0})
    probed.stop()
    assert not [record for record in probed.records()
                if record["PROTOCOL"] == 17 and record["L4_DST_PORT"] == 0]


def test_external_rules_on_a_bridge(make_namespace, daemon):
    """VLAN tags pass a bridge; the rules, their prefix and their group are somebody else's."""
    middle, left, right = make_namespace("probe"), make_namespace("left"), make_namespace("right")
    for name, end in (("left0", left), ("right0", right)):
        run("ip", "link", "add", name, "netns", middle.name, "type", "veth", "peer", "name", "e0",
            "netns", end.name)
        end.ip("link", "set", "e0", "up")
    middle.ip("link", "add", "br0", "type", "bridge")
    for name in ("left0", "right0"):
        middle.ip("link", "set", name, "master", "br0")
        middle.ip("link", "set", name, "up")
    middle.ip("link", "set", "br0", "up")
    made = middle.run("nft", "-f", "-", check=False, input="""table bridge logging {
        chain forward {
            type filter hook forward priority 0
            log prefix "bridged" group 77
        }
    }""")
    if made.returncode != 0:
        pytest.skip(f"no bridge rules here: {made.stderr.splitlines()[0]}")
    probed = daemon(middle, {"flows": {"idle_timeout": "1s"},
                             **nflog(rules="external", group=77)})
    assert "procflow_nflog" not in middle.ruleset()
    packet = ipv4("10.9.0.1", "10.9.0.2", 17, udp("10.9.0.1", "10.9.0.2", 1111, 2222, b"x"), ttl=9)
    frames = [ethernet(packet, 0x0800, dst="ff:ff:ff:ff:ff:ff", tags=tags)
              for tags in (((0x8100, 300),), ((0x88a8, 300), (0x8100, 7)))]
    wait_for(lambda: middle.run("bridge", "link").stdout.count("state forwarding") == 2,
             "the bridge's ports")
    send_frames(left, "e0", frames)
    record = probed.wait_record(L4_DST_PORT=2222)
    # (bytes of layer 3, whatever the tags)
    assert_has(record, {"SRC_VLAN": 300, "IN_SRC_MAC": PEER_MAC.upper(), "NFLOG_PREFIX": "bridged",
                        "MIN_TTL": 9, "IPV4_SRC_ADDR": "10.9.0.1", "IN_PKTS": 2,
                        "IN_BYTES": 2 * 29})


def test_forwarded_and_translated(routed, agent, daemon):
    """A router: interfaces both ways, stamps for all of the handshake, NAT in between, a mark."""
    routed.router.nft("""table ip nat {
            chain post {
                type nat hook postrouting priority srcnat
                oifname "outside" masquerade
            }
        }
        table inet marks {
            chain pre {
                type filter hook prerouting priority mangle
                tcp dport 8099 meta mark set 42
            }
        }""")
    probed = daemon(routed.router, nflog())
    indexes = {name: int(routed.router.run("cat", f"/sys/class/net/{name}/ifindex").stdout)
               for name in ("inside", "outside")}
    client, server = agent(routed.client, "client"), agent(routed.server, "server")
    exchange(client, server, 4, routed.SERVER4, "tcp")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"IPV4_SRC_ADDR": routed.CLIENT4, "INPUT_SNMP": indexes["inside"],
                        "OUTPUT_SNMP": indexes["outside"], "NFLOG_MARK": 42,
                        "POST_NAT_SRC_IPV4_ADDR": routed.ROUTER_OUTSIDE4, "MIN_TTL": 63,
                        "IN_SRC_MAC": "02:00:00:00:00:0A", "OUT_DST_MAC": "02:00:00:00:00:0A"})
    for name in ("CLIENT_NW_LATENCY_MS", "SERVER_NW_LATENCY_MS", "APPL_LATENCY_MS"):
        assert 0 < record[name] < 5000, record
    probed.stop()
    assert len(probed.find(L4_DST_PORT=PORT)) == 1


# Our name, tshark's; latencies are whole milliseconds there.
SHOWN = {"INPUT_SNMP": "inputint", "OUTPUT_SNMP": "outputint", "SRC_TOS": "tos", "DST_TOS": "post_tos",
         "MIN_TTL": "ttl_min", "MAX_TTL": "ttl_max", "IN_SRC_MAC": "srcmac",
         "OUT_DST_MAC": "post_dstmac", "TCP_FLAGS": "tcpflags",
         "CLIENT_NW_LATENCY_MS": "pie.ntop.client_nw_latency_ms",
         "SERVER_NW_LATENCY_MS": "pie.server_nw_latency_ms",
         "APPL_LATENCY_MS": "pie.ntop.appl_latency_ms"}


@pytest.mark.parametrize("kind", ["netflow9", "ipfix"])
def test_tshark_reads_what_packets_told(routed, agent, daemon, need, tmp_path, kind):
    need("tshark")
    routed.route_back()
    collector = agent(routed.router, "collector")
    collector.open(name="u", version=4, address="127.0.0.1", port=2055)
    path = tmp_path / "records.json"
    probed = daemon(routed.router, {**nflog(), "exporters": [
        {"type": "json", "to": f"file://{path}"},
        {"name": "collector", "type": kind, "to": "udp://127.0.0.1:2055"}]}, records=path)
    exchange(agent(routed.client, "client"), agent(routed.server, "server"), 4, routed.SERVER4,
             "tcp")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert set(SHOWN) <= set(record), set(SHOWN) - set(record)
    probed.stop()
    write_pcap(tmp_path / "export.pcap", [base64.b64decode(data) for data in
                                          collector.collect(name="u")["datagrams"]], 2055)
    decoded = Tshark(tmp_path / "export.pcap", 2055)
    assert decoded.complaints() == [], decoded.text
    flow, = [flow for flow in decoded.flows() if flow.get("cflow.dstport") == str(PORT)]
    for name, shown in SHOWN.items():
        value = flow.get(f"cflow.{shown}")
        if name.endswith("_MS"):
            assert abs(int(value) - record[name]) <= 0.5, (name, value, record)
        elif name.endswith("MAC"):
            assert value.upper() == record[name]
        else:
            assert int(value, 0) == record[name], (name, value, record)


def test_the_first_packets_of_a_flow(pair, agent, daemon):
    """Three of each direction are read, however many there are; all are counted."""
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}, **nflog(packets=3)})
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    server.open(name="s", version=4, address=pair.PEER4, port=PORT)
    port = client.connect(name="c", protocol="udp", address=pair.PEER4, port=PORT)["port"]
    for count in range(40):
        client.send(name="c", count=100)
        server.receive_from(name="s")
        if count % 2:
            server.send_to(name="s", count=10, address=pair.PROBE4, port=port)
            client.receive_from(name="c")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {"IN_PKTS": 40, "OUT_PKTS": 20, "MIN_TTL": 64})
    # (of this flow alone: neighbours talk, too)
    assert probed.status()["packets"]["matched"] == 6


DOCUMENTED = pathlib.Path(__file__).resolve().parents[2] / "docs" / "nflog.md"


def documented_blocks(first_word):
    """The indented blocks of docs/nflog.md that begin so."""
    blocks = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", DOCUMENTED.read_text(), re.M)
    return [textwrap.dedent(block) for block in blocks if block.strip().startswith(first_word)]


def use_documented_nft(namespace):
    for block in documented_blocks("table inet mylog"):
        namespace.nft(block)


def use_documented_iptables(namespace):
    commands, = documented_blocks("iptables")
    for line in commands.replace("\\\n", " ").splitlines():
        made = namespace.run(*line.split(), check=False)
        if made.returncode != 0:
            pytest.skip(f"iptables: {made.stderr.splitlines()[0]}")
        namespace.run(*line.replace("iptables", "ip6tables", 1).split())


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("program", ["nft", "iptables"])
def test_the_documented_external_rules(pair, agent, daemon, need, program, version):
    """As docs/nflog.md has them: each packet is told once."""
    need(program)
    {"nft": use_documented_nft, "iptables": use_documented_iptables}[program](pair.probe)
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "1s"}, **nflog(rules="external")})
    assert "procflow_nflog" not in pair.probe.ruleset()
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    truth = Truth.of_port(pair.peer, "udp", PORT)
    exchange(client, server, version, pair.addresses(version)[1], "udp")
    record = probed.wait_record(L4_DST_PORT=PORT, PROTOCOL=17)
    assert_has(record, {**truth.read(), **client.as_end("SRC"), "MIN_TTL": 64, "MAX_TTL": 64,
                        "OUT_DST_MAC": PEER_MAC.upper()})
    status = probed.status()
    assert status["packets"]["matched"] == record["IN_PKTS"] + record["OUT_PKTS"]
    assert status["packets"]["flows"] == 0
    exchange(client, server, version, pair.addresses(version)[1], "tcp")
    record = probed.wait_record(L4_DST_PORT=PORT, PROTOCOL=6)
    assert record["CLIENT_TCP_FLAGS"] & 2 and record["SERVER_TCP_FLAGS"] & 0x12 == 0x12
    probed.stop()
    assert len(probed.find(L4_DST_PORT=PORT)) == 2 and not probed.find(L4_SRC_PORT=PORT)


@pytest.mark.parametrize("side, other", [("SRC", "DST"), ("DST", "SRC")])
def test_the_user_of_the_packets_where_no_process_is_found(pair, agent, daemon, side, other):
    """The only method is one that says nothing. As they leave packets tell who sends them, and as they
    arrive who will receive them."""
    probed = daemon(pair.probe, {
        **nflog(), "attribution": {"methods": ["sysdig"]},
        "sysdig": {"enable": True, "command": ["/usr/bin/python3", "-c",
                                               "'import signal; signal.pause()'"]}})
    here, there = agent(pair.probe, "here", user=NOBODY), agent(pair.peer, "there")
    if side == "SRC":
        exchange(here, there, 4, pair.PEER4, "tcp")
    else:
        exchange(there, here, 4, pair.PROBE4, "tcp")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {f"{side}_PROC_ATTRIBUTION": "none", f"{side}_PROC_UID": NOBODY,
                        f"{side}_PROC_USER_NAME": here.user, f"{side}_PROC_GID": NOBODY,
                        **REMOTE(other)})
    assert_no_process(record, side, but=("UID", "USER_NAME", "GID", "ATTRIBUTION_REASON"))
    assert f"{other}_PROC_UID" not in record and f"{other}_PROC_GID" not in record


def test_a_flow_that_comes_back(pair, daemon):
    """Reported as idle, while conntrack keeps it: it is back when conntrack is asked about its next packet,
    which stays its own. (Packets of no flow are forgotten after five seconds.)"""
    pair.probe.nft("""table inet mylog {
        chain input {
            type filter hook input priority 290
            udp dport 2222 log group 32 snaplen 256 queue-threshold 1
        }
    }""")
    probed = daemon(pair.probe, {"flows": {"idle_timeout": "3s"}, **nflog(rules="external")})

    def send(ttl):
        packet = ipv4(pair.PEER4, pair.PROBE4, 17, udp(pair.PEER4, pair.PROBE4, 1111, 2222, b"x"),
                      ttl=ttl)
        send_frames(pair.peer, "e0", [ethernet(packet, 0x0800)])

    send(20)
    probed.wait_record(L4_DST_PORT=2222, FLOW_END_REASON=1, MAX_TTL=20)
    send(99)
    begun, count = time.monotonic(), 1
    while time.monotonic() < begun + 7:
        send(50)
        count += 1
    record = probed.wait_records(2, L4_DST_PORT=2222)[-1]
    assert_has(record, {"FLOW_END_REASON": 1, "MIN_TTL": 50, "MAX_TTL": 99, "IN_PKTS": count})
    assert probed.status()["packets"]["flows"] == 0


@pytest.mark.parametrize("rules", ["managed", "external", "off"])
def test_rules_left_by_a_killed_daemon(pair, daemon, rules):
    """As kernels before 5.12 leave them: they go, also where they are not wanted any more."""
    pair.probe.nft("""table inet procflow_nflog {
        chain input {
            type filter hook input priority 290; policy accept;
            log group 9 comment "procflowd: logs the heads of packets, drops none"
        }
    }""")
    changes = {"nflog": {"enable": False}} if rules == "off" else nflog(rules=rules)
    probed = daemon(pair.probe, changes)
    assert "group 9" not in pair.probe.ruleset()
    assert ("procflow_nflog" in pair.probe.ruleset()) == (rules == "managed")
    probed.stop()


def test_rules_never_stay(pair, daemon):
    for end in ("stop", "kill"):
        probed = daemon(pair.probe, nflog(group=5, packets=3))
        rules = pair.probe.ruleset()
        assert "procflow_nflog" in rules and "group 5" in rules and "packets 1-3" in rules
        getattr(probed, end)()
        assert wait_for(lambda: "procflow" not in pair.probe.ruleset(), "the end of the rules")


# Another program that listens to group 32 (NFULNL_MSG_CONFIG, NFULNL_CFG_CMD_BIND), until it is ended.
LISTENER = """
import socket, struct
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
netlink.bind((0, 0))
body = struct.pack("!BBH", 0, 0, 32) + struct.pack("=HHB3x", 5, 1, 1)
netlink.send(struct.pack("=IHHII", 16 + len(body), 4 << 8 | 1, 5, 1, 0) + body)
print(struct.unpack_from("=i", netlink.recv(4096), 16)[0], flush=True)
netlink.recv(4096)
"""


def test_a_group_in_use(pair, daemon):
    first = pair.probe.popen("/usr/bin/python3", "-c", LISTENER, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "0\n"
    second = daemon(pair.probe, nflog())
    assert "group 32: another program listens" in second.log()
    checked = run_procflowd("--check", "-c", second.config_path, namespace=pair.probe)
    assert "group 32 is in use" in checked.stdout and checked.returncode == 1
    second.stop()
    first.kill()
    first.wait()
    checked = run_procflowd("--check", "-c", second.config_path, namespace=pair.probe)
    assert "group 32 is free" in checked.stdout


# A host that answers by hand: "server" waits before it answers a SYN, "client" before it
# acknowledges. It prints the delay that it made, in ms, and how sure of that it is.
DELAYER = """
import select, socket, struct, sys, time
role, here, there, here_mac, there_mac, port, delay = sys.argv[1:8]
port, delay = int(port), float(delay)
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
raw.bind(("e0", 0x0800))
raw.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
raw.settimeout(15)

def checksum(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

def send(sport, dport, seq, ack, flags):
    a, b = socket.inet_aton(here), socket.inet_aton(there)
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0)
    tcp = tcp[:16] + struct.pack(">H", checksum(a + b + struct.pack(">II", 20, 6) + tcp)) + tcp[18:]
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, a, b)
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    before = time.time_ns()
    raw.send(bytes.fromhex((there_mac + here_mac).replace(":", "")) + b"\\x08\\0" + ip + tcp)
    return before, time.time_ns()

def receive(flags):
    while True:
        data, control, _, _ = raw.recvmsg(2000, 100)
        tcp = data[14 + (data[14] & 15) * 4:]
        if data[23] == 6 and data[30:34] == socket.inet_aton(here) and tcp[13] == flags:
            seconds, nanoseconds = struct.unpack("=qq", control[0][2])
            sport, dport, seq, ack = struct.unpack(">HHII", tcp[:12])
            return seconds * 10**9 + nanoseconds, sport, dport, seq, ack

print("ready", flush=True)
if role == "server":
    when, sport, dport, seq, _ = receive(2)
    time.sleep(delay)
    before, after = send(dport, sport, 1000, seq + 1, 0x12)
else:
    send(port, 8099, 1000, 0, 2)
    when, sport, dport, seq, _ = receive(0x12)
    time.sleep(delay)
    before, after = send(dport, sport, 1001, seq + 1, 0x10)
print((before + after) / 2e6 - when / 1e6, (after - before) / 1e6, flush=True)
sys.stdin.read()
"""


def delayed_handshake(far, near, probed, role, port, delay_s):
    """The delay as the host that made it measured it, and how sure of that it is. "far": its namespace, its
    address, which is nobody's, so that no kernel answers for it, its MAC and that of the next hop; "near":
    who connects to it, and the address that it connects to."""
    namespace, other, own_mac, next_mac = far
    here, address = near
    made = namespace.popen("/usr/bin/python3", "-c", DELAYER, role, other, address, own_mac,
                           next_mac, port, delay_s, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
    assert made.stdout.readline() == "ready\n"
    if role == "server":
        here.connect(name="c", version=4, address=other, port=port)
    delay, doubt = map(float, made.stdout.readline().split())
    probed.sync()
    here.end()
    made.stdin.close()
    return delay, doubt


def assert_latency(name, connect):
    """"connect" makes a connection and returns its record, the delay and the doubt. On a busy machine a
    packet may wait between the two that stamp it, and the one that makes the delay for its CPU: of some
    tries one is to be right."""
    tries = []
    for port in range(20000, 20010):
        record, delay, doubt = connect(port)
        tries.append((record[name], delay / 2, doubt))
        if abs(record[name] - delay / 2) < 1 and doubt < 0.5:
            return
    raise AssertionError(f"(told, half of the delay, doubt), in ms: {tries}")


@pytest.mark.parametrize("delay_ms", [20, 50])
@pytest.mark.parametrize("role", ["server", "client"])
def test_latency_of_the_handshake(pair, agent, daemon, role, delay_ms):
    """Half of the round trip that the other host makes, within 1 ms; nothing for the end that is
    here."""
    other = "10.77.0.9"
    pair.probe.ip("neighbour", "replace", other, "lladdr", PEER_MAC, "dev", "e0", "nud",
                  "permanent")
    probed = daemon(pair.probe, {"flows": {"active_timeout": "1s"}, **nflog()})
    agent(pair.probe, "listener").listen(name="l", version=4, address=pair.PROBE4, port=PORT)
    there, here = (("SERVER", "CLIENT") if role == "server" else ("CLIENT", "SERVER"))

    def connect(port):
        delay, doubt = delayed_handshake((pair.peer, other, PEER_MAC, PROBE_MAC),
                                         (agent(pair.probe, "here"), pair.PROBE4), probed, role,
                                         port, delay_ms / 1000)
        record = probed.wait_record(**{"L4_DST_PORT" if role == "server" else "L4_SRC_PORT": port})
        assert delay >= delay_ms and record[f"{here}_NW_LATENCY_MS"] == 0
        return record, delay, doubt

    assert_latency(f"{there}_NW_LATENCY_MS", connect)


@pytest.mark.parametrize("delay_ms", [20, 50])
@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("tracked", [True, False], ids=["tracked", "alone"])
def test_latency_of_a_forwarded_handshake(routed, agent, daemon, tracked, role, delay_ms):
    """As it passes a router, where all three packets are stamped."""
    changes = nflog(packets=0)
    if not tracked:
        changes["conntrack"] = {"activate": "never"}
    routed.route_back()
    side, namespace, other = (("outside", routed.server, "10.78.2.9") if role == "server"
                              else ("inside", routed.client, "10.78.1.9"))
    routed.router.ip("neighbour", "replace", other, "lladdr", PROBE_MAC, "dev", side, "nud",
                     "permanent")
    probed = daemon(routed.router, {"flows": {"active_timeout": "1s"}, **changes})
    near, address = ((routed.client, routed.CLIENT4) if role == "server"
                     else (routed.server, routed.SERVER4))
    agent(routed.server, "listener").listen(name="l", version=4, address=routed.SERVER4, port=PORT)

    def connect(port):
        delay, doubt = delayed_handshake((namespace, other, PROBE_MAC, PEER_MAC),
                                         (agent(near, "near"), address), probed, role, port,
                                         delay_ms / 1000)
        record = probed.wait_record(**{"L4_DST_PORT" if role == "server" else "L4_SRC_PORT": port})
        assert delay >= delay_ms
        return record, delay, doubt

    assert_latency("SERVER_NW_LATENCY_MS" if role == "server" else "CLIENT_NW_LATENCY_MS", connect)


@pytest.mark.parametrize("delay_ms", [20, 50])
def test_latency_by_netem(pair, agent, daemon, delay_ms):
    made = pair.peer.run("tc", "qdisc", "add", "dev", "e0", "root", "netem", "delay",
                         f"{delay_ms}ms", check=False)
    if made.returncode != 0:
        pytest.skip(f"no netem in this kernel: {made.stderr.splitlines()[0]}")
    probed = daemon(pair.probe, nflog())
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    for _ in range(5):
        exchange(client, server, 4, pair.PEER4, "tcp")
    records = probed.wait_records(5, L4_DST_PORT=PORT)
    # The queue may be late, never early.
    least = min(record["SERVER_NW_LATENCY_MS"] for record in records)
    assert delay_ms / 2 <= least < delay_ms / 2 + 1, records


def test_latency_of_the_application(routed, agent, daemon):
    """Between what the server certainly waited and what the client saw."""
    routed.route_back()
    probed = daemon(routed.router, nflog())
    client, server = agent(routed.client, "client"), agent(routed.server, "server")
    server.listen(name="l", version=4, address=routed.SERVER4, port=PORT)
    client.connect(name="c", address=routed.SERVER4, port=PORT)
    server.accept(name="s", listener="l")
    asked = time.monotonic()
    client.send(name="c", count=100)
    server.receive(name="s", count=100)
    received = time.monotonic()
    time.sleep(0.05)
    waited_ms = (time.monotonic() - received) * 1000
    server.send(name="s", count=100)
    client.receive(name="c", count=100)
    seen_ms = (time.monotonic() - asked) * 1000
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert waited_ms <= record["APPL_LATENCY_MS"] <= seen_ms, (waited_ms, record, seen_ms)
