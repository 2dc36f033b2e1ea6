# SPDX-License-Identifier: GPL-2.0-or-later
"""procflowd's options, what they print, and its exit statuses."""

import json
import os
import pathlib
import re
import subprocess

import pytest

from harness.daemon import MARK, executable, run_procflowd
from harness.waiting import wait_for

NO_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
PORT = 8103


def write(tmp_path, text, name="bad.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_version_and_help():
    version = run_procflowd("-V")
    assert version.returncode == 0 and re.search(r"\b\d+\.\d+\.\d+\b", version.stdout)
    shown = run_procflowd("-h")
    assert shown.returncode == 0
    for option in ("-c", "-t", "-o", "--check", "-v", "-V", "-h"):
        assert option in shown.stdout


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["-o", "xml"], ["-o"], ["-c"],
                                       ["surplus"]], ids=" ".join)
def test_wrong_usage_is_status_2(arguments):
    result = run_procflowd(*arguments)
    assert result.returncode == 2, result
    assert result.stderr and not result.stdout


def test_t_accepts_a_good_file(tmp_path):
    path = write(tmp_path, "flows:\n  active_timeout: 5m\n  max_flows: 1000\n")
    assert run_procflowd("-t", "-c", path).returncode == 0


def test_t_accepts_an_empty_file(tmp_path):
    assert run_procflowd("-t", "-c", write(tmp_path, "")).returncode == 0


def test_t_accepts_the_shipped_file():
    path = pathlib.Path(__file__).resolve().parents[2] / "conf" / "procflow.yaml"
    result = run_procflowd("-t", "-c", path)
    assert result.returncode == 0, result


def test_t_tells_every_mistake_in_one_run(tmp_path):
    path = write(tmp_path, "flows:\n"
                           "  active_timeout: 60x\n"
                           "  idle_timeuot: 30s\n"
                           "  max_flows: 0\n"
                           "exporters:\n"
                           "  - type: netflow9\n"
                           "    to: udp://192.0.2.1:70000\n")
    result = run_procflowd("-t", "-c", path)
    assert result.returncode == 1
    said = result.stderr + result.stdout
    assert f'{path}:2:19: flows.active_timeout: "60x" is not a duration ' in said
    assert "  active_timeout: 60x\n" in said
    caret = next(line for line in said.splitlines() if line.strip() == "^")
    assert caret.index("^") == said.splitlines()[said.splitlines().index(caret) - 1].index("60x")
    assert re.search(rf"^{re.escape(str(path))}:3:3: .*idle_timeout", said, re.MULTILINE)
    assert f"{path}:4:" in said and f"{path}:7:" in said


def test_t_accepts_what_the_design_shows(tmp_path):
    shown = pathlib.Path(__file__).resolve().parents[1] / "unit" / "config" / "user_interface.yaml"
    result = run_procflowd("-t", "-c", shown)
    assert result.returncode == 0, result


def test_t_does_not_wait_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    result = run_procflowd("-t", "-c", tmp_path / "pipe")
    assert result.returncode == 1
    assert result.stderr == f"{tmp_path}/pipe: is a pipe, not a file\n"


BAD_FILES = {
    "tab": b"flows:\n\tactive_timeout: 60s\n",
    "duplicate": b"flows:\n  max_flows: 10\n  max_flows: 20\n",
    "utf8": b"log:\n  level: \xff\xfe\n",
    "alias": b"flows: &a\n  max_flows: 10\nlog: *a\n",
    "list": b"- 1\n- 2\n",
    "unclosed": b"flows: {max_flows: 10\n",
    "range": b"flows:\n  max_flows: 99999999999999999999\n",
    "nul": b"flows:\n  max_flows: \x0010\n",
    "deep": b"[" * 20000,
    "huge": b"flows:\n  max_flows: 10\n" + b"# filler\n" * (10 * 1024 * 1024 // 9 + 1) + b"x: y\n",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_t_names_the_place_in_a_bad_file(tmp_path, name):
    path = write(tmp_path, BAD_FILES[name])
    result = run_procflowd("-t", "-c", path)
    assert result.returncode == 1, result
    assert str(path) in result.stderr + result.stdout


@pytest.mark.parametrize("arguments", [[], ["-t"], ["-o", "json"], ["--check"]], ids=str)
def test_missing_file_given_by_name(tmp_path, arguments):
    path = tmp_path / "none.yaml"
    result = run_procflowd("-c", path, *arguments)
    assert result.returncode == 1
    assert str(path) in result.stderr and "no such file" in result.stderr.lower()


def test_directory_as_file(tmp_path):
    result = run_procflowd("-t", "-c", tmp_path)
    assert result.returncode == 1 and str(tmp_path) in result.stderr


def test_without_rights_the_host_lacks_something(tmp_path):
    config = write(tmp_path, f"exporters:\n  - type: json\n    to: file://{tmp_path}/f.json\n")
    result = subprocess.run([*NO_RIGHTS, executable(), "-c", config], capture_output=True,
                            text=True, timeout=20, env={"STATE_DIRECTORY": str(tmp_path)})
    assert result.returncode == 3, result
    assert "CAP_NET_ADMIN" in result.stderr


def test_check(make_namespace, tmp_path):
    """One line for each thing, and nothing is changed by looking."""
    probe = make_namespace("probe")
    config = write(tmp_path, "processes:\n  delay_accounting: false\n")
    before = probe.run("sysctl", "-a", "-r", "nf_conntrack_(acct|timestamp)").stdout
    result = run_procflowd("--check", "-c", config, namespace=probe)
    assert result.returncode == 0, result
    for thing in ("conntrack", "accounting", "timestamp", "delay", "trace", "diag", "buffer",
                  "namespace"):
        assert thing in result.stdout.lower(), result.stdout
    assert probe.run("sysctl", "-a", "-r", "nf_conntrack_(acct|timestamp)").stdout == before
    assert probe.ruleset() == ""


def test_check_without_rights(make_namespace, tmp_path):
    config = write(tmp_path, "")
    result = run_procflowd("--check", "-c", config)
    bare = subprocess.run([*NO_RIGHTS, executable(), "--check", "-c", config], capture_output=True,
                          text=True, timeout=20)
    assert bare.returncode == 1, bare
    assert "CAP_NET_ADMIN" in bare.stdout
    assert len(bare.stdout.splitlines()) >= len(result.stdout.splitlines())


def exchange(agent, pair, probed):
    client, server = agent(pair.probe, "client", user=65534), agent(pair.peer, "server")
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    local = client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    probed.sync()
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    return client, local


def test_o_json_to_a_pipe(pair, agent, daemon):
    probed = daemon(pair.probe, arguments=("-o", "json"))
    client, local = exchange(agent, pair, probed)
    # Standard output goes to the log's file here: a record is a line that is an object.
    line = wait_for(lambda: next((line for line in probed.log().splitlines() if
                                  line.startswith("{") and f'"L4_DST_PORT":{PORT}' in line), None),
                    "the record on standard output, while the daemon runs")
    record = json.loads(line)
    assert record["L4_SRC_PORT"] == local["port"] and record["SRC_PROC_PID"] == client.pid
    assert not probed.records_path.exists(), "-o ignores the configured exporters"


def test_o_has_no_use_for_services(pair, daemon):
    """An exporter that cannot be, for its service knows no such option, is ignored like the others."""
    probed = daemon(pair.probe, {"exporters": [
        {"type": "kafka", "to": "kafka://127.0.0.1:1", "topic": "t", "options": "{no.such: 1}"}]},
        arguments=("-o", "json"))
    probed.sync()
    probed.stop()
    assert run_procflowd("-t", "-c", probed.config_path).returncode == 1


def test_o_text_to_a_pipe(pair, agent, daemon):
    probed = daemon(pair.probe, arguments=("-o", "text"))
    client, _ = exchange(agent, pair, probed)
    line = wait_for(lambda: next((line for line in probed.log().splitlines()
                                  if f"{pair.PEER4}:{PORT}" in line), None),
                    "the flow in the table, while the daemon runs")
    assert re.search(r"\bclient\b", line) and str(client.pid) in line and "nobody" in line
    assert "\x1b" not in probed.log(), "colours are for terminals"
    assert not probed.records_path.exists(), "-o ignores the configured exporters"


def test_reader_that_goes_away_ends_the_daemon(pair, tmp_path):
    """procflowd -o json | head -1"""
    config = write(tmp_path, "processes:\n  delay_accounting: false\n")
    process = pair.probe.popen(executable(), "-c", config, "-o", "json", stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env={"STATE_DIRECTORY": str(tmp_path)})
    wait_for(lambda: "procflow" in pair.probe.ruleset(), "the daemon's nft table")
    process.stdout.close()

    def has_ended():
        pair.probe.run("/usr/bin/python3", "-c", MARK)
        return process.poll() is not None

    wait_for(has_ended, "the end of the daemon")
    assert pair.probe.ruleset() == ""
