# SPDX-License-Identifier: GPL-2.0-or-later
"""What others read out of what we write: tshark and nfdump judge NetFlow v9 and IPFIX, Python's json
the JSON. The records are those of tests/golden/records.h, sent by tests/golden/emit through real
exporters.

PROCFLOW_BUILD names the build directory; by default it is "build" in the source root."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PROCFLOW_BUILD", ROOT / "build"))
EMIT = BUILD / "tests" / "golden" / "emit"
RECORDS = 9
PORT = 2055  # in the capture file only

WIRES = [("netflow9", "rfc5103"), ("ipfix", "rfc5103"), ("ipfix", "ntop")]


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


def emit(*arguments):
    """Runs emit; returns what stands for RECORDS_START_MS."""
    done = subprocess.run([EMIT, *map(str, arguments)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return int(re.search(r"base (\d+)", done.stderr).group(1)), done.stdout


def collect(wire, template, biflow, copies=1, records="flows", *more):
    """The datagrams that emit sends, and the base of its times."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        collector.bind(("127.0.0.1", 0))
        base, _ = emit(wire, f"udp:{collector.getsockname()[1]}", template, biflow, copies,
                       records, *more)
        collector.setblocking(False)
        datagrams = []
        with contextlib.suppress(BlockingIOError):
            while True:
                datagrams.append(collector.recv(65536))
    return datagrams, base


def write_capture(path, datagrams):
    """A pcap file (link type 101, raw IP) with these UDP payloads."""
    with open(path, "wb") as capture:
        capture.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for payload in datagrams:
            udp = struct.pack(">HHHH", 40000, PORT, 8 + len(payload), 0) + payload
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                             bytes([127, 0, 0, 1]), bytes([127, 0, 0, 1])) + udp
            capture.write(struct.pack("<IIII", 0, 0, len(ip), len(ip)) + ip)


def tshark(path, *arguments):
    done = subprocess.run(["tshark", "-d", f"udp.port=={PORT},cflow", "-r", path, *arguments],
                          capture_output=True, text=True, timeout=300, env={**os.environ, "TZ": "UTC"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_flows(text):
    """tshark -V: the lines of each flow; options data are records too, and left out."""
    return [lines for lines in read_data(text) if not lines[0].startswith(OPTIONS)]


# How the scope of our options data begins: statistics, and types.
OPTIONS = ("ScopeSystem", "Observation Domain Id", "FlowExporter", "Private Enterprise Number")


def read_data(text):
    flows, current = [], None
    for line in text.splitlines():
        if re.match(r" {8}Flow \d+", line):
            current = []
            flows.append(current)
        elif current is not None and line.startswith(" " * 12):
            current.append(line.strip())
        else:
            current = None
    return flows


# tshark's words for the twenty fields, and what record 2 (both ends local) has in them. The last but
# one memory field is larger than 4 bytes hold.
TWENTY = {
    "Src process PID": "101",
    "Src process name": "psql",
    "Src process user name": "bob",
    "Src father process PID": "100",
    "Src father process name": "zsh",
    "Src process actual memory": "5000001 bytes",
    "Src process peak memory": "6000002 bytes",
    "Src process avg load (% * 100)": "1203",
    "Src process num pagefaults": "34",
    "Src process iowait time % (% * 100)": "56",
    "Dst process PID": "202",
    "Dst process name": "postgres",
    "Dst process user name": "postgres",
    "Dst father process PID": "200",
    "Dst father process name": "systemd",
    "Dst process actual memory": "7000003 bytes",
    "Dst process peak memory": "4294967295 bytes",
    "Dst process avg load (% * 100)": "25075",
    "Dst process num pagefaults": "7890",
    "Dst process iowait time % (% * 100)": "4321",
}


def check_no_complaint(text):
    for word in ("Malformed", "Expert", "No template found", "[Unreassembled"):
        assert word not in text, text


@needs("tshark")
@pytest.mark.parametrize("wire,biflow", WIRES)
def test_tshark_reads_all_twenty(tmp_path, wire, biflow):
    datagrams, _ = collect(wire, "procflow", biflow)
    write_capture(tmp_path / "capture.pcap", datagrams)
    text = tshark(tmp_path / "capture.pcap", "-V")
    check_no_complaint(text)
    flows = read_flows(text)
    assert len(flows) == RECORDS, text
    found = dict(line.split(": ", 1) for line in flows[1] if ": " in line)
    for name, value in TWENTY.items():
        assert found.get(name, "absent").strip() == value, (name, flows[1])
    for line in ("Octets: 123456789012", "Packets: 98765432", "Protocol: TCP (6)"):
        assert line in flows[1], flows[1]


@needs("tshark")
@pytest.mark.parametrize("wire,biflow", WIRES)
def test_tshark_sees_nothing_where_nothing_is_known(tmp_path, wire, biflow):
    datagrams, _ = collect(wire, "procflow", biflow)
    write_capture(tmp_path / "capture.pcap", datagrams)
    flows = read_flows(tshark(tmp_path / "capture.pcap", "-V"))
    remote = "\n".join(flows[5])
    for word in ("process", "Octets", "Packets", "TCP Flags"):
        assert word not in remote, remote
    unknown = "\n".join(flows[4])
    assert "process PID" not in unknown and "process name" not in unknown, unknown
    assert "Src process user name: alice" in unknown, unknown
    assert "Dst process" not in "\n".join(flows[0])


@needs("tshark")
@pytest.mark.parametrize("wire,biflow", WIRES)
def test_tshark_reads_values_by_field(tmp_path, wire, biflow):
    """The filter names of tshark, for all records at once; times to the millisecond."""
    names = ["cflow.srcaddr", "cflow.dstaddr", "cflow.srcaddrv6", "cflow.dstaddrv6", "cflow.srcport",
             "cflow.dstport", "cflow.protocol", "cflow.octets", "cflow.packets", "cflow.flow_end_reason",
             "cflow.post_natsource_ipv4_address", "cflow.post_naptsource_transport_port",
             "cflow.post_octets", "cflow.post_packets"]
    datagrams, base = collect(wire, "standard", biflow)
    write_capture(tmp_path / "capture.pcap", datagrams)
    options = [option for name in names for option in ("-e", name)]
    rows = tshark(tmp_path / "capture.pcap", "-T", "fields", "-E", "separator=;", *options)
    columns = [",".join(filter(None, column)) for column in
               zip(*[row.split(";") for row in rows.splitlines()])]
    assert columns[0] == "10.0.0.5,127.0.0.1,172.17.0.2,10.0.0.5,10.0.0.5"
    assert columns[1] == "10.0.0.9,127.0.0.1,192.0.2.53,198.51.100.7,192.0.2.1"
    assert columns[2] == ("2001:db8:85a3:8d3:1319:8a2e:370:7348,2001:db8::1,fe80::1,fd00::2")
    assert columns[3] == ("2001:db8:1234:5678:9abc:def0:1234:5678,2001:db8::2,ff02::2,2001:db8::53")
    assert columns[4] == "50684,40000,65535,33333,40001,9999,0,0,1234"
    assert columns[5] == "8099,5432,443,53,80,8888,2048,34048,53"
    assert columns[6] == "6,6,6,17,6,17,1,58,17"
    sent = (["450", "123456789012", "5300", "64", "2300", "252", "56", "80"],
            ["7", "98765432", "12", "1", "4", "3", "1", "1"])
    received = (["979", "4321", "1048576", "120", "1900000", "252", "0", "200"],
                ["6", "21", "900", "1", "1300", "3", "0", "1"])
    for i in range(2):
        if wire == "ipfix" and biflow == "rfc5103":
            # tshark gives the reverse elements the forward ones' names.
            assert columns[7 + i].split(",") == [x for pair in zip(sent[i], received[i]) for x in pair]
        else:
            assert columns[7 + i].split(",") == sent[i]
            assert columns[12 + i].split(",") == received[i]
    assert columns[9] == "3,3,2,1,3,3,3,3,5"
    assert columns[10] == "198.51.100.7"
    assert columns[11] == "61234"
    text = tshark(tmp_path / "capture.pcap", "-V")
    check_no_complaint(text)
    assert "Unknown" not in text
    begun = time.gmtime((base + 1000) // 1000)
    stamp = time.strftime("%H:%M:%S", begun) + f".{(base + 1000) % 1000:03}"
    assert f"{stamp}000000 UTC" in "\n".join(read_flows(text)[0])


@needs("tshark")
@pytest.mark.parametrize("wire", ["netflow9", "ipfix"])
def test_tshark_reads_many_messages(tmp_path, wire):
    datagrams, _ = collect(wire, "procflow", "rfc5103", 100)
    assert max(map(len, datagrams)) <= 1400
    write_capture(tmp_path / "capture.pcap", datagrams)
    text = tshark(tmp_path / "capture.pcap", "-V")
    check_no_complaint(text)
    assert len(read_flows(text)) == 100 * RECORDS
    sequence = list(map(int, re.findall(r"FlowSequence: (\d+)", text)))
    assert len(sequence) == len(datagrams)
    if wire == "netflow9":
        assert sequence == list(range(len(datagrams)))
    else:
        assert sequence[0] == 0 and sequence == sorted(sequence)
        assert sequence[-1] < len(read_data(text))


@needs("tshark")
@pytest.mark.parametrize("wire", ["netflow9", "ipfix"])
def test_tshark_reads_the_statistics(tmp_path, wire):
    """Sent again after 1000 messages, with what was sent until then."""
    datagrams, _ = collect(wire, "procflow", "rfc5103", 1300)
    assert len(datagrams) > 1000
    write_capture(tmp_path / "capture.pcap", datagrams)
    text = tshark(tmp_path / "capture.pcap", "-V")
    check_no_complaint(text)
    first = "ScopeSystem" if wire == "netflow9" else "Observation Domain Id"
    sent = [dict(line.split(": ") for line in lines) for lines in read_data(text)
            if lines[0].startswith(first) and "OctetsExp" in "".join(lines)]
    assert len(sent) >= 2, sent
    told = {name: int(value) for name, value in sent[1].items() if name.endswith("Exp")}
    # Of the messages before the one that the statistics are in, or of one less where they end it.
    before = next(n for n in range(1, len(datagrams)) if sum(map(len, datagrams[:n])) ==
                  told["OctetsExp"])
    assert told["PacketsExp"] == before, (told, before)
    assert 0 < told["FlowsExp"] < 1300 * RECORDS, told
    first = "ScopeSystem" if wire == "netflow9" else "FlowExporter"
    lost = [lines for lines in read_data(text)
            if lines[0].startswith(first) and "Not Sent" in lines[1]]
    assert len(lost) == len(sent)
    for lines in lost:
        assert lines[1:] == ["Not Sent Flows: 0", "Not Sent Packets: 0", "Not Sent Octets: 0"]


# What each record of a process has, and no more: tshark's words.
PROCESSES = [
    {"Src process PID": "4890", "Flow End Reason": "End of Flow detected (3)",
     "Src process name": "curl", "Src process user name": "alice", "Src process UID": "1000",
     "Src father process PID": "4849", "Src father process name": "bash",
     564: "000003e9", 565: b"bob", 540: b"curl", 561: b"bash", 558: b"0123456789ab",
     556: b"curl -s https://example.org/",
     "Src process actual memory": "9437184 bytes", "Src process peak memory": "4294967295 bytes",
     "Src process avg load (% * 100)": "8312", "Src process num pagefaults": "412",
     "Src process iowait time % (% * 100)": "17"},
    {"Src process PID": "31337", "Flow End Reason": "Active timeout (2)",
     "Src process name": "systemd-networkd-wait", "Src process user name": "alice",
     "Src process UID": "1000", "Src father process PID": "1", "Src father process name": "systemd",
     "Src process actual memory": "12000000 bytes", "Src process peak memory": "13000000 bytes",
     "Src process avg load (% * 100)": "25075", "Src process num pagefaults": "7890"},
    {"Src process PID": "777", "Flow End Reason": "End of Flow detected (3)",
     "Src process name": "sh", "Src process user name": "alice", "Src process UID": "1000",
     "Src father process PID": "776", "Src process peak memory": "1048576 bytes",
     "Src process avg load (% * 100)": "9"},
]


def read_processes(text):
    """What tshark (4.0) has a name for under it, the rest by its number, in hex as far as shown."""
    for lines in read_flows(text):
        told = {}
        for line in lines:
            number = re.match(r".*\bType (\d+): Value \(hex bytes\): (.*)", line)
            if number:
                told[int(number[1]) % 57472] = number[2].replace(" ", "")
            elif line.startswith(("Src", "Dst", "Flow E", "Octets", "Packets")):
                name, value = line.split(": ", 1)
                told[name] = value
        yield told, lines


def as_shown(name, value, is_fixed):
    if isinstance(value, bytes):
        width = 32 if name == 556 else 16
        text = (value[:width].ljust(width, b"\0") if is_fixed else value).hex()
        return text[:48] + "…" if len(text) > 50 else text
    return value.encode()[:16].decode() if is_fixed and name == "Src process name" else value


@needs("tshark")
@pytest.mark.parametrize("wire", ["netflow9", "ipfix"])
def test_tshark_reads_processes(tmp_path, wire):
    """Every field of records of processes with its value, and none that is not known."""
    datagrams, base = collect(wire, "procflow", "rfc5103", 1, "processes")
    write_capture(tmp_path / "capture.pcap", datagrams)
    text = tshark(tmp_path / "capture.pcap", "-V")
    check_no_complaint(text)
    found = list(read_processes(text))
    assert len(found) == len(PROCESSES), text
    for number, ((told, lines), expected) in enumerate(zip(found, PROCESSES), 1):
        assert told == {name: as_shown(name, value, wire == "netflow9")
                        for name, value in expected.items()}, text
        for name, ms in (("StartTime", base + number * 1000), ("EndTime", base + number * 1000 + 1500)):
            stamp = time.strftime("%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03}000000 UTC"
            assert any(line.startswith(name) and line.endswith(stamp) for line in lines), (stamp, lines)


@needs("ipfixDump")
def test_libfixbuf_reads_processes(tmp_path):
    """By the names of the RFC 5610 records that come with them."""
    datagrams, _ = collect("ipfix", "procflow", "rfc5103", 1, "processes")
    (tmp_path / "messages.ipfix").write_bytes(b"".join(datagrams))
    done = subprocess.run(["ipfixDump", "--rfc5610", "-i", tmp_path / "messages.ipfix"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    for name, value in (("SRC_PROC_PID", "4890"), ("SRC_PROC_NAME", "curl"),
                        ("SRC_FATHER_PROC_UID", "1001"), ("SRC_FATHER_PROC_USER_NAME", "bob"),
                        ("SRC_PROC_PKG_NAME", "curl"), ("SRC_FATHER_PROC_PKG_NAME", "bash"),
                        ("SRC_PROC_CMDLINE", "curl -s https://example.org/"),
                        ("SRC_PROC_CONTAINER_ID", "0123456789ab")):
        assert re.search(rf"{name} +: (\(len: \d+\) )?{value}$", done.stdout, flags=re.M), done.stdout
    assert "_alienInformationElement" not in done.stdout


def wait_until(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_bound(port):
    return f":{port:04X} " in pathlib.Path("/proc/net/udp").read_text()


@contextlib.contextmanager
def nfcapd(directory):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(directory / "nfcapd.log", "w+") as log:
        process = subprocess.Popen(["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w", directory,
                                    "-t", "3600"], stdout=log, stderr=log)
        try:
            wait_until(lambda: is_bound(port) or process.poll() is not None, "nfcapd does not listen")
            assert process.poll() is None, (directory / "nfcapd.log").read_text()
            yield port
            # It reads what is in its socket before it looks at the signal's flag.
            wait_until(lambda: is_drained(port), "nfcapd does not read")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def is_drained(port):
    for line in pathlib.Path("/proc/net/udp").read_text().splitlines():
        words = line.split()
        if words[1].endswith(f":{port:04X}"):
            return words[4].endswith(":00000000")
    return False


def field(flow, name, *others):
    return next(flow[key] for key in (name, *others) if key in flow)


EXPECTED = [
    ("10.0.0.5", 50684, "10.0.0.9", 8099, 6, 450, 7, 979, 6, 2),
    ("127.0.0.1", 40000, "127.0.0.1", 5432, 6, 123456789012, 98765432, 4321, 21, 61500),
    ("2001:db8:85a3:8d3:1319:8a2e:370:7348", 65535, "2001:db8:1234:5678:9abc:def0:1234:5678", 443, 6,
     5300, 12, 1048576, 900, 60000),
    ("172.17.0.2", 33333, "192.0.2.53", 53, 17, 64, 1, 120, 1, 2),
    ("10.0.0.5", 40001, "198.51.100.7", 80, 6, 2300, 4, 1900000, 1300, 2),
    ("2001:db8::1", 9999, "2001:db8::2", 8888, 17, 0, 0, None, None, 2),
    ("10.0.0.5", (8, 0), "192.0.2.1", None, 1, 252, 3, 252, 3, 2),
    ("fe80::1", (133, 0), "ff02::2", None, 58, 56, 1, 0, 0, 2),
    ("fd00::2", 1234, "2001:db8::53", 53, 17, 80, 1, 200, 1, 2),
]


def as_expected(flow):
    icmp = (flow["icmp_type"], flow["icmp_code"]) if "icmp_type" in flow else None
    return (field(flow, "src4_addr", "src6_addr"), icmp or flow["src_port"],
            field(flow, "dst4_addr", "dst6_addr"), None if icmp else flow["dst_port"],
            flow["proto"], flow["in_bytes"], flow["in_packets"], flow.get("out_bytes"),
            flow.get("out_packets"), parse_time(flow["last"]) - parse_time(flow["first"]))


def parse_time(text):
    seconds, ms = text.split(".")
    return int(time.mktime(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S"))) * 1000 + int(ms)


@needs("nfcapd")
@needs("nfdump")
@pytest.mark.parametrize("template", ["procflow", "standard"])
@pytest.mark.parametrize("wire,biflow", WIRES)
def test_nfdump_stores_the_same_flows(tmp_path, wire, biflow, template):
    with nfcapd(tmp_path) as port:
        base, _ = emit(wire, f"udp:{port}", template, biflow)
    log = (tmp_path / "nfcapd.log").read_text()
    # nfdump (1.7.1) leaves options data out of IPFIX's sequence, where RFC 7011 3.1 has them in.
    errors = "[01]" if wire == "ipfix" else "0"
    assert re.search(f"Flows: {RECORDS},.*Sequence Errors: {errors}, Bad Packets: 0", log), log
    done = subprocess.run(["nfdump", "-R", tmp_path, "-o", "json"], capture_output=True, text=True,
                          timeout=20)
    flows = json.loads(done.stdout)
    assert [as_expected(flow) for flow in flows] == EXPECTED, done.stdout
    assert flows[3]["src4_xlt_ip"] == "198.51.100.7"
    assert flows[3]["src_xlt_port"] == "61234"
    for number, flow in enumerate(flows, 1):
        # NetFlow v9's times go through sysUptime in whole milliseconds.
        assert abs(parse_time(flow["first"]) - (base + number * 1000)) <= 2, (base, flow)


@needs("nfcapd")
@needs("nfdump")
@pytest.mark.parametrize("template", ["procflow", "standard"])
def test_nfdump_prints_netflow9_lines(tmp_path, template):
    """What people see, and that all are flows: 148 makes firewall events of them. Without -o the
    nfdump of Debian, built with NSEL, has a line for such events ("1970 ... INVALID") for any
    record."""
    with nfcapd(tmp_path) as port:
        base, _ = emit("netflow9", f"udp:{port}", template, "rfc5103")
    stored = subprocess.run(["nfdump", "-R", tmp_path, "-o", "json"], capture_output=True, text=True,
                            timeout=20).stdout
    assert [flow["type"] for flow in json.loads(stored)] == ["FLOW"] * RECORDS, stored
    for form in ("line", "long"):
        done = subprocess.run(["nfdump", "-6", "-R", tmp_path, "-o", form], capture_output=True, text=True,
                              timeout=20)
        lines = [line.split() for line in done.stdout.splitlines() if line.startswith(("1", "2"))]
        assert len(lines) == RECORDS, done.stdout
        for number, (words, flow) in enumerate(zip(lines, EXPECTED), 1):
            shown = " ".join(words)
            begun = base + number * 1000
            # NetFlow v9's times go through sysUptime in whole milliseconds.
            days = [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms // 1000)) + f".{ms % 1000:03}"
                    for ms in range(begun - 2, begun + 3)]
            assert " ".join(words[:2]) in days, done.stdout
            assert "INVALID" not in shown and "Ignore" not in shown, done.stdout
            addresses = [flow[0], flow[2]]
            assert all(any(word.startswith(address) for word in words) for address in addresses), (
                addresses, done.stdout)


OWN = ("%IPV4_SRC_ADDR %IPV4_DST_ADDR %L4_SRC_PORT %L4_DST_PORT %PROTOCOL %IN_BYTES %IN_PKTS "
       "%FIRST_SWITCHED %LAST_SWITCHED %SRC_PROC_NAME")


@needs("tshark")
@pytest.mark.parametrize("wire", ["netflow9", "ipfix"])
def test_tshark_reads_an_own_template(tmp_path, wire):
    """In its order, with nothing else; and IPv6 addresses where the template names IPv4's."""
    datagrams, _ = collect(wire, OWN, "rfc5103")
    write_capture(tmp_path / "capture.pcap", datagrams)
    text = tshark(tmp_path / "capture.pcap", "-V")
    check_no_complaint(text)
    flows = read_flows(text)
    names = [[line.split(":", 1)[0] for line in flow if not line.startswith(("[", "StartTime",
                                                                            "EndTime", "String_len"))]
             for flow in flows]
    assert [name for name in names[1] if name in (
        "SrcAddr", "DstAddr", "SrcPort", "DstPort", "Protocol", "Octets", "Packets",
        "Src process name")] == ["SrcAddr", "DstAddr", "SrcPort", "DstPort", "Protocol", "Octets",
                                 "Packets", "Src process name"], flows[1]
    assert not [name for name in names[1] if name.startswith("Dst process")], flows[1]
    assert "SrcAddr: 2001:db8:85a3:8d3:1319:8a2e:370:7348" in flows[2], flows[2]


@needs("nfcapd")
@needs("nfdump")
@pytest.mark.parametrize("wire", ["netflow9", "ipfix"])
def test_nfdump_stores_both_directions_of_a_split_flow(tmp_path, wire):
    with nfcapd(tmp_path) as port:
        emit(wire, f"udp:{port}", "procflow", "split")
    done = subprocess.run(["nfdump", "-R", tmp_path, "-o", "json"], capture_output=True, text=True,
                          timeout=20)
    flows = [as_expected(flow) for flow in json.loads(done.stdout)]
    one_way = [(*flow[:7], None, None, flow[9]) for flow in EXPECTED]
    assert [flow for flow in one_way if flow not in flows] == [], done.stdout
    back = ("10.0.0.9", 8099, "10.0.0.5", 50684, 6, 979, 6, None, None, 2)
    # The client is behind source NAT: the answer goes to the public address.
    translated = ("192.0.2.53", 53, "198.51.100.7", 61234, 17, 120, 1, None, None, 2)
    assert back in flows and translated in flows, done.stdout
    assert len(flows) == RECORDS + sum(1 for flow in EXPECTED if flow[8]), done.stdout


# The keys that the documentation shows for each record, and what is not known is not there.
FLOW_KEYS = {"RECORD_TYPE", "@timestamp", "FLOW_ID", "IP_PROTOCOL_VERSION", "PROTOCOL", "L4_SRC_PORT",
             "L4_DST_PORT", "FIRST_SWITCHED", "LAST_SWITCHED", "FLOW_START_MILLISECONDS",
             "FLOW_END_MILLISECONDS", "FLOW_END_REASON", "SRC_PROC_ATTRIBUTION", "DST_PROC_ATTRIBUTION"}
V6_KEYS = {"IPV6_SRC_ADDR", "IPV6_DST_ADDR"}


def read_json(path):
    base, _ = emit("json", f"file:{path}", "procflow", "rfc5103")
    lines = pathlib.Path(path).read_bytes().decode("utf-8").splitlines()
    return base, [json.loads(line, object_pairs_hook=unique_keys) for line in lines]


def unique_keys(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def test_json_is_json(tmp_path):
    base, flows = read_json(tmp_path / "new" / "flows.json")
    assert [flow["FLOW_ID"] for flow in flows] == list(range(1, RECORDS + 1))
    assert set(flows[5]) == FLOW_KEYS | V6_KEYS
    loopback = flows[1]
    assert loopback["DST_PROC_PEAK_MEMORY"] == 6000000000
    assert loopback["DST_PROC_UNIT"] == "postgresql@15-main.service"
    assert loopback["FLOW_START_MILLISECONDS"] == base + 2000
    assert loopback["FIRST_SWITCHED"] == (base + 2000) // 1000
    assert flows[3]["SRC_PROC_CMDLINE"] == '/lib/systemd/systemd-resolved --label "été"'
    assert flows[4]["SRC_PROC_ATTRIBUTION_REASON"] == "exited"
    for flow in flows:
        end = time.strptime(flow["@timestamp"].split(".")[0], "%Y-%m-%dT%H:%M:%S")
        assert flow["@timestamp"].endswith(f".{flow['FLOW_END_MILLISECONDS'] % 1000:03}Z")
        assert time.strftime("%s", end) == time.strftime(
            "%s", time.gmtime(flow["FLOW_END_MILLISECONDS"] // 1000))


def test_json_has_all_twenty_where_both_ends_are_known(tmp_path):
    _, flows = read_json(tmp_path / "flows.json")
    names = ["PROC_PID", "PROC_NAME", "PROC_USER_NAME", "FATHER_PROC_PID", "FATHER_PROC_NAME",
             "PROC_ACTUAL_MEMORY", "PROC_PEAK_MEMORY", "PROC_AVERAGE_CPU_LOAD", "PROC_NUM_PAGE_FAULTS",
             "PROC_PCTG_IOWAIT"]
    assert [flows[1][f"SRC_{name}"] for name in names] == [
        101, "psql", "bob", 100, "zsh", 5000001, 6000002, 1203, 34, 56]
    assert [flows[1][f"DST_{name}"] for name in names] == [
        202, "postgres", "postgres", 200, "systemd", 7000003, 6000000000, 25075, 7890, 4321]
