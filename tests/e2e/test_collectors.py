# SPDX-License-Identifier: GPL-2.0-or-later
"""NetFlow v9 and IPFIX of a live run, as tshark and nfdump read them."""

import base64
import re

import pytest

from harness.collectors import Nfcapd, Tshark, write_pcap
from harness.records import COUNTERS, assert_has
from harness.waiting import wait_for

PORT, COLLECTOR_PORT = 8105, 2055
# Our name, tshark's name for it after "cflow.pie.ntop.".
TWENTY = {
    f"{side}_{name}": f"{side.lower()}_{shown}" for side in ("SRC", "DST") for name, shown in {
        "PROC_PID": "proc_id" if side == "SRC" else "proc_pid",
        "PROC_NAME": "proc_name",
        "PROC_USER_NAME": "proc_user_name",
        "FATHER_PROC_PID": "father_proc_pid",
        "FATHER_PROC_NAME": "father_proc_name",
        "PROC_ACTUAL_MEMORY": "proc_actual_memory",
        "PROC_PEAK_MEMORY": "proc_peak_memory",
        "PROC_AVERAGE_CPU_LOAD": "proc_average_cpu_load",
        "PROC_NUM_PAGE_FAULTS": "proc_num_page_faults",
        "PROC_PCTG_IOWAIT": "proc_pctg_iowait",
    }.items()
}


def loopback_flow(pair, agent, probed):
    client, server = agent(pair.probe, "client", user=65534), agent(pair.probe, "server")
    server.listen(name="l", version=4, address="127.0.0.1", port=PORT)
    client.connect(name="c", address="127.0.0.1", port=PORT)
    server.accept(name="s", listener="l")
    probed.sync()
    client.burn(cpu_ms=60)
    client.touch(pages=300)
    client.send(name="c", count=5000)
    server.receive(name="s", count=5000)
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), **server.as_end("DST")})
    return record


def config(exporter, path):
    return {"processes": {"delay_accounting": True}, "exporters": [
        {"type": "json", "to": f"file://{path}"},
        {"name": "collector", "to": f"udp://127.0.0.1:{COLLECTOR_PORT}", **exporter}]}


@pytest.mark.parametrize("kind", ["netflow9", "ipfix"])
def test_tshark_reads_the_twenty_fields(pair, agent, daemon, need, tmp_path, machine_settings,
                                        kind):
    need("tshark")
    collector = agent(pair.probe, "collector")
    collector.open(name="u", version=4, address="127.0.0.1", port=COLLECTOR_PORT)
    path = tmp_path / "records.json"
    probed = daemon(pair.probe, config({"type": kind}, path), records=path)
    record = loopback_flow(pair, agent, probed)
    assert set(TWENTY) <= set(record), set(TWENTY) - set(record)
    probed.stop()
    datagrams = [base64.b64decode(data) for data in collector.collect(name="u")["datagrams"]]
    assert datagrams
    write_pcap(tmp_path / "export.pcap", datagrams, COLLECTOR_PORT)
    decoded = Tshark(tmp_path / "export.pcap", COLLECTOR_PORT)
    assert decoded.complaints() == [], decoded.text
    flows = [flow for flow in decoded.flows() if flow.get("cflow.dstport") == str(PORT)]
    assert len(flows) == 1, decoded.text
    shown = {name: flows[0].get(f"cflow.pie.ntop.{field}") for name, field in TWENTY.items()}
    assert shown == {name: str(record[name]) for name in TWENTY}
    assert flows[0]["cflow.octets"] == str(record["IN_BYTES"]), flows[0]
    assert flows[0]["cflow.packets"] == str(record["IN_PKTS"]), flows[0]
    # Each record of the run is in the export, and nothing else.
    assert len(list(decoded.flows())) == len(probed.records())


@pytest.mark.parametrize("exporter", [
    {"type": "netflow9"}, {"type": "ipfix"}, {"type": "ipfix", "biflow": "ntop"}],
    ids=lambda exporter: "-".join(exporter.values()))
@pytest.mark.parametrize("template", ["procflow", "standard"])
def test_nfdump_stores_the_same_flows(pair, agent, daemon, need, tmp_path, exporter, template):
    need("nfcapd", "nfdump")
    collector = Nfcapd(pair.probe, tmp_path / "nf", COLLECTOR_PORT)
    path = tmp_path / "records.json"
    settings = config({**exporter, "template": template}, path)
    settings["processes"]["delay_accounting"] = False
    probed = daemon(pair.probe, settings, records=path)
    loopback_flow(pair, agent, probed)
    records = probed.stop()
    stored = collector.finish()
    names = ("in_bytes", "in_packets", "out_bytes", "out_packets")
    if exporter == {"type": "ipfix"}:
        names = names[:2]  # nfdump 1.7.1 does not read the reverse elements of RFC 5103

    def key(flow):
        return tuple(str(value) for value in flow)

    ours = sorted(key([r.get("IPV4_SRC_ADDR"), r.get("L4_SRC_PORT"), r["L4_DST_PORT"], r["PROTOCOL"],
                       *(r[name] for name in ("IN_BYTES", "IN_PKTS", "OUT_BYTES",
                                              "OUT_PKTS")[:len(names)])]) for r in records)
    theirs = sorted(key([f.get("src4_addr"), f.get("src_port"), f["dst_port"], f["proto"],
                         *(f.get(name, 0) for name in names)]) for f in stored)
    assert theirs == ours, stored
    assert set(COUNTERS) <= set(records[0])


@pytest.mark.parametrize("name", ["exclude", "only_local"])
def test_ipfix_tells_what_the_filters_left_out(routed, agent, daemon, need, tmp_path, name):
    """164 and 165 are what was forwarded of the flow that ended, to the octet."""
    need("tshark", "conntrack")
    filters = {"exclude": [f"{routed.CLIENT4}/32"]} if name == "exclude" else {"only_local": True}
    routed.route_back()
    collector = agent(routed.router, "collector")
    collector.open(name="u", version=4, address="127.0.0.1", port=COLLECTOR_PORT)
    path = tmp_path / "records.json"
    settings = config({"type": "ipfix", "template_interval": "1s"}, path)
    settings["processes"]["delay_accounting"] = False
    probed = daemon(routed.router, {"flows": filters, **settings}, records=path)
    client, server = agent(routed.client, "client"), agent(routed.server, "server")
    server.open(name="s", version=4, address=routed.SERVER4, port=PORT)
    client.open(name="c", version=4, address=routed.CLIENT4)
    for size in (100, 200, 300):
        client.send_to(name="c", count=size, address=routed.SERVER4, port=PORT)
    probed.sync()
    routed.router.run("conntrack", "-D", "-s", routed.CLIENT4)
    datagrams = []

    def told():
        probed.sync()  # a record, so that there is a message
        datagrams.extend(map(base64.b64decode, collector.collect(name="u")["datagrams"]))
        write_pcap(tmp_path / "export.pcap", datagrams, COLLECTOR_PORT)
        decoded = Tshark(tmp_path / "export.pcap", COLLECTOR_PORT)
        assert decoded.complaints() == [], decoded.text
        return [tuple(map(int, found)) for found in re.findall(
            r"Ignored Packets: (\d+)\n *Ignored Octets: (\d+)", decoded.text)]

    found = wait_for(lambda: [one for one in told() if one != (0, 0)], "what was left out")
    assert set(found) == {(3, 100 + 200 + 300 + 3 * 28)}
    assert told()[0] == (0, 0)
    assert not any(record.get("IPV4_SRC_ADDR") == routed.CLIENT4 for record in probed.stop())
