# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon under test: its configuration, its life, its records."""

import itertools
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile

from harness.waiting import DEADLINE_S, wait_for

# A connection from nobody to nobody: when its record is there, all that was announced before it has
# been handled.
MARK = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.close()
server.recv(1)
server.close()
print(listener.getsockname()[1])
"""
UNIT_USER = 64990  # nobody's
_SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


# A socket's name is short, directories of tests are not.
_sockets = itertools.count(1)


def build_directory():
    top = pathlib.Path(__file__).resolve().parents[3]
    return pathlib.Path(os.environ.get("PROCFLOW_BUILD", top / "build"))


def executable():
    return build_directory() / "daemon" / "procflowd"


def unit_privileges():
    """setpriv(1) with the rights that the systemd unit gives."""
    unit = (build_directory() / "systemd" / "procflow.service").read_text()
    names = re.search(r"^AmbientCapabilities=(.*)$", unit, re.M).group(1).split()
    sets = ",".join(["-all", *("+" + name.removeprefix("CAP_").lower() for name in names)])
    return ["setpriv", f"--reuid={UNIT_USER}", f"--regid={UNIT_USER}", "--clear-groups",
            "--no-new-privs", f"--inh-caps={sets}", f"--ambient-caps={sets}",
            f"--bounding-set={sets}"]


def to_yaml(value, depth=0):
    """Plain YAML as people write it; enough for configurations."""
    pad = "  " * depth
    if isinstance(value, dict):
        return "".join(
            f"{pad}{key}:\n{to_yaml(item, depth + 1)}" if isinstance(item, (dict, list)) and item
            else f"{pad}{key}: {to_scalar(item)}\n" for key, item in value.items())
    text = ""
    for item in value:
        if isinstance(item, dict):
            lines = to_yaml(item, depth + 1)
            text += f"{pad}- {lines[len(pad) + 2:]}"
        else:
            text += f"{pad}- {to_scalar(item)}\n"
    return text


def to_scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_scalar, value)) + "]"
    return str(value)


def merge(base, changes):
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = merge(merged.get(key, {}), value) if isinstance(value, dict) else value
    return merged


def matches(record, wanted):
    return all(record.get(key) == value for key, value in wanted.items())


class Daemon:
    """procflowd in a namespace. Configuration: what is given, over short and quiet defaults;
    records go to a JSON file. as_unit: not root, but with what the systemd unit gives and does
    (PROCFLOW_AS_UNIT=1: every daemon of the tests)."""

    def __init__(self, namespace, directory, config=None, arguments=(), state=None, records=None,
                 as_unit=os.environ.get("PROCFLOW_AS_UNIT") == "1", prepared=True, prefix=()):
        self.as_unit, self.prepared, self.prefix = as_unit, prepared, prefix
        self.namespace, self.directory = namespace, pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.records_path = pathlib.Path(records) if records else self.directory / "flows.json"
        self.state = pathlib.Path(state) if state else self.directory / "state"
        self.control_path = pathlib.Path(tempfile.gettempdir(),
                                         f"pf{os.getpid()}-{next(_sockets)}.sock")
        self.log_path = self.directory / "log"
        self.config_path = self.directory / "procflow.yaml"
        self.config_path.write_text(to_yaml(merge({
            "flows": {"active_timeout": "60s", "idle_timeout": "30s"},
            # The namespaces of a test stand for other hosts.
            "attribution": {"namespaces": "host"},
            # One setting for the whole machine: tests that need it hold a lock.
            "processes": {"delay_accounting": False, "report": "none"},
            # All records of a test are in one file.
            "exporters": [{"type": "json", "to": f"file://{self.records_path}", "rotate_size": 0}],
            "control": {"socket": str(self.control_path)},
            "log": {"level": "debug", "to": "stderr"},
        }, config or {})))
        self.arguments = ["-c", str(self.config_path), *arguments]
        self.writes_stdout = "-o" in arguments
        self.process = None
        self._notifications = None
        self._offset, self._records, self._bad_lines = 0, [], []

    def start(self, wait=True):
        path = self.directory / "notify"
        path.unlink(missing_ok=True)
        self._notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notifications.bind(str(path))
        self.environment = dict(os.environ, STATE_DIRECTORY=str(self.state),
                                NOTIFY_SOCKET=str(path))
        if self.as_unit:
            self.state.mkdir(exist_ok=True)
            for own in (self.directory, self.directory.parent, path, self.state):
                os.chown(own, UNIT_USER, UNIT_USER)
            if self.prepared:
                self.run_as_root("--prepare")
        privileges = unit_privileges() if self.as_unit else []
        with open(self.log_path, "ab") as log:
            self.process = self.namespace.popen(*privileges, *self.prefix, executable(), *self.arguments,
                                                env=self.environment, stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    def run_as_root(self, option):
        """What the unit does beside the daemon: before it starts, and after it ended."""
        done = self.namespace.run(executable(), *self.arguments, option, env=self.environment)
        with open(self.log_path, "a") as log:
            log.write(done.stderr)

    @property
    def pid(self):
        return self.process.pid

    def wait_ready(self):
        def is_ready():
            assert self.process.poll() is None, f"ended at once, exit {self.process.returncode}"
            readable, _, _ = select.select([self._notifications], [], [], 0.05)
            return readable and b"READY=1" in self._notifications.recv(4096)

        wait_for(is_ready, "READY=1 from the daemon")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def records(self):
        """All records so far, in order."""
        if self.records_path.exists():
            with open(self.records_path, "rb") as file:
                file.seek(self._offset)
                whole = file.read().rpartition(b"\n")[0]
            self._offset += len(whole) + (1 if whole else 0)
            self._records += [json.loads(line) for line in whole.splitlines()]
        return self._records

    def find(self, **wanted):
        return [record for record in self.records() if matches(record, wanted)]

    def wait_records(self, count=1, deadline_s=DEADLINE_S, **wanted):
        """At least count records with these values; None is "not in the record"."""
        def enough():
            if self.process.poll() is not None:
                found = self.find(**wanted)
                assert len(found) >= count, f"the daemon ended, exit {self.process.returncode}"
            found = self.find(**wanted)
            return found if len(found) >= count else None

        return wait_for(enough, lambda: f"{count} record(s) with {wanted}; there are "
                        f"{len(self.records())}, of these {len(self.find(**wanted))}", deadline_s)

    def wait_record(self, **wanted):
        return self.wait_records(1, **wanted)[0]

    def sync(self):
        """Returns when the daemon has handled all that the kernel announced until now."""
        port = int(self.namespace.run("/usr/bin/python3", "-c", MARK).stdout)
        if self.writes_stdout:
            wait_for(lambda: f":{port}" in self.log(), "the mark in the table or the records")
        else:
            self.wait_record(L4_DST_PORT=port, IPV4_SRC_ADDR="127.0.0.1", PROTOCOL=6)

    def signal(self, number):
        self.process.send_signal(number)

    def ask(self, *arguments, check=True, **options):
        """What procflow --json answers about this daemon: the objects of its lines."""
        result = run_procflow("-s", self.control_path, *arguments, "--json", **options)
        assert not check or result.returncode == 0, f"{arguments}: {result}"
        return [json.loads(line) for line in result.stdout.splitlines()]

    def status(self):
        return self.ask("status")[0]

    def wait_exit(self):
        return self.process.wait(timeout=DEADLINE_S)

    def stop(self):
        """SIGTERM, and all that it promises: exit 0 and a clean log of the sanitisers. The records
        it wrote until the end."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.wait_exit()
        if self.as_unit:
            self.run_as_root("--restore")
        self.check_sanitizers()
        assert status == 0, f"exit {status} after SIGTERM"
        return self.records()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.wait_exit()

    def check_sanitizers(self):
        found = _SANITIZER.search(self.log())
        assert not found, f"a sanitiser reported:\n{self.log()[found.start():][:6000]}"

    def close(self):
        """At the end of a test; never leaves the process behind."""
        try:
            if self.process and self.process.poll() is None:
                self.stop()
            self.check_sanitizers()
        finally:
            self.kill()
            if self._notifications:
                self._notifications.close()

    def evidence(self):
        """All that there is to see, for a failed test."""
        status = "not started" if not self.process else self.process.poll()
        yield f"procflowd {self.directory.name}: exit status", str(status)
        for path in (self.config_path, self.log_path, self.records_path):
            if path.exists():
                text = path.read_text(errors="replace")
                if len(text) > 60000:
                    text = text[:30000] + f"\n... all of it: {path}\n" + text[-30000:]
                yield f"procflowd {self.directory.name}: {path.name}", text


def run_procflow(*arguments, namespace=None, prefix=(), **options):
    """The client, run to its end."""
    return _run(build_directory() / "daemon" / "cli" / "procflow", arguments, namespace, prefix,
                **options)


def run_procflowd(*arguments, namespace=None, **options):
    """One run to the end, for options that do not stay: its exit status and output."""
    return _run(executable(), arguments, namespace, (), **options)


def _run(program, arguments, namespace, prefix, **options):
    argv = [*prefix, str(program), *map(str, arguments)]
    if namespace is not None:
        argv = namespace.argv(*argv)
    result = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, **options)
    assert not _SANITIZER.search(result.stderr), result.stderr
    return result
