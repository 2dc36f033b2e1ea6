#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What logged packets cost: small UDP packets at 200,000 a second into a host, read one by one
(nflog.packets: 0), as they cost with the first 8 of each flow, and without NFLOG. What was read and
what was lost must be what was sent; and beside them conntrack's flows must all be told.

Exit status 1: something is not accounted for. A timing never fails it. 77: not here."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.daemon import Daemon, build_directory  # noqa: E402
from harness.namespaces import Pair  # noqa: E402

from bench_flows import cpu_s, wait_idle  # noqa: E402

RATE, COUNT, PORT = 200000, 1000000, 7777
FLOWS_RATE, FLOWS = 5000, 25000
NOTRACK = """table inet raw {
    chain pre {
        type filter hook prerouting priority raw
        udp dport 7777 notrack
    }
}"""
BUFFER, SMALL_BUFFER = "16MiB", "64KiB"
CASES = [
    ("no NFLOG", {"enable": False}, False, BUFFER),
    ("the first 8 packets", {"enable": True}, False, BUFFER),
    ("every packet, tracked", {"enable": True, "packets": 0}, False, BUFFER),
    ("every packet, untracked", {"enable": True}, True, BUFFER),
    ("the same, 64 KiB buffer", {"enable": True}, True, SMALL_BUFFER),
]


def read_counters(probed):
    said = subprocess.run([build_directory() / "daemon" / "cli" / "procflow", "-s",
                           str(probed.control_path), "status", "--json"], capture_output=True,
                          text=True, timeout=30, check=True)
    return json.loads(said.stdout)


def find_counter(status, group, name):
    """The value of a counter, however the document is nested."""
    if isinstance(status, dict):
        if group in status and isinstance(status[group], dict) and name in status[group]:
            return status[group][name]
        for value in status.values():
            found = find_counter(value, group, name)
            if found is not None:
                return found
    return None


def run_case(name, nflog, is_untracked, buffer):
    pair = Pair()
    bench = build_directory() / "tests" / "bench"
    try:
        if is_untracked:
            pair.probe.nft(NOTRACK)
        sink = pair.probe.popen("/usr/bin/python3", "-c", "import socket, sys; "
                                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                                f"s.bind(('', {PORT})); print(flush=True); sys.stdin.read()",
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        sink.stdout.readline()
        with tempfile.TemporaryDirectory() as directory:
            probed = Daemon(pair.probe, directory, {
                "nflog": nflog, "conntrack": {"receive_buffer": buffer}, "flows": {"idle_timeout": "60s", "active_timeout": "1h"},
                "log": {"level": "notice", "to": "stderr"}}).start()
            before = wait_idle(probed.pid)
            inject = pair.probe.popen(bench / "inject", "--rate", FLOWS_RATE, "--count", FLOWS,
                                      stdout=subprocess.PIPE, text=True)
            sent = json.loads(pair.peer.run(bench / "send_packets", pair.PROBE4, PORT, RATE, COUNT,
                                            timeout=120).stdout)
            made = json.loads(inject.communicate(timeout=120)[0])
            used = wait_idle(probed.pid) - before
            status = read_counters(probed)
            records = probed.stop()
            probed.close()
        read, lost = (find_counter(status, "nflog", key) or 0 for key in ("packets", "lost"))
        overruns = find_counter(status, "conntrack", "overruns")
        told = [record for record in records if record.get("L4_DST_PORT") == PORT
                and record["PROTOCOL"] == 17]
        packets = sum(record.get("IN_PKTS", 0) for record in told)
        flows = sum(record.get("IPV4_DST_ADDR") == "192.0.2.1" for record in records)
        per_packet = f"{used * 1e6 / read:.2f} us a packet read" if read > COUNT / 10 else ""
        print(f"  {name:<26} {sent['sent'] / sent['seconds']:>8.0f} packets/s  read {read:>8} "
              f"lost {lost:>7}  in the record {packets:>8}  {used:>6.2f} s CPU  {per_packet:<25} "
              f"{flows}/{made['created']} flows, {overruns} overruns", flush=True)
        # (A few others are read too.)
        whole = packets == sent["sent"] if not is_untracked or not lost else \
            read - 100 <= packets <= read
        # (Losses behind the last packet that came are not known.)
        complete = read + lost >= sent["sent"] * (0.99 if lost else 1) or \
            not is_untracked and nflog.get("packets") != 0
        return whole and complete and (flows == made["created"] or buffer == SMALL_BUFFER)
    finally:
        for namespace in pair.namespaces():
            namespace.remove()


def main():
    if os.geteuid() != 0:
        print("needs root")
        return 77
    print(f"{COUNT} UDP packets of 46 bytes beside {FLOWS} flows of conntrack")
    results = [run_case(*case) for case in CASES]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
