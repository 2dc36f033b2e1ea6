# SPDX-License-Identifier: GPL-2.0-or-later
"""The mappings in conf/collectors are what their collectors parse, and have the catalogue's numbers."""

import csv
import json
import pathlib

import pytest

from harness import catalogue

COLLECTORS = pathlib.Path(__file__).resolve().parents[2] / "conf" / "collectors"
FIELDS = catalogue.read()
OF_NTOP = [field for field in FIELDS if field.pen == catalogue.NTOP]
TYPES = {1: ":uint8", 2: ":uint16", 4: ":uint32", 8: ":uint64"}


def is_text(field):
    return field.kind in ("TEXT", "USER")


def codec_type(field, width):
    special = {"ADDRESS4": ":ip4_addr", "ADDRESS6": ":ip6_addr", "MAC": ":mac_addr"}
    return ":string" if is_text(field) else special.get(field.kind) or TYPES[width]


def load_yaml(path):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((COLLECTORS / path).read_text())


def test_catalogue_has_all_numbers():
    assert len(FIELDS) == 80
    assert len({(field.pen, field.ipfix_id) for field in FIELDS if field.ipfix_id}) == 78
    assert len({field.v9_id for field in FIELDS}) == len(FIELDS)


@pytest.mark.parametrize("collector", ["logstash", "filebeat"])
def test_codec_definitions(collector):
    assert load_yaml(f"{collector}/ipfix.yaml") == {catalogue.NTOP: {
        field.ipfix_id: [codec_type(field, field.ipfix_width), ":" + field.name.lower()]
        for field in OF_NTOP}}
    assert load_yaml(f"{collector}/netflow.yaml") == {
        field.v9_id: [codec_type(field, field.v9_width), ":" + field.name.lower()]
        for field in FIELDS if field.v9_id >= 128}


def test_goflow2():
    """Without "fields" goflow2's JSON has only what it knows by itself, and texts would be hexadecimal."""
    mapping = load_yaml("goflow2/mapping.yaml")
    names = [field.name.lower() for field in OF_NTOP]
    formatter = mapping["formatter"]
    assert formatter["fields"][-len(names):] == names
    assert {"src_addr", "dst_addr", "src_port", "dst_port", "bytes", "packets", "time_flow_start_ns"} <= set(
        formatter["fields"][:-len(names)])
    assert formatter["render"] == {field.name.lower(): "string" for field in OF_NTOP if is_text(field)}
    assert [(row["name"], row["type"]) for row in formatter["protobuf"]] == [
        (field.name.lower(), "string" if is_text(field) else "varint") for field in OF_NTOP]
    assert len({row["index"] for row in formatter["protobuf"]}) == len(names)
    assert mapping["ipfix"]["mapping"] == [
        {"field": field.ipfix_id, "penprovided": True, "pen": catalogue.NTOP,
         "destination": field.name.lower()} for field in OF_NTOP]
    assert mapping["netflowv9"]["mapping"] == [
        {"field": field.v9_id, "destination": field.name.lower()} for field in OF_NTOP]


def test_pmacct():
    for wire in ("ipfix", "netflow9"):
        rows = [dict(word.split("=", 1) for word in line.split())
                for line in (COLLECTORS / f"pmacct/primitives-{wire}.lst").read_text().splitlines()
                if not line.startswith("!")]
        assert rows == [{
            "name": field.name.lower(),
            "field_type": f"{catalogue.NTOP}:{field.ipfix_id}" if wire == "ipfix" else str(field.v9_id),
            "len": str(field.v9_width if wire == "netflow9" else field.ipfix_width)
                   .replace(str(catalogue.VARIABLE), "vlen"),
            "semantics": "str" if is_text(field) else "u_int"} for field in OF_NTOP]


def test_telegraf():
    with open(COLLECTORS / "telegraf/ntop.csv", newline="") as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))
    assert rows == [[f"{catalogue.NTOP}.{field.ipfix_id}", field.name.lower(),
                     "string" if is_text(field) else "uint"] for field in OF_NTOP]


@pytest.mark.parametrize("schema", ["", "_ecs"])
def test_elasticsearch(schema):
    template = json.loads((COLLECTORS / f"elasticsearch/index_template{schema}.json").read_text())
    assert template["index_patterns"] == ["procflow-*"]
    properties = template["template"]["mappings"]["properties"]
    if schema:
        assert {properties[f"{end}.ip"]["type"] for end in ("source", "destination")} == {"ip"}
        assert properties["process.pid"]["type"] == "long"
        return
    for field in FIELDS:
        if field.kind in ("ADDRESS4", "ADDRESS6"):
            assert properties[field.name]["type"] == "ip", field
        elif field in OF_NTOP and field.kind == "UNSIGNED":
            assert properties[field.name]["type"] in ("long", "integer", "unsigned_long"), field
