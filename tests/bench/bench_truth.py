#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the daemon names the right process. For each cell of the matrix many processes open one flow
each and exit, at full speed on all cores; the daemon's JSON is compared with what they know of
themselves. "src" and "dst" (where it is local): right/wrong/unattributed; "partial": the process is
right, and something of it (name, parent, user, executable) is left out. Tuples that came twice are left out.

Exit status 1: a process was named wrongly, a flow had no record, or with trace more than 0.1 % of a cell was
unattributed. 77: not here."""

import argparse
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import truth  # noqa: E402
from harness.daemon import Daemon, executable  # noqa: E402
from harness.namespaces import Pair  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
METHODS = {"trace": ["trace", "sock_diag"], "sock_diag": ["sock_diag"]}
ALLOWED = {"trace": 0.001, "sock_diag": 1}


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run_cell(cell, methods, options, directory):
    """The score, flows a second and the daemon's CPU for each flow in microseconds."""
    pair = Pair()
    daemon = Daemon(pair.probe, directory, {"attribution": {"methods": METHODS[methods]},
                                            "log": {"level": "notice"}})
    try:
        daemon.start()
        before = cpu_s(daemon.pid)
        with truth.Generator(pair, cell, options.flows, options.parallel) as generator:
            daemon.sync()
            used = cpu_s(daemon.pid) - before
            score = generator.score(daemon.stop())
        if daemon.log():
            print(daemon.log().rstrip())
        return score, generator, used
    finally:
        daemon.close()
        for namespace in pair.namespaces():
            namespace.remove()


def counts(count):
    none = truth.Score.unattributed(count)
    return f"{count['right']}/{count['wrong']}/{sum(none.values())}", none


def print_cell(cell, score, generator, used):
    src, src_reasons = counts(score.src)
    dst, dst_reasons = counts(score.dst)
    reasons = " ".join([f"src {key} {value}" for key, value in src_reasons.items()] +
                       [f"dst {key} {value}" for key, value in dst_reasons.items()])
    print(f"{truth.name(cell):<26} {score.sent:>6} {score.sent / generator.seconds:>6.0f}/s "
          f"{src:>13} {score.src['partial']:>7} {dst:>13} {score.doubled:>7} "
          f"{used * 1e6 / max(score.sent, 1):>7.1f}  {reasons}", flush=True)


def fails(score, methods):
    """What is not as it must be, in words."""
    for end, count in (("source", score.src), ("destination", score.dst)):
        none = truth.Score.unattributed(count)
        if count["wrong"]:
            yield f"{count['wrong']} {end} processes named wrongly"
        if count["no record"]:
            yield f"{count['no record']} flows without a record"
        if sum(none.values()) > ALLOWED[methods] * score.scored():
            yield f"{sum(none.values())} of {score.scored()} {end} processes not found"


def run_matrix(methods, cells, options, top):
    failures = []
    print(f"{'cell':<26} {'sent':>6} {'rate':>8} {'src r/w/none':>13} {'partial':>7} "
          f"{'dst r/w/none':>13} {'doubled':>7} {'us/flow':>7}", flush=True)
    for number, cell in enumerate(cells):
        directory = pathlib.Path(top) / f"{methods}-{number}"
        score, generator, used = run_cell(cell, methods, options, directory)
        print_cell(cell, score, generator, used)
        for mistake in score.mistakes[:options.mistakes]:
            print(f"    wrong: {mistake}")
        failures += [f"{methods}, {truth.name(cell)}: {text}" for text in fails(score, methods)]
    return failures


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--flows", type=int, default=2000, help="of each cell")
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--holders", type=int, nargs="+", default=[0, 200],
                        help="long-lived processes beside; a run for each number")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--cells", default="", help="those whose name has this in it")
    parser.add_argument("--mistakes", type=int, default=3, help="shown of each cell")
    return parser.parse_args()


def main():
    options = parse_arguments()
    if os.geteuid() != 0:
        print("skipped: needs root for network namespaces")
        return 77
    if not executable().exists():
        print(f"{executable()} is not there: set PROCFLOW_BUILD")
        return 1
    cells = [cell for cell in truth.cells() if options.cells in truth.name(cell)]
    failures = []
    with tempfile.TemporaryDirectory(prefix="procflow-truth-") as top:
        for count in options.holders:
            pair = Pair()
            holders = truth.Holders(pair.probe, count) if count else None
            for methods in options.methods:
                print(f"\nmethods {METHODS[methods]}, {count} long-lived processes beside")
                failures += run_matrix(methods, cells, options, f"{top}/{count}")
            if holders:
                holders.close()
            for namespace in pair.namespaces():
                namespace.remove()
    print("\n".join(["", *failures]) if failures else "\nall cells as they must be")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
