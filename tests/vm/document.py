# SPDX-License-Identifier: GPL-2.0-or-later
"""The results of all kernels side by side: for the terminal, and as docs/kernels.md."""

import dataclasses

import kernels
import results

PAGE = """\
# Kernels that procflow was tried on

Written by `sudo tools/test vm -- --docs` (or `tests/vm/run --docs`), which boots Debian's stock
kernels under qemu and runs in each what the daemon leans on. Last run: {date}.

- daemon: `procflowd -o json` names the process behind loopback flows by trace, and leaves nothing
  behind. daemon full: the same where more flows begin than nf_conntrack_max has room for, each told
  once, or its packet dropped. daemon tunnel: what goes through a VXLAN is its process's, the outer
  flow the kernel's. daemon denied: in a guest of its own, with `lockdown=confidentiality`
  and `ipv6.disable=1`; the log says why trace is not to be had, and sock_diag answers.
- truth: the essential cells of `trace_truth`, 500 processes each, 8 at once, that open one flow and
  exit. The rates are those of an emulated machine.
- All others are the programs of `tests/kernel`, one for each group of kernel facts.

{table}
{truth}{failed}
## What each kernel lacks

{lacks}"""


@dataclasses.dataclass
class Column:
    kernel: kernels.Kernel
    results: list
    lacks: list
    seconds: float


def find_names(columns):
    names = {}
    for column in columns:
        names |= dict.fromkeys(result.name for result in column.results)
    return list(names)


def get_state(column, name):
    result = next((result for result in column.results if result.name == name), None)
    if not result:
        return "-"
    if result.state == results.PASSED and result.skipped:
        return f"ok, {len(result.skipped)} skipped"
    return result.state


def make_report(columns):
    names = find_names(columns)
    width = max([len(name) for name in names], default=0) + 2
    lines = ["", "".ljust(width) + "".join(column.kernel.series.ljust(16) for column in columns)]
    for name in names:
        lines.append(name.ljust(width) +
                     "".join(get_state(column, name).ljust(16) for column in columns))
    for column in columns:
        lines.append(f"\n{column.kernel.release}, {column.seconds:.0f} s")
        for result in column.results:
            if result.reason:
                lines.append(f"  {result.name}: {result.state}: {result.reason}")
        lines += [f"  lacks {text}" for text in column.lacks]
        for result in column.results:
            if result.state == results.FAILED and result.output:
                lines.append(f"\n--- {column.kernel.release} {result.name}\n{result.output}")
    return "\n".join(lines)


def make_page(columns, unreachable, date):
    heads = [f"{column.kernel.release} (Debian {column.kernel.suite})" for column in columns]
    rows = [["", *heads], ["---"] * (len(columns) + 1)]
    rows += [[name, *(get_state(column, name) for column in columns)]
             for name in find_names(columns)]
    table = "".join("| " + " | ".join(row) + " |\n" for row in rows)
    truth = "".join(f"- {column.kernel.series}, {result.name.removeprefix('truth ')}: "
                    f"{result.reason}\n" for column in columns for result in column.results
                    if result.name.startswith("truth "))
    lines = [f"- {column.kernel.series}, {result.name}: {result.reason}\n" for column in columns
             for result in column.results if result.state == results.FAILED]
    failed = "\n## What failed, and why\n\n" + "".join(lines) if lines else ""
    lacks = ""
    for column in columns:
        lines = "".join(f"- {text}\n" for text in column.lacks) or "Nothing.\n"
        lacks += f"### {column.kernel.release}\n\n{lines}\n"
    for suite, why in unreachable.items():
        lacks += (f"### {kernels.SUITES[suite]}\n\n"
                  f"Not tried, Debian {suite} could not be reached: {why}\n\n")
    return PAGE.format(date=date.isoformat(), table=table, truth=truth, failed=failed,
                       lacks=lacks.rstrip() + "\n")
