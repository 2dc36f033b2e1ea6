# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon that is not root, as the systemd unit runs it."""

import pathlib
import re
import signal

import pytest

from harness.daemon import UNIT_USER, executable
from harness.records import assert_has

PORT = 8130
DELAYS = "kernel.task_delayacct"
COUNTED = "net.netfilter.nf_conntrack_acct"


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


def sanitised():
    return b"__asan_init" in executable().read_bytes()


def make_flow(pair, agent):
    """A connection of a process that is younger than the daemon."""
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    client.close(name="c")
    server.receive_end(name="s")
    server.close(name="s")
    return client


def test_it_sees_what_root_sees_and_leaves_the_host_as_it_was(pair, agent, daemon, delays_off):
    probed = daemon(pair.probe, {"processes": {"delay_accounting": True}}, as_unit=True)
    status = status_of(probed.pid)
    # With sanitisers there is no filter of system calls.
    assert status["Seccomp"] == ["2"] or sanitised()
    assert int(status["CapAmb"][0], 16) == 0 and int(status["CapInh"][0], 16) == 0
    assert status["Uid"] == [str(UNIT_USER)] * 4 and status["NoNewPrivs"] == ["1"]
    assert [pair.probe.sysctl(name) for name in (DELAYS, COUNTED)] == ["1", "1"]
    client = make_flow(pair, agent)
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "SRC_PROC_ATTRIBUTION": "trace"})
    assert "SRC_PROC_PCTG_IOWAIT" in record and record["IN_PKTS"] > 0
    probed.stop()
    assert [pair.probe.sysctl(name) for name in (DELAYS, COUNTED)] == ["0", "0"]
    assert pair.probe.ruleset() == "" and list(probed.state.iterdir()) == [probed.state / "lock"]


def test_what_a_killed_one_left_on_is_put_back_by_root(pair, daemon, delays_off):
    probed = daemon(pair.probe, {"processes": {"delay_accounting": True}}, as_unit=True)
    probed.kill()
    assert [pair.probe.sysctl(name) for name in (DELAYS, COUNTED)] == ["1", "1"]
    probed.run_as_root("--restore")
    assert [pair.probe.sysctl(name) for name in (DELAYS, COUNTED)] == ["0", "0"]


def test_it_is_put_back_though_the_configuration_broke(pair, daemon, delays_off):
    probed = daemon(pair.probe, {"processes": {"delay_accounting": True}}, as_unit=True)
    probed.kill()
    probed.config_path.write_text("flows:\n  active_timeout: soon\n")
    probed.run_as_root("--restore")
    assert [pair.probe.sysctl(name) for name in (DELAYS, COUNTED)] == ["0", "0"]


def test_restore_leaves_a_running_daemon_alone(pair, daemon):
    probed = daemon(pair.probe, as_unit=True)
    with pytest.raises(AssertionError, match="a procflowd runs with this state directory"):
        probed.run_as_root("--restore")
    assert pair.probe.sysctl(COUNTED) == "1"
    probed.stop()


def test_without_preparation_it_says_what_is_missing(pair, daemon, delays_off):
    """Delay accounting belongs to root: the rest works, I/O wait is told to be unknown."""
    probed = daemon(pair.probe, {"processes": {"delay_accounting": True}}, as_unit=True,
                    prepared=False)
    assert pair.probe.sysctl(DELAYS) == "0" and pair.probe.sysctl(COUNTED) == "1"
    assert f"{DELAYS} cannot be switched on" in probed.log()
    probed.stop()
    assert pair.probe.sysctl(COUNTED) == "0"


class Bounded:
    """A namespace whose processes never get some rights."""

    def __init__(self, namespace, *rights):
        self.namespace, self.rights = namespace, ",".join(f"-{right}" for right in rights)

    def popen(self, *argv, **options):
        return self.namespace.popen("setpriv", f"--bounding-set={self.rights}", *argv, **options)

    def __getattr__(self, name):
        return getattr(self.namespace, name)


def test_where_trace_is_refused_the_next_method_answers(pair, agent, daemon):
    # Numbers: older programs do not know the name of CAP_PERFMON.
    probed = daemon(Bounded(pair.probe, "cap_21", "cap_38"), as_unit=False)
    told = [line for line in probed.log().splitlines() if "the method trace is not to be had" in line]
    assert len(told) == 1 and "CAP_" in told[0], told
    client, server = agent(pair.probe, "client"), agent(pair.peer, "server")
    server.listen(name="l", version=4, address=pair.PEER4, port=PORT)
    client.connect(name="c", address=pair.PEER4, port=PORT)
    server.accept(name="s", listener="l")
    probed.sync()
    client.close(name="c")
    server.close(name="s")
    record = probed.wait_record(L4_DST_PORT=PORT)
    assert_has(record, {**client.as_end("SRC"), "SRC_PROC_ATTRIBUTION": "sock_diag"})


CAPABILITIES = {name: number for number, name in enumerate(
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
    "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio "
    "sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
    "sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog "
    "wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore".split())}


def names_of(mask):
    return {name for name, number in CAPABILITIES.items() if int(mask, 16) >> number & 1}


@pytest.mark.parametrize("namespaces, more", [("host", set()), ("all", {"sys_admin"})])
def test_root_gives_up_what_it_does_not_need(pair, daemon, namespaces, more):
    probed = daemon(pair.probe, {"attribution": {"namespaces": namespaces}}, as_unit=False)
    status = status_of(probed.pid)
    kept = {"net_admin", "net_broadcast", "sys_ptrace", "dac_read_search", "perfmon", "dac_override", "fowner",
            "chown"} | more
    for kind in ("CapPrm", "CapEff"):
        assert names_of(status[kind][0]) == kept & names_of(os_capabilities()), status[kind]
    assert names_of(status["CapBnd"][0]) == set() and status["NoNewPrivs"] == ["1"]
    probed.stop()


def os_capabilities():
    return status_of("self")["CapPrm"][0]


TOP = pathlib.Path(__file__).resolve().parents[2]


def allowed_calls():
    text = (TOP / "daemon/runtime/system_calls.c").read_text()
    return set(re.findall(r'"(\w+)"', re.search(r"allowed\[\] = \{(.*?)\};", text, re.S).group(1)))


@pytest.mark.parametrize("as_unit", [False, True])
def test_no_call_is_outside_of_the_list(pair, agent, daemon, need, tmp_path, as_unit):
    """Typical work, and the libraries of all exporters, as strace sees it."""
    need("strace")
    if sanitised():
        pytest.skip("with sanitisers there is no filter of system calls")
    tmp_path.chmod(0o777)
    trace = tmp_path / "strace"
    probed = daemon(pair.probe, {
        "attribution": {"namespaces": "all"},
        "processes": {"report": "networked"},
        "metrics": {"listen": "9478"},
        "exporters": [
            {"type": "json", "to": f"file://{tmp_path / 'flows.json'}", "rotate_size": "4KiB",
             "records": ["flow"]},
            {"type": "ipfix", "to": "udp://localhost:4739"},
            {"type": "netflow9", "to": "udp://127.0.0.1:4740", "name": "nine"},
            {"type": "zmq", "to": "tcp://127.0.0.1:5556"},
            {"type": "kafka", "to": "kafka://127.0.0.1:9"},
            {"type": "elasticsearch", "to": "http://127.0.0.1:9"}]},
        records=tmp_path / "flows.json", as_unit=as_unit,
        prefix=["strace", "-D", "-f", "-qq", "-e", "signal=none", "-o", trace])
    make_flow(pair, agent)
    for command in ("status", "flows", "processes", "exporters"):
        probed.ask(command)
    assert probed.namespace.run("curl", "-sS", "-m", "20", "http://127.0.0.1:9478/metrics").stdout
    probed.signal(signal.SIGUSR1)
    probed.signal(signal.SIGHUP)
    for _ in range(3):
        pair.probe.run("ping", "-c", "1", pair.PEER4)
        probed.ask("status")
    probed.stop()
    calls = re.findall(r"^\d+ +(\w+)\((.*)$", trace.read_text(errors="replace"), re.M)
    begin = next(number for number, (name, text) in enumerate(calls)
                 if name == "seccomp" and text.startswith("SECCOMP_SET_MODE_FILTER"))
    after = {name for name, _ in calls[begin + 1:]}
    assert {"recvmsg", "openat", "epoll_wait", "exit_group"} <= after
    assert after - {"seccomp"} <= allowed_calls(), sorted(after - allowed_calls())
