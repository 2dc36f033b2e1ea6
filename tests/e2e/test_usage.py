# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process used between a flow's first and last moment, against what it knows itself."""

import functools
import os
import signal

import pytest

from harness.usage_actor import UsageActor

PORT = 8300
SAMPLED = {"processes": {"sample_interval": "100ms"}}


@pytest.fixture
def daemon(daemon):
    """What it tells is to be exact: it comes before whatever else the machine does, or it would see a
    begin late. With the unit's rights it cannot."""
    return functools.partial(daemon, prefix=["nice", "-n", "-20"])


@pytest.fixture
def actors(pair):
    """A process on the host that is watched, and its peer, which listens."""
    subject, peer = UsageActor(pair.probe, "subject"), UsageActor(pair.peer, "peer")
    peer.listen("tcp", pair.PEER4, PORT)
    return subject, peer


def rest(probed):
    """Both ends do nothing while the daemon works in what happened until now. This lasts several
    sample intervals: each mark has a record, which waits for its last acknowledgements."""
    probed.sync()
    probed.sync()


def open_flow(subject, peer, address, port=PORT):
    """The use of the subject when the connection was there, and the slots of both ends."""
    begin = subject.connect("tcp", address, port)
    return begin, begin["slot"], peer.accept(0)["slot"]


def close_flow(subject, peer, slot, peer_slot):
    end = subject.close(slot)
    peer.close(peer_slot)
    return end


def span_ms(record):
    return record["FLOW_END_MILLISECONDS"] - record["FLOW_START_MILLISECONDS"]


def cpu_ms(records, side="SRC"):
    return sum(record[f"{side}_PROC_AVERAGE_CPU_LOAD"] * span_ms(record) / 10000
               for record in records)


def faults(records, side="SRC"):
    return sum(record[f"{side}_PROC_NUM_PAGE_FAULTS"] for record in records)


def assert_used(records, begin, end, side="SRC"):
    """CPU within 2 % or 2 ms, faults within 1 % or 5 pages."""
    records = records if isinstance(records, list) else [records]
    truth_ms, truth_faults = end["cpu_ms"] - begin["cpu_ms"], end["faults"] - begin["faults"]
    told = (f"CPU {cpu_ms(records, side):.3f} of {truth_ms:.3f} ms, faults {faults(records, side)} "
            f"of {truth_faults}, {sum(map(span_ms, records))} ms")
    print(told)
    assert abs(cpu_ms(records, side) - truth_ms) <= max(2, truth_ms * 0.02), f"{told}: {records}"
    assert abs(faults(records, side) - truth_faults) <= max(5, truth_faults * 0.01), \
        f"{told}: {records}"


def test_cpu_and_faults_of_a_connection(pair, actors, daemon):
    """What the process did before and after is not its flow's."""
    probed = daemon(pair.probe)
    subject, peer = actors
    subject.burn(400)
    subject.touch(3000)
    begin, *slots = open_flow(subject, peer, pair.PEER4)
    rest(probed)
    subject.burn(300)
    subject.touch(2000)
    rest(probed)
    end = close_flow(subject, peer, *slots)
    subject.burn(50)
    subject.touch(500)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert record["SRC_PROC_PID"] == subject.pid
    assert_used(record, begin, end)


def test_end_of_a_udp_flow_is_its_last_packet(pair, actors, daemon):
    """It is reported when conntrack's timeout has passed, and the process is at work meanwhile."""
    pair.probe.sysctl("net.netfilter.nf_conntrack_udp_timeout", 20)
    probed = daemon(pair.probe, SAMPLED)
    subject, peer = actors
    peer.listen("udp", pair.PEER4, PORT)
    slot = subject.connect("udp", pair.PEER4, PORT)["slot"]
    begin = subject.send(slot, 100)
    rest(probed)
    subject.burn(300)
    subject.touch(2000)
    rest(probed)
    end = subject.send(slot, 100)
    rest(probed)
    after = subject.burn(300)
    after = subject.touch(5000)
    (record,) = probed.wait_records(1, deadline_s=60, L4_DST_PORT=PORT, PROTOCOL=17)
    assert record["SRC_PROC_PID"] == subject.pid and record["FLOW_END_REASON"] == 1
    assert_used(record, begin, end)
    page = os.sysconf("SC_PAGESIZE")
    assert abs(record["SRC_PROC_ACTUAL_MEMORY"] - end["memory"]) <= 64 * page
    assert record["SRC_PROC_PEAK_MEMORY"] <= after["memory"] - 4000 * page, "grown after the end"


def test_interim_records_add_up(pair, actors, daemon):
    probed = daemon(pair.probe, {"flows": {"active_timeout": "1s"}})
    subject, peer = actors
    begin, slot, peer_slot = open_flow(subject, peer, pair.PEER4)
    rest(probed)
    for interim in (1, 2, 3):
        subject.burn(100 * interim)
        subject.touch(700 * interim)
        subject.send(slot, 1000)
        probed.wait_records(interim, L4_DST_PORT=PORT, FLOW_END_REASON=2)
    subject.burn(100)
    rest(probed)
    end = close_flow(subject, peer, slot, peer_slot)
    probed.wait_record(L4_DST_PORT=PORT, FLOW_END_REASON=3)
    assert_used(probed.find(L4_DST_PORT=PORT), begin, end)


def test_memory_that_grows_and_shrinks(pair, actors, daemon):
    probed = daemon(pair.probe, SAMPLED)
    subject, peer = actors
    subject.touch(20000)
    subject.drop()
    begin, *slots = open_flow(subject, peer, pair.PEER4)
    rest(probed)
    largest = subject.touch(8000)
    rest(probed)
    subject.drop()
    rest(probed)
    end = close_flow(subject, peer, *slots)
    record = probed.wait_record(L4_DST_PORT=PORT)
    page = os.sysconf("SC_PAGESIZE")
    assert abs(record["SRC_PROC_PEAK_MEMORY"] - largest["memory"]) <= 64 * page, (record, largest)
    assert abs(record["SRC_PROC_ACTUAL_MEMORY"] - end["memory"]) <= 64 * page, (record, end)
    assert_used(record, begin, end)


def test_threads_of_which_some_end_early(pair, actors, daemon):
    probed = daemon(pair.probe)
    subject, peer = actors
    begin, *slots = open_flow(subject, peer, pair.PEER4)
    rest(probed)
    subject.threads(8, 80)
    rest(probed)
    end = close_flow(subject, peer, *slots)
    assert_used(probed.wait_record(L4_DST_PORT=PORT), begin, end)
    assert end["cpu_ms"] - begin["cpu_ms"] >= 4 * 80 + 4 * 40


@pytest.mark.parametrize("threads", [0, 5])
def test_process_that_ends_before_it_can_be_sampled(pair, actors, daemon, threads):
    """The daemon stands still for the whole life of the process: its exit record tells, or those of all
    its threads."""
    probed = daemon(pair.probe, {"processes": {"report": "networked"}})
    subject, peer = actors
    probed.sync()
    probed.signal(signal.SIGSTOP)
    child = subject.mayfly(400, 1500, pair.PEER4, PORT, threads)["child"]
    peer.close(peer.accept(0)["slot"])
    probed.signal(signal.SIGCONT)
    record = probed.wait_record(RECORD_TYPE="flow", L4_DST_PORT=PORT)
    assert record["SRC_PROC_PID"] == child["pid"] and record["SRC_PROC_NAME"] == "mayfly", record
    assert child["faults"] >= 1500 * (threads + 1)
    assert_used(record, {"cpu_ms": 0, "faults": 0}, child)
    life = probed.wait_record(RECORD_TYPE="process", PROC_PID=child["pid"])
    assert abs(life["PROC_NUM_PAGE_FAULTS"] - child["faults"]) <= 5 * (threads + 1), (life, child)
    assert 0 <= child["voluntary"] - life["PROC_VOLUNTARY_SWITCHES"] <= 3 * (threads + 1)
    assert "PROC_READ_BYTES" in life and "PROC_WRITTEN_BYTES" in life, life


def test_flow_without_a_pause(pair, actors, daemon):
    """Shorter than a sample interval, and at work from its first moment to its last; before and after it
    too."""
    probed = daemon(pair.probe)
    subject, peer = actors
    rest(probed)
    subject.burn(200)
    end = subject.brief(60, 500, pair.PEER4, PORT)
    peer.close(peer.accept(0)["slot"])
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert record["SRC_PROC_PID"] == subject.pid
    assert_used(record, end["begin"], end)


def test_work_up_to_the_begin_is_not_the_flows(pair, actors, daemon):
    probed = daemon(pair.probe)
    subject, peer = actors
    rest(probed)
    subject.touch(4000)
    end = subject.brief(400, 0, pair.PEER4, PORT)
    peer.close(peer.accept(0)["slot"])
    begin = subject.connect("tcp", pair.PEER4, PORT)
    peer_slot = peer.accept(0)["slot"]
    rest(probed)
    end = close_flow(subject, peer, begin["slot"], peer_slot)
    records = probed.wait_records(2, L4_DST_PORT=PORT)
    assert_used(max(records, key=lambda one: one["FLOW_START_MILLISECONDS"]), begin, end)


def test_two_flows_at_once(pair, actors, daemon):
    """Each has what was used in its own time."""
    probed = daemon(pair.probe)
    subject, peer = actors
    peer.listen("tcp", pair.PEER4, PORT + 1)
    begin_a, *slots_a = open_flow(subject, peer, pair.PEER4)
    rest(probed)
    subject.burn(150)
    subject.touch(1000)
    rest(probed)
    begin_b = subject.connect("tcp", pair.PEER4, PORT + 1)
    slots_b = begin_b["slot"], peer.accept(1)["slot"]
    rest(probed)
    subject.burn(150)
    rest(probed)
    end_a = close_flow(subject, peer, *slots_a)
    rest(probed)
    subject.burn(150)
    subject.touch(2000)
    rest(probed)
    end_b = close_flow(subject, peer, *slots_b)
    assert_used(probed.wait_record(L4_DST_PORT=PORT), begin_a, end_a)
    assert_used(probed.wait_record(L4_DST_PORT=PORT + 1), begin_b, end_b)


def test_server_works_for_one_and_idles_for_another(pair, daemon):
    server, client = UsageActor(pair.probe, "server"), UsageActor(pair.peer, "client")
    server.listen("tcp", pair.PROBE4, PORT)
    probed = daemon(pair.probe)
    spans = []
    for work_ms in (300, 0):
        client_slot = client.connect("tcp", pair.PROBE4, PORT)["slot"]
        begin = server.accept(0)
        rest(probed)
        server.burn(work_ms)
        rest(probed)
        client.close(client_slot)
        end = server.close(begin["slot"])
        spans.append((begin, end))
        probed.wait_records(len(spans), L4_DST_PORT=PORT)
        server.burn(100)
    for record, (begin, end) in zip(probed.find(L4_DST_PORT=PORT), spans):
        assert record["DST_PROC_PID"] == server.pid
        assert_used(record, begin, end, "DST")


@pytest.mark.parametrize("work", [lambda subject, path: subject.write(path, 60),
                                  lambda subject, path: subject.writers(4, path, 30)],
                         ids=["alone", "threads"])
def test_iowait(pair, daemon, machine_settings, tmp_path, work):
    """Against the process's own figure, in clock ticks; of threads each tells its own."""
    probed = daemon(pair.probe, {"processes": {"delay_accounting": True}})
    subject, peer = UsageActor(pair.probe, "subject"), UsageActor(pair.peer, "peer")
    peer.listen("tcp", pair.PEER4, PORT)
    begin, *slots = open_flow(subject, peer, pair.PEER4)
    rest(probed)
    work(subject, tmp_path / "written")
    rest(probed)
    end = close_flow(subject, peer, *slots)
    truth_ms = end["iowait_ms"] - begin["iowait_ms"]
    if truth_ms == 0:
        pytest.skip("the disk makes nobody wait")
    record = probed.wait_record(L4_DST_PORT=PORT)
    if truth_ms > 5 * span_ms(record):
        pytest.skip(f"the kernel's own figure cannot be true: {truth_ms} ms")
    told_ms = record["SRC_PROC_PCTG_IOWAIT"] * span_ms(record) / 10000
    print(f"I/O wait {told_ms:.3f} of {truth_ms} ms")
    assert abs(told_ms - truth_ms) <= max(10, truth_ms * 0.05), (record, truth_ms)


def test_older_than_delay_accounting_is_not_zero(pair, daemon, delays_off):
    """Nothing was counted for a process that began before it was switched on."""
    subject, peer = UsageActor(pair.probe, "subject"), UsageActor(pair.peer, "peer")
    probed = daemon(pair.probe, {"processes": {"delay_accounting": True}})
    peer.listen("tcp", pair.PEER4, PORT)
    _, *slots = open_flow(subject, peer, pair.PEER4)
    rest(probed)
    close_flow(subject, peer, *slots)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert record["SRC_PROC_PID"] == subject.pid
    assert "SRC_PROC_PCTG_IOWAIT" not in record
