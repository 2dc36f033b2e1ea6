# SPDX-License-Identifier: GPL-2.0-or-later
"""Random records of flows and of processes (tests/golden/records.h) through the encoders of NetFlow v9
and IPFIX: what tshark, libfixbuf and nfdump read is what the same records are in JSON.

PROCFLOW_SEED is the first seed, PROCFLOW_ROUNDS how many there are, of RECORDS records each: with more
than TEMPLATE_CACHE_LIMIT combinations of known parts an exporter has no template for each."""

import ipaddress
import json
import math
import os
import re
import subprocess
import xml.etree.ElementTree

import pytest

from harness import catalogue
from test_judges import PORT, collect, emit, needs, nfcapd, tshark, write_capture

SEED = int(os.environ.get("PROCFLOW_SEED", 20))
SEEDS = range(SEED, SEED + int(os.environ.get("PROCFLOW_ROUNDS", 1)))
RECORDS = 200
FIELDS = catalogue.read()
PROCESS_FIELDS = catalogue.read_processes()
# Of users' own: texts from 1 byte on, counters of 4 where the catalogue has 8. In IPFIX, whose texts are of
# variable length, it is the longest.
OWN_WIDTHS = [field._replace(v9_width=width, ipfix_width=width) if width else field
              for number, field in enumerate(FIELDS) for width in [
                  1 + 3 * number % 50 if field.kind in ("TEXT", "USER") else
                  4 if re.fullmatch("(IN|OUT)_(BYTES|PKTS)", field.name) else 0]]
LARGEST = 65507
BY_UPTIME = {"FIRST_SWITCHED", "LAST_SWITCHED"}  # not in JSON
# libfixbuf prints a day, and none that is far away.
DAYS = {"FLOW_START_MILLISECONDS", "FLOW_END_MILLISECONDS", "INTERVAL_START_MILLISECONDS",
        "PROC_END_MILLISECONDS"}

pytestmark = pytest.mark.parametrize("seed", SEEDS)


def as_text(value):
    """Control characters stay in JSON, escaped; elsewhere each byte of one is a "?"."""
    return re.sub("[\x80-\x9f]", "??", re.sub("[\0-\x1f\x7f]", "?", value))


def cut(text, width):
    return text.encode()[:width].decode("utf-8", "ignore")


def expect(record, field, width, is_whole):
    """All that a record's field may be elsewhere, of what it is in JSON; None: not there. A text that
    is empty is not in JSON. In IPFIX long texts are cut where the record does not fit a message."""
    value = record.get(field.name)
    if field.kind in ("TEXT", "USER"):
        empty = {None, ""} if value is None else set()
        if field.kind == "USER":  # the source's, or where it is not known the destination's
            value = record.get("SRC_PROC_USER_NAME", record.get("DST_PROC_USER_NAME"))
        if value is None:
            return empty
        text = as_text(value)
        if field.kind == "USER" and "SRC_PROC_USER_NAME" in record:
            empty = set()
        if width != catalogue.VARIABLE:
            return empty | {cut(text, width)}
        return empty | ({text} if is_whole else {text, cut(text, 48)})
    if value is None:
        return {None}
    if field.kind == "LATENCY":
        return {math.floor(value), math.ceil(value)}
    return {min(value, 256 ** width - 1)} if isinstance(value, int) else {value.lower()}


def make_records(path, kind, seed):
    """As JSON has them."""
    print(f"PROCFLOW_SEED={seed}")
    emit("json", f"file:{path}", "procflow", "rfc5103", RECORDS, kind, seed)
    records = [json.loads(line) for line in open(path, "rb")]
    assert len(records) == RECORDS
    return [{"BIFLOW_DIRECTION": 1, **record} for record in records]


def send(wire, kind, seed, biflow, size, fields=FIELDS):
    """The same records in datagrams of "size" bytes at most."""
    template = "procflow" if kind == "random_processes" else " ".join(
        f"%{field.name}" if field is usual else f"%{field.name}:{field.v9_width}"
        for field, usual in zip(fields, FIELDS))
    datagrams = collect(wire, template, biflow, RECORDS, kind, seed, size)[0]
    assert size - max(map(len, datagrams)) in range(size // 2)
    return datagrams


def check_values(records, found, wire, fields=FIELDS, but=BY_UPTIME, is_whole=False):
    """found: for each record {field's name: value}. Every field with a number was compared."""
    compared = set()
    fields = [field for field in fields if field.name not in but and
              (field.v9_id if wire == "netflow9" else field.ipfix_id)]
    assert len(found) == len(records)
    for record, values in zip(records, found):
        assert set(values) <= {field.name for field in fields} | but
        for field in fields:
            width = field.v9_width if wire == "netflow9" else field.ipfix_width
            expected = expect(record, field, width, is_whole)
            assert values.get(field.name) in expected, (field.name, record.get(field.name), values)
            if values.get(field.name):
                compared.add(field.name)
    assert compared >= {field.name for field in fields}


def parse_dump(field, value):
    if field.kind == "LATENCY" or re.fullmatch(r"\d+", value) and field.kind == "UNSIGNED":
        return int(value)
    if field.name.endswith("_FLAGS"):
        return int(value, 0)
    if field.kind.startswith("ADDRESS"):
        return str(ipaddress.ip_address(value))
    return value


def dump(path, datagrams, names):
    """Each record's {field's name: value} as ipfixDump prints it; names: {(PEN, number): field}. The
    elements of ntop have the names that it learnt from the RFC 5610 records."""
    path.write_bytes(b"".join(datagrams))
    done = subprocess.run(["ipfixDump", "--rfc5610", "-i", path], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for part in done.stdout.decode().split("--- data record ")[1:]:
        values = {}
        for pen, number, name, value in re.findall(
                r"^\t\((?:(\d+)/)?(\d+)\) +(\S+) : (?:\(len: \d+\) )?(.*)$", part, re.M):
            field = names.get((int(pen or 0), int(number)))
            if field is None:
                break  # options data
            if field.pen:
                assert name in (field.name, "SRC_" + field.name)
            values[field.name] = None if field.name in DAYS else parse_dump(field, value)
        else:
            yield values


def number_flows(biflow):
    names = {(field.pen, field.ipfix_id): field for field in FIELDS if field.ipfix_id}
    by_name = {field.name: field for field in FIELDS}
    names[0, 139] = by_name["ICMP_TYPE"]
    if biflow == "rfc5103":
        for number, name in ((1, "OUT_BYTES"), (2, "OUT_PKTS")):
            names[catalogue.REVERSE, number] = names.pop((0, by_name[name].ipfix_id))
    return names


@needs("ipfixDump")
@pytest.mark.parametrize("biflow,size,fields", [
    ("rfc5103", 1400, FIELDS), ("ntop", LARGEST, FIELDS), ("rfc5103", LARGEST, OWN_WIDTHS)],
    ids=["rfc5103", "ntop", "widths"])
def test_libfixbuf_reads_every_field_by_name(tmp_path, seed, biflow, size, fields):
    records = make_records(tmp_path / "records.json", "random_flows", seed)
    datagrams = send("ipfix", "random_flows", seed, biflow, size, fields)
    found = list(dump(tmp_path / "messages.ipfix", datagrams, number_flows(biflow)))
    check_values(records, found, "ipfix", fields, BY_UPTIME | DAYS, size == LARGEST)


ONE_WAY = {"INPUT_SNMP", "OUTPUT_SNMP", "IN_SRC_MAC", "OUT_DST_MAC", "SRC_VLAN", "MIN_TTL", "MAX_TTL"}
# What the way back has for it depends on translation, ICMP's answers and what else is known.
TURNED = {"IPV4_SRC_ADDR", "IPV4_DST_ADDR", "IPV6_SRC_ADDR", "IPV6_DST_ADDR", "L4_SRC_PORT", "L4_DST_PORT",
          "ICMP_TYPE", "SRC_TOS", "DST_TOS", "SRC_FRAGMENTS", "DST_FRAGMENTS", "USER_NAME",
          "RETRANSMITTED_IN_PKTS", "RETRANSMITTED_OUT_PKTS"}
SWAPPED = {"SRC_PROC": "DST_PROC", "SRC_FATHER": "DST_FATHER", "IN_BYTES": "OUT_BYTES", "IN_PKTS": "OUT_PKTS"}


def turn(record):
    """A record of the way back, but for TURNED and the translated addresses."""
    swap = {**SWAPPED, **{other: one for one, other in SWAPPED.items()}}
    turned = {re.sub("|".join(swap), lambda name: swap[name[0]], name): value
              for name, value in record.items() if name not in ONE_WAY}
    return {**turned, "BIFLOW_DIRECTION": 2}


@needs("ipfixDump")
def test_libfixbuf_reads_both_records_of_a_split_flow(tmp_path, seed):
    records = make_records(tmp_path / "records.json", "random_flows", seed)
    datagrams = send("ipfix", "random_flows", seed, "split", 1400)
    found = list(dump(tmp_path / "messages.ipfix", datagrams, number_flows("split")))
    expected = []
    for record in records:
        expected += [record, turn(record)] if record.get("OUT_PKTS") else [record]
    but = BY_UPTIME | DAYS | {"OUT_BYTES", "OUT_PKTS"}
    assert not [values for values in found if "OUT_BYTES" in values or "OUT_PKTS" in values]
    assert len(found) == len(expected)
    translated = {field.name for field in FIELDS if field.name.startswith("POST_")}
    for direction, without in ((1, set()), (2, ONE_WAY | TURNED | translated)):
        pairs = [(record, values) for record, values in zip(expected, found)
                 if record["BIFLOW_DIRECTION"] == direction]
        check_values(*zip(*pairs), "ipfix", but=but | without)


@needs("ipfixDump")
@pytest.mark.parametrize("size", [512, LARGEST])
def test_libfixbuf_reads_processes(tmp_path, seed, size):
    records = make_records(tmp_path / "records.json", "random_processes", seed)
    datagrams = send("ipfix", "random_processes", seed, "rfc5103", size)
    names = {(field.pen, field.ipfix_id): field for field in PROCESS_FIELDS}
    found = list(dump(tmp_path / "messages.ipfix", datagrams, names))
    check_values(records, found, "ipfix", PROCESS_FIELDS, DAYS, size == LARGEST)


def read_records(text):
    """Each record's {number: bytes}, as tshark's PDML has them: the numbers from the templates, in whose
    order the values stand at rising places."""
    templates = {}
    for element in xml.etree.ElementTree.fromstring(text).iter("field"):
        shown = element.get("show", "")
        if found := re.match(r"Template \(Id = (\d+), ", shown):
            templates[int(found[1])] = [
                int(row.find("field[@name='cflow.template_field_type']").get("show"))
                for row in element if row.get("show", "").startswith("Field (")]
        elif (found := re.match(r"FlowSet \d+ \[id=(\d+)\]", shown)) and int(found[1]) in templates:
            numbers = templates[int(found[1])]
            for flow in element:
                if not re.match(r"Flow \d+$", flow.get("show", "")):
                    continue
                values = {}
                for field in flow.iter("field"):
                    if field is not flow and field.get("value"):
                        values.setdefault(int(field.get("pos")), field.get("value"))
                assert len(values) == len(numbers)
                yield dict(zip(numbers, (bytes.fromhex(values[at]) for at in sorted(values))))


def parse_bytes(field, raw):
    assert len(raw) == field.v9_width
    if field.kind in ("TEXT", "USER"):
        return raw.rstrip(b"\0").decode("utf-8")  # valid, however it was cut
    if field.kind.startswith("ADDRESS"):
        return str(ipaddress.ip_address(raw))
    return raw.hex(":") if field.kind == "MAC" else int.from_bytes(raw, "big")


# tshark 4.0 loses its place behind a text of variable length.
@needs("tshark")
@pytest.mark.parametrize("kind,fields,size", [("random_flows", FIELDS, 1400),
                                              ("random_flows", OWN_WIDTHS, 1400),
                                              ("random_processes", PROCESS_FIELDS, 512)],
                         ids=["flows", "widths", "processes"])
def test_tshark_reads_every_field_of_netflow9(tmp_path, seed, kind, fields, size):
    """By its number, with its width."""
    records = make_records(tmp_path / "records.json", kind, seed)
    write_capture(tmp_path / "capture.pcap", send("netflow9", kind, seed, "rfc5103", size, fields))
    wide = ["-o", "cflow.max_template_fields:0"]  # it stops at 60 by default
    text = tshark(tmp_path / "capture.pcap", *wide, "-T", "pdml")
    for word in ("Malformed", "no template found", "No template found"):
        assert word not in text
    by_number = {field.v9_id: field for field in fields}
    found = [{by_number[number].name: parse_bytes(by_number[number], raw)
              for number, raw in values.items()} for values in read_records(text)]
    check_values(records, found, "netflow9", fields)


# Without 21 and 22, which nfdump would take for the times in NetFlow v9.
TEMPLATE = ("%IPV4_SRC_ADDR %IPV4_DST_ADDR %L4_SRC_PORT %L4_DST_PORT %PROTOCOL %IN_BYTES %IN_PKTS %OUT_BYTES "
            "%OUT_PKTS %FLOW_START_MILLISECONDS %FLOW_END_MILLISECONDS %SRC_PROC_NAME %DST_PROC_CMDLINE")
COUNTERS = {"in bytes": "IN_BYTES", "in packets": "IN_PKTS", "out bytes": "OUT_BYTES", "out packets": "OUT_PKTS"}
ICMP = (1, 58)


def read_flows(directory):
    done = subprocess.run(["nfdump", "-R", directory, "-o", "raw"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for part in done.stdout.split("Flow Record:")[1:]:
        yield {name: value.split(" ")[0] for name, value in re.findall(r"^  (.+?) += +(.+)$", part, re.M)}


@needs("nfcapd")
@needs("nfdump")
@pytest.mark.parametrize("wire,biflow,size", [("netflow9", "rfc5103", 512), ("netflow9", "split", 1400),
                                              ("ipfix", "rfc5103", LARGEST), ("ipfix", "ntop", 512)])
def test_nfdump_stores_what_was_sent(tmp_path, seed, wire, biflow, size):
    records = make_records(tmp_path / "records.json", "random_flows", seed)
    with nfcapd(tmp_path) as port:
        emit(wire, f"udp:{port}", TEMPLATE, biflow, RECORDS, "random_flows", seed, size)
    flows = list(read_flows(tmp_path))
    # nfdump 1.7.1 does not read the reverse elements of RFC 5103.
    names = {name: field for name, field in COUNTERS.items() if
             biflow == "ntop" or wire == "netflow9" and biflow != "split" or name.startswith("in")}
    for place, record in enumerate(records, 1):
        if biflow == "split" and record.get("OUT_PKTS"):
            back = flows.pop(place)  # behind the way there
            assert int(back["in bytes"]) == record["OUT_BYTES"]
            assert int(back["in packets"]) == record["OUT_PKTS"]
    assert len(flows) == len(records)
    for record, flow in zip(records, flows):
        version = record["IP_PROTOCOL_VERSION"]
        ports = [] if record["PROTOCOL"] in ICMP else [(flow["src port"], record["L4_SRC_PORT"]),
                                                       (flow["dst port"], record["L4_DST_PORT"])]
        pairs = [(flow["proto"], record["PROTOCOL"]), *ports,
                 (flow["first"], record["FLOW_START_MILLISECONDS"]),
                 (flow["last"], record["FLOW_END_MILLISECONDS"]),
                 *((flow.get(name, 0), record.get(field, 0)) for name, field in names.items())]
        assert [int(theirs) for theirs, _ in pairs] == [ours for _, ours in pairs], (record, flow)
        for theirs, ours in (("src addr", f"IPV{version}_SRC_ADDR"), ("dst addr", f"IPV{version}_DST_ADDR")):
            assert ipaddress.ip_address(flow[theirs]) == ipaddress.ip_address(record[ours])
