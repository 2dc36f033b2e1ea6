# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest said on its serial line, and what that means."""

import collections
import dataclasses
import json
import re

PASSED, FAILED, SKIPPED = "ok", "failed", "skipped"
MARK = re.compile(r"@(begin|end|fact|done)\b ?(.*)")
CMOCKA_SKIPPED = re.compile(r"^\[  SKIPPED \] (?!\d+ test)(.*)", re.MULTILINE)
CMOCKA_CASE = re.compile(r"^\[ RUN      \] (.*)\n((?:.*\n)*?)\[  SKIPPED \] \1$", re.MULTILINE)
CMOCKA_ERROR = re.compile(r"^\[  ERROR   \] --- (.*)\n\[   LINE   \] --- (?:\S*/)?([^/\s]+:\d+).*\n"
                          r"(?:\[  FAILED  \] (.*))?", re.MULTILINE)
CMOCKA_FAILED = re.compile(r"^\[  FAILED  \] (?!\d+ test)(.*)", re.MULTILINE)
CRASHED = re.compile(r"Kernel panic|Oops:|BUG: |general protection fault|Call Trace:")
TRUTH_ROW = re.compile(
    r"^(?P<kind>TCP|UDP answer|UDP send) +(?P<family>v[46]) +(?P<by>fork\+exec|fork) +(?P<sent>\d+)"
    r" +(?P<rate>\d+)/s +(?P<right>\d+) +(?P<wrong>\d+) +(?P<none>\d+) +(?P<lost>\d+)"
    r" +(?P<doubled>\d+) ", re.MULTILINE)
KINDS = {"TCP": "tcp", "UDP answer": "udp-answer", "UDP send": "udp-send"}
KILLED = 137
NOT_HERE = 77
# What the guest's init sends to while the table of connections is too small.
FULL_PORTS = range(20001, 23301)
INTERIM = 2  # FLOW_END_REASON
# At most one in a thousand flows may stay without a process.
MAX_UNKNOWN = 0.001


@dataclasses.dataclass
class Result:
    name: str
    state: str
    reason: str = ""
    output: str = ""
    skipped: dict = dataclasses.field(default_factory=dict)  # case: reason


@dataclasses.dataclass
class Guest:
    """What was said, cut up: output and status of each part, facts, whether it came to the end."""
    parts: dict = dataclasses.field(default_factory=dict)
    facts: list = dataclasses.field(default_factory=list)
    is_done: bool = False
    unfinished: str = ""


def parse(text):
    guest, name, lines = Guest(), None, []
    for line in text.replace("\r", "").splitlines():
        mark = MARK.match(line)
        if not mark:
            lines.append(line)
        elif mark[1] == "begin":
            name, lines = mark[2], []
        elif mark[1] == "end":
            # Of a part that ran several times, the first failure.
            if guest.parts.get(name, ("", 0))[1] in (0, NOT_HERE):
                guest.parts[name] = ("\n".join(lines).strip(), int(mark[2].rpartition(" ")[2]))
            name = None
        elif mark[1] == "fact":
            guest.facts.append(tuple(mark[2].split(" ", 1)))
        else:
            guest.is_done = True
    if name:
        guest.parts[name] = ("\n".join(lines).strip(), KILLED)
        guest.unfinished = name
    return guest


def find_skipped(output):
    """Cases and their reasons: the last line that a case printed."""
    skipped = dict.fromkeys(CMOCKA_SKIPPED.findall(output), "no reason given")
    for case, said in CMOCKA_CASE.findall(output):
        lines = [line for line in said.splitlines() if line.strip() and not line.startswith("[")]
        if lines:
            skipped[case] = trim(lines[-1], case)
    return skipped


def trim(reason, name):
    return re.sub(rf"^(SKIP |skipped: |{re.escape(name)}: )*", "", reason)


def find_failures(output):
    """Each case that failed, with what did not hold and where."""
    failed = dict.fromkeys(CMOCKA_FAILED.findall(output), "")
    failed |= {case: f": {said.strip()} ({place})"
               for said, place, case in CMOCKA_ERROR.findall(output) if case}
    return "; ".join(case + why for case, why in failed.items())


def judge_contract(name, output, status):
    lines = [line for line in output.splitlines() if line.strip()]
    last = lines[-1] if lines else f"status {status}, nothing said"
    skipped = find_skipped(output)
    if status == NOT_HERE:
        return Result(name, SKIPPED, trim(last, name), output)
    if status == KILLED:
        return Result(name, FAILED, f"did not end in time, after: {last}", output)
    if status != 0:
        return Result(name, FAILED, find_failures(output) or f"status {status}: {last}", output,
                      skipped)
    return Result(name, PASSED, "", output, skipped)


def judge_truth(name, output, status):
    row = TRUTH_ROW.search(output)
    if not row or status != 0:
        lines = output.splitlines()
        why = f"status {status}: {lines[-1] if lines else 'nothing said'}"
        return Result(name, SKIPPED if status == NOT_HERE else FAILED, why, output)
    by = "exec" if row["by"] == "fork+exec" else "fork"
    ran = f"truth {KINDS[row['kind']]}/{row['family']}/{by}"
    sent, right, wrong = (int(row[key]) for key in ("sent", "right", "wrong"))
    unknown = int(row["none"]) + int(row["lost"])
    text = f"{right} of {sent} right, {wrong} wrong, {unknown} unknown, {row['rate']}/s"
    if int(row["doubled"]):
        text += f", {row['doubled']} flows with a tuple that was used twice left out"
    fine = ran == name and wrong == 0 and right > 0 and unknown <= sent * MAX_UNKNOWN
    return Result(name, PASSED if fine else FAILED, text, output)


def read_records(output):
    for line in output.splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and record.get("RECORD_TYPE") == "flow":
            yield record


def judge_flows(guest, output):
    """The daemon's own records of flows whose processes are known."""
    records = list(read_records(output))
    for name, port in (("tcp4", 8099), ("udp4", 8098), ("udp6", 8096)):
        pids = {int(value) for fact, value in guest.facts if fact == name}
        mine = [record for record in records if record.get("L4_DST_PORT") == port]
        told = [(record.get("SRC_PROC_PID"), record.get("SRC_PROC_ATTRIBUTION")) for record in mine]
        wrong = [pid for pid, _ in told if pid is not None and pid not in pids]
        if wrong:
            yield Result(f"daemon {name}", FAILED, f"wrong: {told}, sent by {pids}", output)
        elif not any(pid in pids and method == "trace" for pid, method in told):
            yield Result(f"daemon {name}", FAILED, f"never by trace: {told}, sent by {pids}",
                         output)
        else:
            yield Result(f"daemon {name}", PASSED, "", output)
    yield judge_end(guest, "flows", output)


def find_facts(guest, name):
    return [value for fact, value in guest.facts if fact == name]


def judge_end(guest, part, output):
    status, left = find_facts(guest, f"{part}_status"), find_facts(guest, f"{part}_left")
    fine = status == ["0"] and not left
    why = "" if fine else f"status {' '.join(status) or 'unknown'}, left behind: {left}"
    return Result("daemon end", PASSED if fine else FAILED, why, output)


def find_faults_of_full(guest, records):
    """A table of connections that overflowed: each flow is told once, or its packet was dropped."""
    senders = {int(pid) for pid in find_facts(guest, "full")}
    early, all_early, drop, forced = (
        int("".join(find_facts(guest, f"full_{name}")) or 0)
        for name in ("early", "all_early", "drop", "forced"))
    told = collections.Counter()
    for record in records:
        if record.get("L4_DST_PORT") in FULL_PORTS and record["FLOW_END_REASON"] != INTERIM:
            told[record["L4_DST_PORT"]] += 1
            if record.get("SRC_PROC_PID") not in senders:
                yield f"wrong: {record.get('SRC_PROC_PID')}, sent by {senders}"
    if not early or not drop:
        yield f"the table did not overflow: {early} ended early, {drop} dropped"
    if forced < all_early:
        yield f"{all_early} flows were ended early, {forced} told of"
    if max(told.values(), default=0) > 1:
        yield f"told more than once: {[port for port, times in told.items() if times > 1]}"
    if len(told) + drop != len(FULL_PORTS):
        yield f"{len(FULL_PORTS)} flows: {len(told)} told, {drop} dropped"
    after = {int(pid) for pid in find_facts(guest, "full_after")}
    if not any(record.get("L4_DST_PORT") == 8095 and record.get("SRC_PROC_PID") in after
               for record in records):
        yield "the flow that came after is not told"


def judge_full(guest, output):
    faults = list(find_faults_of_full(guest, list(read_records(output))))
    end = judge_end(guest, "full", output)
    faults += [end.reason] if end.state == FAILED else []
    return Result("daemon full", FAILED if faults else PASSED, "; ".join(faults[:5]), output)


def find_faults_of_tunnel(guest, records):
    inner = {int(pid) for pid in find_facts(guest, "tunnel_inner")}
    told = [(record.get("SRC_PROC_PID"), record.get("SRC_PROC_ATTRIBUTION")) for record in records
            if record.get("L4_DST_PORT") == 8093]
    if sorted(told) != sorted((pid, "trace") for pid in inner):
        yield f"inner flows: {told}, sent by {inner}"
    outer = [record for record in records if record.get("L4_DST_PORT") == 4789]
    for end, address in (("SRC", "10.78.0.1"), ("DST", "10.78.0.2")):
        told = [(record.get(f"{end}_PROC_PID"), record.get(f"{end}_PROC_ATTRIBUTION_REASON"))
                for record in outer if record.get("IPV4_SRC_ADDR") == address]
        if not told or any(pid or reason != "kernel" for pid, reason in told):
            yield f"outer flows of {address}: {told}, sent by the kernel for {inner}"


def judge_tunnel(guest, output):
    """The inner flows are their processes', the outer ones the kernel's."""
    faults = list(find_faults_of_tunnel(guest, list(read_records(output))))
    end = judge_end(guest, "tunnel", output)
    faults += [end.reason] if end.state == FAILED else []
    return Result("daemon tunnel", FAILED if faults else PASSED, "; ".join(faults), output)


def judge_denied(guest, output):
    """Trace refused by a lockdown, and no IPv6: a process that lives on is found by its socket."""
    pids = {int(pid) for pid in find_facts(guest, "denied_long")}
    told = [(record.get("SRC_PROC_PID"), record.get("SRC_PROC_ATTRIBUTION"))
            for record in read_records(output) if record.get("L4_DST_PORT") == 8094]
    faults = []
    reason = "the kernel's lockdown (confidentiality) takes its tracepoints away"
    if f"the method trace is not to be had: {reason}" not in output:
        faults.append("no word of the lockdown in the log")
    if not re.search(rf"^missing +tracepoints +{re.escape(reason)}", output, re.MULTILINE):
        faults.append("no word of the lockdown from --check")
    if "ipv6" in find_facts(guest, "denied_has"):
        faults.append("the guest has IPv6")
    if not told or any(pid not in pids or method != "sock_diag" for pid, method in told):
        faults.append(f"told: {told}, sent by {pids}")
    end = judge_end(guest, "denied", output)
    faults += [end.reason] if end.state == FAILED else []
    return Result("daemon denied", FAILED if faults else PASSED, "; ".join(faults), output)


def judge(guest, console, boot):
    for name, (output, status) in guest.parts.items():
        if name.startswith("truth "):
            yield judge_truth(name, output, status)
        elif name == "flows":
            yield from judge_flows(guest, output)
        elif name == "full":
            yield judge_full(guest, output)
        elif name == "tunnel":
            yield judge_tunnel(guest, output)
        elif name == "denied":
            yield judge_denied(guest, output)
        elif name == "check":
            fine = status in (0, 1) and output.startswith(("ok ", "missing", "note", "warning"))
            yield Result("procflowd --check", PASSED if fine else FAILED,
                         "" if fine else f"status {status}", output)
        else:
            yield judge_contract(name, output, status)
    crash = CRASHED.search(console)
    if crash or not guest.is_done:
        where = f" during {guest.unfinished}" if guest.unfinished else ""
        yield Result(boot, FAILED, (f"the kernel said \"{crash[0]}\"" if crash else
                                    f"the guest did not come to its end{where}"), console[-4000:])
    else:
        yield Result(boot, PASSED)


def find_lacks(guest, found):
    """What the kernel lacks, as lines of text."""
    lacks = [f"module {value.removeprefix('module ')}" for name, value in guest.facts
             if name == "lacks"]
    checked = guest.parts.get("check", ("", 0))[0]
    lacks += ["--check: " + re.sub(r" {2,}", " ", line) for line in checked.splitlines()
              if line.strip() and not line.startswith("ok ")]
    for result in found:
        if result.state == SKIPPED:
            lacks.append(f"{result.name}: {result.reason}")
        lacks += [f"{result.name}, {case}: {reason}" for case, reason in result.skipped.items()]
    return lacks
