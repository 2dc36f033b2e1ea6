# SPDX-License-Identifier: GPL-2.0-or-later
"""The counters for Prometheus, as a file and as a page, read by parsers that are not ours."""

import shutil
import subprocess

import pytest

from harness.daemon import run_procflowd
from harness.waiting import wait_for

PORT = 9477


def parse(text):
    """By Prometheus' own library: the samples, and the types of their families."""
    parser = pytest.importorskip("prometheus_client.parser")
    families = list(parser.text_string_to_metric_families(text))
    samples = {(sample.name, *sorted(sample.labels.items())): sample.value
               for family in families for sample in family.samples}
    return samples, {family.name: family.type for family in families}


def test_metrics(pair, agent, daemon, need):
    need("curl")
    probed = daemon(pair.probe, {"metrics": {"file": "METRICS", "listen": f"{PORT}",
                                             "interval": "1s"}}, start=False)
    path = probed.directory / "procflow.prom"
    probed.config_path.write_text(probed.config_path.read_text().replace("METRICS", str(path)))
    probed.start()
    probed.sync()
    before = len(probed.records())

    def get(*arguments):
        return pair.probe.run("curl", "-sS", "-m", "10", *arguments).stdout

    url = f"http://127.0.0.1:{PORT}"
    page = get("-i", f"{url}/metrics").replace("\r", "")
    head, _, body = page.partition("\n\n")
    assert head.startswith("HTTP/1.1 200") and "text/plain; version=0.0.4" in head
    samples, types = parse(body)
    heads = [line for line in body.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads)), "a metric stands in one place"
    status = probed.status()
    # Whoever asked for the page may have a record by now.
    assert before <= samples["procflow_records_records_total",] <= len(probed.records())
    assert before <= samples["procflow_exporter_sent_records_total", ("exporter", "json"),
                             ("type", "json")] <= status["exporters"][0]["sent_records"]
    assert types["procflow_daemon_cpu_user_seconds"] == "counter"
    assert 0 < samples["procflow_daemon_cpu_user_seconds_total",] < 20
    assert types["procflow_flows_open"] == "gauge"
    # Why ends have no process, what was dropped, how full connection tracking is, its events, memory.
    assert ("procflow_records_ends_unknown_total", ("reason", "no-permission")) in samples, \
        sorted(name for name in samples if "unknown" in name[0])
    assert samples["procflow_exporter_dropped_queue_full_total", ("exporter", "json"),
                   ("type", "json")] == 0
    assert 0 < samples["procflow_conntrack_entries",] <= len(pair.probe.conntrack())
    assert samples["procflow_conntrack_max_entries",] > 0
    assert samples["procflow_conntrack_events_new_total",] >= 1
    assert samples["procflow_conntrack_events_destroy_total",] >= 0
    assert samples["procflow_conntrack_overruns_total",] == 0
    assert 1 << 20 < samples["procflow_daemon_memory_bytes",] < 1 << 30
    assert ("procflow_records_ends_total", ("method", "trace")) in samples
    if shutil.which("promtool"):
        checked = subprocess.run(["promtool", "check", "metrics"], input=body, text=True,
                                 capture_output=True, timeout=20, check=False)
        assert checked.returncode == 0 or "error" not in checked.stderr, checked

    in_file = wait_for(lambda: path.exists() and parse(path.read_text())[0], "the file")
    assert set(in_file) == set(samples)
    assert [entry.name for entry in probed.directory.iterdir()
            if entry.name.startswith("procflow.prom")] == ["procflow.prom"]
    assert get("-o", "/dev/null", "-w", "%{http_code}", f"{url}/etc/passwd") == "404"
    assert get("-o", "/dev/null", "-w", "%{http_code}", "-d", "x=1", f"{url}/metrics") == "405"
    assert "200 OK" in get("-I", f"{url}/metrics")

    # Clients that ask nothing take no place for good, and nobody waits for them.
    hold = pair.probe.popen("/usr/bin/python3", "-c", "import socket, time\n"
                            f"held = [socket.create_connection(('127.0.0.1', {PORT}))"
                            " for _ in range(20)]\n[s.send(b'GET /met') for s in held[:3]]\n"
                            "print('held', flush=True)\ntime.sleep(60)\n",
                            stdout=subprocess.PIPE, text=True)
    assert hold.stdout.readline() == "held\n"
    probed.sync()
    hold.kill()
    assert wait_for(lambda: pair.probe.run("curl", "-sS", "-m", "2", f"{url}/metrics",
                                           check=False).stdout, "the page again")
    probed.stop()
    assert not path.exists(), "what it says is not true any more"
    with pytest.raises(AssertionError):
        get(f"{url}/metrics")


def test_wrong_address_is_refused(tmp_path):
    for address in ("localhost:9477", "127.0.0.1", "127.0.0.1:0", "::1:9477", "[::1]", "70000"):
        path = tmp_path / "c.yaml"
        path.write_text(f'metrics:\n  listen: "{address}"\n')
        result = run_procflowd("-t", "-c", path)
        assert result.returncode == 1 and "metrics.listen" in result.stderr, (address, result)
    for address in ("9477", "[::1]:9477", "0.0.0.0:1"):
        path.write_text(f'metrics:\n  listen: "{address}"\n')
        assert run_procflowd("-t", "-c", path).returncode == 0, address
