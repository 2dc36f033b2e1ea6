# SPDX-License-Identifier: GPL-2.0-or-later
"""The exporter to Elasticsearch, against a server that behaves like _bulk and fails in every way.
What a JSON file next to it has is the truth: each of its records is stored once, and nothing else."""

import time

from harness.bulk_server import RETRY_AFTER_S, BulkServer, make_certificates
from harness.daemon import run_procflowd
from harness.namespaces import run
from harness.services import ADDRESS, FLOWS, adds_up, exporters_of, key_of, make_flows
from harness.waiting import wait_for

SERVER, PORT = "127.0.0.9", 9200


def test_every_record_is_stored_once(pair, daemon, need, cleanup, tmp_path):
    need("openssl")
    ca, context = make_certificates(tmp_path / "ca", run, SERVER)
    server = BulkServer(pair.probe, SERVER, PORT, user=("procflow", "se cret"), context=context)
    cleanup.callback(server.stop)
    password = tmp_path / "password"
    password.write_text("se cret\n")
    password.chmod(0o600)
    url = f"https://{SERVER}:{PORT}"
    known = {"type": "elasticsearch", "username": "procflow", "password_file": password,
             "timeout": "1s"}
    path = tmp_path / "flows.json"
    probed = daemon(pair.probe, {
        "flows": {"include": [f"{ADDRESS}/32"]},
        "exporters": [
            {"type": "json", "to": f"file://{path}"},
            {"name": "search", "to": url + "/", **known, "ca_file": ca, "install_template": True},
            {"name": "stream", "to": url, **known, "ca_file": ca, "schema": "ecs",
             "index": "stream-ecs", "data_stream": True},
            {"name": "distrustful", "to": url, **known, "index": "never"}]}, records=path)

    def all_stored():
        wanted = {key_of(record) for record in probed.records()}
        wanted -= {key_of(record) for record in server.refused}
        return wanted <= {key_of(document) for document in server.find("procflow-")}

    # Nobody listens at first.
    make_flows(pair.probe, probed)
    wait_for(lambda: exporters_of(probed)["search"]["failed_connections"], "a refused connection")
    assert not exporters_of(probed)["search"]["sent_records"]
    server.start()
    wait_for(all_stored, "what had waited")
    assert set(server.templates) == {"procflow"}
    for failure in ("hang", "half", "hangup", "busy", "unavailable", "garbage", "short", "large",
                    "items"):
        server.fail(failure)
        make_flows(pair.probe, probed)
        wait_for(lambda: server.is_through() and all_stored(),
                 lambda: f"all records after {failure!r}: {server.requests[-5:]}")
    assert len(server.refused) == 1
    # The request behind the one that was asked to wait came not before; others' back-off is shorter.
    times = [(when, how) for when, how, index in server.times if index.startswith("procflow-")]
    asked = next(i for i, (_, how) in enumerate(times) if how == "busy")
    assert times[asked + 1][0] - times[asked][0] >= RETRY_AFTER_S, times
    wait_for(lambda: len(server.find("stream-ecs")) == len(probed.records()), "the data stream")

    stored = server.find("procflow-")
    records = {key_of(record): record for record in probed.records()}
    assert len(stored) == len(records) - 1, "nothing twice"
    assert all(records[key_of(document)] == document for document in stored)
    dates = {index for what, index in server.actions if what == "index"}
    assert dates <= {time.strftime("procflow-%Y.%m.%d", time.gmtime(record["LAST_SWITCHED"]))
                     for record in records.values()}
    assert all(encoding == "gzip" for _, _, encoding in server.requests)
    by_flow = {record["FLOW_ID"]: record for record in records.values()}
    streamed = {int(document["flow"]["id"]): document for document in server.find("stream-ecs")}
    assert set(streamed) == set(by_flow)
    for flow, document in streamed.items():
        record = by_flow[flow]
        assert document["source"]["port"] == record["L4_SRC_PORT"]
        assert document["network"]["bytes"] == record["IN_BYTES"] + record["OUT_BYTES"]
        pid = record.get("SRC_PROC_PID", record.get("DST_PROC_PID"))
        assert document.get("process", {}).get("pid") == pid
    assert {what for what, index in server.actions if index == "stream-ecs"} == {"create"}
    assert not server.find("never")

    def settled():
        return all(exporters_of(probed)[name]["waiting_records"] == 0
                   for name in ("search", "stream"))

    wait_for(settled, lambda: f"nothing waiting: {exporters_of(probed)}")
    counted = exporters_of(probed)
    search = counted["search"]
    assert all(map(adds_up, counted.values())), counted
    assert search["sent_records"] == len(records) - 1 and search["dropped_refused"] == 1, search
    assert search["retried_records"] >= FLOWS and search["failed_connections"] >= 3, search
    assert counted["stream"]["sent_records"] == len(records)
    assert counted["distrustful"]["waiting_records"] == len(records)
    assert counted["distrustful"]["failed_connections"] >= 1

    # At the end, without a server: no longer than the last wait of each exporter.
    server.stop()
    make_flows(pair.probe, probed)
    begun = time.monotonic()
    probed.stop()
    log = probed.log()
    assert f"search: {FLOWS} records could not be sent" in log
    assert log.count("document_parsing_exception: failed?to parse") == 1
    assert "certificate" in log and "se cret" not in log
    assert time.monotonic() - begun < 20


def test_secrets_that_others_can_read_are_refused(tmp_path):
    password = tmp_path / "password"
    password.write_text("secret")
    password.chmod(0o644)
    config = tmp_path / "procflow.yaml"
    config.write_text("exporters:\n- type: elasticsearch\n  to: http://127.0.0.9:9200\n"
                      f"  username: a\n  password_file: {password}\n")
    ended = run_procflowd("-c", config)
    assert ended.returncode != 0
    assert f"password_file {password}: others may read or write it" in ended.stderr
