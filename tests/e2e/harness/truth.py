# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows of which it is known who made them (tests/bench/truth_flows.c), and what the daemon's records
say of each: right, wrong, or nobody and why."""

import collections
import itertools
import subprocess

from harness.daemon import build_directory

PROTOCOLS = {"tcp": 6, "answer": 17, "send": 17}
Cell = collections.namedtuple("Cell", "kind version is_exec is_local")
Flow = collections.namedtuple("Flow", "pid parent local_port remote_port")


def cells():
    """The matrix."""
    return [Cell(*values) for values in
            itertools.product(PROTOCOLS, (4, 6), (True, False), (True, False))]


def name(cell):
    return (f"{cell.kind}-v{cell.version}-{'exec' if cell.is_exec else 'fork'}-"
            f"{'loopback' if cell.is_local else 'veth'}")


def programs():
    return build_directory() / "tests" / "bench"


class Generator:
    """All flows of a cell have been made when this is; its server lives until the end of the block."""

    def __init__(self, pair, cell, flows, parallel=8):
        self.pair, self.cell = pair, cell
        argv = [programs() / "truth_flows", "-k", cell.kind, "-f", cell.version,
                "-n", flows, "-p", parallel]
        if cell.is_exec:
            argv += ["-e", programs() / "truth_sender"]
        if not cell.is_local:
            argv += ["-a", pair.addresses(cell.version)[1], "-s", f"/run/netns/{pair.peer.name}"]
        self.process = pair.probe.popen(*argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def __enter__(self):
        _, server, seconds = self.process.stdout.readline().split()
        self.server, self.seconds = int(server), float(seconds)
        lines = iter(self.process.stdout.readline, "end\n")
        self.flows = [Flow(*map(int, line.split())) for line in lines]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=20)

    def is_ours(self, record):
        source, destination = ((f"IPV{self.cell.version}_SRC_ADDR", f"IPV{self.cell.version}_DST_ADDR"))
        if self.cell.is_local:
            ours = ("127.0.0.1" if self.cell.version == 4 else "::1",) * 2
        else:
            ours = self.pair.addresses(self.cell.version)
        return (record.get(source), record.get(destination)) == ours and \
            record["PROTOCOL"] == PROTOCOLS[self.cell.kind]

    def score(self, records):
        return Score(self, records)


class Holders:
    """Processes that live long and hold sockets."""

    def __init__(self, namespace, count):
        self.process = namespace.popen(programs() / "truth_flows", "-l", count,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "holding\n"

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)


class Score:
    """right, wrong and none (by reason) of both ends; mistakes: texts. An end is wrong where its
    process, its name or its parent is another's; "partial" where the process is right and its name or
    its parent is left out. Tuples that came twice are left out."""

    def __init__(self, generator, records):
        self.cell = generator.cell
        self.src, self.dst = collections.Counter(), collections.Counter()
        self.mistakes = []
        told = collections.defaultdict(list)
        for record in filter(generator.is_ours, records):
            told[record["L4_SRC_PORT"], record["L4_DST_PORT"]].append(record)
        used = collections.Counter((flow.local_port, flow.remote_port) for flow in generator.flows)
        self.doubled = sum(count for count in used.values() if count > 1)
        self.sent = len(generator.flows)
        program = "truth_sender" if self.cell.is_exec else "truth_spawner"
        for flow in generator.flows:
            tuple_ = flow.local_port, flow.remote_port
            if used[tuple_] > 1:
                continue
            record = told[tuple_][-1] if told[tuple_] else None
            self._judge(self.src, "SRC", record, (flow.pid, program, flow.parent, "truth_spawner"))
            if self.cell.is_local:
                self._judge(self.dst, "DST", record, (generator.server, "truth_server", None, None))

    def _judge(self, count, end, record, truth):
        if record is None:
            count["no record"] += 1
            return
        keys = (f"{end}_PROC_PID", f"{end}_PROC_NAME", f"{end}_FATHER_PROC_PID",
                f"{end}_FATHER_PROC_NAME")
        said = tuple(record.get(key) for key in keys)
        if said[0] is None:
            count[record.get(f"{end}_PROC_ATTRIBUTION_REASON") or
                  record.get(f"{end}_PROC_ATTRIBUTION", "nothing")] += 1
        elif any(b is not None and a is not None and a != b for a, b in zip(said, truth)):
            count["wrong"] += 1
            self.mistakes.append(f"{end} {said}, in truth {truth}: {record}")
        elif any(a is None and b is not None for a, b in zip(said, truth)):
            count["partial"] += 1
            count["right"] += 1
        else:
            count["right"] += 1

    @staticmethod
    def unattributed(count):
        """By reason."""
        return {key: value for key, value in count.items()
                if key not in ("right", "wrong", "partial")}

    def scored(self):
        return self.sent - self.doubled
