# SPDX-License-Identifier: GPL-2.0-or-later
"""pmacct's nfacctd with the primitives that conf/collectors has: processes by name in its JSON."""

import json
import pathlib
import signal

from harness.records import assert_has
from harness.waiting import wait_for

COLLECTORS = pathlib.Path(__file__).resolve().parents[2] / "conf" / "collectors"
PORT = 8133
FIELDS = [f"{side}_{name}" for side in ("SRC", "DST") for name in (
    "PROC_PID", "PROC_NAME", "PROC_USER_NAME", "PROC_UID", "FATHER_PROC_PID", "FATHER_PROC_NAME",
    "PROC_NUM_PAGE_FAULTS")]
KINDS = {"ipfix": 4739, "netflow9": 2055}


class Nfacctd:
    def __init__(self, namespace, directory, kind):
        directory.mkdir()
        self.out = directory / "flows.json"
        self.log = directory / "log"
        config = directory / "nfacctd.conf"
        config.write_text("\n".join([
            "daemonize: false", "plugins: print", "nfacctd_ip: 127.0.0.1",
            f"nfacctd_port: {KINDS[kind]}", "print_output: json", "print_refresh_time: 1",
            f"print_output_file: {self.out}", "print_output_file_append: true",
            f"aggregate_primitives: {COLLECTORS}/pmacct/primitives-{kind}.lst",
            "aggregate: src_host, dst_host, src_port, dst_port, proto, "
            + ", ".join(name.lower() for name in FIELDS)]) + "\n")
        with open(self.log, "w") as log:
            self.process = namespace.popen("nfacctd", "-f", config, stdout=log, stderr=log)
        wait_for(lambda: namespace.run("ss", "-Hlun", f"sport = :{KINDS[kind]}").stdout, "nfacctd")

    def flows(self):
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return [flow for flow in map(json.loads, lines) if flow.get("port_dst") == PORT]

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


def test_nfacctd_names_the_processes(pair, agent, daemon, need, cleanup, tmp_path):
    need("nfacctd")
    collectors = {kind: Nfacctd(pair.probe, tmp_path / kind, kind) for kind in KINDS}
    for collector in collectors.values():
        cleanup.callback(collector.end)
    path = tmp_path / "records.json"
    probed = daemon(pair.probe, {"exporters": [
        {"type": "json", "to": f"file://{path}"},
        *({"type": kind, "to": f"udp://127.0.0.1:{port}"} for kind, port in KINDS.items())]},
        records=path)
    client, server = agent(pair.probe, "client", user=65534), agent(pair.probe, "server")
    server.listen(name="l", version=4, address="127.0.0.1", port=PORT)
    client.connect(name="c", address="127.0.0.1", port=PORT)
    server.accept(name="s", listener="l")
    probed.sync()
    client.send(name="c", count=5000)
    server.receive(name="s", count=5000)
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), **server.as_end("DST")})
    assert set(FIELDS) <= set(record)
    for kind, collector in collectors.items():
        wait_for(collector.flows, lambda: f"the flow in {kind}: {collector.log.read_text()}")
        flow, = collector.flows()
        shown = {name: str(flow[name.lower()]) for name in FIELDS}
        assert shown == {name: str(record[name]) for name in FIELDS}, kind
        assert (flow["bytes"], flow["packets"]) == (record["IN_BYTES"], record["IN_PKTS"]), kind
    probed.stop()
