# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of processes against what their parent was told of them."""

import collections
import json
import os
import time

from harness.daemon import build_directory
from harness.usage_actor import UsageActor
from harness.waiting import wait_for

COUNT = 2000
MAKER = build_directory() / "tests" / "support" / "process_maker"
ALL = {"processes": {"report": "all"}}
PORT = 8400


def ends(probed, **wanted):
    return probed.find(RECORD_TYPE="process", PROC_EVENT="end", **wanted)


def exit_of(record):
    """As wait(2) has it; None where the record does not tell."""
    if "PROC_EXIT_SIGNAL" in record:
        return record["PROC_EXIT_SIGNAL"]
    return record["PROC_EXIT_CODE"] << 8 if "PROC_EXIT_CODE" in record else None


def read_cpu_s(pid):
    words = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def find_record(records, truth):
    """A pid may have been given out again: the one that began nearest to it. Starts are told by a clock
    tick (10 ms) too early at most; where the machine was so busy that records of trace were lost,
    perhaps too late."""
    assert records[truth["pid"]], f"no record for {truth}"
    record = min(records[truth["pid"]],
                 key=lambda one: abs(one["PROC_START_MILLISECONDS"] - truth["begin_ms"]))
    assert truth["begin_ms"] - 11 <= record["PROC_START_MILLISECONDS"], (record, truth)
    return record


def test_every_one_of_2000_processes(pair, daemon):
    """Forked at full speed: each has one record, with name, user, parent, exit code and CPU time."""
    probed = daemon(pair.probe, ALL)
    cpu_before_s = read_cpu_s(probed.pid)
    maker = pair.probe.popen(MAKER, str(COUNT), stdout=-1, text=True)
    made = json.loads(maker.communicate(timeout=120)[0])
    assert len(made) == COUNT
    wait_for(lambda: ends(probed, PROC_PID=maker.pid), "the record of the parent, which ended last")
    wait_for(lambda: len(ends(probed, FATHER_PROC_PID=maker.pid)) >= COUNT,
             lambda: f"{COUNT} records; there are {len(ends(probed, FATHER_PROC_PID=maker.pid))}")
    cpu_s = read_cpu_s(probed.pid) - cpu_before_s
    probed.stop()
    others = len(probed.find(RECORD_TYPE="process")) - COUNT
    records = collections.defaultdict(list)
    for record in probed.find(RECORD_TYPE="process", FATHER_PROC_PID=maker.pid):
        records[record["PROC_PID"]].append(record)
    tick_us = 1000000 / os.sysconf("SC_CLK_TCK")
    worst = late_ms = 0
    for truth in made:
        record = find_record(records, truth)
        records[truth["pid"]].remove(record)
        told = (record["PROC_EVENT"], record["PROC_NAME"], record["PROC_UID"],
                record["PROC_USER_NAME"], exit_of(record), record["FATHER_PROC_NAME"])
        assert told == ("end", truth["name"], truth["uid"], str(truth["uid"]), truth["status"],
                        "process_maker"), (record, truth)
        late_ms = max(late_ms, record["PROC_END_MILLISECONDS"] - truth["end_ms"])
        worst = max(worst, abs(record["PROC_CPU_MICROSECONDS"] - truth["cpu_us"]))
        assert abs(record["PROC_CPU_MICROSECONDS"] - truth["cpu_us"]) <= tick_us, (record, truth)
        assert record["PROC_START_MILLISECONDS"] <= record["PROC_END_MILLISECONDS"], record
        assert record["INTERVAL_START_MILLISECONDS"] == record["PROC_START_MILLISECONDS"], record
        life_ms = record["PROC_END_MILLISECONDS"] - record["PROC_START_MILLISECONDS"]
        if life_ms >= 20:  # both ends are cut to a millisecond, the load to a hundredth of a percent
            load_us = record["PROC_AVERAGE_CPU_LOAD"] * life_ms / 10
            apart = abs(load_us - record["PROC_CPU_MICROSECONDS"])
            assert apart <= record["PROC_CPU_MICROSECONDS"] * 1.1 / life_ms + life_ms / 10 + 1, record
    assert not [record for truth in made for record in records[truth["pid"]]], "told twice"
    print(f"the daemon used {cpu_s * 1e6 / COUNT:.0f} us a process, {others} of others included")
    print(f"CPU: at most {worst} us apart; ends at most {late_ms} ms late")


def run_helper(namespace):
    """A process that has come and gone: its pid."""
    helper = namespace.popen("/usr/bin/python3", "-c", "import time; time.sleep(0.15)")
    helper.wait(timeout=60)
    return helper.pid


def find_overlapping(probed, flow):
    """Who ran while the flow was served, by the records alone."""
    return {record["PROC_PID"] for record in probed.find(RECORD_TYPE="process")
            if record["PROC_START_MILLISECONDS"] <= flow["FLOW_END_MILLISECONDS"] and
            record["PROC_END_MILLISECONDS"] >= flow["FLOW_START_MILLISECONDS"]}


def test_who_ran_while_a_flow_was_served(pair, daemon):
    """And what each of them used: the intervals of a process add up to all of its life."""
    probed = daemon(pair.probe, {"flows": {"active_timeout": "1s"},
                                 "processes": {"report": "all", "report_start": True}})
    subject, peer = UsageActor(pair.probe, "subject"), UsageActor(pair.peer, "peer")
    peer.listen("tcp", pair.PEER4, PORT)
    before = run_helper(pair.probe)
    time.sleep(0.05)  # times are told by a clock tick (10 ms) too early at most
    slot = subject.connect("tcp", pair.PEER4, PORT)["slot"]
    peer_slot = peer.accept(0)["slot"]
    subject.send(slot, 1000)
    subject.burn(200)
    during = [run_helper(pair.probe) for _ in range(3)]
    probed.wait_records(2, RECORD_TYPE="process", PROC_PID=subject.pid, PROC_EVENT="interim")
    subject.burn(100)
    used = subject.close(slot)
    peer.close(peer_slot)
    flow = probed.wait_record(RECORD_TYPE="flow", L4_DST_PORT=PORT, FLOW_END_REASON=3)
    after = run_helper(pair.probe)
    wait_for(lambda: ends(probed, PROC_PID=after), "the record of the last process")
    probed.stop()
    flows = probed.find(RECORD_TYPE="flow", L4_DST_PORT=PORT)
    whole = {**flow, "FLOW_START_MILLISECONDS": flows[0]["FLOW_START_MILLISECONDS"]}
    running = find_overlapping(probed, whole)
    assert {subject.pid, peer.pid, probed.pid, *during} <= running, (during, running)
    assert not {before, after} & running, (before, after, running)

    records = probed.find(RECORD_TYPE="process", PROC_PID=subject.pid)
    assert [record["PROC_EVENT"] for record in records][:2] == ["start", "interim"], records
    for earlier, later in zip(records[1:], records[2:]):
        assert later["INTERVAL_START_MILLISECONDS"] == earlier["PROC_END_MILLISECONDS"], records
        assert later["PROC_START_MILLISECONDS"] == records[0]["PROC_START_MILLISECONDS"], records
    assert records[1]["INTERVAL_START_MILLISECONDS"] == records[0]["PROC_START_MILLISECONDS"]
    cpu_ms = sum(record["PROC_CPU_MICROSECONDS"] for record in records[1:]) / 1000
    assert abs(cpu_ms - used["cpu_ms"]) <= max(5, used["cpu_ms"] * 0.02), (cpu_ms, used, records)
    faults = sum(record["PROC_NUM_PAGE_FAULTS"] for record in records[1:])
    assert abs(faults - used["faults"]) <= 20, (faults, used, records)
    assert sum(record["PROC_FLOWS"] for record in records[1:]) == 1, records
    assert sum(record.get("PROC_SENT_BYTES", 0) for record in records[1:]) == \
        sum(record["IN_BYTES"] for record in flows), (records, flows)
    assert all("PROC_VOLUNTARY_SWITCHES" in record and "PROC_READ_BYTES" in record
               for record in records[1:]), records


def add_up(records, name):
    return sum(record[name] for record in records)


def test_values_are_what_the_process_knows_itself(pair, daemon, tmp_path):
    """What it read, wrote and waited for, how its CPU time parts and how large it was, over several
    records."""
    probed = daemon(pair.probe, {"flows": {"active_timeout": "1s"},
                                 "processes": {"report": "networked", "sample_interval": "100ms"}})
    subject, peer = UsageActor(pair.probe, "subject"), UsageActor(pair.peer, "peer")
    peer.listen("tcp", pair.PEER4, PORT)
    # Whether this kernel's figures have what ended threads did is learnt from a process with some.
    subject.mayfly(1, 1, pair.PEER4, PORT, 2)
    probed.wait_record(RECORD_TYPE="process", PROC_NAME="mayfly", PROC_EVENT="end")
    slot = subject.connect("tcp", pair.PEER4, PORT)["slot"]
    subject.copy(tmp_path / "copied", 24)
    subject.write(tmp_path / "written", 20)
    subject.burn(200)
    subject.threads(8, 40)
    large = subject.touch(20000)
    known = len(probed.find(RECORD_TYPE="process", PROC_PID=subject.pid, PROC_EVENT="interim"))
    probed.wait_records(known + 2, RECORD_TYPE="process", PROC_PID=subject.pid, PROC_EVENT="interim")
    subject.drop()
    known = len(probed.find(RECORD_TYPE="process", PROC_PID=subject.pid, PROC_EVENT="interim"))
    probed.wait_records(known + 2, RECORD_TYPE="process", PROC_PID=subject.pid, PROC_EVENT="interim")
    io = dict(line.split(": ") for line in
              open(f"/proc/{subject.pid}/io", encoding="ascii").read().splitlines())
    resident = int(open(f"/proc/{subject.pid}/statm", encoding="ascii").read().split()[1]) * \
        os.sysconf("SC_PAGESIZE")
    truth = subject.close(slot)
    assert subject.end() == 0
    probed.wait_record(RECORD_TYPE="process", PROC_PID=subject.pid, PROC_EVENT="end")
    records = probed.find(RECORD_TYPE="process", PROC_PID=subject.pid)
    assert len(records) >= 3
    told = {name: add_up(records, f"PROC_{name}") for name in (
        "READ_BYTES", "WRITTEN_BYTES", "VOLUNTARY_SWITCHES", "INVOLUNTARY_SWITCHES",
        "USER_CPU_MICROSECONDS", "SYSTEM_CPU_MICROSECONDS", "CPU_MICROSECONDS")}
    print(told, truth, io)
    assert told["READ_BYTES"] >= 24 << 20 and told["WRITTEN_BYTES"] >= 24 << 20
    assert 0 <= told["READ_BYTES"] - int(io["read_bytes"]) <= 1 << 20, (told, io)
    assert told["WRITTEN_BYTES"] == int(io["write_bytes"]), (told, io)
    for name, key in (("VOLUNTARY_SWITCHES", "voluntary"), ("INVOLUNTARY_SWITCHES", "involuntary")):
        assert truth[key] <= told[name] + 5 and told[name] <= truth[key] + 20, (name, told, truth)
    tick_ms = 1000 / os.sysconf("SC_CLK_TCK")
    for name, key in (("USER", "user_ms"), ("SYSTEM", "system_ms")):
        told_ms = told[f"{name}_CPU_MICROSECONDS"] / 1000
        assert abs(told_ms - truth[key]) <= max(2 * tick_ms, truth[key] * 0.05), (told, truth)
    assert abs(told["USER_CPU_MICROSECONDS"] + told["SYSTEM_CPU_MICROSECONDS"] -
               told["CPU_MICROSECONDS"]) <= len(records)
    page = os.sysconf("SC_PAGESIZE")
    peaks = [record["PROC_PEAK_MEMORY"] for record in records]
    assert abs(max(peaks) - large["memory"]) <= 64 * page, (peaks, large)
    assert max(peaks) <= large["peak"] + 64 * page, (peaks, large)
    last = [record for record in records if record["PROC_EVENT"] == "interim"][-1]
    assert abs(last["PROC_ACTUAL_MEMORY"] - resident) <= 64 * page, (last, resident)
    assert last["PROC_PEAK_MEMORY"] <= max(peaks) - 15000 * page, "of its own interval"
    if all("PROC_PCTG_IOWAIT" in record for record in records):
        waited_ms = sum(record["PROC_PCTG_IOWAIT"] *
                        (record["PROC_END_MILLISECONDS"] - record["INTERVAL_START_MILLISECONDS"])
                        for record in records) / 10000
        assert abs(waited_ms - truth["iowait_ms"]) <= max(tick_ms, truth["iowait_ms"] * 0.05), \
            (waited_ms, truth)


def test_only_those_with_flows(pair, daemon):
    """networked, the default: others have no record, and the record of an end has the flow's bytes."""
    probed = daemon(pair.probe, {"processes": {"report": "networked"}})
    subject, peer = UsageActor(pair.probe, "subject"), UsageActor(pair.peer, "peer")
    peer.listen("tcp", pair.PEER4, PORT)
    helper = run_helper(pair.probe)
    mayfly = subject.mayfly(30, 100, pair.PEER4, PORT)["child"]
    peer.close(peer.accept(0)["slot"])
    flow = probed.wait_record(RECORD_TYPE="flow", L4_DST_PORT=PORT)
    (record,) = probed.wait_records(1, RECORD_TYPE="process", PROC_PID=flow["SRC_PROC_PID"])
    assert record["PROC_EVENT"] == "end" and record["FATHER_PROC_PID"] == subject.pid, record
    assert record["PROC_FLOWS"] == 1 and record["PROC_SENT_BYTES"] == flow["IN_BYTES"], (record, flow)
    assert abs(record["PROC_CPU_MICROSECONDS"] / 1000 - mayfly["cpu_ms"]) <= 10, (record, mayfly)
    probed.stop()
    told = {record["PROC_PID"] for record in probed.find(RECORD_TYPE="process")}
    assert helper not in told and subject.pid not in told, told
