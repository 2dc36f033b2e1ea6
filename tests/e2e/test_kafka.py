# SPDX-License-Identifier: GPL-2.0-or-later
"""The exporter to Kafka, against librdkafka's mock cluster; kcat reads what is there. What a JSON file
next to it has is the truth: each of its records is there once, under its flow's id."""

import json
import signal
import subprocess
import time

from harness.daemon import build_directory, run_procflowd
from harness.services import ADDRESS, FLOWS, adds_up, exporters_of, key_of, make_flows
from harness.waiting import wait_for

TOPIC = "flows"
NOT_LEADER, TIMED_OUT, TOO_LARGE, OUT_OF_ORDER = 6, 7, 10, 45


class Cluster:
    def __init__(self, namespace):
        self.namespace = namespace
        self.process = namespace.popen(build_directory() / "tests" / "support" / "kafka_mock", TOPIC,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.brokers = self.process.stdout.readline().strip()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def messages(self):
        """(key, value) of all that is there, by kcat."""
        lines = self.namespace.run("kcat", "-C", "-b", self.brokers, "-t", TOPIC, "-o", "beginning",
                                   "-e", "-q", "-f", "%k\\t%s\\n").stdout.splitlines()
        return [(int(key), json.loads(value)) for key, value in
                (line.split("\t", 1) for line in lines)]

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)


def test_every_record_is_there_once(pair, daemon, need, cleanup, tmp_path):
    need("kcat")
    cluster = Cluster(pair.probe)
    path = tmp_path / "flows.json"
    probed = daemon(pair.probe, {
        "flows": {"include": [f"{ADDRESS}/32"]},
        "exporters": [
            {"type": "json", "to": f"file://{path}"},
            {"type": "kafka", "to": f"kafka://{cluster.brokers}", "topic": TOPIC,
             "options": {"compression.codec": "lz4", "reconnect.backoff.max.ms": 500,
                         "retry.backoff.ms": 50}}]}, records=path)

    def counted():
        return exporters_of(probed)["kafka"]

    def is_settled():
        return counted()["waiting_records"] == 0

    def all_sent():
        wait_for(is_settled, lambda: f"nothing waiting: {counted()}")
        assert adds_up(counted()), counted()

    make_flows(pair.probe, probed)
    all_sent()
    for code in (NOT_LEADER, TIMED_OUT):
        cluster.tell(f"errors 2 {code}")
        make_flows(pair.probe, probed)
        all_sent()
    cluster.tell("down")
    make_flows(pair.probe, probed)
    wait_for(lambda: counted()["failed_connections"], lambda: f"a broken connection: {counted()}")
    assert counted()["waiting_records"] == FLOWS
    cluster.tell("up")
    all_sent()
    records = list(probed.records())
    messages = cluster.messages()
    assert sorted(key_of(value) for _, value in messages) == sorted(map(key_of, records)), \
        "each record once"
    by_key = {key_of(record): record for record in records}
    assert all(by_key[key_of(value)] == value for _, value in messages)
    assert all(key == value["FLOW_ID"] for key, value in messages)
    assert counted()["sent_records"] == len(records)
    # A reload with another option: a new producer takes over.
    probed.config_path.write_text(probed.config_path.read_text().replace("lz4", "none"))
    probed.signal(signal.SIGHUP)
    make_flows(pair.probe, probed)
    all_sent()
    records = list(probed.records())
    wait_for(lambda: len(cluster.messages()) == len(records), "what came after the reload")
    # What the brokers will never take.
    cluster.tell(f"errors 1 {TOO_LARGE}")
    make_flows(pair.probe, probed)
    all_sent()
    lost = counted()["dropped_too_large"]
    assert 1 <= lost <= FLOWS
    assert len(cluster.messages()) == len(records) + FLOWS - lost
    # At the end, without brokers: no longer than the last wait.
    cluster.end()
    make_flows(pair.probe, probed)
    begun = time.monotonic()
    probed.stop()
    assert time.monotonic() - begun < 15
    assert f"kafka: {FLOWS} records could not be sent" in probed.log()


def settle(probed):
    """What the exporter counted, when nothing waits any more."""
    def found():
        kafka = exporters_of(probed)["kafka"]
        return kafka if kafka["waiting_records"] == 0 else None

    settled = wait_for(found, lambda: f"nothing waiting: {exporters_of(probed)}", 60)
    assert adds_up(settled), settled
    return settled


def test_a_full_queue_waits_and_drops_the_oldest(pair, daemon, need, tmp_path):
    """librdkafka takes 5 messages, the exporter 20: the others are counted, and what was kept arrives."""
    need("kcat")
    cluster, path, count = Cluster(pair.probe), tmp_path / "flows.json", 100
    probed = daemon(pair.probe, {
        "flows": {"include": [f"{ADDRESS}/32"]},
        "exporters": [
            {"type": "json", "to": f"file://{path}"},
            {"type": "kafka", "to": f"kafka://{cluster.brokers}", "topic": TOPIC, "queue": 20,
             "options": {"queue.buffering.max.messages": 5, "reconnect.backoff.max.ms": 500}}]},
        records=path)
    make_flows(pair.probe, probed)
    assert settle(probed)["sent_records"] == FLOWS
    cluster.tell("down")
    make_flows(pair.probe, probed, count)
    wait_for(lambda: exporters_of(probed)["kafka"]["dropped_queue_full"],
             lambda: f"drops: {exporters_of(probed)}")
    kafka = exporters_of(probed)["kafka"]
    assert adds_up(kafka) and 0 < kafka["waiting_records"] <= 20, kafka
    cluster.tell("up")
    kafka = settle(probed)
    assert kafka["sent_records"] == FLOWS + count - kafka["dropped_queue_full"], kafka
    assert kafka["sent_records"] >= FLOWS + 10, "what waited was sent"
    messages = cluster.messages()
    assert len(messages) == kafka["sent_records"]
    last = list(probed.records())[-5:]
    assert {key_of(record) for record in last} <= {key_of(value) for _, value in messages}, \
        "the oldest were dropped"
    assert "Queue full" not in probed.log(), "it is no trouble, it is waited for"
    cluster.end()
    probed.stop()


def test_a_producer_that_broke_is_replaced(pair, daemon, need, tmp_path):
    """A broker that has another sequence number in mind is a fatal error of an idempotent producer."""
    need("kcat")
    cluster, path = Cluster(pair.probe), tmp_path / "flows.json"
    probed = daemon(pair.probe, {
        "flows": {"include": [f"{ADDRESS}/32"]},
        "exporters": [
            {"type": "json", "to": f"file://{path}"},
            {"type": "kafka", "to": f"kafka://{cluster.brokers}", "topic": TOPIC,
             "options": {"retry.backoff.ms": 50}}]}, records=path)
    make_flows(pair.probe, probed)
    settle(probed)
    cluster.tell(f"errors 1 {OUT_OF_ORDER}")
    make_flows(pair.probe, probed)
    wait_for(lambda: "another takes over" in probed.log(), "a fatal error")
    settle(probed)
    make_flows(pair.probe, probed)
    kafka = settle(probed)
    assert kafka["sent_records"] + kafka["dropped_unreachable"] == 3 * FLOWS, kafka
    # What may or may not be stored is not sent again; all else is there once.
    messages = [key_of(value) for _, value in cluster.messages()]
    assert len(messages) == len(set(messages)) >= kafka["sent_records"]
    assert set(messages) >= {key_of(record) for record in list(probed.records())[-FLOWS:]}
    assert kafka["sent_records"] >= 2 * FLOWS, kafka
    cluster.end()
    probed.stop()


def test_options_are_checked_by_librdkafka(tmp_path):
    config = tmp_path / "procflow.yaml"
    config.write_text("exporters:\n- type: kafka\n  to: kafka://127.0.0.1:9\n"
                      "  options:\n    compression.codec: zst\n    acks: 1\n")
    tested = run_procflowd("-t", "-c", config)
    assert tested.returncode == 1
    assert f"{config}:5:5: exporters.options: compression.codec: Invalid value" in tested.stderr
    config.write_text(config.read_text().replace("zst", "zstd"))
    tested = run_procflowd("-t", "-c", config)
    assert tested.returncode == 1
    assert f"{config}:5:5: exporters.options: `acks` must be set to `all`" in tested.stderr


def test_secrets_come_from_files_of_one_owner(pair, daemon, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    options = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN",
               "sasl.username": "procflow", "sasl.password": f"file://{secret}"}
    probed = daemon(pair.probe, {"exporters": [
        {"type": "kafka", "to": "kafka://127.0.0.1:9", "options": options}]}, start=False)
    secret.chmod(0o644)
    tested = run_procflowd("-t", "-c", probed.config_path)
    assert tested.returncode == 1
    assert f"sasl.password: {secret}: others may read or write it" in tested.stderr
    secret.chmod(0o600)
    probed.start()
    probed.stop()
    assert "hunter2" not in probed.log()
