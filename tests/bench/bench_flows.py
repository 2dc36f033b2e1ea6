#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What one flow costs the daemon, from the kernel's events to the record in a file or on the wire,
beside ulogd doing the same and beside a loop that only receives. The subjects take turns, so that a
slow moment of the machine meets all of them; what counts is the ratio within a round. procflowd runs with its
defaults, but that delay accounting, a setting of the whole machine, stays as it is. The addresses are
nobody's here, so attribution says "remote" at a glance: finding processes is not in the figure.

Exit status 1: procflowd lost flows or could not run. A timing never fails it. 77: not here."""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.daemon import Daemon, build_directory, executable  # noqa: E402
from harness.namespaces import Namespace  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
SOURCE_PORT, SOURCE, DESTINATION = 7, 8, 12  # IPFIX elements
QUIET_S, PATIENCE_S = 1.0, 120
ULOGD_PLUGINS = ("/usr/lib/x86_64-linux-gnu/ulogd", "/usr/lib/aarch64-linux-gnu/ulogd",
                 "/usr/lib64/ulogd", "/usr/lib/ulogd")


def cpu_s(pid):
    """User and system time of the whole process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1])


def wait_idle(pid):
    """Until the process has nothing more to do with what it was given; its CPU time then."""
    deadline = time.monotonic() + PATIENCE_S
    before = cpu_s(pid)
    while time.monotonic() < deadline:
        time.sleep(QUIET_S)
        now = cpu_s(pid)
        if now - before <= 0.02 * QUIET_S:
            return now
        before = now
    raise RuntimeError(f"process {pid} is still busy {PATIENCE_S} s after the last flow")


def count_flows(path, source, port, destination):
    """Distinct flows to the injector's server, by the names that the fields have, and a complaint
    where one was told twice, which is as bad as one that is lost."""
    wanted = re.compile(rb'"%s":\s*"192\.0\.2\.1"' % destination.encode())
    parts = [re.compile(rb'"%s":\s*"?([0-9.]+)' % name.encode()) for name in (source, port)]
    seen, lines = set(), 0
    with open(path, "rb") as file:
        for line in file:
            if wanted.search(line):
                lines += 1
                seen.add(tuple(part.search(line)[1] for part in parts))
    return len(seen), f"{lines - len(seen)} told twice" if lines != len(seen) else ""


class Subject:
    """One program that reads conntrack events. start() returns when it listens; stop() ends it and
    tells the flows that it reported and what it said about losses."""

    is_ours = False

    def __init__(self, namespace, directory):
        self.namespace, self.directory = namespace, pathlib.Path(directory)
        self.directory.mkdir()


class Ulogd(Subject):
    name = "ulogd, hash table, JSON file"
    hash_enable, event_mask = 1, 0x5  # NEW and DESTROY

    def start(self):
        plugins = next((path for path in ULOGD_PLUGINS if os.path.isdir(path)), None)
        self.output = self.directory / "ulogd.json"
        self.log = self.directory / "ulogd.log"
        config = self.directory / "ulogd.conf"
        config.write_text(f"""[global]
logfile="{self.log}"
loglevel=5
plugin="{plugins}/ulogd_inpflow_NFCT.so"
plugin="{plugins}/ulogd_filter_IP2STR.so"
plugin="{plugins}/ulogd_output_JSON.so"
stack=ct1:NFCT,ip2str1:IP2STR,json1:JSON
[ct1]
hash_enable={self.hash_enable}
hash_buckets=65536
hash_max_entries=262144
event_mask={self.event_mask:#x}
netlink_socket_buffer_size=67108864
netlink_socket_buffer_maxsize=134217728
[json1]
file="{self.output}"
sync=0
""")
        self.process = self.namespace.popen("ulogd", "-c", config, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not (self.log.exists() and "working in event mode" in self.log.read_text()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ulogd did not start:\n{self.said()}")
            time.sleep(0.05)

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        return self.log.read_text() if self.log.exists() else ""

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        lost = [line for line in self.said().splitlines() if "ENOBUFS" in line or "maximum" in line]
        flows, repeated = count_flows(self.output, "src_ip", "orig.l4.sport", "dest_ip")
        return flows, "; ".join(filter(None, [repeated, *lost[:1]]))


class UlogdDestroy(Ulogd):
    name = "ulogd, DESTROY only, JSON file"
    hash_enable, event_mask = 0, 0x4


class ProcflowdJson(Subject):
    name = "procflowd, JSON file"
    is_ours = True

    def config(self):
        return {"log": {"level": "notice", "to": "stderr"},
                "attribution": {"namespaces": "all"}, "processes": {"report": "networked"}}

    def start(self):
        self.daemon = Daemon(self.namespace, self.directory / "daemon", self.config())
        self.daemon.start()

    @property
    def pid(self):
        return self.daemon.pid

    def stop(self):
        self.daemon.signal(signal.SIGTERM)
        status = self.daemon.process.wait(timeout=60)
        if status:
            raise RuntimeError(f"procflowd ended with {status}:\n{self.daemon.log()}")
        lost = [line for line in self.daemon.log().splitlines() if "overrun" in line]
        flows, repeated = self.count()
        return flows, "; ".join(filter(None, [repeated, *lost[:1]]))

    def count(self):
        return count_flows(self.daemon.records_path, "IPV4_SRC_ADDR", "L4_SRC_PORT",
                           "IPV4_DST_ADDR")


class Collector(threading.Thread):
    """Takes IPFIX over UDP in the namespace and counts flows."""

    def __init__(self, namespace):
        super().__init__(daemon=True)
        self.port, self.messages = 4739, []
        self.socket = self._open_in(namespace)
        self.socket.settimeout(0.5)
        self.ended = False

    def _open_in(self, namespace):
        # The socket is made by a child in the namespace and handed over.
        ours, theirs = socket.socketpair()
        code = ("import socket,sys;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
                "s.setsockopt(socket.SOL_SOCKET,33,64<<20);"  # SO_RCVBUFFORCE
                f"s.bind(('127.0.0.1',{self.port}));"
                "socket.send_fds(socket.socket(fileno=int(sys.argv[1])),[b'x'],[s.fileno()])")
        subprocess.run(namespace.argv("/usr/bin/python3", "-c", code, theirs.fileno()),
                       pass_fds=[theirs.fileno()], check=True, timeout=10)
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        return socket.socket(fileno=descriptors[0])

    def run(self):
        while not self.ended:
            with contextlib.suppress(TimeoutError):
                self.messages.append(self.socket.recv(65535))

    def end(self):
        self.ended = True
        self.join()
        self.socket.close()

    def count(self):
        """The same as count_flows(). A gap in the sequence is a loss on the way here."""
        templates, expected, seen, flows = {}, 0, set(), 0
        for message in self.messages:
            _, length, _, sequence, _ = struct.unpack_from("!HHIII", message)
            if length != len(message) or sequence != expected:
                raise RuntimeError(f"sequence {sequence} where {expected} is due")
            for set_id, body in sets(message):
                if set_id in (2, 3):
                    read_templates(body, set_id == 3, templates)
                    continue
                for record in records(body, templates[set_id]):
                    expected += 1
                    if record.get(DESTINATION) == b"\xc0\x00\x02\x01":
                        flows += 1
                        seen.add((record[SOURCE], record[SOURCE_PORT]))
        return len(seen), f"{flows - len(seen)} told twice" if flows != len(seen) else ""


def sets(message):
    at = 16
    while at + 4 <= len(message):
        set_id, length = struct.unpack_from("!HH", message, at)
        yield set_id, message[at + 4:at + length]
        at += length


def read_templates(body, is_options, templates):
    """RFC 7011 3.4.1 and 3.4.2: element numbers (enterprise bit included) and lengths."""
    at = 0
    while at + 4 <= len(body):
        number, count = struct.unpack_from("!HH", body, at)
        at += 6 if is_options else 4
        fields = []
        for _ in range(count):
            element, length = struct.unpack_from("!HH", body, at)
            at += 8 if element & 0x8000 else 4
            fields.append((element, length))
        templates[number] = fields


def records(body, fields):
    at, least = 0, sum(1 if length == 65535 else length for _, length in fields)
    while len(body) - at >= max(least, 4):  # less is padding
        record = {}
        for element, length in fields:
            if length == 65535:
                length, at = body[at], at + 1
                if length == 255:
                    length, at = struct.unpack_from("!H", body, at)[0], at + 2
            record[element] = body[at:at + length]
            at += length
        yield record


class ProcflowdIpfix(ProcflowdJson):
    name = "procflowd, IPFIX over UDP"

    def config(self):
        return {**super().config(),
                "exporters": [{"type": "ipfix", "to": f"udp://127.0.0.1:{self.collector.port}"}]}

    def start(self):
        self.collector = Collector(self.namespace)
        self.collector.start()
        super().start()

    def count(self):
        self.collector.end()
        return self.collector.count()


class ProcflowdThree(ProcflowdIpfix):
    """What the collector got is counted; NetFlow v9 goes to a port that nobody reads."""
    name = "procflowd, JSON, IPFIX and v9"

    def start(self):
        self.unread = self.namespace.popen(
            "/usr/bin/python3", "-c", "import socket,sys;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
            "s.bind(('127.0.0.1',2055));print('ready',flush=True);sys.stdin.read()",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.unread.stdout.readline()
        super().start()

    def config(self):
        return {**super().config(),
                "exporters": [*super().config()["exporters"],
                              {"type": "netflow9", "to": "udp://127.0.0.1:2055"},
                              {"type": "json", "to": f"file://{self.directory}/all.json",
                               "rotate_size": 0}]}

    def count(self):
        flows, said = super().count()
        lines, repeated = count_flows(self.directory / "all.json", "IPV4_SRC_ADDR", "L4_SRC_PORT",
                                      "IPV4_DST_ADDR")
        self.unread.stdin.close()
        self.unread.wait(timeout=10)
        return min(flows, lines), "; ".join(filter(None, [said, repeated]))


class Floor(Subject):
    name = "receive loop"

    def start(self):
        self.process = self.namespace.popen(build_directory() / "tests" / "bench" / "receive",
                                            stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("receive did not start")

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        said = json.loads(self.process.stdout.read())
        self.process.wait(timeout=10)
        return said["destroy"], f"{said['overruns']} overruns" if said["overruns"] else ""


def measure(kind, directory, options):
    """One subject through one run: a dictionary of what it did."""
    namespace = Namespace("bench")
    try:
        namespace.sysctl("net.netfilter.nf_conntrack_acct", 1)
        namespace.sysctl("net.netfilter.nf_conntrack_timestamp", 1)
        subject = kind(namespace, directory)
        subject.start()
        before = wait_idle(subject.pid)
        inject = namespace.run(build_directory() / "tests" / "bench" / "inject",
                               "--rate", options.rate, "--seconds", options.seconds,
                               timeout=options.seconds * 10 + 60)
        made = json.loads(inject.stdout)
        used = wait_idle(subject.pid) - before
        resident = resident_kib(subject.pid)
        reported, said = subject.stop()
    finally:
        namespace.remove()
        shutil.rmtree(directory, ignore_errors=True)
    return {"subject": kind.name, "injected": made["created"], "rate": made["rate"],
            "reported": reported, "lost": made["created"] - reported, "said": said,
            "cpu_us_per_flow": used * 1e6 / made["created"], "resident_kib": resident}


def print_run(run):
    print(f"  {run['subject']:<32} {run['rate']:>6} flows/s  {run['injected']:>7} injected "
          f"{run['reported']:>7} reported {run['lost']:>6} lost "
          f"{run['cpu_us_per_flow']:>6.2f} us/flow {run['resident_kib'] // 1024:>4} MiB  "
          f"{run['said']}", flush=True)


def print_summary(runs, subjects, base):
    """Medians, and each subject's ratio to the base within the same round."""
    print(f"\n{'subject':<32} {'us/flow, median':>16} {'of ' + base:>36} {'lost, worst':>12}")
    medians = {}
    for kind in subjects:
        mine = [run for run in runs if run["subject"] == kind.name]
        medians[kind.name] = statistics.median(run["cpu_us_per_flow"] for run in mine)
        ratios = [run["cpu_us_per_flow"] / other["cpu_us_per_flow"] for run in mine
                  for other in runs
                  if other["subject"] == base and other["round"] == run["round"]]
        ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
        print(f"{kind.name:<32} {medians[kind.name]:>16.2f} {ratio:>36} "
              f"{max(run['lost'] for run in mine):>12}")
        yield kind.name, medians[kind.name], statistics.median(ratios) if ratios else None


def print_verdicts(summary, base, subjects):
    for name, _, ratio in summary:
        if ratio is not None and any(kind.name == name and kind.is_ours for kind in subjects):
            print(f"CPU per flow at most half of ulogd's: {'yes' if ratio <= 0.5 else 'NO'} "
                  f"({name}: {ratio:.2f} of {base})")


def parse_arguments(names):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=30000, help="flows a second")
    parser.add_argument("--subjects", nargs="+", choices=names, default=names)
    parser.add_argument("--json", help="write the runs to this file too")
    return parser.parse_args()


def main():
    kinds = {"ulogd": Ulogd, "ulogd-destroy": UlogdDestroy, "json": ProcflowdJson,
             "ipfix": ProcflowdIpfix, "three": ProcflowdThree, "floor": Floor}
    options = parse_arguments(list(kinds))
    if os.geteuid() != 0:
        print("skipped: needs root for a network namespace")
        return 77
    if not executable().exists():
        print(f"{executable()} is not there: set PROCFLOW_BUILD")
        return 1
    subjects = [kinds[name] for name in options.subjects]
    if not shutil.which("ulogd"):
        print("ulogd is not installed: nothing to compare with")
        subjects = [kind for kind in subjects if not issubclass(kind, Ulogd)]
    runs = []
    with tempfile.TemporaryDirectory(prefix="procflow-bench-") as top:
        for number in range(options.rounds):
            print(f"round {number + 1}", flush=True)
            for kind in subjects:
                run = measure(kind, pathlib.Path(top) / f"{number}-{kind.__name__}", options)
                runs.append({"round": number, **run})
                print_run(run)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(runs, indent=1) + "\n")
    summary = list(print_summary(runs, subjects, Ulogd.name))
    print_verdicts(summary, Ulogd.name, subjects)
    ours = {kind.name for kind in subjects if kind.is_ours}
    return int(any(run["lost"] or run["said"] for run in runs if run["subject"] in ours))


if __name__ == "__main__":
    sys.exit(main())
