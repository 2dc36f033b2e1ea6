# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows of which it is known who made them (tests/bench/truth_flows.c), and what the daemon's records
say of each: right, wrong, or nobody and why."""

import collections
import itertools
import os
import pathlib
import pwd
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


def _about(who, pid, name):
    """The generator and all that it starts are one user's."""
    return {f"{who}_PID": pid, f"{who}_NAME": name, f"{who}_UID": os.getuid(),
            f"{who}_USER_NAME": pwd.getpwuid(os.getuid()).pw_name}


def _is_same(said, true):
    """A path may be told as execve(2) was given it."""
    return said == true if not isinstance(true, pathlib.Path) else \
        os.path.realpath(said) == os.path.realpath(true)


class Score:
    """right, wrong and none (by reason) of both ends; mistakes: texts. An end is wrong where its
    process, or anything that is told of it, is another's; "partial" where the process is right and
    something of it is left out (gaps: what). Tuples that came twice are left out."""

    def __init__(self, generator, records):
        self.cell = generator.cell
        self.src, self.dst = collections.Counter(), collections.Counter()
        self.mistakes, self.gaps = [], collections.Counter()
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
            self._judge(self.src, "SRC", record, {
                **_about("SRC_PROC", flow.pid, program), **_about("SRC_FATHER_PROC", flow.parent, "truth_spawner"),
                "SRC_PROC_EXE": programs() / ("truth_sender" if self.cell.is_exec else "truth_flows")})
            if self.cell.is_local:
                self._judge(self.dst, "DST", record, {
                    **_about("DST_PROC", generator.server, "truth_server"),
                    "DST_PROC_EXE": programs() / "truth_flows"})

    def _judge(self, count, end, record, truth):
        if record is None:
            count["no record"] += 1
            return
        said = {key: record[key] for key in truth if key in record}
        if f"{end}_PROC_PID" not in said:
            count[record.get(f"{end}_PROC_ATTRIBUTION_REASON") or
                  record.get(f"{end}_PROC_ATTRIBUTION", "nothing")] += 1
        elif any(not _is_same(value, truth[key]) for key, value in said.items()):
            count["wrong"] += 1
            self.mistakes.append(f"{end} {said}, in truth {truth}: {record}")
        else:
            gaps = [key for key in truth if key not in said]
            self.gaps.update(gaps)
            count["partial"] += bool(gaps)
            count["right"] += 1

    @staticmethod
    def unattributed(count):
        """By reason."""
        return {key: value for key, value in count.items()
                if key not in ("right", "wrong", "partial")}

    def scored(self):
        return self.sent - self.doubled
